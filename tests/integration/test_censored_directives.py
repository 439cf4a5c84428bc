"""Node processes of a market whose primary leaves directives out: they run all the same (directives.md §6)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chain_core.codec.genesis import encode_genesis
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.provision import (
    AccountPlan,
    NodePlan,
    make_accounts,
    make_validators,
    new_directory,
    write_network,
)
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis
from contracts.assembly import market_documents, market_parameters
from crosschain.following import decode_position
from crosschain.packets import supervision_key
from crosschain.relayer.config import Assignment, Party
from crosschain.relayer.worker import Relayer
from supervisory_chain.assembly import supervisory_assembly
from tests.integration.network import NAMES, drawn_ports, now_ms
from tests.integration.processes import PATIENCE_S, Processes
from tests.integration.served_chain import ServedNode, party
from tests.unit.crosschain import chains

pytestmark = pytest.mark.integration

CENSOR = "one"
"""The primary of view 0."""
ROLES = {"alice": ("operator",), "bob": (), "carol": ("operator",)}
"""alice is frozen while she does business, bob's account is the relayer's."""
LONGEST_MS = 2_000
STREAMS = 3


def lay_out(directory: Path, above: bytes) -> bytes:
    """Keys, document and configurations of the market's four nodes; the document."""
    new_directory(directory)
    ports = drawn_ports(2 * len(NAMES))
    plans = [NodePlan(n, f"entity {n}", "127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i, n in enumerate(NAMES)]
    day = now_ms() // 86_400_000
    parameters = {"idle_block_ms": 0, "order_timeout_ms": LONGEST_MS, "order_timeout_max_ms": LONGEST_MS}
    genesis = Genesis(
        "market-of-four",
        "local",
        "BJ",
        now_ms(),
        make_validators(directory, plans),
        {**DEFAULT_PARAMETERS, **market_parameters(), **parameters},
        (),
        make_accounts(directory, [AccountPlan(name, f"entity {name}", roles) for name, roles in ROLES.items()]),
        market_documents(opened=range(day - 1, day + 2)),
        above,
    )
    write_network(directory, genesis, plans, client_security="plaintext")
    return encode_genesis(genesis)


@dataclass
class House:
    """The market's processes, the supervisory chain that they are under, and the relayer between the two."""

    net: Processes
    layers: chains.Layers
    relayer: Relayer
    settled: list[VerifiedReceipt]
    """What became of alice's business."""

    async def do_business(self, numbers: itertools.count[int]) -> None:
        """Without an end: a security enters the register, then the next one."""
        alice, carol = self.net.wallets["alice"], self.net.wallets["carol"]
        client = self.net.client(*NAMES[1:])
        try:
            while True:
                call = chains.security(f"S{next(numbers)}")
                raw = alice.sign(replace(call, args={**call.args, "issuer": carol.account}), valid_ms=120_000)
                (one,) = await client.submit_until_final([raw], within_s=PATIENCE_S)
                assert isinstance(one, VerifiedReceipt), one
                self.settled.append(one)
        finally:
            await client.close()

    async def supervision(self, own_key: bytes) -> bytes | None:
        client = self.net.client(*NAMES[1:])
        try:
            _, (value,) = await client.state([own_key])
        finally:
            await client.close()
        return value


@asynccontextmanager
async def house(path: Path) -> AsyncIterator[House]:
    supervisory = chains.Chain.begin(path / "above", chains.supervisory_genesis(), supervisory_assembly)
    supervisory.time_ms = now_ms()
    document = lay_out(path / "net", supervisory.genesis_bytes)
    layers = chains.Layers(supervisory, replace(supervisory, genesis_bytes=document))
    layers.register()
    served = ServedNode(supervisory, supervisory_assembly(supervisory.genesis))
    await served.start()
    net = Processes(path / "net")
    bob = net.wallets["bob"]
    below = Party(document, layers.local.hash, tuple(net.addresses()), bob.account, bob.private)
    relayer = Relayer(Assignment(party(supervisory, [served.address]), below, 50, 30_000), now_ms)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(net.begin(n, "censor-border" if n == CENSOR else "none") for n in NAMES))
            await asyncio.gather(*map(net.votes, NAMES))
            yield House(net, layers, relayer, [])
    finally:
        for name in tuple(net.running):
            await net.end(name)
        await relayer.supervisory.close()
        await relayer.local.close()
        await served.stop()
        layers.supervisory.store.close()


async def carry_down(relayer: Relayer) -> None:
    """As the relayer's loop does: what is not final in time is planned again."""
    while True:
        try:
            if await relayer.step_down():
                return
        except DualchainError:
            continue


def test_directives_that_the_primary_leaves_out_run_in_order_before_the_business_of_their_block(tmp_path: Path) -> None:
    async def story() -> None:
        async with house(tmp_path) as made:
            net, layers = made.net, made.layers
            alice, carol = net.wallets["alice"].account, net.wallets["carol"].account
            numbers = itertools.count()
            streams = [asyncio.create_task(made.do_business(numbers)) for _ in range(STREAMS)]
            while len(made.settled) < STREAMS:
                await asyncio.sleep(0)
                await net.obstacle("two")
            layers.direct("freeze_holder", "", account=alice)
            layers.direct("rectify", "", account=carol)
            begun = await net.height_of("two")
            carrying = asyncio.create_task(carry_down(made.relayer))
            lagging = decode_position(await made.supervision(supervision_key()))
            assert (lagging.height, lagging.count) == (0, 0), "what is not carried out shows in the market's own state"
            await carrying

            records = [await made.supervision(state_key("supervision", b"d" + i.to_bytes(8, "big"))) for i in range(2)]
            rows = [decode_map(raw or b"") for raw in records]
            height = rows[0]["height"]
            assert [(row["kind"], row["code"], row["height"]) for row in rows] == [
                ("freeze_holder", 0, height),
                ("rectify", 0, height),
            ]
            assert isinstance(height, int) and height > begun + 3, "business went on under the censor"
            assert await net.metric("two", "dualchain_view") >= 1, "and it was deposed for what it left out"
            while not any(one.header.height > height for one in made.settled):
                await net.obstacle("two")
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
            for one in made.settled:
                rule = "csrc.frozen_party" if one.header.height >= height else ""
                assert one.receipt.rule == rule, (one.header.height, height)

    asyncio.run(story())
