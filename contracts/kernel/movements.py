"""The only functions that change holdings: movements between holders, binding and freeing, registration
(docs/spec/kernel.md §4, §8).

``space`` is the kernel's namespace, ``ctx`` the running call, of whatever contract. Callers have checked who may ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.execution.account_records import CLOSED
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel import counting, orders
from contracts.kernel.lots import Lot, move_along, trim
from contracts.kernel.moves import Intent, Move, MoveKind
from contracts.kernel.parties import require_active
from contracts.kernel.parts import NO_HOLDING, read_holding, shift
from contracts.kernel.records import (
    HOLDING,
    LOTS,
    NEVER,
    NOBODY,
    SECURITY,
    TRADE_DAYS,
    Flag,
    Holding,
    Security,
    Status,
    TradeDays,
    decode_holding,
    decode_security,
    decode_trade_days,
    encode_holding,
    encode_security,
    encode_trade_days,
    pack_holding,
    unpack_holding,
)
from contracts.kernel.roll import MAX_LISTED, Held, Roll

_LIVE, _LOTS, _ORDERS = int(Status.LIVE), int(Flag.LOTS), int(Flag.ORDERS)


def read_security(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    """The security's record; refuses with kernel.unknown_security."""
    raw = space.get(SECURITY + security)
    if raw is None:
        ctx.refuse("kernel.unknown_security", security)
    return decode_security(raw)


def live_security(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    """The record of a security that is registered, traded or not; refuses with kernel.not_live."""
    record = read_security(space, ctx, security)
    if record.status not in (Status.LIVE, Status.SUSPENDED, Status.DELISTED):
        ctx.refuse("kernel.not_live", security)
    return record


def open_register(space: Namespace, ctx: CallContext, security: bytes, day: int, *, trade: bool = False) -> Security:
    """The record of a security whose register may change on ``day``. Refuses with kernel.not_live,
    kernel.register_closed while a corporate action runs, and csrc.security_status a trade of what is not traded.
    """
    record = live_security(space, ctx, security)
    if record.closed_from and day >= record.closed_from:
        ctx.refuse("kernel.register_closed", security, record.closed_from)
    if trade and record.status != Status.LIVE:
        ctx.refuse("csrc.security_status", security, int(record.status))
    return record


def _intend(
    space: Namespace,
    ctx: CallContext,
    kind: MoveKind,
    security: bytes,
    source: bytes,
    target: bytes,
    quantity: int,
    day: int,
) -> tuple[Intent, bytes | None, bytes | None]:
    """The movement with the facts its guards ask for, and both holdings as stored."""
    get = space.get
    raw = get(SECURITY + security)
    record = None if raw is None else decode_security(raw)
    if record is None or record.status != _LIVE or record.closed_from:
        record = open_register(space, ctx, security, day, trade=kind is MoveKind.TRADE)
    if source == target:
        ctx.refuse("kernel.same_party", source)
    require_active(ctx, target)
    of_source, of_target = security + source, security + target
    raw_source, raw_target = get(HOLDING + of_source), get(HOLDING + of_target)
    before = after = 0
    if raw_target is None:
        leaves = raw_source is not None and decode_holding(raw_source).total == quantity
        before, after = counting.foresee(space, security, record, target, source if leaves else None)
    source_days = decode_trade_days(get(TRADE_DAYS + of_source))
    target_days = decode_trade_days(get(TRADE_DAYS + of_target))
    intent = Intent(kind, security, record, source, target, quantity, before, after, source_days, target_days)
    return intent, raw_source, raw_target


def foresee_trade(
    space: Namespace, ctx: CallContext, security: bytes, seller: bytes, buyer: bytes, quantity: int
) -> None:
    """Refuses as a trade would now, and changes nothing; whether the seller has the shares is not asked."""
    now = today(space, ctx)
    intent, _, _ = _intend(space, ctx, MoveKind.TRADE, security, seller, buyer, quantity, now.day)
    guards.judge(space, ctx, now, intent)


def move(
    space: Namespace,
    ctx: CallContext,
    kind: MoveKind,
    security: bytes,
    source: bytes,
    target: bytes,
    quantity: int,
    *,
    held: bool = False,
    pledged_part: bool = False,
    lots: Sequence[Lot] | None = None,
) -> None:
    """Moves shares between holders; ``held`` takes them from what a hold or an order bound, ``pledged_part`` from what
    a pledge did, whose record the caller has deleted. ``lots`` names the lock-up lots that go along with a non-trade
    transfer; without it they go in proportion.

    Judged by the guards before the first write. Emits ``transferred``.
    """
    now = today(space, ctx)
    intent, raw_source, raw_target = _intend(space, ctx, kind, security, source, target, quantity, now.day)
    judged = guards.judge(space, ctx, now, intent)
    available, pledged, frozen, slot = unpack_holding(raw_source) if raw_source is not None else NO_HOLDING
    before = available + pledged + frozen
    if held:
        frozen -= quantity
    elif pledged_part:
        pledged -= quantity
    else:
        if available < quantity and intent.record.flags & _ORDERS:  # an order that expired may hold them
            orders.settle_queue(space, ctx, security, source)
            available, pledged, frozen, slot = read_holding(space, security, source)
        if available < quantity:
            guards.refuse_encumbered(ctx, security, source, Holding(available, pledged, frozen, slot), quantity)
        available -= quantity
    if raw_target is not None and (available or pledged or frozen):
        more, its_pledged, its_frozen, its_slot = unpack_holding(raw_target)
        space.put(HOLDING + security + source, pack_holding(available, pledged, frozen, slot))
        space.put(HOLDING + security + target, pack_holding(more + quantity, its_pledged, its_frozen, its_slot))
    else:
        taking = None if raw_target is None else decode_holding(raw_target)
        _change_lists(space, ctx, intent, Holding(available, pledged, frozen, slot), taking)
    if kind is MoveKind.TRADE:
        guards.note_trade(space, now, intent)
    if intent.record.flags & _LOTS:
        if kind is MoveKind.TRADE:
            trim(space, security, source, now.day)
        else:
            move_along(space, ctx, security, source, target, quantity, before, now.day, lots)
    ctx.record_move(Move(kind, security, source, target, quantity, judged))
    ctx.emit("transferred", security=security, source=source, target=target, quantity=quantity, kind=int(kind))


def _change_lists(space: Namespace, ctx: CallContext, intent: Intent, left: Holding, taking: Holding | None) -> None:
    """Writes both holdings, the register that somebody joins or leaves, and his own list of holdings."""
    security, source, target = intent.security, intent.source, intent.target
    roll = Roll(space, security)
    if taking is None:
        taking = Holding(0, 0, 0, join(space, ctx, security, intent.record, target, roll))
    more = Holding(taking.available + intent.quantity, taking.pledged, taking.frozen, taking.slot)
    space.put(HOLDING + security + target, encode_holding(more))
    if left.total:
        space.put(HOLDING + security + source, encode_holding(left))
    else:
        leave(space, security, read_security(space, ctx, security), source, left.slot, roll)
    roll.save()


def join(space: Namespace, ctx: CallContext, security: bytes, record: Security, account: bytes, roll: Roll) -> int:
    """Enters a holder, and the security into his own list; his slot. Refuses with kernel.list_full."""
    held = Held(space, account)
    for owner, entries in ((security, roll.count), (account, held.count)):
        if entries >= MAX_LISTED:
            ctx.refuse("kernel.list_full", owner, MAX_LISTED)
    held.append(security)
    held.save()
    counting.note_join(space, security, record, account, roll.count)
    return roll.append(account)


def leave(space: Namespace, security: bytes, record: Security, account: bytes, slot: int, roll: Roll) -> None:
    """Takes a holder out, and the security out of his own list; whoever is moved to his place learns his new slot."""
    held = Held(space, account)
    held.drop(security)
    held.save()
    counting.note_leave(space, security, record, account)
    space.delete(HOLDING + security + account)
    moved = roll.remove(slot)
    if moved is not None:
        other = read_holding(space, security, moved)
        space.put(HOLDING + security + moved, encode_holding(other._replace(slot=slot)))


def bind(
    space: Namespace, ctx: CallContext, security: bytes, owner: bytes, quantity: int, *, pledge: bool = False
) -> None:
    """Takes shares out of what is available: into pledged, else into frozen."""
    holding = read_holding(space, security, owner)
    if holding.available < quantity:
        orders.refresh(space, ctx, security, owner)
        holding = read_holding(space, security, owner)
    guards.refuse_encumbered(ctx, security, owner, holding, quantity)
    available = holding.available - quantity
    if pledge:
        holding = holding._replace(available=available, pledged=holding.pledged + quantity)
    else:
        holding = holding._replace(available=available, frozen=holding.frozen + quantity)
    space.put(HOLDING + security + owner, encode_holding(holding))


def free(
    space: Namespace, ctx: CallContext, security: bytes, owner: bytes, quantity: int, *, pledge: bool = False
) -> None:
    """The reverse of ``bind``; the caller has deleted the record that bound them. A court's order that waits takes what
    it wants of them.
    """
    if pledge:
        shift(space, security, owner, pledged=-quantity)
    else:
        shift(space, security, owner, frozen=-quantity)
    orders.refresh(space, ctx, security, owner)


def register(space: Namespace, ctx: CallContext, security: bytes, rows: Sequence[tuple[bytes, int, int]]) -> None:
    """Initial registration: (account, quantity, day of the last buy or 0) each, while the security is registering.

    Emits ``holdings_registered``.
    """
    record = _registering(space, ctx, security)
    roll = Roll(space, security)
    now, total = today(space, ctx), record.total
    for account, quantity, acquired in rows:
        party = ctx.record_of(account)
        if party is None or party.status == CLOSED:
            ctx.refuse("kernel.unknown_party", account)
        if space.get(HOLDING + security + account) is not None:
            ctx.refuse("kernel.registered", account, security)
        if acquired > now.day:
            ctx.refuse("kernel.future_day", acquired, now.day)
        total += quantity
        key = TRADE_DAYS + security + account
        days = decode_trade_days(space.get(key))
        before, after = counting.foresee(space, security, record, account, None)
        if not counting.is_counted(record):
            before, after = roll.count, roll.count + after - before
        intent = Intent(MoveKind.REGISTRATION, security, record, NOBODY, account, quantity, before, after, NEVER, days)
        judged = guards.judge(space, ctx, now, intent)
        slot = join(space, ctx, security, record, account, roll)
        record = read_security(space, ctx, security)
        space.put(HOLDING + security + account, encode_holding(Holding(quantity, 0, 0, slot)))
        if acquired > days.bought:
            space.put(key, encode_trade_days(TradeDays(acquired, days.sold)))
        ctx.record_move(Move(MoveKind.REGISTRATION, security, NOBODY, account, quantity, judged))
    if total > record.declared:
        ctx.refuse("kernel.above_declared", security, total, record.declared)
    roll.save()
    space.put(SECURITY + security, encode_security(record._replace(total=total)))
    ctx.emit("holdings_registered", security=security, rows=[[account, quantity] for account, quantity, _ in rows])


def unregister(space: Namespace, ctx: CallContext, security: bytes, accounts: Sequence[bytes]) -> None:
    """Takes rows of an initial registration back while the security is registering. Emits ``holdings_unregistered``."""
    record = _registering(space, ctx, security)
    roll = Roll(space, security)
    total = record.total
    for account in accounts:
        holding = read_holding(space, security, account)
        if holding.available == 0 or holding.available != holding.total:
            ctx.refuse("kernel.not_registered", account, security)
        total -= holding.total
        leave(space, security, record, account, holding.slot, roll)
        space.delete(TRADE_DAYS + security + account)
        space.delete(LOTS + security + account)
    roll.save()
    space.put(SECURITY + security, encode_security(record._replace(total=total)))
    ctx.emit("holdings_unregistered", security=security, accounts=list(accounts))


def _registering(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    record = read_security(space, ctx, security)
    if record.status != Status.REGISTERING:
        ctx.refuse("kernel.not_registering", security)
    return record
