"""A market loses two of its four nodes for ever; its successor begins with the holdings that a survivor certified."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.market_load import Holder, Market, Signers, populate, start_market
from chain_core.codec.transaction import decode_envelope
from chain_core.execution.codes import Code
from chain_core.network.signing import sign_transaction
from chain_core.node.answers import ItemStatus
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.provision import NodePlan
from chain_core.node.verifying_client import Refused, VerifyingClient
from crosschain.proofs import check_roll, fetch_roll
from dualchain.demo.ports import LOOPBACK, draw_ports
from dualchain.demo.processes import ProcessGroup
from tests.integration.nursery import finished

pytestmark = pytest.mark.integration

HOLDERS = 160
LOST = ("node-2", "node-3")


def dualchain(*words: str | Path, code: int = 0) -> dict[str, Any]:
    """One command of the command line; what it printed."""
    done = finished("dualchain", *words, within_s=120)
    assert done.returncode == code, done.stderr
    return dict(json.loads(done.stdout)) if code == 0 else {"refusal": done.stderr}


async def roll(client: VerifyingClient, security: bytes) -> Mapping[bytes, object]:
    evidence = await client.from_any(lambda one: fetch_roll(one, client.view, security))
    return dict(check_roll(client.view, security, evidence).holders)


async def final(client: VerifyingClient, raw: bytes) -> VerifiedReceipt:
    (outcome,) = await client.submit_until_final([raw], within_s=60)
    assert isinstance(outcome, VerifiedReceipt), outcome
    return outcome


async def the_chain_ends(market: Market) -> tuple[bytes, Mapping[bytes, object]]:
    """One transfer of many, kept for later, and the roll at the end; two nodes are gone with their disks."""
    signers = Signers(market)
    raws = signers.sign(20)
    for outcome in await market.client.submit_until_final(raws, within_s=60):
        assert isinstance(outcome, VerifiedReceipt) and outcome.receipt.code == Code.OK
    signers.close()
    found = await roll(market.client, market.securities[0].security)
    for name in LOST:
        await market.group.kill(name)
        shutil.rmtree(market.directory / name)
    await market.client.close()
    await market.group.stop()
    return raws[0], found


def highest_survivor(market: Market, to: Path) -> Path:
    """The snapshot of the survivor with the highest height."""
    found = {}
    for plan in market.plans:
        if plan.name not in LOST:
            config = market.directory / plan.name / "node.toml"
            row = dualchain("node", "snapshot", "--config", config, "--to", to / plan.name, "--json")
            found[row["height"]] = to / plan.name
    return found[max(found)]


def lay_out(directory: Path, source: Path) -> list[NodePlan]:
    """The successor: the two that are left and two new institutions."""
    ports = draw_ports(8)
    plans = [
        NodePlan(f"node-{k}", f"Institution {k}", LOOPBACK, ports[2 * i], ports[2 * i + 1])
        for i, k in enumerate((0, 1, 4, 5))
    ]
    nodes = [f"--node={p.name},{p.entity},{p.host},{p.peer_port},{p.client_port}" for p in plans]
    plain = ("--plain-keys", "--client-security", "plaintext")
    dualchain("local", "successor", directory, "--from", source, *nodes, *plain, "--json")
    return plans


def begin(directory: Path, plan: NodePlan, source: Path, code: int = 0) -> dict[str, Any]:
    config = directory / plan.name / "node.toml"
    return dualchain("node", "begin", "--config", config, "--from", source, "--json", code=code)


def a_tampered_snapshot_is_refused(directory: Path, plan: NodePlan, source: Path) -> None:
    forged = Path(shutil.copytree(source, directory / "forged"))
    data = bytearray((forged / "state.dcs").read_bytes())
    data[data.find(b"kernel") + 60] ^= 1
    (forged / "state.dcs").write_bytes(data)
    assert "INVALID_PROOF" in begin(directory, plan, forged, code=1)["refusal"]
    assert "INVALID_PROOF" in dualchain("node", "verify-snapshot", forged, code=1)["refusal"]
    config = directory / plan.name / "node.toml"
    assert "NOT_BEGUN" in dualchain("node", "run", "--config", config, code=1)["refusal"]


async def nothing_is_done_twice(client: VerifyingClient, old: bytes, seller: Holder) -> None:
    """The old envelope is nobody's signature here; the same body, signed again for this chain, was executed before."""
    async with NodeClient(client.nodes[0].address, genesis_hash=client.view.genesis_hash) as node:
        (item,) = (await node.submit([old])).items
    assert item.status is ItemStatus.REFUSED
    body = decode_envelope(old).body
    again = sign_transaction(client.view.genesis_hash, body, [(seller.private, seller.public)])
    (outcome,) = await client.submit_until_final([again], within_s=60)
    assert isinstance(outcome, Refused) and outcome.refusal.code == "EXECUTED_BEFORE"


async def story(directory: Path) -> None:
    market = await start_market(directory / "past", 4)
    try:
        await populate(market, HOLDERS)
        old, before = await the_chain_ends(market)
    finally:
        await market.group.stop()
    source = highest_survivor(market, directory)
    successor = directory / "successor"
    plans = lay_out(successor, source)
    a_tampered_snapshot_is_refused(successor, plans[0], source)
    for plan in plans:
        assert begin(successor, plan, source)["predecessor_genesis_hash"] == market.view.genesis_hash.hex()
    group = ProcessGroup(successor / "logs")
    client = VerifyingClient(
        ChainView((successor / "genesis.bin").read_bytes()), [f"{p.host}:{p.client_port}" for p in plans]
    )
    try:
        commands = {p.name: ["node", "run", "--config", str(successor / p.name / "node.toml")] for p in plans}
        late = {plans[0].name: commands.pop(plans[0].name)}
        await group.start_all(commands, 60)
        account = decode_envelope(old).body.account
        security = market.securities[0]
        seller = next(holder for holder in security.sellers if holder.account == account)
        goes_on = Market(successor, tuple(plans), client.view, group, client, market.securities, market.nonces)
        signers = Signers(goes_on)
        # The primary of view 0 is not there: block 1 is ordered after a view change at height 0.
        assert (await final(client, signers.sign_acceptances([seller])[0])).receipt.code == Code.OK
        await group.start_all(late, 60)
        await nothing_is_done_twice(client, old, seller)
        assert await roll(client, security.security) == before and len(before) == HOLDERS
        assert (await final(client, signers.sign(1)[0])).receipt.code == Code.OK
        signers.close()
        assert await roll(client, security.security) != before
    finally:
        await client.close()
        await group.stop()


def test_a_successor_goes_on_with_the_holdings(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path))
