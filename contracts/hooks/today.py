"""What the rules need to know of the block's day, computed once a block (docs/spec/kernel.md §4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks.rules import HOLDER_CAP, RULE_PARAMETERS, RULES, TRADE_GAP_DAYS, effective_days
from contracts.kernel.calendar import TradingCalendar, day_of, decode_calendar
from contracts.kernel.moves import MoveKind
from contracts.kernel.records import CALENDAR
from contracts.kernel.records import RULES as RULES_KEY


class Today(NamedTuple):
    """The UTC+8 day of block time. ``gap_limit``: the latest day that lies ``gap`` trading days back or more.

    ``rules`` are those in force, by the kind of movement they judge.
    """

    day: int
    trading: bool
    gap: int
    gap_limit: int
    cap: int
    calendar: TradingCalendar
    rules: Mapping[MoveKind, tuple[str, ...]]


class _Cache:
    """The last answer, with all that it came from. A block's view of state gives the same objects every time."""

    __slots__ = ("_calendar", "_parameters", "_rules", "_time_ms", "_today")

    def __init__(self) -> None:
        self._calendar: bytes | None = None
        self._rules: bytes | None = None
        self._parameters: Mapping[str, int] | None = None
        self._time_ms = -1
        self._today: Today | None = None

    def today(self, space: Namespace, ctx: CallContext) -> Today:
        calendar, rules, parameters, time_ms = (
            space.get(CALENDAR),
            space.get(RULES_KEY),
            ctx.parameters,
            ctx.block.time_ms,
        )
        known = self._today
        if (
            known is not None
            and calendar is self._calendar
            and rules is self._rules
            and parameters is self._parameters
            and time_ms == self._time_ms
        ):
            return known
        found = self._today = _compute(calendar, rules, parameters, day_of(time_ms))
        self._calendar, self._rules, self._parameters, self._time_ms = calendar, rules, parameters, time_ms
        return found


def _compute(calendar_raw: bytes | None, rules_raw: bytes | None, parameters: Mapping[str, int], day: int) -> Today:
    calendar = TradingCalendar() if calendar_raw is None else decode_calendar(calendar_raw)
    begins = {} if rules_raw is None else effective_days(rules_raw)
    gap = parameters.get(TRADE_GAP_DAYS, RULE_PARAMETERS[TRADE_GAP_DAYS])
    in_force = [rule for rule in RULES if begins.get(rule.id, 0) <= day]
    return Today(
        day,
        calendar.trades(day),
        gap,
        calendar.back(day, gap),
        parameters.get(HOLDER_CAP, RULE_PARAMETERS[HOLDER_CAP]),
        calendar,
        {kind: tuple(rule.id for rule in in_force if kind in rule.judges) for kind in MoveKind},
    )


today = _Cache().today
"""The block's day. A function of calendar, rules, parameters and block time; only the last answer is remembered."""
