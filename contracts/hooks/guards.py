"""The guards: one function a rule. The kernel's only function that moves shares runs them before it writes, whoever
asked for the movement (docs/spec/kernel.md §4).

Every guard refuses with its rule's id and facts, or returns.
"""

from __future__ import annotations

from collections.abc import Callable

from chain_core.codec.values import decode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks.today import Today, today
from contracts.kernel.lots import locked, read_lots
from contracts.kernel.moves import Intent, MoveKind
from contracts.kernel.records import (
    HOLDING,
    PARTY_FREEZE,
    SUITABILITY,
    TRADE_DAYS,
    Flag,
    Holding,
    TradeDays,
    decode_holding,
    decode_suitability,
    encode_trade_days,
)

_LOTS = int(Flag.LOTS)

Guard = Callable[[Namespace, CallContext, Today, Intent], None]


def judge(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> tuple[str, ...]:
    """Runs every guard in force for this kind of movement; the rules that were checked."""
    rules = now.rules[intent.kind]
    for rule in rules:
        GUARDS[rule](space, ctx, now, intent)
    return rules


def rules_for(space: Namespace, ctx: CallContext, kind: MoveKind) -> tuple[str, ...]:
    """The rules in force for a kind of movement, for a caller that judges many of it at once.

    Of an entitlement: that the security is not frozen, which the caller asks, and that no holder is added.
    """
    return today(space, ctx).rules[kind]


def frozen_security(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """A frozen instrument does not move."""
    if intent.record.frozen:
        ctx.refuse("csrc.frozen_security", intent.security)


def frozen_party(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """A frozen party's shares do not move, in or out."""
    for party in (intent.source, intent.target):
        if space.get(PARTY_FREEZE + party) is not None:
            refuse_frozen_party(space, ctx, party)


def trading_day(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """Trades are made on trading days."""
    if not now.trading:
        ctx.refuse("csrc.trading_day", now.day)


def qualified_investor(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """The buyer's proof is valid on the day of the trade."""
    raw = space.get(SUITABILITY + intent.target)
    expires = 0 if raw is None else decode_suitability(raw).expires_day
    if expires < now.day:
        ctx.refuse("csrc.qualified_investor", intent.target, expires, now.day)


def trade_gap(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """The seller's last buy and the buyer's last sale lie far enough back, in trading days."""
    bought, sold = intent.source_days.bought, intent.target_days.sold
    if bought > now.gap_limit:
        _refuse_gap(ctx, now, intent.source, intent.security, bought)
    if sold > now.gap_limit:
        _refuse_gap(ctx, now, intent.target, intent.security, sold)


def _refuse_gap(ctx: CallContext, now: Today, party: bytes, security: bytes, last: int) -> None:
    if last and now.gap:
        ctx.refuse("csrc.trade_gap", party, security, last, now.calendar.trading_days(last, now.day), now.gap)


def holder_cap(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """The register does not grow above the cap; only the initial registration of a legacy register may."""
    after = intent.holders_after
    if after > intent.holders_before and after > now.cap:
        if intent.kind != MoveKind.REGISTRATION or not intent.record.legacy:
            ctx.refuse("csrc.holder_cap", intent.security, after, now.cap)


def lock_up(space: Namespace, ctx: CallContext, now: Today, intent: Intent) -> None:
    """A sale leaves what is locked that day. A register without lots costs nothing."""
    if intent.record.flags & _LOTS:
        bound = locked(read_lots(space, intent.security, intent.source), now.day)
        raw = space.get(HOLDING + intent.security + intent.source)
        left = (0 if raw is None else decode_holding(raw).total) - intent.quantity
        if bound > max(left, 0):
            ctx.refuse("csrc.lock_up", intent.source, intent.security, bound, max(left, 0))


GUARDS: dict[str, Guard] = {
    "csrc.frozen_security": frozen_security,
    "csrc.frozen_party": frozen_party,
    "csrc.trading_day": trading_day,
    "csrc.qualified_investor": qualified_investor,
    "csrc.trade_gap": trade_gap,
    "csrc.holder_cap": holder_cap,
    "csrc.lock_up": lock_up,
}
"""The guard of each rule that judges movements."""


def refuse_frozen_party(space: Namespace, ctx: CallContext, account: bytes) -> None:
    """Refuses with csrc.frozen_party and the directive that came first."""
    raw = space.get(PARTY_FREEZE + account)
    if raw is not None:
        directives = decode_value(raw, "party freezes")
        assert isinstance(directives, list)
        ctx.refuse("csrc.frozen_party", account, directives[0])


def refuse_encumbered(ctx: CallContext, security: bytes, owner: bytes, holding: Holding, wanted: int) -> None:
    """Refuses to use more than what is available: csrc.encumbered when the rest is bound, else kernel.insufficient."""
    if holding.available < wanted:
        if holding.total >= wanted:
            ctx.refuse("csrc.encumbered", owner, security, holding.available, holding.pledged, holding.frozen, wanted)
        ctx.refuse("kernel.insufficient", owner, security, holding.total, wanted)


def note_trade(space: Namespace, now: Today, intent: Intent) -> None:
    """Writes the day into both parties' last trade days, where it is not there yet."""
    day, seller, buyer = now.day, intent.source_days, intent.target_days
    if seller.sold != day:
        space.put(TRADE_DAYS + intent.security + intent.source, encode_trade_days(TradeDays(seller.bought, day)))
    if buyer.bought != day:
        space.put(TRADE_DAYS + intent.security + intent.target, encode_trade_days(TradeDays(day, buyer.sold)))
