"""The relayer brings both chains through changes of the other's validators; nobody has to tell it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import encode_validator_set
from crosschain.following import Position, decode_position
from crosschain.packets import client_key, supervision_key
from tests.integration.served_chain import serve
from tests.unit.crosschain.chains import Layers
from tests.unit.crosschain.changing import newcomer, propose


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.register()
    yield made
    made.close()


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 60))


def positions(layers: Layers) -> tuple[Position, Position]:
    """How far the supervisory chain follows the local one, and the other way round."""
    up = layers.supervisory.store.get(client_key(layers.local.hash))
    return decode_position(up), decode_position(layers.local.store.get(supervision_key()))


def reports(layers: Layers) -> object:
    row = layers.supervisory.value(state_key("inbox", b"r" + layers.local.hash))
    return row["reports"] if isinstance(row, dict) else 0


def test_packets_and_directives_of_several_epochs_arrive(layers: Layers) -> None:
    async def story() -> None:
        async with serve(layers) as served:
            layers.business("S1")
            layers.direct("freeze_holder", "holder")
            for number in (4, 5):  # while nothing is carried
                propose(layers.local, "add_validator", **newcomer(layers.local, f"beijing-{number}"))
                layers.business(f"S{number}")
                propose(layers.supervisory, "add_validator", **newcomer(layers.supervisory, f"supervisory-{number}"))
                layers.supervisory.block(after_ms=10)
            layers.direct("freeze_holder", "holder")
            await served.until_idle()
            up, down = positions(layers)
            assert (up.epoch, down.epoch, down.count) == (2, 2, 2)
            assert reports(layers) == 3
            record = layers.supervisory.value(
                state_key("directives", b"s" + layers.local.hash + (1).to_bytes(8, "big"))
            )
            assert isinstance(record, dict) and record["status"] != "issued"
            assert served.relayer.local.view.epoch == served.relayer.supervisory.view.epoch == 2
            assert await served.until_idle() == 0

    run(story())


def test_the_closing_header_is_carried_though_nothing_else_is_to_be(layers: Layers) -> None:
    """The latest header is the last one of its epoch: it goes with the next set, and once."""

    async def story() -> None:
        async with serve(layers) as served:
            await served.until_idle()
            barrier = propose(layers.local, "add_validator", **newcomer(layers.local, "beijing-4"))
            assert layers.local.height == barrier - 1
            assert await served.relayer.step_up()
            up, _ = positions(layers)
            assert (up.epoch, up.height) == (1, barrier - 1)
            await served.until_idle()

    run(story())


def test_a_node_that_tells_of_other_validators_is_passed_over(layers: Layers) -> None:
    def alter(name: str, data: bytes) -> bytes:
        if name != "QueryState":
            return data
        message = pb.QueryStateResponse.FromString(data)
        honest = encode_validator_set(layers.local.executor.epoch_at(layers.local.store, 1 << 60).validators)
        forged = encode_validator_set(layers.supervisory.genesis.validators)
        for item in message.items:
            if item.value == honest:
                item.value = forged
        return message.SerializeToString()

    async def story() -> None:
        async with serve(layers, below=alter) as served:
            propose(layers.local, "add_validator", **newcomer(layers.local, "beijing-4"))
            layers.business("S1")
            await served.until_idle()
            up, _ = positions(layers)
            assert up.epoch == 1 and reports(layers) == 1

    run(story())
