"""Methods of ``kernel`` for custody: lock-ups, vehicles, staged issues (docs/spec/kernel.md §3.5, §3.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from chain_core.execution.arguments import ACCOUNT, HASH, Boolean, Integer, Kind, ListOf, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from chain_core.types.values import Value
from contracts.hooks.today import today
from contracts.kernel import counting, lots, movements
from contracts.kernel.kinds import DAY, ID, QUANTITY
from contracts.kernel.lots import MAX_LOTS, Lot

LOT = Record({"class": Integer(1, 255), "release_day": DAY, "quantity": QUANTITY})
LOT_ROWS = ListOf(LOT, MAX_LOTS)


def methods(operator: frozenset[str]) -> dict[str, Method]:
    """The methods by name; all are the operating institution's."""
    named: dict[str, Kind] = {"security": ID, "account": ACCOUNT, "lot": LOT, "evidence": HASH}
    return {
        "lock_up": Method(lock_up, named, operator),
        "release_lock_up": Method(release_lock_up, named, operator),
        "change_lock_up": Method(change_lock_up, {**named, "to_class": Integer(1, 255), "to_day": DAY}, operator),
        "set_vehicle": Method(
            set_vehicle,
            {"account": ACCOUNT, "owners": Integer(1, counting.MAX_OWNERS), "exempt": Boolean(), "evidence": HASH},
            operator,
        ),
        "join_family": Method(join_family, {"security": ID, "first": ID}, operator),
    }


def lot_of(row: Value) -> Lot:
    """A lot from a row that fits ``LOT``."""
    fields = cast(dict[str, Any], row)
    return Lot(fields["class"], fields["release_day"], fields["quantity"])


def lots_of(rows: Value) -> list[Lot]:
    """Lots from rows that fit ``LOT_ROWS``."""
    return [lot_of(row) for row in cast(Sequence[Value], rows)]


def _place(args: Arguments) -> tuple[bytes, bytes, Lot, bytes]:
    return (
        cast(bytes, args["security"]),
        cast(bytes, args["account"]),
        lot_of(args["lot"]),
        cast(bytes, args["evidence"]),
    )


def lock_up(ctx: CallContext, args: Arguments) -> None:
    """Locks shares of a holding until a day."""
    security, account, lot, evidence = _place(args)
    movements.read_security(ctx, ctx, security)
    lots.lock_up(ctx, ctx, security, account, lot, today(ctx, ctx).day, evidence)


def release_lock_up(ctx: CallContext, args: Arguments) -> None:
    """Frees locked shares before their day, under four eyes."""
    security, account, lot, evidence = _place(args)
    lots.release_lot(ctx, ctx, security, account, lot, today(ctx, ctx).day, evidence)


def change_lock_up(ctx: CallContext, args: Arguments) -> None:
    """Another class or release day, under four eyes."""
    security, account, lot, evidence = _place(args)
    to_class, to_day = cast(int, args["to_class"]), cast(int, args["to_day"])
    lots.change_lot(ctx, ctx, security, account, lot, to_class, to_day, today(ctx, ctx).day, evidence)


def set_vehicle(ctx: CallContext, args: Arguments) -> None:
    """How many beneficial owners stand behind an account."""
    account, evidence = cast(bytes, args["account"]), cast(bytes, args["evidence"])
    counting.set_vehicle(ctx, ctx, account, cast(int, args["owners"]), cast(bool, args["exempt"]), evidence)


def join_family(ctx: CallContext, args: Arguments) -> None:
    """A security becomes a further stage of another."""
    counting.join_family(ctx, ctx, cast(bytes, args["security"]), cast(bytes, args["first"]))
