"""Two of four nodes run a faulty build: the chain halts, gets the right build, and goes on by order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.codec.block import decode_header
from chain_core.codec.values import encode_value
from chain_core.node import reopen_cli
from chain_core.node.client import NodeClient
from tests.integration.altered_node import ODD, ODD_KEY
from tests.integration.network import NAMES, other_account
from tests.integration.processes import PATIENCE_S, Processes, processes

pytestmark = pytest.mark.integration

TWO_DIVERGE = {"three": "diverge-always", "four": "diverge-always"}
BOB = other_account("bob")


async def cli(*words: object) -> Any:
    """``dualchain node reopen ...``: the object it prints, or the refusal it raises."""
    asked = [*map(str, words), "--json"]
    result = await asyncio.to_thread(lambda: CliRunner().invoke(reopen_cli.app, asked))
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


async def until_height(net: Processes, height: int, *names: str) -> None:
    for name in names:
        await net.follow_to(name, height)


async def ordered(net: Processes, directory: Path, order: Path, height: int) -> None:
    """Two officers approve, one after the other; with one of them alone it is not taken."""
    genesis = directory / "net" / "genesis.bin"
    made = await cli("order", "--height", height, "--reason", "build 7 of two nodes", "--out", order)
    assert (made["height"], made["attempt"], made["approved_by"]) == (height, 0, [])
    for officer in ("bob", "carol"):
        account, key = net.wallets[officer].account.hex(), directory / "net" / "accounts" / f"{officer}.key"
        where = ("--genesis", genesis, "--account", account, "--key", key)
        approved = await cli("approve", order, *where)
        if officer == "bob":
            with pytest.raises(Exception, match="1 approvals"):
                await cli("hand-in", order, "--node", net.addresses("one")[0], "--genesis", genesis)
    assert len(approved["approved_by"]) == 2


def test_a_chain_halted_by_two_faulty_builds_goes_on_when_all_operators_hand_in_the_order(tmp_path: Path) -> None:
    order, genesis = tmp_path / "order.bin", tmp_path / "net" / "genesis.bin"

    async def story() -> None:
        async with processes(tmp_path / "net", TWO_DIVERGE) as net:
            height = (await net.pay(BOB)).header.height + 1
            client = net.client("one")
            await client.nodes[0].submit([net.wallets["alice"].transfer(ODD, 7)])
            for name in NAMES:
                assert "EXECUTION_DIVERGED" in await net.running[name].says("HALTED")
            for name in TWO_DIVERGE:  # their operators put the right build in place
                await net.end(name)
                await net.begin(name)
            await asyncio.gather(*(net.running[name].says("HALTED") for name in TWO_DIVERGE))

            await ordered(net, tmp_path, order, height)
            for name in NAMES[:3]:
                await cli("hand-in", order, "--node", net.addresses(name)[0], "--genesis", genesis)
            shown = await cli("show", "--node", net.addresses("one")[0], "--genesis", genesis)
            while len(shown["open"]["missing"]) > 1:  # the statements of the others are on their way
                shown = await cli("show", "--node", net.addresses("one")[0], "--genesis", genesis)
            assert (shown["open"]["missing"], shown["verified"]) == (["four"], True)
            assert "missing: four" in await net.obstacle("one")
            assert await net.height_of("one") == height - 1

            await cli("hand-in", order, "--node", net.addresses("four")[0], "--genesis", genesis)
            await until_height(net, height, *NAMES)
            for name in NAMES:
                async with NodeClient(net.addresses(name)[0]) as node:
                    header = decode_header((await node.header(height)).header)
                    assert (header.height, header.attempt) == (height, 1)
            _, (value,) = await client.state([ODD_KEY])
            assert value == encode_value(7), "executed by the right build"
            await client.close()

            following = await net.pay(BOB, 5)
            assert (following.receipt.code, following.header.attempt) == (0, 0)
            assert not any([await net.halted(name) for name in NAMES])
            shown = await cli("show", "--node", net.addresses("two")[0], "--genesis", genesis)
            (past,) = shown["past"]
            assert past["margin"] == 0 and sorted(len(row["stated_by"]) for row in past["statements"]) == [2, 2]
            assert "four" in past["text_en"] or not past["missing"]

            await net.end("two")  # what was reopened is read back
            await net.begin("two")
            await net.pay(BOB, 1, "two")

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await story()

    asyncio.run(main())
