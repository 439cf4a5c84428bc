"""`dualchain local` asks a served chain: every answer proven, whichever of the named nodes lies or is away."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.codec.signed import derive_id
from chain_core.network.refusals import NotFound
from chain_core.types.errors import InvalidProof, MalformedBytes
from local_chain import cli
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from tests.integration.served_chain import Alter, ServedNode
from tests.unit.crosschain.chains import Chain, Layers, account, op, security
from tests.unit.crosschain.test_proofs import rows_of

Ask = Callable[..., dict[str, Any]]


def last_byte_changed(method: str, data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@contextmanager
def served(chain: Chain, directory: Path, *lies: Alter | None) -> Iterator[Ask]:
    """Nodes of the chain in a loop of their own; what is yielded runs a command against all of them."""
    assembly = local_assembly if chain.genesis.kind == "local" else supervisory_assembly
    document = directory / "genesis.bin"
    document.write_bytes(chain.genesis_bytes)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> list[ServedNode]:
        nodes = [ServedNode(chain, assembly(chain.genesis), lie) for lie in lies]
        for node in nodes:
            await node.start()
        return nodes

    async def end() -> None:
        for node in nodes:
            await node.stop()

    nodes = asyncio.run_coroutine_threadsafe(begin(), loop).result()
    place = [word for node in nodes for word in ("--node", node.address)] + ["--genesis", str(document)]

    def ask(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(cli.app, [*words, *place, "--json"])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    try:
        yield ask
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def securities(layers: Layers) -> list[bytes]:
    """Two live registers: holder and buyer are in both, the issuer in the second."""
    local, found = layers.local, []
    for reference, names in (("S1", ("holder", "buyer")), ("S2", ("holder", "buyer", "issuer"))):
        assert local.one("operator", security(reference)).code == 0
        found.append(derive_id(local.hash, "security", account("operator"), reference))
        entry = op("kernel", "register_holding", security=found[-1], rows=rows_of(names))
        assert local.one("operator", entry).code == 0
    return found


@pytest.mark.parametrize("lies", [(None,), (last_byte_changed, None)], ids=["one node", "the first one lies"])
def test_what_an_account_holds(
    layers: Layers, securities: list[bytes], tmp_path: Path, lies: tuple[Alter | None, ...]
) -> None:
    with served(layers.local, tmp_path, *lies) as ask:
        found = ask("holdings", "--account", account("buyer").hex())
        assert (found["verified"], found["height"], found["securities"]) == (True, layers.local.height, 2)
        assert {name: row["available"] for name, row in found["holdings"].items()} == {s.hex(): 2 for s in securities}
        assert ask("holdings", "--account", account("courier").hex())["holdings"] == {}
        roll = ask("roll", securities[1].hex())
        assert list(roll["roll"]) == [account(name).hex() for name in ("holder", "buyer", "issuer")]


def test_nodes_that_only_lie_answer_nothing(layers: Layers, securities: list[bytes], tmp_path: Path) -> None:
    with served(layers.local, tmp_path, last_byte_changed, last_byte_changed) as ask:
        for words in (("holdings", "--account", account("buyer").hex()), ("calendar",)):
            with pytest.raises((InvalidProof, MalformedBytes)):
                ask(*words)


def test_an_account_is_sixteen_bytes(layers: Layers, tmp_path: Path) -> None:
    layers.local.block()
    with served(layers.local, tmp_path, None) as ask, pytest.raises(MalformedBytes) as refusal:
        ask("holdings", "--account", "buyer")
    assert refusal.value.where == "--account" and refusal.value.next_step


def test_the_trading_days_in_force(layers: Layers, tmp_path: Path) -> None:
    layers.local.block()
    with served(layers.local, tmp_path, None) as ask:
        found = ask("calendar", "--days", "12")
    assert found["verified"] and found["version"] == 1 and found["height"] == layers.local.height
    days = found["trading_days"]
    assert len(days) == 12 == len(set(days)) and days == sorted(days)
    assert (days[0] == found["today"]) == found["trades_today"]
    assert set(found["opened"]) <= set(days) | {day for day in found["opened"] if day < found["today"]}
    assert not set(found["holidays"]) & (set(days) - set(found["opened"]))


def test_a_chain_without_a_calendar_says_so(layers: Layers, tmp_path: Path) -> None:
    layers.supervisory.block()
    with served(layers.supervisory, tmp_path, None) as ask, pytest.raises(NotFound, match="no market's chain"):
        ask("calendar")
