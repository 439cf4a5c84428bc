"""The demonstration's input files, read strictly: a refusal names file, line and column."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chain_core.types.errors import DualchainError
from contracts.kernel.calendar import MAX_DAY, MAX_LISTED_DAYS, is_weekday
from dualchain.demo.days import Calendar, parse_day

MARKETS = ("BJ", "JS")
MAX_ROWS = 20_000
MAX_FILE_BYTES = 16_000_000
MAX_QUANTITY = 10**15
MAX_HOLDERS = 200
FILES = ("calendar.csv", "roll.csv", "investors.csv", "cash.csv", "orders.csv", "directives.csv")
_HOLDER = re.compile(r"(?!ISSUER-)[A-Z0-9][A-Z0-9-]{2,31}\Z")
_SECURITY = re.compile(r"(?:BJ|JS)[0-9]{6}[FGPT]?\.[A-Z]{6}[0-9]{2}(?:0[1-9]|[1-9][0-9])\Z")
_YUAN = re.compile(r"(0|[1-9][0-9]{0,12})(?:\.([0-9]{1,2}))?\Z")
_COUNT = re.compile(r"(0|[1-9][0-9]{0,15})\Z")


class BadInput(DualchainError):
    """An input file that cannot be used as it stands."""

    code = "BAD_INPUT"


@dataclass(frozen=True, slots=True)
class Holding:
    """One row of a holder roll; ``acquired`` is the day of the holder's last purchase."""

    line: int
    market: str
    security: str
    name: str
    holder: str
    quantity: int
    acquired: int


@dataclass(frozen=True, slots=True)
class Investor:
    """One investor with the proof of suitability that the market keeps."""

    line: int
    market: str
    holder: str
    category: str
    assets_fen: int
    experience_years: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class Cash:
    """Client money as the depository bank reports it."""

    line: int
    market: str
    holder: str
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Order:
    """One negotiated transfer: ``price_fen`` is for the whole quantity."""

    line: int
    order: str
    market: str
    security: str
    seller: str
    buyer: str
    quantity: int
    price_fen: int


@dataclass(frozen=True, slots=True)
class DirectiveRow:
    """One freeze that the regulator orders before the day's transfers."""

    line: int
    directive: str
    market: str
    holder: str
    reason: str


@dataclass(frozen=True, slots=True)
class MarketDay:
    """Everything the demonstration runs on."""

    run_day: int
    calendar: Calendar
    holdings: tuple[Holding, ...]
    investors: tuple[Investor, ...]
    cash: tuple[Cash, ...]
    orders: tuple[Order, ...]
    directives: tuple[DirectiveRow, ...]


class _Row:
    """One line of a file; each accessor refuses with the column it stands in."""

    def __init__(self, file: str, line: int, header: list[str], cells: list[str]) -> None:
        self.file, self.line, self.header = file, line, header
        self._cells = dict(zip(header, cells, strict=True))

    def refuse(self, column: str, what: str) -> BadInput:
        place = f"{self.file}, line {self.line}, column {self.header.index(column) + 1} ({column})"
        return BadInput(what, where=place, next_step="mend that cell and run again; nothing was changed")

    def text(self, column: str, pattern: re.Pattern[str], what: str) -> str:
        value = self._cells[column]
        if not pattern.match(value):
            raise self.refuse(column, f"{value!r} is not {what}")
        return value

    def market(self) -> str:
        value = self._cells["market"]
        if value not in MARKETS:
            raise self.refuse("market", f"unknown chain {value!r}; the demonstration has {', '.join(MARKETS)}")
        return value

    def holder(self, column: str = "holder") -> str:
        return self.text(column, _HOLDER, "a holder number (capital letters, digits, hyphens)")

    def security(self) -> str:
        value = self.text("security_code", _SECURITY, "a product code of JR/T 0326 like BJ000001F.ESVUFR2401")
        if not value.startswith(self.market()):
            raise self.refuse("security_code", f"{value!r} belongs to another market than this row")
        return value

    def count(self, column: str, low: int) -> int:
        value = int(self.text(column, _COUNT, "a whole number without separators"))
        if not low <= value <= MAX_QUANTITY:
            raise self.refuse(column, f"{value} is outside {low}..{MAX_QUANTITY}")
        return value

    def fen(self, column: str) -> int:
        match = _YUAN.match(self._cells[column])
        if not match:
            raise self.refuse(column, f"{self._cells[column]!r} is not an amount in yuan with at most two decimals")
        return int(match[1]) * 100 + int((match[2] or "0").ljust(2, "0"))

    def day(self, column: str, run_day: int, calendar: Calendar) -> int:
        try:
            return parse_day(self._cells[column], run_day, calendar)
        except ValueError as error:
            raise self.refuse(column, str(error)) from error

    def date(self, column: str) -> int:
        """A date of the calendar itself, where counting in trading days would go in circles."""
        value = self._cells[column]
        day = -1 if value.startswith("T") else self.day(column, 0, Calendar(frozenset(), frozenset()))
        if not 0 <= day <= MAX_DAY:
            raise self.refuse(column, f"{value!r} is no date from 1970 on, like 2026-11-20")
        return day

    def plain(self, column: str, limit: int) -> str:
        value = self._cells[column].strip()
        if not value or len(value.encode("utf-8")) > limit:
            raise self.refuse(column, f"empty or longer than {limit} bytes")
        return value


def _rows(directory: Path, file: str, header: list[str]) -> Iterator[_Row]:
    path = directory / file
    if not path.is_file():
        raise BadInput(
            f"{file} is missing", where=str(directory), next_step=f"add it with the columns {','.join(header)}"
        )
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadInput(f"more than {MAX_FILE_BYTES} bytes", where=file, next_step="split the file")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadInput(f"not UTF-8 at byte {error.start}", where=file, next_step="export the file as UTF-8") from error
    reader = csv.reader(lines, strict=True)
    try:
        found = next(reader, [])
        if found != header:
            what = f"the first line must name the columns {','.join(header)}"
            raise BadInput(what, where=f"{file}, line 1", next_step="export the file with these columns")
        for number, cells in enumerate(reader, 1):
            if number > MAX_ROWS:
                raise BadInput(f"more than {MAX_ROWS} rows", where=file, next_step="split the file")
            if len(cells) != len(header):
                where = f"{file}, line {reader.line_num}, column {min(len(cells), len(header)) + 1}"
                what = f"{len(cells)} cells where {len(header)} columns are named"
                raise BadInput(what, where=where, next_step="mend that line and run again; nothing was changed")
            yield _Row(file, reader.line_num, header, cells)
    except csv.Error as error:
        raise BadInput(str(error), where=f"{file}, line {reader.line_num}", next_step="mend the quoting") from error


def copy_inputs(source: Path, target: Path) -> Path:
    """The input files, and no others, in a new directory."""
    target.mkdir()
    for name in FILES:
        (target / name).write_bytes((source / name).read_bytes())
    return target


def read_calendar(directory: Path) -> Calendar:
    """calendar.csv: the State Council's holidays and make-up working days, each date once."""
    days: dict[str, set[int]] = {"holiday": set(), "workday": set()}
    seen: dict[int, int] = {}
    for row in _rows(directory, "calendar.csv", ["date", "kind"]):
        day = row.date("date")
        kind = row.text("kind", re.compile(r"(?:holiday|workday)\Z"), "holiday or workday")
        if seen.setdefault(day, row.line) != row.line:
            raise row.refuse("date", f"this date stands twice, first in line {seen[day]}")
        if kind == "workday" and is_weekday(day):
            raise row.refuse("kind", "a make-up working day is a Saturday or Sunday, this date is neither")
        days[kind].add(day)
        if len(days[kind]) > MAX_LISTED_DAYS:
            raise row.refuse("date", f"more than {MAX_LISTED_DAYS} dates of one kind")
    return Calendar(frozenset(days["holiday"]), frozenset(days["workday"]))


def read_market_day(directory: Path, days: Sequence[int]) -> MarketDay:
    """All input files of a directory, checked one by one and against each other; BadInput at the first fault.

    ``days`` are the day numbers that the run touches, its own first; each is made a trading day where it is none.
    """
    calendar, run_day = read_calendar(directory), days[0]
    for number in days:
        calendar = calendar.opening(number)
    day = MarketDay(
        run_day,
        calendar,
        tuple(_holdings(directory, run_day, calendar)),
        tuple(_investors(directory, run_day, calendar)),
        tuple(_cash(directory)),
        tuple(_orders(directory)),
        tuple(_directives(directory)),
    )
    _cross_check(day)
    return day


def _holdings(directory: Path, run_day: int, calendar: Calendar) -> Iterator[Holding]:
    header = ["market", "security_code", "security_name", "holder", "quantity", "acquired"]
    seen: dict[tuple[str, str], int] = {}
    holders: Counter[str] = Counter()
    for row in _rows(directory, "roll.csv", header):
        item = Holding(
            row.line,
            row.market(),
            row.security(),
            row.plain("security_name", 64),
            row.holder(),
            row.count("quantity", 1),
            row.day("acquired", run_day, calendar),
        )
        if not 0 <= item.acquired <= run_day:
            raise row.refuse("acquired", "the purchase lies in the future, or before 1970")
        holders[item.security] += 1
        if holders[item.security] > MAX_HOLDERS:
            raise row.refuse("holder", f"holder {holders[item.security]} of {item.security}; at most {MAX_HOLDERS}")
        first = seen.setdefault((item.security, item.holder), row.line)
        if first != row.line:
            raise row.refuse(
                "holder", f"{item.holder} stands twice in the roll of {item.security}, first in line {first}"
            )
        yield item


def _investors(directory: Path, run_day: int, calendar: Calendar) -> Iterator[Investor]:
    header = ["market", "holder", "category", "financial_assets_yuan", "experience_years", "proof_valid_until"]
    seen: dict[str, int] = {}
    kinds = re.compile(r"(?:person|institution|product)\Z")
    for row in _rows(directory, "investors.csv", header):
        item = Investor(
            row.line,
            row.market(),
            row.holder(),
            row.text("category", kinds, "person, institution or product"),
            row.fen("financial_assets_yuan"),
            row.count("experience_years", 0),
            row.day("proof_valid_until", run_day, calendar),
        )
        if not 0 <= item.valid_until <= MAX_DAY:
            raise row.refuse("proof_valid_until", "not between 1970 and the end of the calendar")
        first = seen.setdefault(item.holder, row.line)
        if first != row.line:
            raise row.refuse("holder", f"{item.holder} stands twice, first in line {first}")
        yield item


def _cash(directory: Path) -> Iterator[Cash]:
    for row in _rows(directory, "cash.csv", ["market", "holder", "amount_yuan"]):
        yield Cash(row.line, row.market(), row.holder(), row.fen("amount_yuan"))


def _orders(directory: Path) -> Iterator[Order]:
    header = ["order", "market", "security_code", "seller", "buyer", "quantity", "price_yuan"]
    seen: dict[str, int] = {}
    for row in _rows(directory, "orders.csv", header):
        item = Order(
            row.line,
            row.text("order", _HOLDER, "an order number"),
            row.market(),
            row.security(),
            row.holder("seller"),
            row.holder("buyer"),
            row.count("quantity", 1),
            row.fen("price_yuan"),
        )
        if seen.setdefault(item.order, row.line) != row.line:
            raise row.refuse("order", f"{item.order} stands twice, first in line {seen[item.order]}")
        yield item


def _directives(directory: Path) -> Iterator[DirectiveRow]:
    for row in _rows(directory, "directives.csv", ["directive", "market", "holder", "reason"]):
        number = row.text("directive", _HOLDER, "a directive number")
        yield DirectiveRow(row.line, number, row.market(), row.holder(), row.plain("reason", 200))


def _cross_check(day: MarketDay) -> None:
    """Each market has a roll; whoever is named anywhere is an investor of that market; what is ordered has a roll."""
    for market in MARKETS:
        if not any(holding.market == market for holding in day.holdings):
            what = f"no row of {market}; the demonstration runs {' and '.join(MARKETS)}, each with a roll at least"
            raise BadInput(what, where="roll.csv", next_step="add a row of that market")
    known = {(i.market, i.holder) for i in day.investors}
    securities = {(h.market, h.security) for h in day.holdings}
    checks: list[tuple[str, int, str, str, str]] = []
    checks += [("roll.csv", h.line, "holder", h.market, h.holder) for h in day.holdings]
    checks += [("cash.csv", c.line, "holder", c.market, c.holder) for c in day.cash]
    checks += [("orders.csv", o.line, "seller", o.market, o.seller) for o in day.orders]
    checks += [("orders.csv", o.line, "buyer", o.market, o.buyer) for o in day.orders]
    checks += [("directives.csv", d.line, "holder", d.market, d.holder) for d in day.directives]
    for file, line, column, market, holder in checks:
        if (market, holder) not in known:
            raise _unknown(file, line, column, f"{holder} is no investor of {market} in investors.csv")
    for order in day.orders:
        if (order.market, order.security) not in securities:
            raise _unknown("orders.csv", order.line, "security_code", f"{order.security} has no roll in roll.csv")


def _unknown(file: str, line: int, column: str, what: str) -> BadInput:
    return BadInput(
        what, where=f"{file}, line {line}, column {column}", next_step="mend that cell or add the missing row"
    )
