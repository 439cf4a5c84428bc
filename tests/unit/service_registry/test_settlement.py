"""Statements, disputes and claims as people take them, over a gateway's port."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chain_core.codec.seen import state_key
from chain_core.network.raw_rpc import RawChannel
from chain_core.types.errors import InvalidProof, MalformedBytes
from contracts.kernel.calendar import day_of
from service_registry.batch_audit import evidence_of
from service_registry.batcher import PROMISE_MS
from service_registry.chain import Account
from service_registry.disputes import KEPT, OPEN, claim_key, decode_claim
from service_registry.records import SERVICES
from service_registry.settlement import answer
from service_registry.statements import statements
from service_registry.usage import month_of
from tests.unit.execution.world import account
from tests.unit.service_registry.batching import gateway_log
from tests.unit.service_registry.house import SERVICE
from tests.unit.service_registry.stage import HouseChain, Stage, play

GATEWAY = Account(account("gateway"), b"", b"")


def claim_state(stage: Stage, promise: bytes) -> str:
    raw = stage.house.world.state[state_key(SERVICES, claim_key(promise))]
    return decode_claim(raw).state


def test_a_gateway_answers_a_claim_from_its_store(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.batcher is not None
        response = await stage.call(stage.house.call("consumer")[1])
        promise, channel = response.promise.promise, RawChannel(await stage.serve())
        stage.house.world.time_ms += PROMISE_MS + 1_000
        stage.house.ok("consumer", "claim_record", promise=promise, signature=response.promise.signature)
        assert claim_state(stage, promise) == OPEN
        with pytest.raises(InvalidProof, match="in no batch yet"):
            await answer(stage.chain, GATEWAY, channel, promise.hex())
        await stage.batcher.hand_in()
        await answer(stage.chain, GATEWAY, channel, promise.hex())
        assert claim_state(stage, promise) == KEPT and gateway_log(stage.house).strikes == 0
        with pytest.raises(MalformedBytes):
            await answer(stage.chain, GATEWAY, channel, "no hexadecimal")
        await channel.close()

    play(story, tmp_path)


def test_evidence_from_the_gateway_is_what_the_chain_wants(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.batcher is not None
        for _ in range(5):
            await stage.call(stage.house.call("consumer")[1])
        await stage.batcher.hand_in()
        channel = RawChannel(await stage.serve())
        args = await evidence_of(channel, SERVICE, account("consumer"), 4)
        await channel.close()
        stage.house.ok("consumer", "dispute", **args)
        assert gateway_log(stage.house).faults == 0

    play(story, tmp_path)


class WithHeader(HouseChain):
    """A chain that says how late it is."""

    @property
    def client(self) -> Any:
        async def header() -> Any:
            return SimpleNamespace(time_ms=self.house.world.time_ms)

        return SimpleNamespace(header=header)

    @client.setter
    def client(self, value: object) -> None:
        raise AttributeError("there are no nodes")


def test_statements_name_everybody_who_used_the_service_month_by_month(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert stage.batcher is not None
        house, months = stage.house, list[int]()
        for calls in (2, 3):
            for _ in range(calls):
                await stage.call(house.call("consumer")[1])
            await stage.batcher.hand_in()
            months.append(month_of(day_of(house.world.time_ms)))
            house.world.time_ms += 32 * 86_400_000
        told = await statements(WithHeader(house), SERVICE)
        assert [(row["month"], row["calls"], row["due_fen"]) for row in told["statements"]] == [
            (months[0], 2, 200),
            (months[1], 3, 300),
        ]
        assert told["due_fen"] == 500
        assert (await statements(WithHeader(house), SERVICE, months[1]))["due_fen"] == 300

    play(story, tmp_path)
