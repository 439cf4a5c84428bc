"""The only functions that change holdings: movements between holders, binding and freeing, registration
(docs/spec/kernel.md §4, §8).

``space`` is the kernel's namespace, ``ctx`` the running call, of whatever contract. Callers have checked who may ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chain_core.execution.account_records import ACTIVE, CLOSED
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel.moves import Intent, Move, MoveKind
from contracts.kernel.records import (
    HOLDING,
    NOBODY,
    SECURITY,
    TRADE_DAYS,
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
)
from contracts.kernel.roll import Roll, holder_count

NO_HOLDING = Holding(0, 0, 0, 0)


def read_holding(space: Namespace, security: bytes, account: bytes) -> Holding:
    """The holding; nothing is all zeros."""
    raw = space.get(HOLDING + security + account)
    return NO_HOLDING if raw is None else decode_holding(raw)


def read_security(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    """The security's record; refuses with kernel.unknown_security."""
    raw = space.get(SECURITY + security)
    if raw is None:
        ctx.refuse("kernel.unknown_security", security)
    return decode_security(raw)


def live_security(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    """The record of a security whose registration is complete; refuses with kernel.not_live."""
    record = read_security(space, ctx, security)
    if record.status != Status.LIVE:
        ctx.refuse("kernel.not_live", security)
    return record


def require_active(ctx: CallContext, account: bytes) -> None:
    """Refuses with kernel.unknown_party unless the account is registered and active."""
    record = ctx.record_of(account)
    if record is None or record.status != ACTIVE:
        ctx.refuse("kernel.unknown_party", account)


class _Prepared(NamedTuple):
    """A movement that every guard has passed, before the first write."""

    giving: Holding
    taking: Holding
    leaves: bool
    joins: bool
    judged: tuple[str, ...]


def _prepare(
    space: Namespace, ctx: CallContext, kind: MoveKind, security: bytes, source: bytes, target: bytes, quantity: int
) -> _Prepared:
    """Reads both holdings and has the movement judged."""
    record = live_security(space, ctx, security)
    if source == target:
        ctx.refuse("kernel.same_party", source)
    require_active(ctx, target)
    raw_source, raw_target = space.get(HOLDING + security + source), space.get(HOLDING + security + target)
    giving = NO_HOLDING if raw_source is None else decode_holding(raw_source)
    taking = NO_HOLDING if raw_target is None else decode_holding(raw_target)
    leaves, joins = giving.total == quantity, raw_target is None
    before = holder_count(space, security) if joins and not leaves else 0
    after = before + 1 if joins and not leaves else before
    judged = guards.judge(space, ctx, Intent(kind, security, record, source, target, quantity, before, after))
    return _Prepared(giving, taking, leaves, joins, judged)


def foresee_trade(
    space: Namespace, ctx: CallContext, security: bytes, seller: bytes, buyer: bytes, quantity: int
) -> None:
    """Refuses as a trade would now, and changes nothing; whether the seller has the shares is not asked."""
    _prepare(space, ctx, MoveKind.TRADE, security, seller, buyer, quantity)


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
) -> None:
    """Moves shares between holders; ``held`` takes them from what a hold bound, which the caller has deleted.

    Judged by the guards before the first write. Emits ``transferred``.
    """
    giving, taking, leaves, joins, judged = _prepare(space, ctx, kind, security, source, target, quantity)
    if held:
        giving = giving._replace(frozen=giving.frozen - quantity)
    else:
        guards.refuse_encumbered(ctx, security, source, giving, quantity)
        giving = giving._replace(available=giving.available - quantity)
    taking = taking._replace(available=taking.available + quantity)
    if leaves or joins:
        _change_roll(space, security, source, target, giving, taking, leaves=leaves, joins=joins)
    else:
        space.put(HOLDING + security + source, encode_holding(giving))
        space.put(HOLDING + security + target, encode_holding(taking))
    if kind is MoveKind.TRADE:
        guards.note_trade(space, today(space, ctx), security, source, target)
    ctx.record_move(Move(kind, security, source, target, quantity, judged))
    ctx.emit("transferred", security=security, source=source, target=target, quantity=quantity, kind=int(kind))


def _change_roll(
    space: Namespace,
    security: bytes,
    source: bytes,
    target: bytes,
    giving: Holding,
    taking: Holding,
    *,
    leaves: bool,
    joins: bool,
) -> None:
    """Writes both holdings and the register where somebody joins or leaves it."""
    roll = Roll(space, security)
    if joins:
        taking = taking._replace(slot=roll.append(target))
    space.put(HOLDING + security + target, encode_holding(taking))
    if leaves:
        _leave(space, security, source, giving.slot, roll)
    else:
        space.put(HOLDING + security + source, encode_holding(giving))
    roll.save()


def _leave(space: Namespace, security: bytes, account: bytes, slot: int, roll: Roll) -> None:
    """Takes a holder out; whoever is moved to his place learns his new slot."""
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
    guards.refuse_encumbered(ctx, security, owner, holding, quantity)
    available = holding.available - quantity
    if pledge:
        holding = holding._replace(available=available, pledged=holding.pledged + quantity)
    else:
        holding = holding._replace(available=available, frozen=holding.frozen + quantity)
    space.put(HOLDING + security + owner, encode_holding(holding))


def free(space: Namespace, security: bytes, owner: bytes, quantity: int, *, pledge: bool = False) -> None:
    """The reverse of ``bind``; the caller has deleted the record that bound them."""
    holding = read_holding(space, security, owner)
    available = holding.available + quantity
    if pledge:
        holding = holding._replace(available=available, pledged=holding.pledged - quantity)
    else:
        holding = holding._replace(available=available, frozen=holding.frozen - quantity)
    space.put(HOLDING + security + owner, encode_holding(holding))


def register(space: Namespace, ctx: CallContext, security: bytes, rows: Sequence[tuple[bytes, int, int]]) -> None:
    """Initial registration: (account, quantity, day of the last buy or 0) each, while the security is registering.

    Emits ``holdings_registered``.
    """
    record = _registering(space, ctx, security)
    roll = Roll(space, security)
    before, total, day = roll.count, record.total, today(space, ctx).day
    judged: tuple[str, ...] = ()
    for account, quantity, acquired in rows:
        party = ctx.record_of(account)
        if party is None or party.status == CLOSED:
            ctx.refuse("kernel.unknown_party", account)
        if space.get(HOLDING + security + account) is not None:
            ctx.refuse("kernel.registered", account, security)
        if acquired > day:
            ctx.refuse("kernel.future_day", acquired, day)
        total += quantity
        intent = Intent(MoveKind.REGISTRATION, security, record, NOBODY, account, quantity, before, roll.count + 1)
        judged = guards.judge(space, ctx, intent)
        space.put(HOLDING + security + account, encode_holding(Holding(quantity, 0, 0, roll.append(account))))
        days = decode_trade_days(space.get(TRADE_DAYS + security + account))
        if acquired > days.bought:
            space.put(TRADE_DAYS + security + account, encode_trade_days(TradeDays(acquired, days.sold)))
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
        _leave(space, security, account, holding.slot, roll)
        space.delete(TRADE_DAYS + security + account)
    roll.save()
    space.put(SECURITY + security, encode_security(record._replace(total=total)))
    ctx.emit("holdings_unregistered", security=security, accounts=list(accounts))


def _registering(space: Namespace, ctx: CallContext, security: bytes) -> Security:
    record = read_security(space, ctx, security)
    if record.status != Status.REGISTERING:
        ctx.refuse("kernel.not_registering", security)
    return record
