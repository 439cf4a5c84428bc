"""Trading days and working days in exact integer arithmetic on UTC+8 day numbers (docs/spec/kernel.md §4).

Monday to Friday trade unless a holiday. Make-up weekends (调休) are working days of the State Council, never trading
days.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import ascending
from chain_core.types.values import Value

UTC8_MS = 28_800_000
DAY_MS = 86_400_000
MAX_DAY = (1 << 32) - 1
MAX_LISTED_DAYS = 4_096


def day_of(time_ms: int) -> int:
    """The UTC+8 day of an instant; day 0 is 1970-01-01, a Thursday."""
    return (time_ms + UTC8_MS) // DAY_MS


def is_weekday(day: int) -> bool:
    """Monday to Friday."""
    return (day + 3) % 7 < 5


def _weekdays_up_to(day: int) -> int:
    """How many of the days 0..``day`` are weekdays; counted from Monday, day -3."""
    weeks, rest = divmod(day + 4, 7)
    return weeks * 5 + min(rest, 5) - 3


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """One version of the calendar; the three lists are strictly ascending.

    ``opened`` are days on which the market trades although weekday and holidays say otherwise (a market's own
    decision).
    """

    holidays: tuple[int, ...] = ()
    workdays: tuple[int, ...] = ()
    opened: tuple[int, ...] = ()
    version: int = 1
    _closed: tuple[int, ...] = field(init=False, repr=False)
    _extra: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        holidays, opened = set(self.holidays), set(self.opened)
        object.__setattr__(self, "_closed", tuple(d for d in self.holidays if is_weekday(d) and d not in opened))
        extra = (d for d in self.opened if not is_weekday(d))
        object.__setattr__(self, "_extra", tuple(extra))
        if holidays & set(self.workdays):
            raise ValueError("a day is a holiday and a working day")

    def trades(self, day: int) -> bool:
        """Whether the market trades on ``day``."""
        return self.trading_days(day - 1, day) == 1

    def works(self, day: int) -> bool:
        """Whether ``day`` is a working day of the State Council's calendar."""
        return day in self.workdays or (is_weekday(day) and day not in self.holidays)

    def trading_days(self, after: int, until: int) -> int:
        """How many trading days lie in ``after`` < day <= ``until``."""
        weekdays = _weekdays_up_to(until) - _weekdays_up_to(after)
        closed = bisect_right(self._closed, until) - bisect_right(self._closed, after)
        return weekdays - closed + bisect_right(self._extra, until) - bisect_right(self._extra, after)

    def back(self, day: int, count: int) -> int:
        """The latest day after which at least ``count`` trading days up to and with ``day`` lie; -1 before day 0."""
        found = 0
        while found < count and day >= 0:
            if self.trades(day):
                found += 1
            day -= 1
        return day

    def encode(self) -> bytes:
        """The state value."""
        return encode_value(
            {
                "version": self.version,
                "holidays": self.holidays,
                "workdays": self.workdays,
                "opened": self.opened,
            }
        )


def wrong_days(lists: Mapping[str, Sequence[Value]]) -> str | None:
    """The first of ``holidays``, ``workdays``, ``opened`` that is no such list of day numbers; None when all are."""
    for name in ("holidays", "workdays", "opened"):
        days = lists[name]
        if len(days) > MAX_LISTED_DAYS or not all(type(d) is int and 0 <= d <= MAX_DAY for d in days):
            return name
        if not ascending(days):
            return name
    holidays = set(lists["holidays"])
    if any(day in holidays or is_weekday(day) for day in lists["workdays"] if isinstance(day, int)):
        return "workdays"
    return None


def decode_calendar(raw: bytes) -> TradingCalendar:
    """The reverse of ``TradingCalendar.encode``."""
    row = decode_map(raw, "calendar")

    def days(name: str) -> tuple[int, ...]:
        listed = row[name]
        assert isinstance(listed, list)
        return tuple(listed)

    version = row["version"]
    assert isinstance(version, int)
    return TradingCalendar(days("holidays"), days("workdays"), days("opened"), version)
