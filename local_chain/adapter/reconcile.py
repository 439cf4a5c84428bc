"""A legacy book held against the chain's, register by register, to the last share (docs/spec/adapter.md §4)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from local_chain.adapter.importer import Naming
from local_chain.adapter.roll_files import Roll, SecurityLine

MAX_DIFFERENCES = 10_000
"""Listed in a report; all are counted."""
AT_ONCE = 8
"""Registers that are read at the same time."""


@dataclass(frozen=True, slots=True)
class Book:
    """A register as the chain has it: units by account, a complete list; proven under the header of ``height``."""

    units: Mapping[bytes, int]
    live: bool
    height: int


class Books(Protocol):
    """The chain's registers."""

    async def book(self, security: bytes) -> Book | None:
        """A security's register, proven complete; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a report. ``kind``: missing (the chain lacks it), extra (the book lacks it), quantity, not_live,
    no_security. Quantities are units; ``line`` is 0 for what the book lacks.
    """

    kind: str
    security: str
    holder: str
    line: int
    in_book: int
    on_chain: int

    def row(self) -> dict[str, str | int]:
        """As it is printed."""
        return {
            "kind": self.kind,
            "security": self.security,
            "holder": self.holder,
            "line": self.line,
            "in_book": self.in_book,
            "on_chain": self.on_chain,
        }


@dataclass(slots=True)
class Report:
    """``lowest_height`` and ``highest_height`` say under which headers the registers were proven."""

    securities: int = 0
    holdings: int = 0
    units_in_book: int = 0
    units_on_chain: int = 0
    lowest_height: int = 0
    highest_height: int = 0
    count: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether book and chain are the same."""
        return not self.count

    def add(self, difference: Difference) -> None:
        """Counts it, and lists it while there is room."""
        self.count += 1
        if len(self.differences) < MAX_DIFFERENCES:
            self.differences.append(difference)


async def reconcile(
    roll: Roll, naming: Naming, books: Books, progress: Callable[[int, int], None] = lambda *_: None
) -> Report:
    """Every register of the book against a proven complete one, in the book's order; the next ones are read while one
    is compared. Raises what reading proofs raises.
    """
    report = Report()
    reading: deque[asyncio.Task[Book | None]] = deque()
    try:
        for place, one in enumerate(roll.securities, 1):
            for other in roll.securities[place - 1 + len(reading) : place - 1 + AT_ONCE]:
                reading.append(asyncio.create_task(books.book(naming.security(other.reference))))
            found = await reading.popleft()
            _note(report, one, naming, found)
            progress(place, len(roll.securities))
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    return report


def _note(report: Report, one: SecurityLine, naming: Naming, found: Book | None) -> None:
    """One register in the report."""
    report.securities += 1
    report.holdings += len(one.rows)
    report.units_in_book += one.declared
    if found is None:
        report.add(Difference("no_security", one.reference, "", one.line, one.declared, 0))
    else:
        _compare(report, one, naming, found)


def _compare(report: Report, one: SecurityLine, naming: Naming, found: Book) -> None:
    total = sum(found.units.values())
    report.units_on_chain += total
    report.lowest_height = min(report.lowest_height or found.height, found.height)
    report.highest_height = max(report.highest_height, found.height)
    if not found.live:
        report.add(Difference("not_live", one.reference, "", one.line, one.declared, total))
    left = dict(found.units)
    for row in one.rows:
        on_chain = left.pop(naming.account(row.holder), 0)
        if on_chain != row.quantity:
            kind = "quantity" if on_chain else "missing"
            report.add(Difference(kind, one.reference, row.holder, row.line, row.quantity, on_chain))
    for account, units in left.items():
        report.add(Difference("extra", one.reference, account.hex(), 0, 0, units))
