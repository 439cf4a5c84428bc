"""Proposals for the calendar: what the source says for one year, and nothing else."""

from __future__ import annotations

import importlib.util
from datetime import date

import pytest

from contracts.kernel.calendar import TradingCalendar, wrong_days
from local_chain.calendar_source import EPOCH, PACKAGE, NoCalendarSource, installed_source, propose


def number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - EPOCH).days


TODAY = number(2026, 6, 1)
OFF = {date(2026, 1, 1), date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 5)}
MADE_UP = {date(2026, 10, 10)}


def works_on(day: date) -> bool:
    """Four holidays, one make-up Saturday; 2027 is not arranged yet."""
    if day.year > 2026:
        raise RuntimeError(f"no available data for year {day.year}")
    return day in MADE_UP or (day.weekday() < 5 and day not in OFF)


def test_only_the_year_after_today_changes() -> None:
    """What is past stays as it was, wrong or not; so do other years and what the market opened."""
    known = TradingCalendar(
        (number(2025, 10, 1), number(2026, 3, 3), number(2026, 9, 9)), (), (number(2026, 12, 5),), 4
    )
    found = propose(known, TODAY, 2026, works_on)
    assert found == {
        "holidays": [number(2025, 10, 1), number(2026, 3, 3), *(number(2026, 10, d) for d in (1, 2, 5))],
        "workdays": [number(2026, 10, 10)],
        "opened": [number(2026, 12, 5)],
    }
    assert wrong_days(found) is None


def test_a_year_that_is_not_arranged() -> None:
    with pytest.raises(NoCalendarSource, match="2027") as refusal:
        propose(TradingCalendar(), TODAY, 2027, works_on)
    assert refusal.value.next_step


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is not None, reason="the extra is installed here")
def test_without_the_extra() -> None:
    with pytest.raises(NoCalendarSource, match="not installed"):
        installed_source()


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="the extra is not installed here")
def test_the_package() -> None:
    """National Day and its make-up Saturday, 2026."""
    found = propose(TradingCalendar(), TODAY, 2026, installed_source())
    assert number(2026, 10, 1) in found["holidays"] and number(2026, 10, 10) in found["workdays"]
