"""Documents deposited and signed at the command line, in front of a real node API; a court's bundle of the result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.codec.genesis import genesis_hash
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from contracts.agreements.records import decode_agreement
from dualchain.evidence import cli as evidence_cli
from local_chain.agreements.chain import wrong_signatures
from local_chain.agreements.cli import agreement_app
from local_chain.assembly import local_assembly
from service_registry.chain import wall_clock_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Layers, account, op, private_key, public_key

pytestmark = pytest.mark.integration

PEOPLE = ("operator", "issuer", "holder", "buyer")


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path / "chains")
    yield made
    made.close()


class Desk:
    """Runs the commands, everybody with his own key."""

    def __init__(self, layers: Layers, directory: Path) -> None:
        self.layers, self.directory = layers, directory
        self.node = ServedNode(layers.local, local_assembly(layers.local.genesis))
        self.genesis = directory / "genesis.bin"
        self.genesis.write_bytes(layers.local.genesis_bytes)
        layers.local.time_ms = wall_clock_ms() - 20_000
        for name in PEOPLE:
            for purpose, key in (("transaction", name), ("assertion", f"{name} assertion")):
                write_private_key(directory / f"{key}.key", private_key(key))
                attach = op("accounts", "attach_key", purpose=purpose, key=public_key(key))
                assert layers.local.one(name, attach).code == 0

    async def invoke(self, *words: str, who: str = "", app: Any = agreement_app) -> Any:
        line = [*words, "--node", self.node.address, "--genesis", str(self.genesis), "--json"]
        if who:
            line += ["--account", account(who).hex(), "--key", str(self.directory / f"{who}.key")]
        return await asyncio.to_thread(CliRunner().invoke, app, line)

    async def ok(self, *words: str, who: str = "", app: Any = agreement_app) -> dict[str, Any]:
        result = await self.invoke(*words, who=who, app=app)
        assert result.exit_code == 0, (words, result.output, result.exception)
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    async def refused(self, *words: str, who: str = "") -> str:
        result = await self.invoke(*words, who=who)
        assert isinstance(result.exception, DualchainError), (words, result.output, result.exception)
        return str(result.exception)


def test_a_contract_is_deposited_signed_and_shown_to_a_court(layers: Layers, tmp_path: Path) -> None:
    async def main() -> None:
        desk = Desk(layers, tmp_path)
        await desk.node.start()
        try:
            await deposits(desk)
            await signs(desk)
        finally:
            await desk.node.stop()

    asyncio.run(main())


async def deposits(desk: Desk) -> None:
    scan, slip = desk.directory / "scan.pdf", desk.directory / "scan.slip"
    scan.write_bytes(b"%PDF scan of a contract")
    made = await desk.ok("deposit", "--document", str(scan), "--slip", str(slip), "--kind", "agreement", who="issuer")
    assert made["final"] and made["deposit"] == json.loads(slip.read_text())["id"]
    checked = await desk.ok("verify", str(slip), "--document", str(scan))
    assert checked["owner"] == account("issuer").hex() and checked["verified"]
    shown = await desk.ok("show", made["deposit"], "--deposit")
    assert shown["commitment"] == checked["commitment"]
    again = await desk.refused("deposit", "--document", str(scan), "--slip", str(slip), who="issuer")
    assert "there already" in again
    scan.write_bytes(b"%PDF scan of another contract")
    assert "不符" in await desk.refused("verify", str(slip), "--document", str(scan))


async def signs(desk: Desk) -> None:
    text, slip = desk.directory / "agreement.txt", desk.directory / "agreement.slip"
    text.write_text("甲方、乙方、丙方约定如下。", "utf-8")
    parties = [word for name in ("issuer", "holder", "buyer") for word in ("--party", account(name).hex())]
    proposed = await desk.ok("propose", "--document", str(text), "--slip", str(slip), *parties, who="operator")
    document = ("--document", str(text))
    await desk.ok("sign", str(slip), *document, who="issuer")
    statement = desk.directory / "holder.json"
    await desk.ok(
        "statement", str(slip), *document, "--party", account("holder").hex(),
        "--assertion-key", str(desk.directory / "holder assertion.key"), "--output", str(statement),
    )  # fmt: skip
    assert "no active assertion key" in await desk.refused("sign-for", str(_by_another(statement)), who="operator")
    await desk.ok("sign-for", str(statement), who="operator")
    other = desk.directory / "other.txt"
    other.write_text("甲方、乙方、丙方另行约定。", "utf-8")
    assert "不符" in await desk.refused("sign", str(slip), "--document", str(other), who="buyer")
    assert "signed" in await desk.refused("decline", proposed["agreement"], who="holder")
    waiting = await desk.ok("show", proposed["agreement"])
    assert (waiting["status"], waiting["waiting_for"]) == ("open", [account("buyer").hex()])
    await desk.ok("sign", str(slip), *document, who="buyer")
    done = await desk.ok("verify", str(slip), *document)
    assert (done["status"], [one["by"] for one in done["signatures"]]) == (
        "completed",
        ["transaction", "assertion", "transaction"],
    )
    assert "completed" in await desk.refused("withdraw", proposed["agreement"], who="operator")
    await in_court(desk, proposed["agreement"])


def _by_another(statement: Path) -> Path:
    """The same with a key that is not the party's."""
    path = statement.with_name("forged.json")
    path.write_text(json.dumps({**json.loads(statement.read_text()), "key": public_key("stranger").hex()}))
    return path


async def in_court(desk: Desk, agreement: str) -> None:
    """openssl and a shell accept the bundle: the exporter runs the auditor's script over what it hands out."""
    desk.layers.local.block()
    folder = desk.directory / "bundle"
    made = await desk.ok("export", "--agreement", agreement, "--output", str(folder), app=evidence_cli.app)
    assert made["anchor"] == genesis_hash(desk.layers.local.genesis_bytes).hex()
    found = decode_agreement((folder / "state.value").read_bytes())
    assert (found.status, len(found.signatures)) == ("completed", 3)
    assert wrong_signatures(bytes.fromhex(agreement), found) == []
    former = tuple(replace(one, chain=bytes(32)) for one in found.signatures)
    assert wrong_signatures(bytes.fromhex(agreement), replace(found, signatures=former)) == [account("holder").hex()]
