"""Requests between chains from the command line: units granted, a question asked each way, its proven answer shown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import GenesisAccount
from chain_core.types.transaction import Envelope, Receipt
from local_chain.assembly import local_assembly
from local_chain.cli import app as local_app
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cli import app as supervisory_app
from tests.integration.network import now_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import (
    Chain,
    Layers,
    account,
    local_genesis,
    private_key,
    public_key,
    supervisory_genesis,
)
from tests.unit.crosschain.couriers import Courier

ENTITY = "entity of operator"


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    """In the market, ``desk`` is an operator whose key is at hand."""
    above, below = supervisory_genesis(), local_genesis(supervisory=encode_genesis(supervisory_genesis()))
    desk = GenesisAccount(account("desk"), "entity of desk", ("operator",), {"transaction": (public_key("desk"),)})
    below = replace(below, accounts=tuple(sorted((*below.accounts, desk), key=lambda row: row.account)))
    made = Layers(
        Chain.begin(tmp_path / "supervisory", above, supervisory_assembly),
        Chain.begin(tmp_path / "local", below, local_assembly),
    )
    made.supervisory.time_ms = made.local.time_ms = now_ms() - 180_000  # commands sign by the clock on the wall
    made.register()
    made.business("S1")
    yield made
    made.close()


@dataclass
class Terminal:
    """Commands on one chain, behind a real node port."""

    app: typer.Typer
    node: ServedNode
    directory: Path

    async def run(self, *words: str, who: str = "", human: bool = False) -> Any:
        """What a command prints: its JSON object, its text for ``human``, or its refusal's text."""
        genesis = self.directory / f"{self.node.chain.genesis.kind}.bin"
        said = ["channel", *words, "--node", self.node.address, "--genesis", str(genesis)]
        if who:
            said += ["--account", account(who).hex(), "--key", str(self.directory / f"{who}.key")]
        result = await asyncio.to_thread(CliRunner().invoke, self.app, said if human else [*said, "--json"])
        if isinstance(result.exception, DualchainError):
            return str(result.exception)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout if human else json.loads(result.stdout)


def told(layers: Layers, directory: Path, story: Callable[[Terminal, Terminal], Awaitable[None]]) -> None:
    async def main() -> None:
        chains = (
            (supervisory_app, layers.supervisory, supervisory_assembly),
            (local_app, layers.local, local_assembly),
        )
        terminals = [Terminal(app, ServedNode(chain, made(chain.genesis)), directory) for app, chain, made in chains]
        for one in terminals:
            (directory / f"{one.node.chain.genesis.kind}.bin").write_bytes(one.node.chain.genesis_bytes)
            await one.node.start()
        for who in ("csrc-1", "desk", "courier"):
            write_private_key(directory / f"{who}.key", private_key(who))
        try:
            await story(*terminals)
        finally:
            for one in terminals:
                await one.node.stop()

    asyncio.run(asyncio.wait_for(main(), 300))


async def carried(layers: Layers, asking: Chain, question: Awaitable[Any]) -> Any:
    """What the command that asks prints, while the courier carries what it sent and what comes back."""
    made, sent = asking.block, asyncio.Event()

    def block(*envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        sent.set()
        return made(*envelopes, after_ms=after_ms)

    asking.block = block  # type: ignore[method-assign]
    task = asyncio.ensure_future(question)
    waiting = asyncio.ensure_future(sent.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    asking.block = made  # type: ignore[method-assign]
    Courier(layers).up()
    Courier(layers).services_down()
    Courier(layers).up()
    Courier(layers).services_down()
    return await task


def test_the_regulator_asks_a_market_and_sees_the_answer(layers: Layers, tmp_path: Path) -> None:
    async def story(above: Terminal, _: Terminal) -> None:
        roll = ["BJ", "roll_head", f"security={'00' * 16}"]
        Courier(layers).up()
        refused = await above.run("request", *roll, who="desk")
        assert "0 units are left and 2 needed" in refused and "channel show" in refused
        granted = await above.run("grant", account("desk").hex(), "5", who="csrc-1")
        assert (granted["units"]["available"], granted["units"]["all_accounts"]["granted"]) == (5, 5)
        done = await carried(layers, layers.supervisory, above.run("request", *roll, who="desk"))
        assert (done["final"], done["verified"], done["request"]["status"]) == (True, True, "answered")
        assert (done["request"]["acknowledged"], done["request"]["answer"]["found"]) == ("answered", False)
        late = await above.run("request", *roll, "--within", "30", "--wait", "0", who="desk")
        assert (late["request"]["status"], late["request"]["number"]) == ("waiting", 1)
        shown = await above.run("show", "BJ")
        assert (shown["asked"], shown["in_flight"], shown["units"]["paid"]) == (2, 1, 2)
        assert shown == await above.run("show", layers.local.hash.hex())
        assert "answered" in await above.run("show", "BJ", human=True)

    told(layers, tmp_path, story)


def test_a_market_asks_the_regulator_and_sees_the_answer(layers: Layers, tmp_path: Path) -> None:
    async def story(_: Terminal, below: Terminal) -> None:
        status = ["party_status", f"entity={ENTITY}"]
        granted = await below.run("grant", account("courier").hex(), "2", who="desk")
        assert granted["units"]["available"] == 2
        assert "lacks the role" in await below.run("grant", account("courier").hex(), "2", who="courier")
        done = await carried(layers, layers.local, below.run("request", *status, who="courier"))
        answer = done["request"]["answer"]
        assert (done["request"]["status"], answer["known"], answer["barred"]) == ("answered", 1, False)
        coded = ["investor_code", "category=Q", f"identity={'ab' * 32}"]
        done = await carried(layers, layers.local, below.run("request", *coded, who="courier"))
        assert done["request"]["answer"]["fresh"] is True
        assert "Q" in done["request"]["answer"]["code"]
        shown = await below.run("show")
        assert (shown["answered"], shown["units"]["available"], shown["units"]["paid"]) == (2, 0, 2)

    told(layers, tmp_path, story)


def test_what_does_not_fit_a_service_is_said_before_anything_is_asked(layers: Layers, tmp_path: Path) -> None:
    async def story(_: Terminal, below: Terminal) -> None:
        assert "write entity=<text>" in await below.run("request", "party_status", "name=x", who="courier")
        assert not below.node.calls

    told(layers, tmp_path, story)
