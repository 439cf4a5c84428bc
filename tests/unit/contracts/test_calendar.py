"""Trading days: exact arithmetic against counting day by day, and over the Spring Festival of 2026."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.kernel.calendar import MAX_LISTED_DAYS, TradingCalendar, day_of, decode_calendar, is_weekday, wrong_days


def day(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


SPRING = TradingCalendar(
    holidays=tuple(range(day("2026-02-15"), day("2026-02-24"))),
    workdays=(day("2026-02-14"), day("2026-02-28")),
)


def test_days_begin_at_midnight_in_china() -> None:
    assert day_of(0) == 0
    assert day_of(16 * 3_600_000 - 1) == 0
    assert day_of(16 * 3_600_000) == 1


def test_weekdays() -> None:
    assert [is_weekday(n) for n in range(7)] == [True, True, False, False, True, True, True]
    for n in range(20_000, 20_400):
        assert is_weekday(n) == (date(1970, 1, 1).fromordinal(719_163 + n).weekday() < 5)


@pytest.mark.parametrize(
    ("text", "trades", "works"),
    [
        ("2026-02-13", True, True),
        ("2026-02-14", False, True),  # a Saturday that makes up for the holiday: no market
        ("2026-02-15", False, False),
        ("2026-02-16", False, False),
        ("2026-02-23", False, False),
        ("2026-02-24", True, True),
        ("2026-02-28", False, True),
        ("2026-03-01", False, False),
        ("2026-03-02", True, True),
    ],
)
def test_spring_festival(text: str, trades: bool, works: bool) -> None:
    assert SPRING.trades(day(text)) == trades
    assert SPRING.works(day(text)) == works


def test_five_trading_days_over_the_festival() -> None:
    """Bought on Thursday 12 February: one trading day before the holidays, four after them."""
    bought = day("2026-02-12")
    assert SPRING.trading_days(bought, day("2026-02-26")) == 4
    assert SPRING.trading_days(bought, day("2026-02-27")) == 5
    assert SPRING.back(day("2026-02-27"), 5) == bought


def test_a_market_may_open_a_sunday_or_a_holiday() -> None:
    opened = TradingCalendar(SPRING.holidays, SPRING.workdays, (day("2026-02-15"), day("2026-02-16")))
    assert opened.trades(day("2026-02-15")) and opened.trades(day("2026-02-16"))
    assert not opened.works(day("2026-02-15"))
    assert opened.trading_days(day("2026-02-13"), day("2026-02-24")) == 3


def test_going_back_ends_before_the_first_day() -> None:
    assert TradingCalendar().back(3, 250) == -1
    assert TradingCalendar().back(20_000, 0) == 20_000


DAYS = st.lists(st.integers(0, 400), unique=True, max_size=40).map(sorted)


@given(DAYS, DAYS, st.integers(-1, 400), st.integers(0, 400))
def test_counting(holidays: list[int], opened: list[int], after: int, length: int) -> None:
    calendar = TradingCalendar(tuple(holidays), (), tuple(opened))

    def trades(n: int) -> bool:
        return n in opened or (date.fromordinal(719_163 + n).weekday() < 5 and n not in holidays)

    until = after + length
    expected = [n for n in range(after + 1, until + 1) if trades(n)]
    assert calendar.trading_days(after, until) == len(expected)
    assert [n for n in range(after + 1, until + 1) if calendar.trades(n)] == expected
    back = calendar.back(until, 3)
    if back >= 0:
        assert calendar.trading_days(back, until) == 3 and calendar.trades(back + 1)
    assert decode_calendar(calendar.encode()) == calendar


@pytest.mark.parametrize(
    ("lists", "wrong"),
    [
        ({}, None),
        ({"holidays": [5, 6], "workdays": [9], "opened": [5]}, None),
        ({"holidays": [6, 5]}, "holidays"),
        ({"holidays": [5, 5]}, "holidays"),
        ({"holidays": [-1]}, "holidays"),
        ({"opened": [1 << 32]}, "opened"),
        ({"opened": [True]}, "opened"),
        ({"opened": ["5"]}, "opened"),
        ({"holidays": list(range(MAX_LISTED_DAYS + 1))}, "holidays"),
        ({"workdays": [5]}, "workdays"),  # a Tuesday works anyway
        ({"holidays": [9], "workdays": [9]}, "workdays"),
    ],
)
def test_wrong_days(lists: dict[str, list[int]], wrong: str | None) -> None:
    assert wrong_days({"holidays": [], "workdays": [], "opened": [], **lists}) == wrong
