"""Builds at fault, on real node processes: one or two execute otherwise, all break on a transaction, one is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.execution.codes import Code
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from tests.integration.altered_node import NEW_FLAG, ODD, ODD_KEY, POISON
from tests.integration.network import NAMES, other_account
from tests.integration.processes import DELAY, FINAL_WITHIN_S, Processes, processes, signers

pytestmark = pytest.mark.integration

TWO_DIVERGE = {"three": "diverge-always", "four": "diverge-always"}
SHORT_MS = 1_000
"""An ordering timeout of which several pass within a test."""
VIEWS = 1
"""A busy machine may cost one before the fault; a storm would be one a timeout."""

BOB = other_account("bob")


def told(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    asyncio.run(main())


@pytest.mark.parametrize("odd", ["four", "one"], ids=["backup", "primary"])
def test_one_replica_that_executes_otherwise_stops_names_the_key_resyncs_and_votes_again(
    tmp_path: Path, odd: str
) -> None:
    sound = [name for name in NAMES if name != odd]

    async def story() -> None:
        async with processes(tmp_path / "net", {odd: "diverge"}) as net:
            await net.pay(BOB, 1, *sound)
            assert not await net.halted(odd)
            height = (await net.pay(ODD, 1, *sound)).header.height
            log = net.running[odd]
            halted = await log.says("HALTED")
            assert "EXECUTION_DIVERGED" in halted and f"height={height}" in halted and ODD_KEY.hex() in halted
            resynced = await log.says("RESYNCED")
            assert f"keys={ODD_KEY.hex()}" in resynced and "fields=state_root" in resynced
            why = await net.obstacle(odd)
            assert "stopped voting: EXECUTION_DIVERGED" in why
            assert f"RESYNCED at height {height}, where the keys that differed are {ODD_KEY.hex()};" in why

            following = await net.pay(BOB, 1, *sound)  # the chain goes on without its vote, and it follows
            await net.follow_to(odd, following.header.height)
            _, (value,) = await net.client(odd).state([ODD_KEY])
            assert value == encode_value(1)
            for name in sound:
                assert not await net.halted(name)

            await net.end(odd)
            await net.begin(odd)
            await net.end(sound[-1])  # now nothing becomes final without it
            after = await net.pay(ODD, 1, *sound)
            assert NAMES.index(odd) in signers(after) and not await net.halted(odd)

    told(story)


def test_two_of_four_that_execute_otherwise_halt_the_chain_without_a_view_change_storm(tmp_path: Path) -> None:
    async def story() -> None:
        async with processes(tmp_path / "net", TWO_DIVERGE, order_timeout_ms=SHORT_MS) as net:
            first = await net.pay(BOB)
            client = net.client("one")
            raws = [net.wallets["alice"].transfer(to, 1) for to in (ODD, BOB)]
            await client.nodes[0].submit(raws)
            for name in NAMES:
                halted = await net.running[name].says("HALTED")
                assert "EXECUTION_DIVERGED" in halted and "no header can reach a quorum any more" in halted
            begun = await uptime_ms(net, "one")
            while await uptime_ms(net, "one") < begun + 4 * SHORT_MS:
                assert max([await net.metric(name, "dualchain_view") for name in NAMES]) <= VIEWS
            for name in NAMES:
                why = await net.obstacle(name)
                assert "EXECUTION_DIVERGED" in why and ODD_KEY.hex() in why, why
                assert await net.height_of(name) == first.header.height
                assert await net.metric(name, "dualchain_view_changing") == 0
            await client.close()

    told(story)


async def uptime_ms(net: Processes, name: str) -> int:
    async with NodeClient(net.addresses(name)[0]) as node:
        return (await node.status()).uptime_ms


def test_a_poison_transaction_is_skipped_by_the_quorum_and_the_chain_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with processes(tmp_path / "net", dict.fromkeys(NAMES, "poison")) as net:
            skipped = await net.pay(BOB, POISON)
            assert (skipped.receipt.code, skipped.header.attempt) == (Code.SKIPPED, 1)
            for name in NAMES:
                fault = await net.running[name].says("ENGINE_FAULT")
                assert "ZeroDivisionError" in fault and skipped.receipt.transaction_id.hex() in fault
            following = await net.pay(BOB, 5)
            assert (following.receipt.code, following.header.attempt) == (0, 0)
            _, (value,) = await net.client("three").state([state_key("coins", BOB)])
            assert value == encode_value(5)
            assert {await net.metric(name, "dualchain_view") for name in NAMES} == {0}
            assert not any([await net.halted(name) for name in NAMES])

    told(story)


def test_an_old_node_stops_before_a_flag_that_it_does_not_know_and_a_newer_build_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with processes(tmp_path / "net", dict.fromkeys(NAMES[:3], "newer")) as net:
            bob, carol = net.wallets["bob"], net.wallets["carol"]
            content: dict[str, Value] = {"on": [NEW_FLAG], "off": []}
            propose: dict[str, Value] = {"kind": "flags", "content": content, "effective_height": 0}
            client = net.client("one", "two")
            due = 0
            for raw in (
                bob.sign(Operation("governance", "propose", propose)),
                carol.sign(Operation("governance", "approve", {"proposal": 1})),
            ):
                (settled,) = await client.submit_until_final([raw], within_s=FINAL_WITHIN_S)
                assert isinstance(settled, VerifiedReceipt) and settled.receipt.code == 0, settled
                due = settled.header.height + DELAY
            await client.close()
            while (await net.pay(BOB)).header.height < due:
                pass
            halted = await net.running["four"].says("HALTED")
            assert f"code=UNKNOWN_FLAG height={due} flags={NEW_FLAG}" in halted
            why = await net.obstacle("four")
            assert "stopped voting: UNKNOWN_FLAG" in why and NEW_FLAG in why
            assert await net.height_of("four") == due - 1, "it executed what it does not know"

            await net.end("four")
            await net.begin("four", "newer")
            await net.end("one")
            after = await net.pay(BOB, 1, "two", "three")
            assert 3 in signers(after)

    told(story)
