"""A legacy roll by CSV onto four node processes through the adapter's command, killed and resumed, to the last share.

    python -m tests.endurance.import_roll --holdings 200000 --registers 2000 [--kills 3] [--seed N] [--json]

The importing process draws its progress bar on a terminal and is killed (-9) at drawn points, with envelopes on their
way; each time the same files are given again. Then the command reconciles book and chain; a book with one unit moved
between two lines must differ in these; a register above 200 holders must refuse another holder, and let one go.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pty
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.market_load import Market, start_market
from benchmarks.process_stats import usage
from chain_core.codec.signed import derive_id
from chain_core.crypto.providers import signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.provision import account_key, genesis_account_id
from chain_core.node.verifying_client import Refused
from chain_core.types.transaction import Operation, TransactionBody
from chain_core.types.values import Value
from dualchain.demo.processes import command
from local_chain.adapter.roll_files import ACCOUNT_COLUMNS, HOLDER_CAP, HOLDING_COLUMNS, SECURITY_COLUMNS
from tests.endurance.crash_matrix import say

SMALLEST_LEGACY, LEGACY_STEP = 260, 300
ONE_LEGACY_IN = 200
LOOK_S = 0.02
_STYLE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = re.compile(rb"(accounts|holdings)\D+(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Book:
    """The three files, and what stands in them. ``legacy`` maps registers above the cap to their first two holders."""

    securities: Path
    holdings: Path
    accounts: Path
    parties: int
    units: int
    legacy: dict[str, tuple[str, str]]


def sizes(holdings: int, registers: int) -> list[int]:
    """Rows of each register; the first, and one in two hundred, lie above the cap."""
    above = [SMALLEST_LEGACY + LEGACY_STEP * (n % 3) for n in range(max(1, registers // ONE_LEGACY_IN))]
    left, others = holdings - sum(above), registers - len(above)
    if others < 1 or not others <= left <= others * HOLDER_CAP:
        raise SystemExit(
            f"{holdings} holdings do not fit into {registers} registers, {len(above)} of them above the cap"
        )
    return above + [left // others + (n < left % others) for n in range(others)]


def write_book(folder: Path, holdings: int, registers: int, chance: random.Random) -> Book:
    """A drawn book: parties hold in many registers, units and dates of purchase are drawn."""
    rows = sizes(holdings, registers)
    parties = max(max(rows) + 1, holdings // 4)
    issuer = genesis_account_id("operator").hex()
    lines, listed, legacy, total = [",".join(HOLDING_COLUMNS)], [",".join(SECURITY_COLUMNS)], {}, 0
    for place, count in enumerate(rows):
        reference = f"BJ{place:06d}F.ESVUFR2401"
        first, declared = chance.randrange(parties), 0
        for row in range(count):
            units = chance.randint(1, 1_000_000)
            declared += units
            day = f"20{chance.randint(10, 24)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}" if row % 3 else ""
            lines.append(f"{reference},P{(first + row) % parties:06d},{units},{day}")
        if count > HOLDER_CAP:
            legacy[reference] = (f"P{first:06d}", f"P{(first + 1) % parties:06d}")
        listed.append(f"{reference},企业{place},{issuer},BJ,0,{declared},{int(count > HOLDER_CAP)},2019-06-03")
        total += declared
    book = Book(folder / "securities.csv", folder / "holdings.csv", folder / "accounts.csv", parties, total, legacy)
    accounts = [",".join(ACCOUNT_COLUMNS), *(f"P{n:06d},party {n}," for n in range(parties))]
    for path, content in ((book.securities, listed), (book.holdings, lines), (book.accounts, accounts)):
        path.write_text("\n".join(content) + "\n", encoding="utf-8")
    return book


def write_config(market: Market) -> Path:
    """adapter.toml with the operator, the registrar, and a governor of another house."""
    nodes = ", ".join(f'"{address}"' for address in market.addresses)
    text = f'journal = "journal.sqlite"\n[chain]\ngenesis = "genesis.bin"\nnodes = [{nodes}]\n'
    for section, name in (("operator", "operator"), ("registrar", "registrar"), ("cosigner", "governor-bank")):
        text += f'[{section}]\naccount = "{genesis_account_id(name).hex()}"\nkey = "accounts/{name}.key"\n'
    path = market.directory / "adapter.toml"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(slots=True)
class Import:
    """Lives of the importing process over one book."""

    market: Market
    book: Book
    config: Path
    chance: random.Random
    jobs: int
    """Transactions that the book takes."""
    in_flight: int = 0
    """Kills while envelopes were on their way."""
    lives: list[dict[str, Any]] = field(default_factory=list)
    cpu_s: float = 0.0

    def _files(self) -> list[str]:
        book = self.book
        return ["--config", str(self.config), "--securities", str(book.securities), "--holdings", str(book.holdings)]

    def _journal(self) -> tuple[int, int]:
        """(entries, settled ones), as another process sees them."""
        path = self.market.directory / "journal.sqlite"
        with (
            contextlib.suppress(sqlite3.OperationalError),
            contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as reader,
        ):
            found = reader.execute("SELECT count(*), coalesce(sum(settled), 0) FROM submissions").fetchone()
            return int(found[0]), int(found[1])
        return 0, 0

    async def live(self, kill_at: int | None) -> bool:
        """One life; killed once so many entries are in its journal, some of them on their way. False when it was."""
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        seen = bytearray()
        loop = asyncio.get_running_loop()

        def read() -> None:
            with contextlib.suppress(OSError):
                seen.extend(os.read(master, 65_536))
                del seen[:-16_384]

        loop.add_reader(master, read)
        began = time.monotonic()
        out = (self.market.directory / "import.out").open("wb")
        process: asyncio.subprocess.Process | None = None
        try:
            process = await asyncio.create_subprocess_exec(
                *command("local", "adapter", "import", *self._files(), "--accounts", str(self.book.accounts)),
                stdout=out,
                stderr=slave,
                start_new_session=True,
                env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
            )
            killed = await self._until(process, kill_at)
            code = await process.wait()
        finally:
            if process is not None and process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
            loop.remove_reader(master)
            read()
            os.close(slave)
            os.close(master)
            out.close()
        bars = _BAR.findall(_STYLE.sub(b"", bytes(seen)))
        entries, settled = self._journal()
        bar = " ".join(part.decode() for part in bars[-1]) if bars else ""
        life = {"seconds": round(time.monotonic() - began, 1), "killed": killed, "entries": entries, "settled": settled}
        self.lives.append({**life, "bar": bar})
        say(f"life {len(self.lives)}: {self.lives[-1]}")
        if not killed and code != 0:
            printed = (self.market.directory / "import.out").read_text("utf-8")
            raise RuntimeError(
                f"the import ended with {code}: {printed} {bytes(seen)[-2_000:].decode('utf-8', 'replace')}"
            )
        if not killed and not bar.endswith(" ".join([str(self.rows)] * 2)):
            raise RuntimeError(f"the progress bar ended at {bar!r}, not at {self.rows} rows")
        return not killed

    @property
    def rows(self) -> int:
        """Holdings of the book."""
        return sum(1 for _ in self.book.holdings.open("rb")) - 1

    async def _until(self, process: asyncio.subprocess.Process, kill_at: int | None) -> bool:
        """Watches a life, and ends it at its point; whether it was ended."""
        before = self.cpu_s
        while process.returncode is None:
            await asyncio.sleep(LOOK_S)
            with contextlib.suppress(OSError, ValueError, IndexError):
                self.cpu_s = before + usage(process.pid).cpu_s
            if kill_at is None or not self._works(process.pid):
                continue
            entries, settled = self._journal()
            if entries >= kill_at and (settled < entries or settled == self.jobs):
                await asyncio.sleep(self.chance.random() * min(1.0, self.jobs / 500))  # being sent, on their way, told
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    self.in_flight += settled < entries
                    return True
        return False

    def _works(self, pid: int) -> bool:
        """Whether the process has its journal open: before that there is nothing to interrupt."""
        with contextlib.suppress(OSError):
            return any("journal.sqlite" in str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir())
        return False

    async def until_done(self, kills: int) -> None:
        """Killed so many times, at drawn points of the work, then to the end."""
        for point in sorted(self.chance.uniform(0, 0.9) for _ in range(kills)):
            if await self.live(int(point * self.jobs)):
                raise RuntimeError("the import ended before it could be killed")
        if not await self.live(None):
            raise RuntimeError("killed by nobody of ours")

    async def reconcile(self, holdings: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Exit code and report of the command."""
        words = self._files()
        if holdings is not None:
            words[words.index("--holdings") + 1] = str(holdings)
        process = await asyncio.create_subprocess_exec(
            *command("local", "adapter", "reconcile", *words, "--json"), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        return process.returncode or 0, json.loads(printed)


async def hand_in(market: Market, operation: Operation) -> str:
    """One operation of the operator; the rule that refused it, empty when it took effect."""
    account, private = account_key(market.directory, "operator")
    until = time.time_ns() // 1_000_000 + 60_000
    body = TransactionBody(0, account, next(market.nonces), until, (operation,))
    raw = sign_transaction(market.view.genesis_hash, body, [(private, signing_provider().sm2_public_key(private))])
    (outcome,) = await market.client.submit_until_final([raw], within_s=90)
    if isinstance(outcome, Refused):
        raise outcome.refusal
    return outcome.receipt.rule


async def only_shrinks(market: Market, book: Book) -> None:
    """A register above the cap takes no further holder, and lets one go. RuntimeError when it is otherwise."""
    operator, registrar = genesis_account_id("operator"), genesis_account_id("registrar")
    names = {line.split(",")[1] for line in _lines_of(book, next(iter(book.legacy)))}
    stranger = next(f"P{n:06d}" for n in range(book.parties) if f"P{n:06d}" not in names)
    reference, (first, second) = next(iter(book.legacy.items()))
    security = derive_id(market.view.genesis_hash, "security", operator, reference)
    whole = next(int(line.split(",")[2]) for line in _lines_of(book, reference) if line.split(",")[1] == first)

    def gift(to: str, quantity: int) -> Operation:
        parties = {
            name: derive_id(market.view.genesis_hash, "account", registrar, party)
            for name, party in (("from", first), ("to", to))
        }
        rest: dict[str, Value] = {"quantity": quantity, "reason": "gift", "evidence": bytes(32)}
        return Operation("kernel", "transfer_non_trade", {"security": security, **parties, **rest})

    if whole > 1 and (rule := await hand_in(market, gift(stranger, 1))) != "csrc.holder_cap":
        raise RuntimeError(f"a further holder of a register above the cap: {rule or 'accepted'}")
    if rule := await hand_in(market, gift(second, whole)):
        raise RuntimeError(f"a holder who leaves a register above the cap: {rule}")


def _lines_of(book: Book, reference: str) -> Sequence[str]:
    return [line for line in book.holdings.read_text("utf-8").splitlines() if line.startswith(f"{reference},")]


async def story(directory: Path, holdings: int, registers: int, kills: int, seed: int) -> dict[str, object]:
    """Runs it; the figures. Raises whatever went wrong."""
    chance = random.Random(seed)
    market = await start_market(directory, 4)
    try:
        book = write_book(directory, holdings, registers, chance)
        jobs = -(-book.parties // 64) + sum(-(-rows // 512) for rows in sizes(holdings, registers))
        work = Import(market, book, write_config(market), chance, jobs)
        began, cpu_before = time.monotonic(), {name: usage(pid).cpu_s for name, pid in market.pids().items()}
        await work.until_done(kills)
        imported_s = time.monotonic() - began
        node_cpu_s = [usage(pid).cpu_s - cpu_before[name] for name, pid in market.pids().items()]
        began = time.monotonic()
        code, report = await work.reconcile()
        reconciled_s = time.monotonic() - began
        totals = (report["units_in_book"], report["units_on_chain"], report["holdings"], report["securities"])
        if code or not report["equal"] or totals != (book.units, book.units, holdings, registers):
            raise RuntimeError(f"book and chain differ: {report}")
        wrong = directory / "wrong.csv"
        lines = book.holdings.read_text("utf-8").splitlines()
        at = chance.randrange(1, len(lines))
        security, holder, units, day = lines[at].split(",")
        lines[at] = f"{security},{holder},{int(units) + 1},{day}"
        other = next(
            n
            for n in range(1, len(lines))
            if n != at and lines[n].startswith(f"{security},") and lines[n].split(",")[2] != "1"
        )
        security, holder, units, day = lines[other].split(",")
        lines[other] = f"{security},{holder},{int(units) - 1},{day}"
        wrong.write_text("\n".join(lines) + "\n", encoding="utf-8")
        code, report = await work.reconcile(wrong)
        if (code, report["differences"]) != (2, 2):
            raise RuntimeError(f"one unit moved in the book is not told: {report}")
        await only_shrinks(market, book)
        return {
            "holdings": holdings,
            "registers": registers,
            "above_the_cap": len(book.legacy),
            "parties": book.parties,
            "transactions": jobs,
            "kills": kills,
            "with_envelopes_on_their_way": work.in_flight,
            "units": book.units,
            "imported_s": round(imported_s, 1),
            "holdings_per_s": round(holdings / imported_s, 1),
            "importer_cpu_s": round(work.cpu_s, 1),
            "node_cpu_s": round(sum(node_cpu_s) / len(node_cpu_s), 1),
            "last_life_s": work.lives[-1]["seconds"],
            "reconciled_s": round(reconciled_s, 1),
            "seed": seed,
        }
    finally:
        await market.client.close()
        await market.group.stop()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="A legacy roll onto real nodes, killed and resumed, reconciled.")
    parser.add_argument("--holdings", type=int, default=200_000)
    parser.add_argument("--registers", type=int, default=2_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="dualchain-import-") as temporary:
        found = asyncio.run(
            story(Path(temporary) / "network", arguments.holdings, arguments.registers, arguments.kills, seed)
        )
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>16}  {value}" for name, value in found.items()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
