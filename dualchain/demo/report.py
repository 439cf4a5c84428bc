"""What the demonstration prints: steps as they are done, a table at the end."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(slots=True)
class Report:
    """Prints to a console; keeps what was said by step."""

    console: Console
    started: float = field(default_factory=time.monotonic)

    def step(self, name: str, text: str) -> None:
        """A step that is done and verified."""
        seconds = time.monotonic() - self.started
        self.console.print(f"[bold]{seconds:6.1f} s  ✓ {name}[/bold]  {escape(text)}", highlight=False, soft_wrap=True)

    def fact(self, text: str) -> None:
        """A detail below the last step."""
        self.console.print(f"           {text}", highlight=False, markup=False, soft_wrap=True)

    def close(self, summary: dict[str, Any], evidence: Path, hashes: list[str], manifest: bytes) -> None:
        """The tables of the books, where the evidence is and how to check it."""
        for table in (_rolls(summary), _orders(summary)):
            self.console.print(table)
        self.step("evidence 证据", f"{evidence} (manifest SM3 {manifest.hex()})")
        self.fact(f"articles of the guideline that it shows 指引条款: {shown_articles(summary)}")
        words = [program(), "demo", "verify", shlex.quote(str(evidence))]
        words += [f"--genesis {h}" for h in hashes] + [f"--manifest {manifest.hex()}"]
        self.say("check it with another process, from these hashes alone:")
        self.say(" ".join(words))

    def say(self, text: str) -> None:
        """A line as it stands, so that it can be copied whole."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def shown_articles(summary: dict[str, Any]) -> str:
    """Their numbers, in a row."""
    return ", ".join(str(row["article"]) for row in summary["articles"])


def program() -> str:
    """How this command line is called from the current directory."""
    script = Path(sys.executable).parent / "dualchain"
    if shutil.which("dualchain") or not script.is_file():
        return "dualchain"
    return shlex.quote(str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script))


def _rolls(summary: dict[str, Any]) -> Table:
    """Narrow enough for a terminal of 80 columns; the product code begins with its market."""
    table = Table(title="rolls 核对: before + settled orders = after")
    table.add_column("security", no_wrap=True)
    for column in ("holders", "before", "after", "moved"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summary["markets"].values():
        for security, books in row["securities"].items():
            holders = f"{books['holders_before']}→{books['holders_after']}"
            numbers = (f"{books[name]:,}" for name in ("total_before", "total_after", "moved"))
            table.add_row(security, holders, *numbers)
    return table


def _orders(summary: dict[str, Any]) -> Table:
    table = Table(title="orders 委托 and client money 客户资金, yuan")
    for column in ("market", "settled", "refused", "paid", "money before", "money after"):
        table.add_column(column, justify="right", no_wrap=True)
    for market, row in summary["markets"].items():
        money = (f"{row['cash'][name] / 100:,.2f}" for name in ("paid_fen", "deposited_fen", "after_fen"))
        table.add_row(market, str(row["orders_settled"]), str(row["orders_refused"]), *money)
    return table
