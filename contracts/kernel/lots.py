"""Lock-up lots (限售): shares of a holding that may not be traded before a day (docs/spec/kernel.md §3.5).

A lot lies over the holding, whatever part of it is available, pledged or frozen: a trade must leave at least what is
locked that day. State value: 13 bytes a lot (class u8, release day u32, quantity u64), ascending by (release day,
class).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import NamedTuple

from chain_core.codec.wire import malformed
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.kernel.calendar import MAX_DAY
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.records import HOLDING, LOTS, SECURITY, Flag, decode_holding, decode_security, encode_security

MAX_LOTS = 16
UNTIL_RELEASED = MAX_DAY
"""The release day of shares that only an explicit release frees."""

_LOT = Struct(">BIQ")


class Lot(NamedTuple):
    """``quantity`` of class ``lot_class`` (1 founder, 2 controller, 3 director or officer, 4 placement, 5 incentive,
    6 agreement, 7 and above: the market's own), locked before ``release_day``.
    """

    lot_class: int
    release_day: int
    quantity: int


def encode_lots(lots: Sequence[Lot]) -> bytes:
    """13 bytes each, in order."""
    return b"".join(_LOT.pack(*lot) for lot in lots)


def decode_lots(raw: bytes | None) -> list[Lot]:
    """The reverse of ``encode_lots``; nothing is none. Raises MalformedBytes."""
    if raw is None:
        return []
    if not raw or len(raw) % _LOT.size or len(raw) > MAX_LOTS * _LOT.size:
        malformed("lots", len(raw), f"not 1 to {MAX_LOTS} lots of {_LOT.size} bytes")
    lots = [Lot._make(row) for row in _LOT.iter_unpack(raw)]
    places = [(lot.release_day, lot.lot_class) for lot in lots]
    if places != sorted(set(places)) or not all(lot.quantity for lot in lots):
        malformed("lots", 0, "not ascending by release day and class, or an empty one")
    return lots


def locked(lots: Sequence[Lot], day: int) -> int:
    """How much of them is locked on ``day``."""
    return sum(lot.quantity for lot in lots if lot.release_day > day)


def read_lots(space: Namespace, security: bytes, account: bytes) -> list[Lot]:
    """The lots of a holding, those whose day has come as well."""
    return decode_lots(space.get(LOTS + security + account))


def _store(space: Namespace, security: bytes, account: bytes, lots: Sequence[Lot]) -> None:
    """Merges lots of one class and day, and writes them in order."""
    merged: dict[tuple[int, int], int] = {}
    for lot in lots:
        place = (lot.release_day, lot.lot_class)
        merged[place] = merged.get(place, 0) + lot.quantity
    kept = [Lot(lot_class, day, quantity) for (day, lot_class), quantity in sorted(merged.items()) if quantity]
    if kept:
        space.put(LOTS + security + account, encode_lots(kept))
    else:
        space.delete(LOTS + security + account)


def _active(space: Namespace, security: bytes, account: bytes, day: int) -> list[Lot]:
    return [lot for lot in read_lots(space, security, account) if lot.release_day > day]


def _add(space: Namespace, ctx: CallContext, security: bytes, account: bytes, day: int, more: Sequence[Lot]) -> None:
    """Enters lots; refuses with kernel.too_many_lots, and with kernel.locked_too_much above the holding."""
    lots = [*_active(space, security, account, day), *(lot for lot in more if lot.release_day > day)]
    if len({(lot.release_day, lot.lot_class) for lot in lots}) > MAX_LOTS:
        ctx.refuse("kernel.too_many_lots", account, security, MAX_LOTS)
    raw = space.get(HOLDING + security + account)
    held = 0 if raw is None else decode_holding(raw).total
    if locked(lots, day) > held:
        ctx.refuse("kernel.locked_too_much", account, security, locked(lots, day), held)
    _store(space, security, account, lots)


def lock_up(
    space: Namespace, ctx: CallContext, security: bytes, account: bytes, lot: Lot, day: int, evidence: bytes
) -> None:
    """Locks shares of a holding until the lot's release day; ``day`` is the block's. Emits ``locked_up``."""
    if lot.release_day <= day or lot.quantity < 1 or not 1 <= lot.lot_class <= 255:
        ctx.refuse("kernel.bad_lot", lot.lot_class, lot.release_day, lot.quantity)
    _add(space, ctx, security, account, day, (lot,))
    raw = space.get(SECURITY + security)
    if raw is None:
        ctx.refuse("kernel.unknown_security", security)
    record = decode_security(raw)
    if not record.flags & Flag.LOTS:
        space.put(SECURITY + security, encode_security(record._replace(flags=record.flags | Flag.LOTS)))
    _emit(ctx, "locked_up", security, account, lot, evidence)


def release_lot(
    space: Namespace, ctx: CallContext, security: bytes, account: bytes, lot: Lot, day: int, evidence: bytes
) -> None:
    """Frees ``lot.quantity`` of the lot with that class and day before its time; takes a second pair of eyes. Emits
    ``lock_up_released``.
    """
    require_second_house(ctx)
    _take(space, ctx, security, account, lot, day)
    _emit(ctx, "lock_up_released", security, account, lot, evidence)


def change_lot(
    space: Namespace,
    ctx: CallContext,
    security: bytes,
    account: bytes,
    lot: Lot,
    to_class: int,
    to_day: int,
    day: int,
    evidence: bytes,
) -> None:
    """``lot.quantity`` of a lot becomes one of another class or release day; takes a second pair of eyes. Emits
    ``lock_up_changed``.
    """
    require_second_house(ctx)
    if to_day <= day or not 1 <= to_class <= 255:
        ctx.refuse("kernel.bad_lot", to_class, to_day, lot.quantity)
    _take(space, ctx, security, account, lot, day)
    _add(space, ctx, security, account, day, (Lot(to_class, to_day, lot.quantity),))
    fields = {"to_class": to_class, "to_day": to_day}
    ctx.emit(
        "lock_up_changed",
        security=security,
        account=account,
        lot=[lot.lot_class, lot.release_day, lot.quantity],
        evidence=evidence,
        **fields,
    )


def _emit(ctx: CallContext, name: str, security: bytes, account: bytes, lot: Lot, evidence: bytes) -> None:
    ctx.emit(
        name,
        security=security,
        account=account,
        lot=[lot.lot_class, lot.release_day, lot.quantity],
        evidence=evidence,
    )


def _take(space: Namespace, ctx: CallContext, security: bytes, account: bytes, wanted: Lot, day: int) -> None:
    """Takes a quantity out of the lot of that class and day; refuses with kernel.no_such_lot."""
    lots = _active(space, security, account, day)
    found = next((n for n, lot in enumerate(lots) if lot[:2] == wanted[:2]), None)
    if found is None or not 1 <= wanted.quantity <= lots[found].quantity:
        ctx.refuse("kernel.no_such_lot", account, security, wanted.lot_class, wanted.release_day, wanted.quantity)
    lots[found] = lots[found]._replace(quantity=lots[found].quantity - wanted.quantity)
    _store(space, security, account, lots)


# ---- what movements do to lots


def trim(space: Namespace, security: bytes, account: bytes, day: int) -> None:
    """Forgets lots whose day has come, of a holding that became smaller."""
    if space.get(LOTS + security + account) is not None:
        _store(space, security, account, _active(space, security, account, day))


def in_proportion(lots: Sequence[Lot], quantity: int, total: int) -> list[Lot]:
    """The part of the lots that goes with ``quantity`` of ``total`` shares, rounded up in sum: what stays locked fits
    into what stays. The first lots carry the rounding.
    """
    sum_locked = sum(lot.quantity for lot in lots)
    moved = [lot._replace(quantity=lot.quantity * quantity // total) for lot in lots]
    rest = -(-sum_locked * quantity // total) - sum(lot.quantity for lot in moved)
    for place, lot in enumerate(lots):
        more = min(rest, lot.quantity - moved[place].quantity)
        moved[place] = moved[place]._replace(quantity=moved[place].quantity + more)
        rest -= more
    return [lot for lot in moved if lot.quantity]


def move_along(
    space: Namespace,
    ctx: CallContext,
    security: bytes,
    source: bytes,
    target: bytes,
    quantity: int,
    before: int,
    day: int,
    named: Sequence[Lot] | None,
) -> None:
    """After a non-trade transfer of ``quantity`` out of ``before`` shares: their lots go with them, those ``named`` or
    in proportion. Emits ``lock_up_moved``.
    """
    lots = _active(space, security, source, day)
    if not lots:
        if named:
            ctx.refuse("kernel.no_such_lot", source, security, named[0].lot_class, named[0].release_day, quantity)
        trim(space, security, source, day)
        return
    if named is None:
        named = in_proportion(lots, quantity, before)
    for lot in named:
        _take(space, ctx, security, source, lot, day)
    moved = sum(lot.quantity for lot in named)
    left = locked(read_lots(space, security, source), day)
    if moved > quantity or left > before - quantity:
        ctx.refuse("csrc.lock_up", source, security, left, before - quantity)
    if named:
        _add(space, ctx, security, target, day, named)
        ctx.emit("lock_up_moved", security=security, source=source, target=target, lots=[list(lot) for lot in named])
    trim(space, security, source, day)


def fall_with(space: Namespace, security: bytes, account: bytes, quantity: int, total: int, day: int) -> None:
    """Lots of a holding of ``total`` shares of which ``quantity`` cease to exist: each in proportion."""
    lots = _active(space, security, account, day)
    gone = {lot[:2]: lot.quantity for lot in in_proportion(lots, quantity, total)} if lots else {}
    _store(space, security, account, [lot._replace(quantity=lot.quantity - gone.get(lot[:2], 0)) for lot in lots])


def rescale(
    space: Namespace, ctx: CallContext, security: bytes, account: bytes, numerator: int, denominator: int, day: int
) -> None:
    """Lots after the holding was multiplied by a ratio: each in proportion, rounded down."""
    lots = _active(space, security, account, day)
    scaled = [lot._replace(quantity=lot.quantity * numerator // denominator) for lot in lots]
    if lots:
        _store(space, security, account, scaled)
