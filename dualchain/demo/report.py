"""What the demonstration prints: steps as they are done, a table at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(slots=True)
class Report:
    """Prints to a console; keeps what was said by step."""

    console: Console
    started: float = field(default_factory=time.monotonic)

    def step(self, name: str, text: str) -> None:
        """A step that is done and verified."""
        seconds = time.monotonic() - self.started
        self.console.print(f"[bold]{seconds:6.1f} s  ✓ {name}[/bold]  {text}", highlight=False)

    def fact(self, text: str) -> None:
        """A detail below the last step."""
        self.console.print(f"           {text}", highlight=False, markup=False)

    def close(self, summary: dict[str, Any], evidence: Path, hashes: list[str], manifest: bytes) -> None:
        """The table of the books, where the evidence is and how to check it."""
        table = Table(title="reconciliation 核对: proven roll before + settled orders = proven roll after")
        for column in ("market", "security", "holders", "total", "moved", "orders settled / refused"):
            table.add_column(column)
        for market, row in summary["markets"].items():
            orders = f"{row['orders_settled']} / {row['orders_refused']}"
            for security, books in row["securities"].items():
                table.add_row(
                    market,
                    security,
                    f"{books['holders_before']} → {books['holders_after']}",
                    f"{books['total_before']:,} → {books['total_after']:,}",
                    f"{books['moved']:,}",
                    orders,
                )
        self.console.print(table)
        command = " ".join(
            [
                "dualchain demo verify",
                str(evidence),
                *(f"--genesis {h}" for h in hashes),
                f"--manifest {manifest.hex()}",
            ]
        )
        self.step("evidence 证据", f"{evidence} (manifest SM3 {manifest.hex()})")
        self.console.print("check it with another process, from these hashes alone:", highlight=False)
        self.console.print(command, highlight=False, soft_wrap=True)
