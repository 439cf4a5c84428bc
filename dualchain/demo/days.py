"""Calendar days as UTC+8 day numbers, trading days, and the dates of input files (`T-3` or `2026-11-20`)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import date, timedelta

EPOCH = date(1970, 1, 1)
UTC8_MS = 8 * 3_600_000
DAY_MS = 86_400_000
LONGEST_RUN_MS = 600_000
"""A run that starts this close to midnight may end on the next day."""
_OFFSET = re.compile(r"T(?:([+-])([0-9]{1,3}))?\Z")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def date_of(number: int) -> date:
    """The reverse of ``day_number``."""
    return EPOCH + timedelta(days=number)


def day_of_ms(time_ms: int) -> int:
    """The UTC+8 day of an instant."""
    return (time_ms + UTC8_MS) // DAY_MS


def run_days(now_ms: int) -> tuple[int, ...]:
    """The days a run that starts now touches: its own, and the next one too when midnight (UTC+8) is near."""
    today, last = day_of_ms(now_ms), day_of_ms(now_ms + LONGEST_RUN_MS)
    return tuple(range(today, last + 1))


@dataclass(frozen=True, slots=True)
class Calendar:
    """A market's calendar: Monday to Friday trade unless a holiday; make-up weekends are working, not trading days.

    ``opened`` are days made trading days although the calendar says otherwise (the demonstration's own day).
    """

    holidays: frozenset[int]
    workdays: frozenset[int]
    opened: frozenset[int] = frozenset()

    def trades(self, day: int) -> bool:
        """Whether the market trades on this day number (day 0 was a Thursday)."""
        return day in self.opened or ((day + 3) % 7 < 5 and day not in self.holidays)

    def opening(self, day: int) -> Calendar:
        """The same calendar with ``day`` a trading day."""
        return self if self.trades(day) else Calendar(self.holidays, self.workdays, self.opened | {day})

    def shift(self, day: int, offset: int) -> int:
        """The day ``offset`` trading days after (before) ``day``."""
        step = 1 if offset > 0 else -1
        left = abs(offset)
        while left:
            day += step
            if self.trades(day):
                left -= 1
        return day


def parse_day(text: str, run_day: int, calendar: Calendar) -> int:
    """A date of an input file as a day number; ValueError says what is wrong with it."""
    offset = _OFFSET.match(text)
    if offset:
        count = int(offset[2] or 0) * (-1 if offset[1] == "-" else 1)
        return calendar.shift(run_day, count)
    match = _DATE.match(text)
    if not match:
        raise ValueError(f"{text!r} is neither a date like 2026-11-20 nor trading days from today like T-3")
    try:
        return day_number(date(int(match[1]), int(match[2]), int(match[3])))
    except ValueError as error:
        raise ValueError(f"{text!r} is no date of the calendar") from error


def today() -> int:
    """Today's number."""
    return day_of_ms(time.time_ns() // 1_000_000)
