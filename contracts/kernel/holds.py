"""Holds: shares or money bound for one counterparty, price and time under the owner's own signature
(docs/spec/kernel.md §3.4).

``controller`` is the template instance that made a hold, NOBODY for the kernel's own methods: another one cannot
touch it.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel.acceptance import refuse_unaccepted
from contracts.kernel.cash import bind_cash, free_cash, pay_held
from contracts.kernel.movements import bind, free, live_security, move
from contracts.kernel.moves import MoveKind
from contracts.kernel.parties import require_active
from contracts.kernel.records import (
    HOLD,
    NOBODY,
    RESOLUTION,
    Hold,
    HoldKind,
    decode_hold,
    decode_resolution,
    encode_hold,
    encode_resolution,
)

MAX_HOLD_MS = 366 * 86_400_000
"""No hold outlives a year: nobody's shares are bound for ever by a forgotten order."""


def read_hold(space: Namespace, ctx: CallContext, hold_id: bytes) -> Hold:
    """The hold; refuses with kernel.unknown_hold."""
    raw = space.get(HOLD + hold_id)
    if raw is None:
        ctx.refuse("kernel.unknown_hold", hold_id)
    return decode_hold(raw)


def hold_shares(
    space: Namespace,
    ctx: CallContext,
    owner: bytes,
    reference: str,
    security: bytes,
    quantity: int,
    counterparty: bytes,
    price_fen: int,
    expires_ms: int,
    controller: bytes = NOBODY,
) -> bytes:
    """Binds available shares for ``counterparty`` at ``price_fen`` for the whole; the hold's id. Emits ``held``."""
    if live_security(space, ctx, security).frozen:
        ctx.refuse("csrc.frozen_security", security)
    if counterparty == owner:
        ctx.refuse("kernel.same_party", owner)
    require_active(ctx, counterparty)
    hold = Hold(HoldKind.SHARES, owner, counterparty, security, NOBODY, controller, quantity, price_fen, expires_ms)
    hold_id = new_hold(space, ctx, hold, reference)
    bind(space, ctx, security, owner, quantity)
    return hold_id


def hold_cash(
    space: Namespace,
    ctx: CallContext,
    owner: bytes,
    reference: str,
    against: bytes,
    amount_fen: int,
    expires_ms: int,
    controller: bytes = NOBODY,
) -> bytes:
    """Binds available money for the shares that ``against`` holds for ``owner``; the hold's id. Emits ``held``."""
    shares = read_hold(space, ctx, against)
    if shares.kind == HoldKind.CASH or shares.counterparty != owner or shares.controller != controller:
        ctx.refuse("kernel.not_for_you", against, owner)
    if shares.price_fen != amount_fen:
        ctx.refuse("kernel.wrong_price", shares.price_fen, amount_fen)
    hold = Hold(
        HoldKind.CASH, owner, shares.owner, shares.security, against, controller, amount_fen, amount_fen, expires_ms
    )
    hold_id = new_hold(space, ctx, hold, reference)
    bind_cash(space, ctx, owner, amount_fen)
    return hold_id


def new_hold(space: Namespace, ctx: CallContext, hold: Hold, reference: str) -> bytes:
    """Checks what all holds have in common, stores the hold and returns its id."""
    if hold.owner != ctx.principal and hold.owner not in ctx.cosigners:
        ctx.refuse("kernel.owner_signs", hold.owner)
    guards.refuse_frozen_party(space, ctx, hold.owner)
    now = ctx.block.time_ms
    if not now < hold.expires_ms <= now + MAX_HOLD_MS:
        ctx.refuse("kernel.bad_expiry", hold.expires_ms, now, now + MAX_HOLD_MS)
    hold_id = ctx.new_id("hold", hold.owner, reference, lambda known: space.get(HOLD + known), "kernel.hold_exists")
    space.put(HOLD + hold_id, encode_hold(hold))
    ctx.emit(
        "held",
        hold=hold_id,
        kind=int(hold.kind),
        owner=hold.owner,
        counterparty=hold.counterparty,
        security=hold.security,
        quantity=hold.quantity,
        price_fen=hold.price_fen,
    )
    return hold_id


def release(space: Namespace, ctx: CallContext, hold_id: bytes, controller: bytes = NOBODY) -> None:
    """Frees what a hold bound. Without a controller: by its owner, or by anybody once it expired."""
    hold = controlled_hold(space, ctx, hold_id, controller)
    if controller == NOBODY and hold.owner != ctx.principal and ctx.block.time_ms <= hold.expires_ms:
        ctx.refuse("kernel.owner_signs", hold.owner)
    _release(space, ctx, hold_id, hold)


def release_in_action(space: Namespace, ctx: CallContext, hold_id: bytes) -> None:
    """Whoever made it, frees a hold of shares whose register is closed for a corporate action, and a hold of cash whose
    shares are held no more. Refuses with kernel.no_action.
    """
    hold = read_hold(space, ctx, hold_id)
    if hold.kind == HoldKind.CASH:
        stands = space.get(HOLD + hold.against) is not None
    else:
        closed_from = live_security(space, ctx, hold.security).closed_from
        stands = not 0 < closed_from <= today(space, ctx).day
    if stands:
        ctx.refuse("kernel.no_action", hold_id)
    _release(space, ctx, hold_id, hold)


def _release(space: Namespace, ctx: CallContext, hold_id: bytes, hold: Hold) -> None:
    space.delete(HOLD + hold_id)
    if hold.kind == HoldKind.OFFER:
        _note_release(space, hold)
    elif hold.kind == HoldKind.SHARES:
        free(space, ctx, hold.security, hold.owner, hold.quantity)
    else:
        free_cash(space, hold.owner, hold.quantity)
    ctx.emit("released", hold=hold_id)


def _note_release(space: Namespace, promised: Hold) -> None:
    """An offer that is released counts against its resolution no more."""
    key = RESOLUTION + promised.against
    resolution = decode_resolution(space.get(key) or b"")
    space.put(key, encode_resolution(resolution._replace(reserved=resolution.reserved - promised.quantity)))


def move_held(
    space: Namespace, ctx: CallContext, hold_id: bytes, payment_id: bytes = NOBODY, controller: bytes = NOBODY
) -> None:
    """Delivery versus payment: held shares to their counterparty and held money to the owner, both or nothing.

    ``payment_id`` is a hold of cash made against exactly these shares, NOBODY when the price is 0. Emits
    ``settled``, ``paid`` and ``transferred``.
    """
    shares = controlled_hold(space, ctx, hold_id, controller)
    if shares.kind != HoldKind.SHARES:
        ctx.refuse("kernel.not_shares", hold_id)
    pay_for(space, ctx, hold_id, shares, payment_id, controller)
    if payment_id == NOBODY:
        refuse_unaccepted(space, ctx, shares.counterparty)  # no payment of his shows that he wants them
    space.delete(HOLD + hold_id)
    move(space, ctx, MoveKind.TRADE, shares.security, shares.owner, shares.counterparty, shares.quantity, held=True)


def pay_for(
    space: Namespace, ctx: CallContext, hold_id: bytes, shares: Hold, payment_id: bytes, controller: bytes
) -> None:
    """Pays what ``shares`` asks for out of the hold of cash made against exactly it. Refuses with kernel.hold_expired,
    kernel.payment_missing, kernel.payment_differs. Emits ``settled`` and ``paid``.
    """
    refuse_expired(ctx, hold_id, shares)
    ctx.emit("settled", hold=hold_id, payment=payment_id)  # what followers of events free before they move it
    if payment_id == NOBODY:
        if shares.price_fen:
            ctx.refuse("kernel.payment_missing", hold_id, shares.price_fen)
        return
    payment = controlled_hold(space, ctx, payment_id, controller)
    fits = (
        payment.kind == HoldKind.CASH
        and payment.against == hold_id
        and payment.owner == shares.counterparty
        and payment.counterparty == shares.owner
        and payment.quantity == shares.price_fen
    )
    if not fits:
        ctx.refuse("kernel.payment_differs", hold_id, payment_id)
    refuse_expired(ctx, payment_id, payment)
    space.delete(HOLD + payment_id)
    pay_held(space, ctx, payment.owner, payment.counterparty, payment.quantity)


def controlled_hold(space: Namespace, ctx: CallContext, hold_id: bytes, controller: bytes) -> Hold:
    """A hold of this controller's; refuses with kernel.other_controller."""
    hold = read_hold(space, ctx, hold_id)
    if hold.controller != controller:
        ctx.refuse("kernel.other_controller", hold_id)
    return hold


def refuse_expired(ctx: CallContext, hold_id: bytes, hold: Hold) -> None:
    """Refuses with kernel.hold_expired."""
    if ctx.block.time_ms > hold.expires_ms:
        ctx.refuse("kernel.hold_expired", hold_id, hold.expires_ms)
