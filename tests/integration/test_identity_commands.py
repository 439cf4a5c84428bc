"""DIDs and credentials at the command line, in front of a real node API: made, proven, presented, revoked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.types.errors import DualchainError
from crosschain.identity.authorisation import document_bytes
from crosschain.identity.suite import prove
from local_chain.assembly import local_assembly
from local_chain.identity_desk.credential_cli import credential_app
from local_chain.identity_desk.did_cli import did_app
from service_registry.chain import wall_clock_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Layers, account, op, private_key, public_key

pytestmark = pytest.mark.integration

MARKET, HOLDER = "did:rem:beijing:91310104MA1FRNWW80", "did:rem:beijing:91310000564759688N"
NONCE = "bm9uY2UgdGhhdCB0aGUgdmVyaWZpZXIgc2VudA=="
KEYS = {"transaction": "", "did-auth": " auth", "assertion": " assertion"}


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path / "chains")
    yield made
    made.close()


class Desk:
    """Runs the commands, everybody with his own keys."""

    def __init__(self, layers: Layers, directory: Path) -> None:
        self.layers, self.directory = layers, directory
        self.node = ServedNode(layers.local, local_assembly(layers.local.genesis))
        (directory / "genesis.bin").write_bytes(layers.local.genesis_bytes)
        (directory / "material").write_text("the market's file on the subject")
        layers.local.time_ms = wall_clock_ms() - 20_000
        for name in ("operator", "holder"):
            for purpose, suffix in KEYS.items():
                write_private_key(directory / f"{name}{suffix}.key", private_key(name + suffix))
                attach = op("accounts", "attach_key", purpose=purpose, key=public_key(name + suffix))
                assert layers.local.one(name, attach).code == 0

    def at(self, name: str) -> str:
        return str(self.directory / name)

    async def invoke(self, app: Any, *words: str, who: str = "", asks: bool = True) -> Any:
        line = list(words)
        if asks:
            line += ["--node", self.node.address, "--genesis", self.at("genesis.bin"), "--json"]
        if who:
            line += ["--account", account(who).hex(), "--key", self.at(f"{who}.key")]
        return await asyncio.to_thread(CliRunner().invoke, app, line)

    async def ok(self, app: Any, *words: str, who: str = "", asks: bool = True) -> dict[str, Any]:
        result = await self.invoke(app, *words, who=who, asks=asks)
        assert result.exit_code == 0, (words, result.output, result.exception)
        found: dict[str, Any] = json.loads(result.stdout) if asks else {}
        return found

    async def refused(self, app: Any, *words: str, who: str = "") -> str:
        result = await self.invoke(app, *words, who=who)
        assert isinstance(result.exception, DualchainError), (words, result.output, result.exception)
        return str(result.exception)


def test_a_did_is_made_and_proven_a_credential_issued_presented_and_revoked(layers: Layers, tmp_path: Path) -> None:
    async def main() -> None:
        desk = Desk(layers, tmp_path)
        await desk.node.start()
        try:
            await dids(desk)
            await credentials(desk)
            gone = await desk.ok(did_app, "deactivate", HOLDER, "--evidence", desk.at("material"), who="operator")
            assert gone["final"]
            assert (await desk.ok(did_app, "show", HOLDER))["deactivated"] == "True"
        finally:
            await desk.node.stop()

    asyncio.run(main())


async def dids(desk: Desk) -> None:
    for did, holder in ((MARKET, "operator"), (HOLDER, "holder")):
        words = ("create", did, "--holder", account(holder).hex(), "--evidence", desk.at("material"))
        assert (await desk.ok(did_app, *words, who="operator"))["final"]
    assert "nothing of the DID" in await desk.refused(did_app, "update", HOLDER, who="holder")
    shown = await desk.ok(did_app, "show", HOLDER)
    assert shown["document"]["authentication"] == [f"{HOLDER}#keys-1"]
    await desk.ok(did_app, "challenge", HOLDER, "--audience", "北京市场", "--output", desk.at("asked"), asks=False)
    stranger = ("answer", desk.at("asked"), "--auth-key", desk.at("operator auth.key"), "--output", desk.at("wrong"))
    assert "no did-auth key" in await desk.refused(did_app, *stranger)
    own = ("answer", desk.at("asked"), "--auth-key", desk.at("holder auth.key"), "--output", desk.at("answer"))
    assert (await desk.ok(did_app, *own))["audience"] == "北京市场"
    assert (await desk.ok(did_app, "check", desk.at("asked"), desk.at("answer")))["proven"]
    assert "no challenge" in await desk.refused(did_app, "check", desk.at("asked"), desk.at("answer"))
    await desk.ok(did_app, "challenge", HOLDER, "--audience", "北京市场", "--output", desk.at("second"), asks=False)
    other = await desk.refused(did_app, "check", desk.at("second"), desk.at("answer"))
    assert "does not verify" in other, "an answer to another challenge"
    assert "no challenge" in await desk.refused(did_app, "check", desk.at("second"), desk.at("answer")), "used up"


async def credentials(desk: Desk) -> None:
    (desk.directory / "claims").write_text(json.dumps({"riskTolerance": {"type": "C4", "investorType": "person"}}))
    words = ("issue", "--kind", "QualifiedInvestorCredential", "--issuer", MARKET, "--subject", HOLDER)
    words += ("--claims", desk.at("claims"), "--assertion-key", desk.at("operator assertion.key"))
    made = await desk.ok(credential_app, *words, "--output", desk.at("credential"), who="operator")
    raw = (desk.directory / "credential").read_bytes()
    status = await desk.ok(credential_app, "status", made["credential"])
    assert (status["status"], status["digest"]) == ("valid", sm3(raw).hex())
    verified = await desk.ok(credential_app, "verify", desk.at("credential"))
    assert verified["credentials"][0]["subjects"] == [HOLDER]
    shows = ("present", desk.at("credential"), "--holder", HOLDER, "--nonce", NONCE)
    await desk.ok(credential_app, *shows, "--auth-key", desk.at("holder auth.key"), "--output", desk.at("shown"))
    presented = await desk.ok(credential_app, "verify", desk.at("shown"), "--nonce", NONCE)
    assert (presented["holder"], presented["holds"]) == (HOLDER, True)
    assert "nonce" in await desk.refused(credential_app, "verify", desk.at("shown"), "--nonce", "b3RoZXI=")
    (desk.directory / "altered").write_bytes(raw.replace(b"C4", b"C5"))
    assert "signature" in await desk.refused(credential_app, "verify", desk.at("altered"))
    (desk.directory / "twin").write_bytes(document_bytes(signed_anew(json.loads(raw), "C5")))
    assert "on record is another one" in await desk.refused(credential_app, "verify", desk.at("twin"))
    undefined = json.dumps({"secret": "x"})
    (desk.directory / "claims").write_text(undefined)
    assert "defined by none" in await desk.refused(credential_app, *words, "--output", desk.at("other"), who="operator")
    await desk.ok(credential_app, "revoke", made["credential"], "--evidence", desk.at("material"), who="operator")
    for document in ("credential", "shown"):
        assert "revoked" in await desk.refused(credential_app, "verify", desk.at(document), "--nonce", NONCE)


def signed_anew(document: dict[str, Any], risk: str) -> dict[str, Any]:
    """Another credential of the same identifier, by the issuer's own key."""
    proof = document.pop("proof")
    document["credentialSubject"]["riskTolerance"]["type"] = risk
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    key = private_key("operator assertion")
    return prove(document, options, lambda message: signing_provider().sm2_sign(key, message))
