"""What one holder gets or loses by a corporate action, down to what binds his shares (docs/spec/kernel.md §3.9).

A bound quantity gets its own share of it, rounded down, and stays bound: a pledge's and an order's fruits are pledged
and frozen with it. What rounding leaves is available.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks.today import today
from contracts.kernel import orders
from contracts.kernel.cash import bind_cash, pay_held
from contracts.kernel.lots import fall_with, rescale
from contracts.kernel.movements import leave, read_security
from contracts.kernel.moves import Move, MoveKind
from contracts.kernel.parts import read_holding
from contracts.kernel.pledges import pledges_of, read_pledge, store_pledge
from contracts.kernel.records import HOLDING, HOLDING_FREEZE, NOBODY, ORDER, Flag, Holding, encode_holding
from contracts.kernel.roll import Roll


class Shared(NamedTuple):
    """What a holder gets: shares (negative: loses), money, and the rules that were judged."""

    account: bytes
    shares: int
    cash_fen: int
    judged: tuple[str, ...]


class Bound(NamedTuple):
    """One thing that binds shares of a holding: a pledge, an order, a directive (its place in the list)."""

    kind: str
    key: Any
    quantity: int
    shares: int
    cash_fen: int


def share_out(
    space: Namespace, ctx: CallContext, security: bytes, issuer: bytes, terms: Any, part: Shared
) -> tuple[int, int, int]:
    """Gives ``part`` to its holder, pays him out of the issuer's held money; how much of it stays bound: money, and
    by how much pledged and frozen changed.

    Refuses with kernel.held_in_action when open holds take what a reduction needs.
    """
    account = part.account
    if not part.shares and not part.cash_fen:
        return 0, 0, 0
    before = read_holding(space, security, account)
    bound = _bound(space, ctx, security, account, terms)
    if part.shares < 0:
        bound = _cover(ctx, security, before, part, bound)
    pledged = sum(item.shares for item in bound if item.kind == "pledge")
    frozen = sum(item.shares for item in bound if item.kind != "pledge")
    after = Holding(
        before.available + part.shares - pledged - frozen, before.pledged + pledged, before.frozen + frozen, before.slot
    )
    if part.cash_fen:
        pay_held(space, ctx, issuer, account, part.cash_fen)
    bound_fen = sum(item.cash_fen for item in bound)
    if bound_fen:
        bind_cash(space, ctx, account, bound_fen)
    flags = read_security(space, ctx, security).flags
    if part.shares < 0 and flags & Flag.LOTS:
        fall_with(space, security, account, -part.shares, before.total, today(space, ctx).day)
    _write(space, ctx, security, account, after)
    for item in bound:
        _grow(space, ctx, security, account, item)
    if part.shares > 0 and flags & Flag.LOTS:
        rescale(space, ctx, security, account, terms.base + terms.shares, terms.base, today(space, ctx).day)
    if part.shares:
        source, target = (NOBODY, account) if part.shares > 0 else (account, NOBODY)
        ctx.record_move(Move(MoveKind.ENTITLEMENT, security, source, target, abs(part.shares), part.judged))
    if flags & Flag.ORDERS:
        orders.settle_queue(space, ctx, security, account)
    return bound_fen, pledged, frozen


def _write(space: Namespace, ctx: CallContext, security: bytes, account: bytes, after: Holding) -> None:
    """The holding; whoever has nothing left leaves the register."""
    if after.total:
        space.put(HOLDING + security + account, encode_holding(after))
        return
    roll = Roll(space, security)
    leave(space, security, read_security(space, ctx, security), account, after.slot, roll)
    roll.save()


def _bound(space: Namespace, ctx: CallContext, security: bytes, account: bytes, terms: Any) -> list[Bound]:
    """Everything that binds, with its own part of shares and money."""
    sign = 1 if terms.grows else -1
    found: list[tuple[str, Any, int]] = []
    for pledge_id in pledges_of(space, security, account):
        found.append(("pledge", pledge_id, read_pledge(space, ctx, pledge_id).quantity))
    for order_id in orders.queue_of(space, security, account):
        found.append(("order", order_id, orders.decode_order(space.get(ORDER + order_id) or b"").held))
    for place, entry in enumerate(_directives(space, security, account)):
        found.append(("directive", place, entry[1]))
    return [
        Bound(
            kind, key, quantity, sign * (quantity * terms.shares // terms.base), quantity * terms.cash_fen // terms.base
        )
        for kind, key, quantity in found
        if quantity
    ]


def _cover(ctx: CallContext, security: bytes, before: Holding, part: Shared, bound: list[Bound]) -> list[Bound]:
    """A reduction takes what is available first for what rounding left; then one bound thing after the other."""
    missing = -part.shares + sum(item.shares for item in bound) - before.available
    covered = []
    for item in bound:
        more = min(max(missing, 0), item.quantity + item.shares)
        covered.append(item._replace(shares=item.shares - more))
        missing -= more
    if missing > 0:
        ctx.refuse("kernel.held_in_action", part.account, security, missing)
    return covered


def _directives(space: Namespace, security: bytes, account: bytes) -> list[Any]:
    raw = space.get(HOLDING_FREEZE + security + account)
    rows: Any = [] if raw is None else decode_value(raw, "freezes")
    return list(rows)


def _grow(space: Namespace, ctx: CallContext, security: bytes, account: bytes, item: Bound) -> None:
    if item.kind == "pledge":
        record = read_pledge(space, ctx, item.key)
        grown = record._replace(quantity=record.quantity + item.shares, fruit_fen=record.fruit_fen + item.cash_fen)
        store_pledge(space, item.key, grown)
    elif item.kind == "order":
        orders.add_fruits(space, item.key, item.shares, item.cash_fen)
    else:
        rows = _directives(space, security, account)
        name, quantity, *fruit = rows[item.key]
        fen = (fruit[0] if fruit else 0) + item.cash_fen
        rows[item.key] = [name, quantity + item.shares, fen] if fen else [name, quantity + item.shares]
        space.put(HOLDING_FREEZE + security + account, encode_value(rows))
