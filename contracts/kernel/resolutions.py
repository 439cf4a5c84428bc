"""Resolutions of an issuer (决议): new shares, redemption, reduction and its recovery, conversion (docs/spec/kernel.md
§3.7).

A resolution names a security, a purpose, a limit and a last day; nothing is issued, redeemed or converted without one.
State: ``U`` resolution -> record, ``u`` resolution account -> what a reduction took from him.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from chain_core.codec.wire import U64
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.hooks.today import today
from contracts.kernel.acceptance import refuse_unaccepted
from contracts.kernel.cash import bind_cash, free_cash, pay_held
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.holds import controlled_hold, new_hold, pay_for
from contracts.kernel.movements import live_security
from contracts.kernel.moves import MoveKind
from contracts.kernel.parties import require_active, require_signed
from contracts.kernel.records import (
    HOLD,
    MAX_QUANTITY,
    NOBODY,
    REDUCED,
    RESOLUTION,
    Hold,
    HoldKind,
    Resolution,
    decode_resolution,
    encode_resolution,
)
from contracts.kernel.supply import end, enter


class Purpose(IntEnum):
    """What a resolution allows."""

    ISSUE = 1
    REDEMPTION = 2
    CONVERSION = 3


def resolve(
    space: Namespace,
    ctx: CallContext,
    reference: str,
    purpose: Purpose,
    security: bytes,
    limit: int,
    expires_day: int,
    evidence: bytes,
    *,
    target: bytes = NOBODY,
    face_fen: int = 0,
    price_fen: int = 0,
    controller: bytes = NOBODY,
) -> bytes:
    """A resolution that its issuer signs; its id. Emits ``resolved``."""
    record = live_security(space, ctx, security)
    require_signed(ctx, record.issuer)
    guards.refuse_frozen_party(space, ctx, record.issuer)
    day = today(space, ctx).day
    if expires_day < day:
        ctx.refuse("kernel.bad_order_day", expires_day, day)
    if purpose == Purpose.CONVERSION:
        other = live_security(space, ctx, target)
        if target == security or other.issuer != record.issuer or not face_fen or not price_fen:
            ctx.refuse("kernel.bad_conversion", security, target, face_fen, price_fen)
    resolution_id = ctx.new_id(
        "resolution",
        record.issuer,
        reference,
        lambda known: space.get(RESOLUTION + known),
        "kernel.resolution_exists",
    )
    made = Resolution(
        purpose, security, record.issuer, controller, target, limit, 0, 0, face_fen, price_fen, 0, expires_day
    )
    _store(space, resolution_id, made)
    ctx.emit(
        "resolved",
        resolution=resolution_id,
        security=security,
        purpose=int(purpose),
        limit=limit,
        expires_day=expires_day,
        target=target,
        face_fen=face_fen,
        price_fen=price_fen,
        evidence=evidence,
    )
    return resolution_id


def _store(space: Namespace, resolution_id: bytes, resolution: Resolution) -> None:
    space.put(RESOLUTION + resolution_id, encode_resolution(resolution))


def read_resolution(space: Namespace, ctx: CallContext, resolution_id: bytes) -> Resolution:
    """The resolution; refuses with kernel.unknown_resolution."""
    raw = space.get(RESOLUTION + resolution_id)
    if raw is None:
        ctx.refuse("kernel.unknown_resolution", resolution_id)
    return decode_resolution(raw)


def _usable(
    space: Namespace, ctx: CallContext, resolution_id: bytes, purpose: Purpose, quantity: int, controller: bytes
) -> Resolution:
    """Refuses unless the resolution is of that purpose, in force, this controller's, and has so much left."""
    resolution = read_resolution(space, ctx, resolution_id)
    if resolution.purpose != purpose or resolution.controller != controller:
        ctx.refuse("kernel.other_resolution", resolution_id)
    if today(space, ctx).day > resolution.expires_day:
        ctx.refuse("kernel.resolution_over", resolution_id, resolution.expires_day)
    left = resolution.limit - resolution.used - resolution.reserved
    if quantity > left:
        ctx.refuse("kernel.above_resolution", resolution_id, quantity, left)
    return resolution


def fund(space: Namespace, ctx: CallContext, resolution_id: bytes, amount_fen: int) -> None:
    """The issuer holds money for a resolution's remainders, under his own signature. Emits ``funded``."""
    resolution = read_resolution(space, ctx, resolution_id)
    require_signed(ctx, resolution.issuer)
    guards.refuse_frozen_party(space, ctx, resolution.issuer)
    bind_cash(space, ctx, resolution.issuer, amount_fen)
    _store(space, resolution_id, resolution._replace(escrow_fen=resolution.escrow_fen + amount_fen))
    ctx.emit("funded", what=resolution_id, amount_fen=amount_fen)


def defund(space: Namespace, ctx: CallContext, resolution_id: bytes) -> None:
    """The issuer takes back what is held for a resolution. Emits ``defunded``."""
    resolution = read_resolution(space, ctx, resolution_id)
    require_signed(ctx, resolution.issuer)
    if resolution.escrow_fen:
        free_cash(space, resolution.issuer, resolution.escrow_fen)
    _store(space, resolution_id, resolution._replace(escrow_fen=0))
    ctx.emit("defunded", what=resolution_id, amount_fen=resolution.escrow_fen)


# ---- new shares


def offer(
    space: Namespace,
    ctx: CallContext,
    resolution_id: bytes,
    reference: str,
    subscriber: bytes,
    quantity: int,
    price_fen: int,
    expires_ms: int,
    controller: bytes = NOBODY,
) -> bytes:
    """New shares offered to one subscriber, at ``price_fen`` for all, under the issuer's signature; the offer's id.

    The subscriber pays by a hold of cash against it. Emits ``held``.
    """
    resolution = _usable(space, ctx, resolution_id, Purpose.ISSUE, quantity, controller)
    if subscriber == resolution.issuer:
        ctx.refuse("kernel.same_party", subscriber)
    require_active(ctx, subscriber)
    hold = Hold(
        HoldKind.OFFER,
        resolution.issuer,
        subscriber,
        resolution.security,
        resolution_id,
        controller,
        quantity,
        price_fen,
        expires_ms,
    )
    offer_id = new_hold(space, ctx, hold, reference)
    _store(space, resolution_id, resolution._replace(reserved=resolution.reserved + quantity))
    return offer_id


def issue(
    space: Namespace, ctx: CallContext, offer_id: bytes, payment_id: bytes = NOBODY, controller: bytes = NOBODY
) -> None:
    """Payment versus new shares: both or nothing. Emits ``shares_entered``, ``paid``."""
    promised = controlled_hold(space, ctx, offer_id, controller)
    if promised.kind != HoldKind.OFFER:
        ctx.refuse("kernel.not_shares", offer_id)
    resolution = read_resolution(space, ctx, promised.against)
    if today(space, ctx).day > resolution.expires_day:
        ctx.refuse("kernel.resolution_over", promised.against, resolution.expires_day)
    pay_for(space, ctx, offer_id, promised, payment_id, controller)
    if payment_id == NOBODY:
        refuse_unaccepted(space, ctx, promised.counterparty)
    space.delete(HOLD + offer_id)
    quantity = promised.quantity
    moved = resolution._replace(used=resolution.used + quantity, reserved=resolution.reserved - quantity)
    _store(space, promised.against, moved)
    enter(space, ctx, MoveKind.ISSUE, promised.security, promised.counterparty, quantity)


# ---- fewer shares


def redeem(
    space: Namespace,
    ctx: CallContext,
    resolution_id: bytes,
    hold_id: bytes,
    payment_id: bytes = NOBODY,
    controller: bytes = NOBODY,
) -> None:
    """Redemption, buy-back, put: shares that their holder held for the issuer end against the issuer's money."""
    shares = controlled_hold(space, ctx, hold_id, controller)
    resolution = _usable(space, ctx, resolution_id, Purpose.REDEMPTION, shares.quantity, controller)
    fits = shares.security == resolution.security and shares.counterparty == resolution.issuer
    if shares.kind != HoldKind.SHARES or not fits:
        ctx.refuse("kernel.not_shares", hold_id)
    pay_for(space, ctx, hold_id, shares, payment_id, controller)
    space.delete(HOLD + hold_id)
    _store(space, resolution_id, resolution._replace(used=resolution.used + shares.quantity))
    end(space, ctx, MoveKind.CANCELLATION, shares.security, shares.owner, shares.quantity, held=True)


def reduce(
    space: Namespace,
    ctx: CallContext,
    resolution_id: bytes,
    rows: Sequence[tuple[bytes, int]],
    controller: bytes = NOBODY,
) -> None:
    """Capital reduction (减资) of named holders' available shares, without payment; takes four eyes. Remembered for
    ``recover``.
    """
    require_second_house(ctx)
    total = sum(quantity for _, quantity in rows)
    resolution = _usable(space, ctx, resolution_id, Purpose.REDEMPTION, total, controller)
    _store(space, resolution_id, resolution._replace(used=resolution.used + total))
    for account, quantity in rows:
        key = REDUCED + resolution_id + account
        space.put(key, U64.pack(_reduced(space, key) + quantity))
        end(space, ctx, MoveKind.CANCELLATION, resolution.security, account, quantity)


def recover(
    space: Namespace,
    ctx: CallContext,
    resolution_id: bytes,
    rows: Sequence[tuple[bytes, int]],
    controller: bytes = NOBODY,
) -> None:
    """Takes a reduction back (恢复), never more than it took from each; takes four eyes."""
    require_second_house(ctx)
    resolution = read_resolution(space, ctx, resolution_id)
    if resolution.purpose != Purpose.REDEMPTION or resolution.controller != controller:
        ctx.refuse("kernel.other_resolution", resolution_id)
    for account, quantity in rows:
        key = REDUCED + resolution_id + account
        taken = _reduced(space, key)
        if quantity > taken:
            ctx.refuse("kernel.not_reduced", account, taken, quantity)
        if taken == quantity:
            space.delete(key)
        else:
            space.put(key, U64.pack(taken - quantity))
        resolution = resolution._replace(used=resolution.used - quantity)
        enter(space, ctx, MoveKind.ENTITLEMENT, resolution.security, account, quantity)
    _store(space, resolution_id, resolution)


def _reduced(space: Namespace, key: bytes) -> int:
    raw = space.get(key)
    return 0 if raw is None else int(U64.unpack(raw)[0])


def convert(
    space: Namespace,
    ctx: CallContext,
    resolution_id: bytes,
    owner: bytes,
    quantity: int,
    controller: bytes = NOBODY,
) -> tuple[int, int]:
    """Bonds of ``owner``, who signs, into whole shares at the conversion price; what is left of their face is paid from
    the resolution's money. Returns (shares, fen). Emits ``converted``.
    """
    require_signed(ctx, owner)
    resolution = _usable(space, ctx, resolution_id, Purpose.CONVERSION, quantity, controller)
    shares, rest_fen = divmod(quantity * resolution.face_fen, resolution.price_fen)
    if not 0 < shares <= MAX_QUANTITY:
        ctx.refuse("kernel.bad_quantity", quantity)
    if rest_fen > resolution.escrow_fen:
        ctx.refuse("kernel.escrow_short", resolution_id, resolution.escrow_fen, rest_fen)
    used = resolution._replace(used=resolution.used + quantity, escrow_fen=resolution.escrow_fen - rest_fen)
    _store(space, resolution_id, used)
    end(space, ctx, MoveKind.CANCELLATION, resolution.security, owner, quantity)
    enter(space, ctx, MoveKind.NON_TRADE, resolution.target, owner, shares)
    if rest_fen:
        pay_held(space, ctx, resolution.issuer, owner, rest_fen)
    ctx.emit("converted", resolution=resolution_id, owner=owner, quantity=quantity, shares=shares, amount_fen=rest_fen)
    return shares, rest_fen
