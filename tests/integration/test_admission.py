"""From registration to admission: the kit examines its node interface, a tester signs, an officer admits."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chain_core.codec.genesis import encode_genesis
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import Genesis, GenesisAccount
from chain_core.types.values import Value
from crosschain.conformance.cli import app as conformance_app
from crosschain.conformance.report import CHECKS
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cli import app as supervisory_app
from supervisory_chain.evidence import EVIDENCE_KINDS, PARAMETER
from supervisory_chain.joint_tests import DAYS, DEFAULT_DAYS
from tests.integration.interface_house import SECRET, Pulled, anchored, pulled
from tests.integration.network import NAMES, now_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Chain, account, private_key, public_key, registration, supervisory_genesis

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command on this machine"),
]

TESTER, ASSERTION = "tester", "the tester's assertion"


def demanding() -> Genesis:
    """A supervisory chain that demands a joint test, and knows an independent tester."""
    made = supervisory_genesis()
    keys: dict[str, tuple[bytes, ...]] = {"transaction": (public_key(TESTER),), "assertion": (public_key(ASSERTION),)}
    tester = GenesisAccount(account(TESTER), "Test laboratory", ("tester",), keys)
    accounts = tuple(sorted((*made.accounts, tester), key=lambda row: row.account))
    return replace(made, accounts=accounts, parameters={**made.parameters, DAYS: DEFAULT_DAYS, PARAMETER: 1})


async def run(app: typer.Typer, *words: str) -> tuple[int, Any]:
    """Exit code and JSON object of a command; 1 and the text of its refusal."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"])
    if isinstance(result.exception, DualchainError):
        return 1, str(result.exception)
    return result.exit_code, json.loads(result.stdout)


class Desks:
    """The tester's and the officer's terminals."""

    def __init__(self, directory: Path, market: Pulled, above: ServedNode) -> None:
        self.directory, self.market, self.above = directory, market, above
        (directory / "supervisory.bin").write_bytes(above.chain.genesis_bytes)
        (directory / "token").write_text(SECRET)
        (directory / "token").chmod(0o600)
        for name in (TESTER, ASSERTION, "csrc-1", "csrc-2", "second operator"):
            write_private_key(directory / f"{name}.key", private_key(name))

    async def examine(self, report: str, *urls: str) -> tuple[int, Any]:
        """``dualchain conformance run`` on these endpoints."""
        endpoints = [word for url in urls for word in ("--endpoint", url)]
        files = ["--report", str(self.directory / report), "--key", str(self.directory / f"{ASSERTION}.key")]
        files += ["--token-file", str(self.directory / "token"), "--ca", str(self.market.authority.pem)]
        return await run(conformance_app, "run", *endpoints, "--network", self.market.paths.network_id, *files)

    async def admission(self, *words: str, who: str = "") -> tuple[int, Any]:
        """``dualchain supervisory admission``."""
        said = ["admission", *words, "--node", self.above.address, "--genesis", str(self.directory / "supervisory.bin")]
        if who:
            said += ["--account", account(who).hex(), "--key", str(self.directory / f"{who}.key")]
        return await run(supervisory_app, *said)


def test_a_chain_is_admitted_on_the_kits_own_report(tmp_path: Path) -> None:
    """Without a report, and with one of a test that failed, it is not."""

    async def main() -> None:
        genesis = demanding()
        chain = Chain.begin(tmp_path / "above", genesis, supervisory_assembly)
        chain.time_ms = now_ms()  # commands sign by the clock on the wall
        above = ServedNode(chain, supervisory_assembly(genesis))
        await above.start()
        try:
            async with pulled(tmp_path, encode_genesis(genesis)) as market:
                await story(Desks(tmp_path, market, above))
        finally:
            await above.stop()
            chain.store.close()

    asyncio.run(asyncio.wait_for(main(), 300))


async def story(desks: Desks) -> None:
    market, chain = desks.market, desks.above.chain
    house = market.house
    for version, operation in enumerate(("create", "update")):
        await anchored(house, version, operation)
    await house.until(house.nodes["one"].store.final_height)
    offered: Value = [{"node": NAMES[i], "address": house.addresses[i]} for i in (0, 1)]
    document = (house.directory / "genesis.bin").read_bytes()
    assert chain.one("second operator", registration(document, endpoints=offered)).code == 0

    code, refused = await desks.admission("approve", "BJ", who="csrc-1")
    assert code == 1 and "has no joint-test report" in refused

    code, failed = await desks.examine("failed.json", market.urls[0])
    assert (code, failed["passed"], failed["signed"]) == (1, False, True)
    chain.time_ms = max(chain.time_ms, now_ms())
    code, refused = await desks.admission("report", "BJ", str(desks.directory / "failed.json"), who=TESTER)
    assert code == 1 and "was not passed: endpoints" in refused

    code, passed = await desks.examine("passed.json", *market.urls)
    assert code == 0, [row for row in passed["checks"] if row["result"] != "pass"]
    assert passed["genesis_hash"] == house.view.genesis_hash.hex()
    assert {row["check"] for row in passed["checks"]} >= set(CHECKS)
    chain.time_ms = max(chain.time_ms, now_ms())
    path = desks.directory / "passed.json"
    code, refused = await desks.admission("report", "BJ", str(path), who="csrc-1")
    assert code == 1 and "lacks the role" in refused
    code, filed = await desks.admission("report", "BJ", str(path), who=TESTER)
    assert (code, filed["report"], filed["final"]) == (0, sm3(path.read_bytes()).hex(), True)

    paper = desks.directory / "paper.pdf"
    paper.write_bytes(b"paper")
    for kind in EVIDENCE_KINDS:
        code, refused = await desks.admission("approve", "BJ", who="csrc-1")
        assert code == 1 and f"no accepted evidence of the kind {kind}" in refused
        filing = ["evidence", "BJ", kind, str(paper), "--until", "2037-12-31", "--reference", "archive 1"]
        code, kept = await desks.admission(*filing, who="second operator")
        assert code == 0 and kept["document"] == sm3(b"paper").hex(), kept
        code, judged = await desks.admission("accept-evidence", "BJ", *filing[2:6], who="csrc-2")
        assert (code, judged["final"]) == (0, True)
    code, refused = await desks.admission("return-evidence", "BJ", kind, str(paper), "--reason", "x", who="csrc-2")
    assert code == 1 and "waits for judgement" in refused
    code, _ = await desks.admission("evidence", "BJ", "horoscope", *filing[3:], who="second operator")
    assert code == 1
    late = [*filing[:4], "--until", "2037-12-31T17:00", *filing[6:]]
    code, refused = await desks.admission(*late, who="second operator")
    assert code == 1 and "write 2026-12-31" in refused and "T17" not in refused.split("write", 1)[1]
    code, done = await desks.admission("approve", "BJ", who="csrc-1")
    assert (code, done["final"]) == (0, True)
    code, refused = await desks.admission("admit", "BJ", who="csrc-1")
    assert code == 1 and "four eyes" in refused
    code, done = await desks.admission("admit", "BJ", "--document", str(paper), who="csrc-2")
    assert (code, done["final"]) == (0, True)
    code, shown = await desks.admission("show", "BJ")
    test = shown["joint_test"]
    assert (shown["status"], shown["chain"]) == ("admitted", house.view.genesis_hash.hex())
    assert shown["evidence"]["penetration_test"]["accepted"]["document"] == sm3(b"paper").hex()
    assert [(row["step"], row["document"]) for row in shown["trail"]][-1] == ("admit", sm3(b"paper").hex())
    assert (test["report"], test["tester_entity"]) == (filed["report"], "Test laboratory")
    assert (test["started_ms"], test["key"]) == (passed["started_ms"], public_key(ASSERTION).hex())
