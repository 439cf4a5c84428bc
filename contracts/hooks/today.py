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

_MEMO = "market-rules.today"


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
    in_force: frozenset[str]

    def applies(self, rule: str) -> bool:
        """Whether the rule's first day has come."""
        return rule in self.in_force


class _Known(NamedTuple):
    """A day with the parameters it was computed from."""

    parameters: Mapping[str, int]
    today: Today


def today(space: Namespace, ctx: CallContext) -> Today:
    """The block's day, computed at the first question of a block and kept with it. ``space`` is the kernel's namespace.

    Nothing that a transaction can do changes it: a new calendar leaves all days up to today as they are, rules change
    between blocks. Parameters do so too, but for what is asked before a block's own are in force.
    """
    known = ctx.memo.get(_MEMO)
    if isinstance(known, _Known) and known.parameters is ctx.parameters:
        return known.today
    found = _compute(space.get(CALENDAR), space.get(RULES_KEY), ctx.parameters, day_of(ctx.block.time_ms))
    ctx.memo[_MEMO] = _Known(ctx.parameters, found)
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
        frozenset(rule.id for rule in in_force),
    )
