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

    ``rules`` are those in force for each kind of movement, at the kind's number.
    """

    day: int
    trading: bool
    gap: int
    gap_limit: int
    cap: int
    calendar: TradingCalendar
    rules: tuple[tuple[str, ...], ...]


class _Cache:
    """The block's day, computed at the first question of a block.

    Nothing that a transaction can do changes it: a new calendar leaves all days up to today as they are, rules and
    parameters change between blocks. One context object serves one block.
    """

    __slots__ = ("_ctx", "_parameters", "_today")

    def __init__(self) -> None:
        self._ctx: CallContext | None = None
        self._parameters: Mapping[str, int] | None = None
        self._today: Today | None = None

    def today(self, space: Namespace, ctx: CallContext) -> Today:
        if ctx is self._ctx and ctx.parameters is self._parameters and self._today is not None:
            return self._today
        found = _compute(space.get(CALENDAR), space.get(RULES_KEY), ctx.parameters, day_of(ctx.block.time_ms))
        self._ctx, self._parameters, self._today = ctx, ctx.parameters, found
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
        tuple(tuple(rule.id for rule in in_force if kind in rule.judges) for kind in range(len(MoveKind) + 1)),
    )


today = _Cache().today
"""The block's day. ``space`` is the kernel's namespace."""
