"""Pledges (质押): made, released in part or whole, enforced (docs/spec/kernel.md §3.4).

State: ``P`` pledge -> record, ``p`` security owner -> pledge ids by arrival, so that fruits find them.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.kernel import orders
from contracts.kernel.cash import free_cash, pay_held
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.movements import bind, free, live_security, move
from contracts.kernel.moves import MoveKind
from contracts.kernel.parties import require_active
from contracts.kernel.records import NOBODY, PLEDGE, PLEDGE_LIST, Pledge, decode_pledge, encode_pledge

MAX_PLEDGES = 32
_ID = 16


def pledges_of(space: Namespace, security: bytes, owner: bytes) -> list[bytes]:
    """Ids of the pledges over a holding, by arrival."""
    raw = space.get(PLEDGE_LIST + security + owner) or b""
    return [raw[start : start + _ID] for start in range(0, len(raw), _ID)]


def read_pledge(space: Namespace, ctx: CallContext, pledge_id: bytes) -> Pledge:
    """The pledge; refuses with kernel.unknown_pledge."""
    raw = space.get(PLEDGE + pledge_id)
    if raw is None:
        ctx.refuse("kernel.unknown_pledge", pledge_id)
    return decode_pledge(raw)


def pledge(
    space: Namespace,
    ctx: CallContext,
    reference: str,
    security: bytes,
    quantity: int,
    pledgee: bytes,
    owner: bytes = NOBODY,
) -> bytes:
    """Pledges available shares, locked ones too, of the caller or of an ``owner`` who signs; the pledge's id. Emits
    ``pledged``.
    """
    owner = ctx.principal if owner == NOBODY else owner
    if owner != ctx.principal and owner not in ctx.cosigners:
        ctx.refuse("kernel.owner_signs", owner)
    if live_security(space, ctx, security).frozen:
        ctx.refuse("csrc.frozen_security", security)
    guards.refuse_frozen_party(space, ctx, owner)
    if pledgee == owner:
        ctx.refuse("kernel.same_party", owner)
    require_active(ctx, pledgee)
    listed = pledges_of(space, security, owner)
    if len(listed) >= MAX_PLEDGES:
        ctx.refuse("kernel.too_many_pledges", MAX_PLEDGES)
    pledge_id = ctx.new_id("pledge", owner, reference, lambda known: space.get(PLEDGE + known), "kernel.pledge_exists")
    bind(space, ctx, security, owner, quantity, pledge=True)
    space.put(PLEDGE + pledge_id, encode_pledge(Pledge(security, owner, pledgee, quantity)))
    space.put(PLEDGE_LIST + security + owner, b"".join((*listed, pledge_id)))
    ctx.emit("pledged", pledge=pledge_id, security=security, owner=owner, pledgee=pledgee, quantity=quantity)
    return pledge_id


def store_pledge(space: Namespace, pledge_id: bytes, record: Pledge) -> None:
    """Writes a pledge; one that binds nothing any more ends."""
    if record.quantity or record.fruit_fen:
        space.put(PLEDGE + pledge_id, encode_pledge(record))
        return
    space.delete(PLEDGE + pledge_id)
    left = b"".join(known for known in pledges_of(space, record.security, record.owner) if known != pledge_id)
    if left:
        space.put(PLEDGE_LIST + record.security + record.owner, left)
    else:
        space.delete(PLEDGE_LIST + record.security + record.owner)


def _taken(ctx: CallContext, pledge_id: bytes, record: Pledge, quantity: int, amount_fen: int) -> Pledge:
    if quantity > record.quantity or amount_fen > record.fruit_fen or not quantity + amount_fen:
        ctx.refuse("kernel.pledge_holds_less", pledge_id, record.quantity, record.fruit_fen)
    return record._replace(quantity=record.quantity - quantity, fruit_fen=record.fruit_fen - amount_fen)


def release_pledge(
    space: Namespace,
    ctx: CallContext,
    pledge_id: bytes,
    quantity: int | None = None,
    amount_fen: int | None = None,
) -> None:
    """Frees a pledge, or so many shares and so much of their dividends; only its pledgee can. Emits
    ``pledge_released``.
    """
    record = read_pledge(space, ctx, pledge_id)
    if record.pledgee != ctx.principal and record.pledgee not in ctx.cosigners:
        ctx.refuse("kernel.not_pledgee", record.pledgee)
    shares = record.quantity if quantity is None else quantity
    fen = amount_fen if amount_fen is not None else record.fruit_fen if quantity is None else 0
    store_pledge(space, pledge_id, _taken(ctx, pledge_id, record, shares, fen))
    free(space, ctx, record.security, record.owner, shares, pledge=True)
    if fen:
        free_cash(space, record.owner, fen)
    ctx.emit("pledge_released", pledge=pledge_id, quantity=shares, amount_fen=fen)


def enforce_pledge(
    space: Namespace,
    ctx: CallContext,
    pledge_id: bytes,
    target: bytes,
    quantity: int,
    amount_fen: int,
    *,
    judgment: bool,
    evidence: bytes,
) -> None:
    """Pledged shares, and dividends held with them, pass to ``target``: a non-trade transfer.

    By agreement, signed by owner and pledgee, while no court's order stands on the holding; by judgment under four
    eyes. Emits ``pledge_enforced``.
    """
    record = read_pledge(space, ctx, pledge_id)
    if judgment:
        require_second_house(ctx)
    else:
        for party in (record.owner, record.pledgee):
            if party != ctx.principal and party not in ctx.cosigners:
                ctx.refuse("kernel.owner_signs", party)
        orders.refresh(space, ctx, record.security, record.owner)
        standing = orders.queue_of(space, record.security, record.owner)
        if standing:
            ctx.refuse("kernel.order_stands", standing[0])
    store_pledge(space, pledge_id, _taken(ctx, pledge_id, record, quantity, amount_fen))
    if quantity:
        move(space, ctx, MoveKind.NON_TRADE, record.security, record.owner, target, quantity, pledged_part=True)
    if amount_fen:
        pay_held(space, ctx, record.owner, target, amount_fen)
    ctx.emit(
        "pledge_enforced",
        pledge=pledge_id,
        target=target,
        quantity=quantity,
        amount_fen=amount_fen,
        judgment=judgment,
        evidence=evidence,
    )


def execute_order(
    space: Namespace,
    ctx: CallContext,
    order_id: bytes,
    target: bytes,
    quantity: int,
    amount_fen: int,
    evidence: bytes,
) -> None:
    """Execution (司法扣划): what an order holds passes to ``target``, a non-trade transfer under four eyes. Emits
    ``order_executed``.
    """
    require_second_house(ctx)
    order = orders.take(space, ctx, order_id, quantity, amount_fen)
    if quantity:
        move(space, ctx, MoveKind.NON_TRADE, order.security, order.owner, target, quantity, held=True)
    if amount_fen:
        pay_held(space, ctx, order.owner, target, amount_fen)
    fields = {"quantity": quantity, "amount_fen": amount_fen}
    ctx.emit("order_executed", order=order_id, target=target, evidence=evidence, **fields)
