"""Input files are read strictly: whatever is wrong with them is named by file, line and column."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from dualchain.demo.days import day_number
from dualchain.demo.inputs import FILES, BadInput, MarketDay, copy_inputs, read_market_day

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "market-day"
MONDAY = day_number(date(2026, 11, 23))
SECURITY = "BJ000001F.ESVUFR2401"

SMALL = {
    "calendar.csv": "date,kind\n2026-10-01,holiday\n2026-10-10,workday\n",
    "roll.csv": (
        "market,security_code,security_name,holder,quantity,acquired\n"
        f"BJ,{SECURITY},示例,BJ-1,500,T-9\nJS,JS000001F.ESVUFR2401,示例,JS-1,500,T-9\n"
    ),
    "investors.csv": (
        "market,holder,category,financial_assets_yuan,experience_years,proof_valid_until\n"
        "BJ,BJ-1,person,600000,3,T+9\nBJ,BJ-2,institution,0,0,2027-01-31\nJS,JS-1,product,0,0,T\n"
    ),
    "cash.csv": "market,holder,amount_yuan\nBJ,BJ-2,1000.50\n",
    "orders.csv": (
        f"order,market,security_code,seller,buyer,quantity,price_yuan\nO-1,BJ,{SECURITY},BJ-1,BJ-2,100,12.3\n"
    ),
    "directives.csv": "directive,market,holder,reason\nD-1,BJ,BJ-1,for a reason\n",
}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name, text in SMALL.items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def read(directory: Path) -> MarketDay:
    return read_market_day(directory, (MONDAY,))


def refused(directory: Path) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read(directory)
    return caught.value


def test_a_small_day_is_read(small: Path) -> None:
    day = read(small)
    (holding, _), (cash,), (order,), (directive,) = day.holdings, day.cash, day.orders, day.directives
    assert (holding.line, holding.quantity, holding.acquired) == (2, 500, day_number(date(2026, 11, 10)))
    assert [i.valid_until for i in day.investors[:2]] == [day_number(date(2026, 12, 4)), day_number(date(2027, 1, 31))]
    assert (cash.amount_fen, order.price_fen, directive.reason) == (100_050, 1_230, "for a reason")
    assert day.calendar.opened == frozenset()


def test_the_example_is_read_whole() -> None:
    day = read(EXAMPLE)
    rows = {name: len((EXAMPLE / name).read_text("utf-8").splitlines()) - 1 for name in FILES}
    assert len(day.holdings) == rows["roll.csv"] and len(day.investors) == rows["investors.csv"]
    assert len(day.cash) == rows["cash.csv"] and len(day.orders) == rows["orders.csv"]
    assert len(day.calendar.holidays) + len(day.calendar.workdays) == rows["calendar.csv"]


CELLS = [
    # file, what stands there, what is put there, line, column number and name, words of the refusal
    ("calendar.csv", "2026-10-01", "2026-13-01", 2, "1 (date)", "no date of the calendar"),
    ("calendar.csv", "2026-10-01", "T-3", 2, "1 (date)", "no date from 1970 on"),
    ("calendar.csv", "2026-10-01", "1969-12-31", 2, "1 (date)", "no date from 1970 on"),
    ("calendar.csv", "2026-10-10", "2026-10-01", 3, "1 (date)", "first in line 2"),
    ("calendar.csv", "holiday", "feast", 2, "2 (kind)", "'feast' is not holiday or workday"),
    ("calendar.csv", "2026-10-10", "2026-10-12", 3, "2 (kind)", "Saturday or Sunday"),
    ("roll.csv", "BJ,BJ0", "SH,BJ0", 2, "1 (market)", "unknown chain 'SH'"),
    ("roll.csv", SECURITY, "BJ1.X", 2, "2 (security_code)", "product code"),
    ("roll.csv", SECURITY, "JS000001F.ESVUFR2401", 2, "2 (security_code)", "another market"),
    ("roll.csv", "示例", "  ", 2, "3 (security_name)", "empty"),
    ("roll.csv", "示例", "例" * 22, 2, "3 (security_name)", "longer than 64 bytes"),
    ("roll.csv", ",BJ-1,", ",bj-1,", 2, "4 (holder)", "'bj-1' is not a holder number"),
    ("roll.csv", ",BJ-1,", ",ISSUER-BJ000001F,", 2, "4 (holder)", "is not a holder number"),
    ("roll.csv", ",500,", ",0,", 2, "5 (quantity)", "0 is outside"),
    ("roll.csv", ",500,", ",5 00,", 2, "5 (quantity)", "'5 00' is not a whole number"),
    ("roll.csv", ",500,", ",-5,", 2, "5 (quantity)", "'-5' is not a whole number"),
    ("roll.csv", ",500,", ",٥٠٠,", 2, "5 (quantity)", "is not a whole number"),
    ("roll.csv", ",500,", ",1000000000000001,", 2, "5 (quantity)", "is outside"),
    ("roll.csv", "T-9", "yesterday", 2, "6 (acquired)", "neither a date"),
    ("roll.csv", "T-9", "T+1", 2, "6 (acquired)", "future"),
    ("roll.csv", "T-9", "2026-02-29", 2, "6 (acquired)", "no date of the calendar"),
    ("investors.csv", "person", "robot", 2, "3 (category)", "'robot' is not person"),
    ("investors.csv", "600000", "600000.001", 2, "4 (financial_assets_yuan)", "two decimals"),
    ("investors.csv", "600000", "6e5", 2, "4 (financial_assets_yuan)", "'6e5' is not an amount"),
    ("investors.csv", ",3,", ",three,", 2, "5 (experience_years)", "whole number"),
    ("investors.csv", "T+9", "T+9999", 2, "6 (proof_valid_until)", "neither a date"),
    ("investors.csv", "BJ,BJ-2", "BJ,BJ-1", 3, "2 (holder)", "stands twice, first in line 2"),
    ("cash.csv", "1000.50", "1,000.50", 2, "4", "4 cells where 3 columns are named"),
    ("cash.csv", "1000.50", "-1", 2, "3 (amount_yuan)", "'-1' is not an amount"),
    ("orders.csv", "O-1", "o 1", 2, "1 (order)", "'o 1' is not an order number"),
    ("orders.csv", ",100,", ",1.5,", 2, "6 (quantity)", "'1.5' is not a whole number"),
    ("orders.csv", "12.3", "12.345", 2, "7 (price_yuan)", "two decimals"),
    ("orders.csv", "BJ-1,BJ-2", "BJ-1", 2, "7", "6 cells where 7 columns are named"),
    ("directives.csv", "for a reason", "", 2, "4 (reason)", "empty"),
    ("directives.csv", "D-1", "D", 2, "1 (directive)", "'D' is not a directive number"),
    # what only the files together tell
    ("roll.csv", ",BJ-1,", ",BJ-9,", 2, "holder", "BJ-9 is no investor of BJ"),
    ("cash.csv", "BJ-2", "BJ-9", 2, "holder", "BJ-9 is no investor of BJ"),
    ("orders.csv", ",BJ-1,", ",BJ-9,", 2, "seller", "BJ-9 is no investor of BJ"),
    ("orders.csv", ",BJ-2,", ",BJ-9,", 2, "buyer", "BJ-9 is no investor of BJ"),
    ("orders.csv", SECURITY, "BJ000009F.ESVUFR2401", 2, "security_code", "has no roll"),
    ("directives.csv", "BJ,BJ-1", "JS,BJ-1", 2, "holder", "BJ-1 is no investor of JS"),
]


@pytest.mark.parametrize(("file", "old", "new", "line", "column", "words"), CELLS)
def test_a_bad_cell_is_named(small: Path, file: str, old: str, new: str, line: int, column: str, words: str) -> None:
    text = (small / file).read_text("utf-8")
    assert old in text
    (small / file).write_text(text.replace(old, new, 1), "utf-8")
    refusal = refused(small)
    assert refusal.where == f"{file}, line {line}, column {column}"
    assert words in refusal.what and refusal.next_step


def _missing(path: Path) -> None:
    path.unlink()


def _latin(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\xe4\xf6")


def _headless(path: Path) -> None:
    path.write_text("\n".join(path.read_text("utf-8").splitlines()[1:]), "utf-8")


def _quoted(path: Path) -> None:
    path.write_text(path.read_text("utf-8") + 'BJ,"BJ-2" x,1\n', "utf-8")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "where", "words"),
    [
        (_missing, "", "cash.csv is missing"),
        (_latin, "cash.csv", "not UTF-8 at byte"),
        (_headless, "cash.csv, line 1", "the first line must name the columns"),
        (_empty, "cash.csv, line 1", "the first line must name the columns"),
        (_quoted, "cash.csv, line 3", "expected after"),
    ],
)
def test_a_bad_file_is_named(small: Path, spoil: Callable[[Path], None], where: str, words: str) -> None:
    spoil(small / "cash.csv")
    refusal = refused(small)
    assert words in refusal.what and refusal.where == (where or str(small)) and refusal.next_step


def test_a_roll_of_more_than_200_holders_is_refused_at_its_201st(small: Path) -> None:
    holders = [f"BJ-{n}" for n in range(3, 203)]
    with (small / "investors.csv").open("a", encoding="utf-8") as investors:
        investors.writelines(f"BJ,{holder},institution,0,0,T+9\n" for holder in holders)
    with (small / "roll.csv").open("a", encoding="utf-8") as roll:
        roll.writelines(f"BJ,{SECURITY},示例,{holder},1,T-9\n" for holder in holders)
    refusal = refused(small)
    assert refusal.where == "roll.csv, line 203, column 4 (holder)"


@pytest.mark.parametrize("market", ["BJ", "JS"])
def test_each_market_has_a_roll(small: Path, market: str) -> None:
    for name in ("roll.csv", "orders.csv"):
        lines = (small / name).read_text("utf-8").splitlines(keepends=True)
        (small / name).write_text("".join(line for line in lines if f"{market}," not in line), "utf-8")
    refusal = refused(small)
    assert f"no row of {market}" in refusal.what and refusal.where == "roll.csv"


def test_a_holder_stands_once_in_a_roll(small: Path) -> None:
    with (small / "roll.csv").open("a", encoding="utf-8") as roll:
        roll.write(f"BJ,{SECURITY},示例,BJ-1,1,T-9\n")
    assert "first in line 2" in refused(small).what


def test_a_byte_order_mark_and_windows_lines_are_read(small: Path) -> None:
    text = (small / "cash.csv").read_text("utf-8")
    (small / "cash.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode("utf-8"))
    assert read(small).cash[0].amount_fen == 100_050


def test_only_the_named_files_are_copied(small: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (small / "private.csv").write_text("not for the evidence")
    target = copy_inputs(small, tmp_path_factory.mktemp("copies") / "inputs")
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    shutil.rmtree(target)
