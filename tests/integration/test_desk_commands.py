"""An operator, two officers and a provincial regulator work the desk with the command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from chain_core.codec.genesis import decode_genesis, encode_genesis
from chain_core.crypto.hashing import sm3
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cli import app
from supervisory_chain.regulating.common import clock
from tests.integration.network import now_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import (
    SUPERVISORY_PEOPLE,
    Chain,
    account,
    accounts,
    local_genesis,
    private_key,
    registration,
    supervisory_genesis,
)

PEOPLE = {**SUPERVISORY_PEOPLE, "desk": ("operator",), "courier": ("provincial",)}
"""Those whose keys are at hand: the operator is ``desk``, the provincial regulator ``courier``."""


@dataclass
class Terminal:
    """The supervisory chain behind a real node port, one registered market, and people with keys."""

    chain: Chain
    directory: Path
    node: ServedNode
    market: bytes

    async def run(self, *words: str, who: str = "", human: bool = False) -> Any:
        """What a command prints: its JSON object, its text for ``human``, or its refusal's text."""
        said = [*words, "--node", self.node.address, "--genesis", str(self.directory / "genesis.bin")]
        if who:
            said += ["--account", account(who).hex(), "--key", str(self.directory / f"{who}.key")]
        result = await asyncio.to_thread(CliRunner().invoke, app, said if human else [*said, "--json"])
        if isinstance(result.exception, DualchainError):
            return str(result.exception)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout if human else json.loads(result.stdout)

    def file(self, name: str, text: str) -> str:
        (self.directory / name).write_text(text, "utf-8")
        return str(self.directory / name)


def told(directory: Path, story: Callable[[Terminal], Awaitable[None]]) -> None:
    async def main() -> None:
        genesis = replace(supervisory_genesis(), accounts=accounts(PEOPLE))
        chain = Chain.begin(directory / "ledger", genesis, supervisory_assembly)
        chain.time_ms = now_ms() - 180_000
        market = encode_genesis(local_genesis(supervisory=encode_genesis(genesis)))
        assert chain.one("desk", registration(market)).code == 0
        (directory / "genesis.bin").write_bytes(chain.genesis_bytes)
        for who in ("csrc-1", "csrc-2", "desk", "courier"):
            write_private_key(directory / f"{who}.key", private_key(who))
        node = ServedNode(chain, supervisory_assembly(genesis))
        await node.start()
        try:
            await story(Terminal(chain, directory, node, market))
        finally:
            await node.stop()
            chain.store.close()

    asyncio.run(asyncio.wait_for(main(), 300))


def in_days(days: int) -> str:
    return clock(now_ms() + days * 86_400_000)[:10]


def test_a_notice_and_an_inspection_go_their_way(tmp_path: Path) -> None:
    async def story(at: Terminal) -> None:
        plan, paper = at.file("plan.txt", "version 2"), at.file("paper.txt", "reasons")
        give = ["desk", "notices", "give-notice", "BJ", "--subject", "version 2", "--kind", "upgrade", "--plan", plan]
        soon = await at.run(*give, "--effective-day", in_days(3), who="desk")
        assert "working days" in soon and "desk notices show" in soon
        done = await at.run(*give, "--effective-day", in_days(40), who="desk")
        assert (done["record"], done["state"], done["final"], done["verified"]) == (0, "given", True, True)
        document = ["--document", paper]
        await at.run("desk", "notices", "propose-waiver", "0", *document, who="csrc-1")
        assert "four eyes" in await at.run("desk", "notices", "confirm-waiver", "0", *document, who="csrc-1")
        assert (await at.run("desk", "notices", "confirm-waiver", "0", *document, who="csrc-2"))["state"] == "waived"
        shown = await at.run("desk", "notices", "show", "0")
        assert [step["step"] for step in shown["steps"]] == ["give_notice", "propose_waiver", "confirm_waiver"]
        assert shown["fields"]["effective_day"] == in_days(40)
        assert (
            shown["fields"]["plan"] == sm3(b"version 2").hex()
            and shown["steps"][1]["document"] == sm3(b"reasons").hex()
        )

        found = ["desk", "inspections", "open-inspection", "BJ", "--subject", "rolls", "--severity", "2", *document]
        assert (await at.run(*found, who="courier"))["record"] == 1
        order = ["desk", "inspections", "order-rectification", "1", *document, "--deadline-day"]
        assert "write 2026-12-31" in await at.run(*order, "soon", who="courier")
        assert (await at.run(*order, in_days(9), who="courier"))["state"] == "rectifying"
        (row,) = (await at.run("desk", "inspections", "list", "--chain", "BJ", "--state", "rectifying"))["records"]
        assert (row["number"], row["fields"]["deadline_day"]) == (1, in_days(9))
        assert (await at.run("desk", "inspections", "list", "--state", "found"))["records"] == []
        text = await at.run("desk", "notices", "list", human=True)
        assert "version 2" in text and "confirm_waiver" in text and "rolls" not in text
        assert "one of the inspections" in await at.run("desk", "notices", "show", "1")
        assert "no such number" in await at.run("desk", "notices", "show", "2")

    told(tmp_path, story)


def test_an_advisory_and_a_filing_go_their_way(tmp_path: Path) -> None:
    async def story(at: Terminal) -> None:
        paper = ["--document", at.file("paper.txt", "reasons")]
        issue = [
            "desk",
            "advisories",
            "issue-advisory",
            "--subject",
            "s",
            "--component",
            "node",
            "--severity",
            "3",
            *paper,
        ]
        issue += ["--versions", "1.0", "--versions", "1.1", "--deadline-day", in_days(5)]
        assert (await at.run(*issue, who="csrc-1"))["record"] == 0
        mine = ["desk", "patches", "acknowledge", "BJ", "--subject", "s", "--advisory", "0", *paper]
        assert (await at.run(*mine, who="desk"))["record"] == 1
        await at.run("desk", "patches", "record-patch", "1", "--version", "1.2", *paper, who="desk")
        shown = await at.run("desk", "patches", "show", "1")
        assert (shown["state"], shown["fields"]["version"], shown["fields"]["advisory"]) == ("patched", "1.2", 0)
        assert (await at.run("desk", "advisories", "show", "0"))["fields"]["versions"] == ["1.0", "1.1"]
        late = ["desk", "advisories", "escalate-advisory", "0", "--late", "BJ", *paper]
        assert "not admitted" in await at.run(*late, who="csrc-2")

        hashes = ["--tree", "ab" * 32, "--source", "cd" * 32]
        file = ["desk", "filings", "file-template", "BJ", "--subject", "s", "--name", "bj.x", "--version", "1", *paper]
        assert "hexadecimal" in await at.run(*file, "--tree", "nothing", "--source", "cd" * 32, who="desk")
        assert (await at.run(*file, *hashes, who="desk"))["record"] == 2
        await at.run("desk", "filings", "propose-approval", "2", *paper, who="csrc-1")
        assert (await at.run("desk", "filings", "approve-filing", "2", *paper, who="csrc-2"))["state"] == "approved"

        below = Chain.begin(tmp_path / "below", decode_genesis(at.market), local_assembly)
        below.block()
        market = ServedNode(below, local_assembly(below.genesis))
        await market.start()
        (tmp_path / "market.bin").write_bytes(at.market)
        compare = ["desk", "filings", "compare", "BJ", "--market-genesis", str(tmp_path / "market.bin")]
        rows = (await at.run(*compare, "--market-node", market.address))["templates"]
        verdicts = {row["template"]: row["verdict"] for row in rows}
        assert verdicts.pop("bj.x") == "链上没有 not below"
        assert len(verdicts) > 10 and set(verdicts.values()) == {"一致 same"}
        wrong = ["desk", "filings", "compare", "BJ", "--market-node", market.address]
        assert "another chain" in await at.run(*wrong, "--market-genesis", str(tmp_path / "genesis.bin"))
        await market.stop()
        below.store.close()

    told(tmp_path, story)


def test_two_officers_set_the_working_days(tmp_path: Path) -> None:
    async def story(at: Terminal) -> None:
        days = at.file("days.json", json.dumps({"holidays": [in_days(10)], "workdays": []}))
        done = await at.run("desk", "calendar", "set", days, who="csrc-1")
        assert (done["version"], done["waits_for_another_officer"]) == (0, True)
        waiting = await at.run("desk", "calendar", "show")
        assert (waiting["holidays"], waiting["proposed"]["holidays"]) == ([], [in_days(10)])
        done = await at.run("desk", "calendar", "set", days, who="csrc-2")
        assert (done["version"], done["waits_for_another_officer"]) == (1, False)
        assert (await at.run("desk", "calendar", "show"))["holidays"] == [in_days(10)]
        wrong = at.file("wrong.json", json.dumps({"holidays": ["October"]}))
        assert "write 2026-12-31" in await at.run("desk", "calendar", "set", wrong, who="csrc-1")
        assert "no calendar" in await at.run("desk", "calendar", "set", at.file("x.json", "[]"), who="csrc-1")

    told(tmp_path, story)
