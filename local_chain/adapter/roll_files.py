"""A legacy book as CSV files, checked line by line before anything is handed in (docs/spec/adapter.md §3)."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from contracts.kernel.records import MAX_QUANTITY
from contracts.kernel.roll import MAX_LISTED
from local_chain.adapter.errors import RollRefused

HOLDER_CAP = 200
SECURITY_COLUMNS = ("reference", "name", "issuer", "province", "unit_decimals", "declared", "legacy", "business_date")
HOLDING_COLUMNS = ("security", "holder", "quantity", "acquired")
ACCOUNT_COLUMNS = ("reference", "entity", "key")
_EPOCH = date(1970, 1, 1)
_DAY_MS, _OFFSET_MS = 86_400_000, 28_800_000
_KEY = re.compile("[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class AccountLine:
    """A party to register; ``key`` is its 64-byte transaction key, empty when it gets none yet."""

    line: int
    reference: str
    entity: str
    key: bytes


@dataclass(frozen=True, slots=True)
class HoldingLine:
    """One holder's units of one security; ``acquired_day`` 0 is unknown."""

    line: int
    holder: str
    quantity: int
    acquired_day: int


@dataclass(frozen=True, slots=True)
class SecurityLine:
    """One register, with its rows."""

    line: int
    reference: str
    name: str
    issuer: str
    province: str
    unit_decimals: int
    declared: int
    legacy: bool
    business_time_ms: int
    rows: tuple[HoldingLine, ...]


@dataclass(frozen=True, slots=True)
class Roll:
    """The whole book, consistent in itself."""

    accounts: tuple[AccountLine, ...]
    securities: tuple[SecurityLine, ...]

    @property
    def holdings(self) -> int:
        """How many lines of holdings."""
        return sum(len(one.rows) for one in self.securities)


def read_roll(securities: Path, holdings: Path, accounts: Path | None = None) -> Roll:
    """Raises RollRefused with file and line of the first fault."""
    rows = _holdings(holdings)
    found, names = [], dict[str, int]()
    for number, row in _lines(securities, SECURITY_COLUMNS):
        with _line(securities, number):
            one = _security(number, row, tuple(rows.pop(row["reference"], ())))
            if names.setdefault(one.reference, number) != number:
                raise ValueError(f"security {one.reference} stands in line {names[one.reference]} already")
        found.append(one)
    for reference, lines in rows.items():
        raise RollRefused(
            f"没有该证券 / security {reference!r} is in no line of {securities.name}",
            where=f"{holdings}, line {lines[0].line}",
            next_step="add the security, or take its holdings out",
        )
    return Roll(tuple(_accounts(accounts)) if accounts is not None else (), tuple(found))


def _security(number: int, row: Mapping[str, str], rows: tuple[HoldingLine, ...]) -> SecurityLine:
    declared, total = _whole(row, "declared"), sum(one.quantity for one in rows)
    if total != declared:
        raise ValueError(f"holdings sum to {total}, {declared} are declared 持有合计与总股本不符")
    legacy = {"": False, "0": False, "1": True}.get(row["legacy"])
    if legacy is None:
        raise ValueError(f"legacy is {row['legacy']!r}, not 0 or 1")
    if len(rows) > HOLDER_CAP and not legacy:
        raise ValueError(
            f"{len(rows)} holders, above {HOLDER_CAP}: only a legacy register (存量超限名册) may have more"
        )
    if len(rows) > MAX_LISTED:
        raise ValueError(f"{len(rows)} holders, a register takes {MAX_LISTED}")
    decimals = _whole(row, "unit_decimals", least=0)
    if decimals > 8:
        raise ValueError(f"{decimals} decimals, at most 8")
    day = _day(row, "business_date")
    return SecurityLine(
        number,
        _text(row, "reference", 64),
        _text(row, "name", 128),
        _text(row, "issuer", 64),
        _text(row, "province", 3),
        decimals,
        declared,
        legacy,
        day * _DAY_MS - _OFFSET_MS if day else 0,
        rows,
    )


def _holdings(path: Path) -> dict[str, list[HoldingLine]]:
    found: dict[str, list[HoldingLine]] = defaultdict(list)
    seen: dict[tuple[str, str], int] = {}
    for number, row in _lines(path, HOLDING_COLUMNS):
        with _line(path, number):
            security, holder = _text(row, "security", 64), _text(row, "holder", 64)
            if seen.setdefault((security, holder), number) != number:
                raise ValueError(f"{holder} holds {security} in line {seen[security, holder]} already 重复的持有人")
            found[security].append(HoldingLine(number, holder, _whole(row, "quantity"), _day(row, "acquired")))
    return dict(found)


def _accounts(path: Path) -> Iterator[AccountLine]:
    seen: dict[str, int] = {}
    for number, row in _lines(path, ACCOUNT_COLUMNS):
        with _line(path, number):
            reference = _text(row, "reference", 64)
            if seen.setdefault(reference, number) != number:
                raise ValueError(f"account {reference} stands in line {seen[reference]} already 重复的账户")
            if row["key"] and not _KEY.fullmatch(row["key"]):
                raise ValueError("a key is x || y of an SM2 point, 128 hexadecimal digits")
            yield AccountLine(number, reference, _text(row, "entity", 128), bytes.fromhex(row["key"]))


def _lines(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line number, cells by column), the header checked; blank lines are passed over."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != tuple(columns):
                raise RollRefused(
                    f"the columns are {','.join(header)!r}",
                    where=f"{path}, line 1",
                    next_step=f"write {','.join(columns)}",
                )
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(columns):
                    raise RollRefused(
                        f"{len(cells)} cells, not {len(columns)}",
                        where=f"{path}, line {reader.line_num}",
                        next_step="mend the line, then give the same files again",
                    )
                yield reader.line_num, dict(zip(columns, cells, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RollRefused(f"cannot be read: {error}", where=str(path), next_step="name a CSV file in UTF-8") from error


@contextmanager
def _line(path: Path, number: int) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise RollRefused(
            str(error), where=f"{path}, line {number}", next_step="mend the line, then give the same files again"
        ) from error


def _whole(row: Mapping[str, str], name: str, *, least: int = 1) -> int:
    text = row[name]
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and least <= int(text) <= MAX_QUANTITY):
        raise ValueError(f"{name} is {text!r}, not a whole number from {least} to {MAX_QUANTITY}")
    return int(text)


def _text(row: Mapping[str, str], name: str, limit: int) -> str:
    text = row[name]
    if not 0 < len(text.encode()) <= limit or text != text.strip():
        raise ValueError(f"{name} is {text[:80]!r}, not text of 1 to {limit} bytes without blanks around it")
    return text


def _day(row: Mapping[str, str], name: str) -> int:
    """A day number; 0 for an empty cell."""
    if not row[name]:
        return 0
    try:
        day = (date.fromisoformat(row[name]) - _EPOCH).days
    except ValueError as error:
        raise ValueError(f"{name} is {row[name]!r}, not a date like 2019-05-31") from error
    if day <= 0:
        raise ValueError(f"{name} is {row[name]}, before 1970-01-02")
    return day
