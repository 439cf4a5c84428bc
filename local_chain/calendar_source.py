"""A proposal for the market's calendar from the State Council's arrangement (节假日安排), off chain
(docs/spec/kernel.md §3.1).

The package ``chinesecalendar`` (extra ``calendar``) is the source; what it says becomes law on the chain only through
``set_calendar``, which the operating institution and a governor of another entity sign after checking it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from chain_core.types.errors import LocalFault
from contracts.kernel.calendar import TradingCalendar, is_weekday

EPOCH = date(1970, 1, 1)
PACKAGE, EXTRA = "chinese_calendar", "calendar"

WorksOn = Callable[[date], bool]
"""Whether the State Council makes a day a working day. Raises RuntimeError for a year that it knows nothing of."""


class NoCalendarSource(LocalFault):
    """The source is not installed, or does not know the year yet."""

    code = "NO_CALENDAR_SOURCE"


def installed_source() -> WorksOn:
    """The package's answer. Raises NoCalendarSource when it is not installed."""
    try:
        module: Any = import_module(PACKAGE)
    except ImportError:
        step = f"pip install 'dualchain[{EXTRA}]', or write the days of the announcement by hand"
        raise NoCalendarSource("the package chinesecalendar is not installed", where=PACKAGE, next_step=step) from None
    works: WorksOn = module.is_workday
    return works


def propose(known: TradingCalendar, today: int, year: int, works_on: WorksOn) -> Mapping[str, list[int]]:
    """The arguments of ``set_calendar``: of ``year``, the days after ``today`` (a UTC+8 day number) as ``works_on`` has
    them; all other days, and what the market opened, as they are ``known``.
    """
    first, last = ((date(y, 1, 1) - EPOCH).days for y in (year, year + 1))
    fresh = range(max(first, today + 1), last)
    holidays = [day for day in known.holidays if day not in fresh]
    workdays = [day for day in known.workdays if day not in fresh]
    for number in fresh:
        try:
            works = works_on(EPOCH + timedelta(days=number))
        except RuntimeError as missing:
            step = "wait for a release of chinesecalendar with the year, or write the days by hand"
            raise NoCalendarSource(str(missing), where=f"year {year}", next_step=step) from None
        if works != is_weekday(number):
            (workdays if works else holidays).append(number)
    return {"holidays": sorted(holidays), "workdays": sorted(workdays), "opened": list(known.opened)}
