"""The regulator at work with the command line: a freeze, a demand, an overdue case, a fork and its recovery."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.codec.block import decode_header, encode_header
from chain_core.crypto.keys import write_private_key
from chain_core.types.errors import DualchainError
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from supervisory_chain.cli import app
from supervisory_chain.regulating import common
from supervisory_chain.regulating.common import clock
from supervisory_chain.risk.thresholds import INDICATORS
from tests.integration.network import now_ms
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Layers, account, op, private_key


@pytest.fixture
def layers(tmp_path: Path) -> Iterator[Layers]:
    made = Layers.begin(tmp_path)
    made.supervisory.time_ms = made.local.time_ms = now_ms() - 180_000  # commands sign by the clock on the wall
    made.register()
    yield made
    made.close()


@dataclass
class Office:
    """Two officers at their terminals, the supervisory chain and the market behind real node ports."""

    layers: Layers
    directory: Path
    above: ServedNode
    below: ServedNode

    async def run(self, *words: str, who: str = "", human: bool = False) -> Any:
        """What a command prints: its JSON object, its text for ``human``, or its refusal's text."""
        said = [*words, "--node", self.above.address, "--genesis", str(self.directory / "genesis.bin")]
        if who:
            said += ["--account", account(who).hex(), "--key", str(self.directory / f"{who}.key")]
        result = await asyncio.to_thread(CliRunner().invoke, app, said if human else [*said, "--json"])
        if isinstance(result.exception, DualchainError):
            return str(result.exception)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return result.stdout if human else json.loads(result.stdout)

    async def directed(self, kind: str, *subject: str, within_ms: int = 3_600_000) -> None:
        """One officer issues, the other confirms."""
        deadline = clock(self.layers.supervisory.time_ms + within_ms)
        words = ["BJ", kind, "--deadline", deadline, "--reference", "document 7", *subject]
        number = (await self.run("directives", "issue", *words, who="csrc-1"))["number"]
        refused = await self.run("directives", "confirm", str(number), who="csrc-1")
        assert "four-eyes" in refused and "directives list" in refused
        confirmed = await self.run("directives", "confirm", str(number), who="csrc-2")
        assert (confirmed["kind"], confirmed["final"], confirmed["verified"]) == (kind, True, True)

    def carry(self, first: int, count: int) -> None:
        """Down and up, as the relayer does."""
        layers = self.layers
        layers.local.time_ms = max(layers.local.time_ms, layers.supervisory.time_ms)
        assert layers.local.one("courier", layers.update_down(first, count)).code == 0
        self.carry_up()

    def carry_up(self) -> None:
        height = self.layers.local.height
        packets = [self.layers.packets_up(height)] if self.layers.local.store.outbox(height) else []
        assert self.layers.supervisory.one("courier", self.layers.headers_up(height), *packets).code == 0


def told(layers: Layers, directory: Path, story: Callable[[Office], Awaitable[None]]) -> None:
    async def main() -> None:
        above = ServedNode(layers.supervisory, supervisory_assembly(layers.supervisory.genesis))
        below = ServedNode(layers.local, local_assembly(layers.local.genesis))
        office = Office(layers, directory, above, below)
        (directory / "genesis.bin").write_bytes(layers.supervisory.genesis_bytes)
        (directory / "market.bin").write_bytes(layers.local.genesis_bytes)
        for who in ("csrc-1", "csrc-2"):
            write_private_key(directory / f"{who}.key", private_key(who))
        for node in (above, below):
            await node.start()
        try:
            await story(office)
        finally:
            for node in (above, below):
                await node.stop()

    asyncio.run(asyncio.wait_for(main(), 300))


def test_a_freeze_is_issued_by_two_officers_and_its_acknowledgement_shows(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        assert "no directives" in await office.run("directives", "list", "BJ", human=True)
        await office.directed("freeze_holder", "--holder", account("holder").hex())
        (row,) = (await office.run("directives", "list", "BJ"))["directives"]
        assert (row["sequence"], row["status"], row["overdue"]) == (0, "issued", False)
        office.carry(0, 1)
        row = await office.run("directives", "show", "BJ", "0")
        assert (row["status"], row["ack"]["code"], row["ack"]["on_time"]) == ("executed", 0, True)
        text = await office.run("directives", "list", "BJ", human=True)
        assert "已执行 executed" in text and account("holder").hex() in text and "按期 on time" in text
        assert "there is no directive 9" in await office.run("directives", "show", "BJ", "9")
        wrong = ["issue", "BJ", "freeze", "--deadline", "2030-01-01T00:00", "--reference", "x"]
        assert "freeze_holder" in await office.run("directives", *wrong, who="csrc-1")
        wrong[2:5] = ["rectify", "--deadline", "soon"]
        assert "2026-12-31T17:00" in await office.run("directives", *wrong, who="csrc-1")
        wrong[1] = "SH"
        assert "2026-12-31T17:00" in await office.run("directives", *wrong, who="csrc-1")
        assert "market SH has no chain" in await office.run("directives", "list", "SH")

    told(layers, tmp_path, story)


def test_an_admission_shows_and_is_not_decided_twice(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        shown = await office.run("admission", "show", "BJ")
        assert (shown["status"], shown["market"], shown["joint_test"]) == ("admitted", "BJ", None)
        assert "admitted already" in await office.run("admission", "admit", "BJ", who="csrc-2")
        assert "no such chain" in await office.run("admission", "show", "00" * 32)
        report = tmp_path / "report.json"
        report.write_bytes(b"{}")
        assert "REPORT_REFUSED" in await office.run("admission", "report", "BJ", str(report), who="csrc-2")

    told(layers, tmp_path, story)


def test_many_directives_and_cases_are_read_by_pages(
    layers: Layers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        assert layers.direct("freeze_holder", "holder", deadline_ms=10_000 + number) == number
    layers.supervisory.block(after_ms=60_000)
    layers.supervisory.block()

    async def story(office: Office) -> None:
        async def asked(*words: str) -> tuple[Any, int]:
            before = office.above.calls["QueryState"]
            row = await office.run(*words)
            return row, office.above.calls["QueryState"] - before

        at_once, few = await asked("directives", "list", "BJ")
        assert [row["sequence"] for row in at_once["directives"]] == list(range(5))
        open_cases, few_cases = await asked("cases", "list", "--chain", "BJ")
        kinds = [row["kind"] for row in open_cases["cases"]]
        assert kinds == ["overdue_directive"] * 5 + ["risk_alarm"], "so many of them are an alarm"
        monkeypatch.setattr(common, "KEYS_AT_ONCE", 2)
        assert await asked("directives", "list", "BJ") == (at_once, few + 2)
        assert await asked("cases", "list", "--chain", "BJ") == (open_cases, few_cases + 2)

    told(layers, tmp_path, story)


def test_a_risk_alarm_shows_with_its_threshold(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        layers.business("S1")
        office.carry_up()
        shown = (await office.run("risk", "show", "BJ"))["markets"][0]["indicators"]
        assert {row["indicator"]: row["alarm"] for row in shown} == dict.fromkeys(INDICATORS)
        words = ["risk", "set", "lag_ms", "--raise-at", "1", "--clear-at", "0", "--severity", "3"]
        for who, waits in (("csrc-1", True), ("csrc-2", False)):
            assert (await office.run(*words, who=who))["waits_for_another_officer"] is waits
        assert (await office.run("risk", "assess", "BJ", who="csrc-1"))["alarms"] == ["lag_ms"]
        (market,) = (await office.run("risk", "show"))["markets"]
        row = next(row for row in market["indicators"] if row["indicator"] == "lag_ms")
        assert (row["raise_at"], row["alarm"]["case"]) == (1, 0) and row["value"] >= 1
        text = await office.run("risk", "show", human=True)
        assert "报警 ALARM #0" in text and "业务 business" in text
        text = await office.run("cases", "list", "--open", human=True)
        assert "风险报警 risk_alarm" in text and "indicator lag_ms" in text
        text = await office.run("risk", "thresholds", human=True)
        assert "lag_ms" in text and "3600000" in text
        says = (await office.run("admission", "show", "BJ"))["headers_say"]
        assert (says["changes"], says["epoch"], len(says["parameters"])) == ([], 0, 64)
        assert "no indicator" in await office.run("risk", "set", "weather", *words[3:], who="csrc-1")
        assert "not followed" in await office.run("risk", "show", "00" * 32)

    told(layers, tmp_path, story)


def test_a_proposed_directive_shows_and_is_withdrawn(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        deadline = clock(layers.supervisory.time_ms + 60_000)
        words = ["issue", layers.local.hash.hex(), "report", "--deadline", deadline, "--reference", "document 8"]
        number = (await office.run("directives", *words, who="csrc-1"))["number"]
        text = await office.run("directives", "list", "BJ", human=True)
        assert f"#{number}" in text and "待确认 proposed" in text
        await office.run("directives", "withdraw", str(number), who="csrc-2")
        assert (await office.run("directives", "list", "BJ"))["directives"] == []

    told(layers, tmp_path, story)


def test_an_overdue_demand_becomes_a_case_that_is_closed_with_a_document(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        await office.directed("rectify", within_ms=30_000)
        office.carry(0, 1)
        layers.supervisory.block(after_ms=60_000)
        layers.supervisory.block()
        (row,) = (await office.run("directives", "list", "BJ", "--overdue"))["directives"]
        assert (row["status"], row["overdue"], row["case"]) == ("executed", True, 0)
        text = await office.run("cases", "list", "--open", human=True)
        assert "指令逾期" in text and "未结 open" in text and "document 7" in text
        shown = await office.run("cases", "show", "BJ", "0")
        assert (shown["kind"], shown["facts"]["sequence"], shown["status"]) == ("overdue_directive", 0, "open")
        done = await office.run("cases", "close", "BJ", "0", "--reference", "decision 3", who="csrc-1")
        assert done["status"] == "closed" and done["final"]
        assert (await office.run("cases", "list", "--open"))["cases"] == []
        (closed,) = (await office.run("cases", "list", "--chain", "BJ"))["cases"]
        assert (closed["closed_by"], closed["reference"]) == (account("csrc-1").hex(), "decision 3")
        assert "closed already" in await office.run("cases", "close", "BJ", "0", "--reference", "x", who="csrc-2")
        assert "no case 5" in await office.run("cases", "show", "BJ", "5")

    told(layers, tmp_path, story)


def test_a_frozen_client_is_recovered_by_two_officers(layers: Layers, tmp_path: Path) -> None:
    async def story(office: Office) -> None:
        layers.business("S1")
        office.carry_up()
        header = layers.local.certified(1)[0]
        other = encode_header(replace(decode_header(header), state_root=bytes(32)))
        rows = [layers.local.row(1), {"header": other, "certificate": layers.local.certify(other)}]
        fork = op("clients", "report_fork", chain=layers.local.hash, headers=rows)  # type: ignore[arg-type]
        assert layers.supervisory.one("courier", fork).code == 0
        shown = await office.run("clients", "show", "BJ")
        assert (shown["frozen"], shown["fork_height"], shown["open_cases"]) == (True, 1, [0])
        assert "冻结 FROZEN (1)" in await office.run("clients", "list", human=True)

        layers.business("S2")
        market = ["--market-node", office.below.address, "--market-genesis", str(tmp_path / "market.bin")]
        words = ["BJ", "--height", "2", "--reference", "decision 4", *market]
        proposed = await office.run("clients", "recover", "propose", *words, who="csrc-1")
        chosen = proposed["header_hash"]
        waiting = (await office.run("clients", "show", "BJ"))["proposed_recovery"]
        assert (waiting["header_hash"], waiting["height"], waiting["by"]) == (chosen, 2, account("csrc-1").hex())
        confirm = ["clients", "recover", "confirm", "BJ", "--hash", chosen]
        assert "four-eyes" in await office.run(*confirm, who="csrc-1")
        done = await office.run(*confirm, who="csrc-2")
        assert (done["frozen"], done["followed_height"], done["open_cases"]) == (False, 2, [0])
        await office.run("cases", "close", "BJ", "0", "--reference", "decision 4", who="csrc-2")
        shown = await office.run("clients", "show", "BJ")
        assert (shown["frozen"], shown["open_cases"], len(shown["recoveries"])) == (False, [], 1)
        stale = ["clients", "confirm", "BJ", "--height", "3", "--hash", chosen]
        assert "not stale" in await office.run(*stale, who="csrc-1")

    told(layers, tmp_path, story)
