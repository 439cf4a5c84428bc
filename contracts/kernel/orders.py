"""Judicial freezes (司法冻结) and their queue (轮候冻结) (docs/spec/kernel.md §3.8).

A court's order freezes shares of one holding until it is thawed, executed or expires. What an order wants and does not
get waits, in order of arrival, and takes effect as soon as shares of the holding become available: when an earlier
order ends, a pledge or a hold is released, a fruit comes in. An order that expired holds nothing: the queue is settled
before anything is asked of it. State: ``J`` order -> record, ``j`` security account -> order ids by arrival.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - struct's name is an ordinary word
from typing import NamedTuple

from chain_core.codec.wire import malformed
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.hooks.today import today
from contracts.kernel.cash import free_cash
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.parts import read_holding, shift
from contracts.kernel.records import ORDER, ORDER_QUEUE, SECURITY, Flag, decode_security, encode_security

MAX_ORDERS = 32
_ORDER = Struct(">16s16sQQQI")
_ID = 16


class Order(NamedTuple):
    """``held`` of the ``wanted`` shares are frozen under it, and ``fruit_fen`` of their dividends."""

    security: bytes
    owner: bytes
    wanted: int
    held: int
    fruit_fen: int
    expires_day: int


def encode_order(order: Order) -> bytes:
    """60 bytes."""
    return _ORDER.pack(*order)


def decode_order(raw: bytes) -> Order:
    """The reverse of ``encode_order``. Raises MalformedBytes."""
    try:
        return Order._make(_ORDER.unpack(raw))
    except StructError:
        malformed("order", len(raw), f"{len(raw)} bytes, not {_ORDER.size}")


def queue_of(space: Namespace, security: bytes, owner: bytes) -> list[bytes]:
    """Ids of the orders on a holding, by arrival."""
    raw = space.get(ORDER_QUEUE + security + owner) or b""
    return [raw[start : start + _ID] for start in range(0, len(raw), _ID)]


def read_order(space: Namespace, ctx: CallContext, order_id: bytes) -> Order:
    """The order as it stands now; refuses with kernel.unknown_order, also one that has expired."""
    raw = space.get(ORDER + order_id)
    if raw is not None:
        order = decode_order(raw)
        settle_queue(space, ctx, order.security, order.owner)
        raw = space.get(ORDER + order_id)
    if raw is None:
        ctx.refuse("kernel.unknown_order", order_id)
    return decode_order(raw)


def _store(space: Namespace, order_id: bytes, order: Order) -> None:
    space.put(ORDER + order_id, encode_order(order))


def _drop(space: Namespace, order_id: bytes, order: Order) -> None:
    """Ends an order: what it held becomes available, its fruits as well."""
    space.delete(ORDER + order_id)
    rest = b"".join(known for known in queue_of(space, order.security, order.owner) if known != order_id)
    if rest:
        space.put(ORDER_QUEUE + order.security + order.owner, rest)
    else:
        space.delete(ORDER_QUEUE + order.security + order.owner)
    shift(space, order.security, order.owner, frozen=-order.held)
    if order.fruit_fen:
        free_cash(space, order.owner, order.fruit_fen)


def settle_queue(space: Namespace, ctx: CallContext, security: bytes, owner: bytes) -> None:
    """Ends orders that expired, then lets those that wait take what is available. Emits ``order_ended`` and
    ``order_took_effect``.
    """
    day = today(space, ctx).day
    for order_id in queue_of(space, security, owner):
        order = decode_order(space.get(ORDER + order_id) or b"")
        if order.expires_day < day:
            _drop(space, order_id, order)
            ctx.emit("order_ended", order=order_id, reason="expired", quantity=order.held)
    for order_id in queue_of(space, security, owner):
        order = decode_order(space.get(ORDER + order_id) or b"")
        more = min(order.wanted - order.held, read_holding(space, security, owner).available)
        if more:
            shift(space, security, owner, frozen=more)
            _store(space, order_id, order._replace(held=order.held + more))
            ctx.emit("order_took_effect", order=order_id, quantity=more)


def refresh(space: Namespace, ctx: CallContext, security: bytes, owner: bytes) -> None:
    """``settle_queue`` of a security on which there ever was an order."""
    raw = space.get(SECURITY + security)
    if raw is not None and decode_security(raw).flags & Flag.ORDERS:
        settle_queue(space, ctx, security, owner)


def place(
    space: Namespace,
    ctx: CallContext,
    reference: str,
    security: bytes,
    owner: bytes,
    quantity: int,
    expires_day: int,
    evidence: bytes,
) -> bytes:
    """An order in the queue; its id. For the border contract, and ``freeze`` below. Emits ``order_placed``."""
    raw = space.get(SECURITY + security)
    if raw is None:
        ctx.refuse("kernel.unknown_security", security)
    if ctx.record_of(owner) is None:
        ctx.refuse("kernel.unknown_party", owner)
    record, day = decode_security(raw), today(space, ctx).day
    if quantity < 1:
        ctx.refuse("kernel.bad_quantity", quantity)
    if expires_day < day:
        ctx.refuse("kernel.bad_order_day", expires_day, day)
    settle_queue(space, ctx, security, owner)
    queue = queue_of(space, security, owner)
    if len(queue) >= MAX_ORDERS:
        ctx.refuse("kernel.too_many_freezes", MAX_ORDERS)
    order_id = ctx.new_id(
        "order", ctx.account, reference, lambda known: space.get(ORDER + known), "kernel.order_exists"
    )
    if not record.flags & Flag.ORDERS:
        space.put(SECURITY + security, encode_security(record._replace(flags=record.flags | Flag.ORDERS)))
    _store(space, order_id, Order(security, owner, quantity, 0, 0, expires_day))
    space.put(ORDER_QUEUE + security + owner, b"".join((*queue, order_id)))
    ctx.emit(
        "order_placed",
        order=order_id,
        security=security,
        account=owner,
        quantity=quantity,
        expires_day=expires_day,
        evidence=evidence,
    )
    settle_queue(space, ctx, security, owner)
    return order_id


def freeze(
    space: Namespace,
    ctx: CallContext,
    reference: str,
    security: bytes,
    owner: bytes,
    quantity: int,
    expires_day: int,
    evidence: bytes,
) -> bytes:
    """A court's order as the operating institution takes it, under four eyes; its id."""
    require_second_house(ctx)
    return place(space, ctx, reference, security, owner, quantity, expires_day, evidence)


def renew(space: Namespace, ctx: CallContext, order_id: bytes, expires_day: int, evidence: bytes) -> None:
    """A later last day for an order that stands; under four eyes. It keeps its place. Emits ``order_renewed``."""
    require_second_house(ctx)
    order = read_order(space, ctx, order_id)
    if expires_day <= order.expires_day:
        ctx.refuse("kernel.bad_order_day", expires_day, order.expires_day)
    _store(space, order_id, order._replace(expires_day=expires_day))
    ctx.emit("order_renewed", order=order_id, expires_day=expires_day, evidence=evidence)


def thaw(space: Namespace, ctx: CallContext, order_id: bytes, evidence: bytes) -> None:
    """Ends an order (解冻), under four eyes; those behind it take effect. Emits ``order_ended``."""
    require_second_house(ctx)
    order = read_order(space, ctx, order_id)
    _drop(space, order_id, order)
    ctx.emit("order_ended", order=order_id, reason="thawed", quantity=order.held, evidence=evidence)
    settle_queue(space, ctx, order.security, order.owner)


def take(space: Namespace, ctx: CallContext, order_id: bytes, quantity: int, amount_fen: int) -> Order:
    """Takes shares and fruits out of what the order holds, for its execution; the caller moves both. The order as it
    was. Refuses with kernel.order_holds_less.
    """
    order = read_order(space, ctx, order_id)
    if quantity > order.held or amount_fen > order.fruit_fen:
        ctx.refuse("kernel.order_holds_less", order_id, order.held, order.fruit_fen)
    left = order._replace(
        wanted=order.wanted - quantity, held=order.held - quantity, fruit_fen=order.fruit_fen - amount_fen
    )
    if left.wanted or left.fruit_fen:
        _store(space, order_id, left)
    else:
        _drop(space, order_id, left)
    return order


def add_fruits(space: Namespace, order_id: bytes, shares: int, amount_fen: int) -> None:
    """Fruits (孳息) of what an order holds, which the caller has put into frozen and held."""
    order = decode_order(space.get(ORDER + order_id) or b"")
    grown = order._replace(
        wanted=order.wanted + shares, held=order.held + shares, fruit_fen=order.fruit_fen + amount_fen
    )
    _store(space, order_id, grown)
