"""The two functions that make and end shares of a registered security, beside initial registration
(docs/spec/kernel.md §3.7). Both are judged by the guards before their first write, as movements are.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel import counting, orders
from contracts.kernel.lots import fall_with
from contracts.kernel.movements import join, leave, open_register, read_security
from contracts.kernel.moves import Intent, Move, MoveKind
from contracts.kernel.parties import require_active
from contracts.kernel.parts import read_holding
from contracts.kernel.records import (
    HOLDING,
    MAX_QUANTITY,
    NEVER,
    NOBODY,
    SECURITY,
    TRADE_DAYS,
    Flag,
    TradeDays,
    decode_trade_days,
    encode_holding,
    encode_security,
    encode_trade_days,
)
from contracts.kernel.roll import Roll


def enter(space: Namespace, ctx: CallContext, kind: MoveKind, security: bytes, account: bytes, quantity: int) -> None:
    """New shares to a holder or a newcomer. ``ISSUE`` counts as his purchase. Emits ``shares_entered``."""
    now = today(space, ctx)
    record = open_register(space, ctx, security, now.day)
    require_active(ctx, account)
    if record.total + quantity > MAX_QUANTITY:
        ctx.refuse("kernel.too_much", quantity)
    holding = read_holding(space, security, account)
    before = after = 0
    if not holding.total:
        before, after = counting.foresee(space, security, record, account, None)
    days = decode_trade_days(space.get(TRADE_DAYS + security + account))
    intent = Intent(kind, security, record, NOBODY, account, quantity, before, after, NEVER, days)
    judged = guards.judge(space, ctx, now, intent)
    if not holding.total:
        roll = Roll(space, security)
        holding = holding._replace(slot=join(space, ctx, security, record, account, roll))
        roll.save()
        record = read_security(space, ctx, security)
    space.put(HOLDING + security + account, encode_holding(holding._replace(available=holding.available + quantity)))
    grown = record._replace(declared=record.declared + quantity, total=record.total + quantity)
    space.put(SECURITY + security, encode_security(grown))
    if kind is MoveKind.ISSUE and days.bought != now.day:
        space.put(TRADE_DAYS + security + account, encode_trade_days(TradeDays(now.day, days.sold)))
    ctx.record_move(Move(kind, security, NOBODY, account, quantity, judged))
    ctx.emit("shares_entered", security=security, account=account, quantity=quantity, kind=int(kind))


def end(
    space: Namespace,
    ctx: CallContext,
    kind: MoveKind,
    security: bytes,
    account: bytes,
    quantity: int,
    *,
    held: bool = False,
) -> None:
    """Shares of a holder cease to exist: available ones, or with ``held`` those of a hold which the caller has deleted.
    Lots over them cease with them. Emits ``shares_ended``.
    """
    now = today(space, ctx)
    record = open_register(space, ctx, security, now.day)
    days = decode_trade_days(space.get(TRADE_DAYS + security + account))
    intent = Intent(kind, security, record, account, NOBODY, quantity, 0, 0, days, NEVER)
    judged = guards.judge(space, ctx, now, intent)
    if not held and read_holding(space, security, account).available < quantity:
        orders.refresh(space, ctx, security, account)
    holding = read_holding(space, security, account)
    if held:
        left = holding._replace(frozen=holding.frozen - quantity)
    else:
        guards.refuse_encumbered(ctx, security, account, holding, quantity)
        left = holding._replace(available=holding.available - quantity)
    if record.flags & Flag.LOTS:
        fall_with(space, security, account, quantity, holding.total, now.day)
    if left.total:
        space.put(HOLDING + security + account, encode_holding(left))
    else:
        roll = Roll(space, security)
        leave(space, security, record, account, holding.slot, roll)
        roll.save()
    shrunk = record._replace(declared=record.declared - quantity, total=record.total - quantity)
    space.put(SECURITY + security, encode_security(shrunk))
    ctx.record_move(Move(kind, security, account, NOBODY, quantity, judged))
    ctx.emit("shares_ended", security=security, account=account, quantity=quantity, kind=int(kind))
