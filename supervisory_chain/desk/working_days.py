"""Working days by the State Council's calendar, which two officers set (docs/spec/desk.md §3; guideline art. 14)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Integer, Kind, ListOf
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from contracts.kernel.calendar import MAX_DAY, MAX_LISTED_DAYS, TradingCalendar, day_of, decode_calendar, wrong_days
from supervisory_chain.desk.records import DESK

_DAYS = ListOf(Integer(1, MAX_DAY), MAX_LISTED_DAYS)
CALENDAR_ARGUMENTS: Mapping[str, Kind] = {"holidays": _DAYS, "workdays": _DAYS}
CALENDAR_RULES: Mapping[str, RuleText] = {
    "desk.bad_days": RuleText("日历有误：{0}", "the calendar's days are wrong: {0}"),
}


def calendar_key() -> bytes:
    """Full state key of the calendar in force."""
    return state_key(DESK, b"k")


def proposed_calendar_key() -> bytes:
    """Full state key of the calendar that waits for its second officer."""
    return state_key(DESK, b"j")


def calendar(raw: bytes | None) -> TradingCalendar:
    """The State Council's days as far as they were set; else Monday to Friday."""
    return TradingCalendar() if raw is None else decode_calendar(raw)


def working_days(days: TradingCalendar, after: int, until: int) -> int:
    """How many working days lie in ``after`` < day <= ``until``: make-up weekends count, holidays do not."""
    made_up = sum(1 for day in days.workdays if after < day <= until)
    return (days.trading_days(after, until) if after < until else 0) + made_up


def set_calendar(ctx: CallContext, args: Arguments) -> None:
    """The first account proposes the lists, another one that names the same confirms them; the past stays."""
    lists: dict[str, Sequence[int]] = {name: cast(Sequence[int], args[name]) for name in ("holidays", "workdays")}
    wrong = wrong_days({**lists, "opened": ()})
    if wrong is not None:
        _refuse_days(ctx, wrong)
    today, old = day_of(ctx.block.time_ms), calendar(ctx.get(b"k"))
    for name, before in (("holidays", old.holidays), ("workdays", old.workdays)):
        if [day for day in before if day <= today] != [day for day in lists[name] if day <= today]:
            _refuse_days(ctx, f"{name} up to {today}")
    proposed = encode_value({name: list(days) for name, days in lists.items()})
    raw = ctx.get(b"j")
    known = {} if raw is None else decode_map(raw, "proposed calendar")
    if known.get("lists") != proposed or known.get("by") == ctx.account:
        ctx.put(b"j", encode_value({"lists": proposed, "by": ctx.account}))
        ctx.emit("calendar_proposed")
        return
    version = old.version + 1 if ctx.get(b"k") is not None else 1
    made = TradingCalendar(tuple(lists["holidays"]), tuple(lists["workdays"]), (), version)
    ctx.put(b"k", made.encode())
    ctx.delete(b"j")
    ctx.emit("calendar_set", version=version)


def _refuse_days(ctx: CallContext, what: str) -> NoReturn:
    ctx.refuse("desk.bad_days", what)
