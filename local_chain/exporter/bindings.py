"""What events of holds, pledges, court orders, freezes and lock-ups write (docs/spec/exporter.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core.types.values import Value
from contracts.kernel.records import HoldKind
from contracts.templates.contract import TEMPLATES
from local_chain.exporter import bodies
from local_chain.exporter.errors import ExporterFault
from local_chain.exporter.working import Working

Fields = Mapping[str, Value]

_PARTS = {"pledge_enforced": "pledged", "order_executed": "frozen"}


def parts_of(events: Sequence[Value]) -> dict[int, str]:
    """Places of a transaction's transfers that take what was pledged or frozen: the event that says so comes after."""
    found: dict[int, str] = {}
    rows = cast(Sequence[tuple[str, str, Fields]], events)
    for place, (contract, name, fields) in enumerate(rows):
        part = _PARTS.get(name)
        if part is None or not fields.get("quantity") or (contract == TEMPLATES and "instance" in fields):
            continue
        wanted = fields["target"], fields["quantity"]
        for earlier in range(place - 1, -1, -1):
            _, other, its = rows[earlier]
            if other == "transferred" and (its.get("target"), its.get("quantity")) == wanted:
                found[earlier] = part
                break
    return found


# ---- holds


def held(w: Working, f: Fields) -> None:
    """Shares or money bound; of shares a registration."""
    hold, owner, quantity = cast(bytes, f["hold"]), cast(bytes, f["owner"]), cast(int, f["quantity"])
    shares, security = f["kind"] == HoldKind.SHARES, cast(bytes, f["security"])
    w.set_book(f"o/{hold.hex()}", [security.hex(), owner.hex(), quantity] if shares else [])
    if shares:
        w.change(security, owner, available=-quantity, frozen=quantity)


def released(w: Working, f: Fields) -> None:
    """Free again: shares of a hold; money, and offers of shares that are not there yet, change nothing."""
    row = _taken(w, f"o/{cast(bytes, f['hold']).hex()}")
    if row:
        quantity = row[2]
        w.change(bytes.fromhex(row[0]), bytes.fromhex(row[1]), available=quantity, frozen=-quantity)


def settled(w: Working, f: Fields) -> None:
    """Held shares are about to be delivered or ended: free them; what is paid next is their price."""
    released(w, f)
    w.settling, w.paid_fen = True, 0
    if any(cast(bytes, f["payment"])):
        _taken(w, f"o/{cast(bytes, f['payment']).hex()}")


def _taken(w: Working, key: str) -> list[Any]:
    row: list[Any] = _known(w, key)
    w.set_book(key, None)
    return row


def _known(w: Working, key: str) -> list[Any]:
    row: list[Any] | None = w.book(key)
    if row is None:
        raise ExporterFault(f"{key[2:]} binds nothing that the books know", where=f"height {w.height}")
    return row


# ---- pledges


def pledged(w: Working, f: Fields) -> None:
    """Available shares become pledged."""
    owner, security, quantity = cast(bytes, f["owner"]), cast(bytes, f["security"]), cast(int, f["quantity"])
    w.set_book(f"p/{cast(bytes, f['pledge']).hex()}", [security.hex(), owner.hex()])
    w.change(security, owner, available=-quantity, pledged=quantity)


def pledge_released(w: Working, f: Fields) -> None:
    """And back, the whole or a part; fruits are in it."""
    security, owner = _known(w, f"p/{cast(bytes, f['pledge']).hex()}")
    quantity = cast(int, f["quantity"])
    if quantity:
        w.change(bytes.fromhex(security), bytes.fromhex(owner), available=quantity, pledged=-quantity)


def pledge_enforced(w: Working, f: Fields) -> None:
    """Why the transfer before it happened."""
    if f["quantity"]:
        explain(w, f"质押权实现 {cast(bytes, f['pledge']).hex()}")


def explain(w: Working, text: str) -> None:
    """A reason for the transfer that came last in the transaction."""
    if w.last_transfer:
        w.touch(w.last_transfer, "transactionreport", bodies.transfer_description(text))


# ---- court orders


def order_placed(w: Working, f: Fields) -> None:
    """The order's record; what it binds is told by ``order_took_effect``."""
    security, account = cast(bytes, f["security"]), cast(bytes, f["account"])
    w.set_book(f"j/{cast(bytes, f['order']).hex()}", [security.hex(), account.hex()])
    w.subject(account)
    _order(w, "order_placed", f)


def order_renewed(w: Working, f: Fields) -> None:
    """Its later last day."""
    _order(w, "order_renewed", f)


def order_took_effect(w: Working, f: Fields) -> None:
    """Available shares become frozen."""
    _freeze(w, f, cast(int, f["quantity"]))


def order_ended(w: Working, f: Fields) -> None:
    """What it held is available again."""
    _freeze(w, f, -cast(int, f["quantity"]))
    w.set_book(f"j/{cast(bytes, f['order']).hex()}", None)
    _order(w, "order_ended", f)


def order_executed(w: Working, f: Fields) -> None:
    """Its record; and why the transfer before it happened."""
    if f["quantity"]:
        explain(w, f"司法扣划 {cast(bytes, f['order']).hex()}")
    _order(w, "order_executed", f)


def _freeze(w: Working, f: Fields, quantity: int) -> None:
    security, account = _known(w, f"j/{cast(bytes, f['order']).hex()}")
    if quantity:
        w.change(bytes.fromhex(security), bytes.fromhex(account), available=-quantity, frozen=quantity)


def _order(w: Working, name: str, f: Fields) -> None:
    facts = bodies.plain({**f, "event": name})
    w.touch(f"supervision-{cast(bytes, f['order']).hex()}", "supervision", {"order": facts})


# ---- directives


def holding_frozen(w: Working, f: Fields) -> None:
    """A directive freezes shares of one holder."""
    _holding(w, "holding_frozen", f, cast(int, f["quantity"]))


def holding_unfrozen(w: Working, f: Fields) -> None:
    """And back; fruits are in it."""
    _holding(w, "holding_unfrozen", f, -cast(int, f["quantity"]))


def _holding(w: Working, name: str, f: Fields, quantity: int) -> None:
    w.change(cast(bytes, f["security"]), cast(bytes, f["account"]), available=-quantity, frozen=quantity)
    record(w, name, f)


def record(w: Working, name: str, f: Fields) -> None:
    """A supervision record of the event itself."""
    w.create(f"supervision-{w.serial}", "supervision", {"record": bodies.plain({**f, "event": name})})


# ---- lock-ups


def locked_up(w: Working, f: Fields) -> None:
    """A note in the holder's registration."""
    _lot(w, f, "限售登记")


def lock_up_released(w: Working, f: Fields) -> None:
    """A note in the holder's registration."""
    _lot(w, f, "限售解除")


def lock_up_changed(w: Working, f: Fields) -> None:
    """A note in the holder's registration."""
    _, _, quantity = cast(Sequence[int], f["lot"])
    changed = _words([cast(int, f["to_class"]), cast(int, f["to_day"]), quantity])
    _lot(w, f, f"限售变更为 {changed} 原")


def lock_up_moved(w: Working, f: Fields) -> None:
    """A note in both registrations, which the transfer that follows writes."""
    security = cast(bytes, f["security"])
    words = "、".join(_words(cast(Sequence[int], lot)) for lot in cast(Sequence[Value], f["lots"]))
    for side in ("source", "target"):
        w.movement(security, cast(bytes, f[side])).notes.append(f"限售随转 {words}")


def _lot(w: Working, f: Fields, what: str) -> None:
    movement = w.movement(cast(bytes, f["security"]), cast(bytes, f["account"]))
    movement.notes.append(f"{what} {_words(cast(Sequence[int], f['lot']))}")


def _words(lot: Sequence[int]) -> str:
    kind, day, quantity = lot
    return f"类别{kind} 数量{quantity} 至{bodies.date_of(day) or '另行解除'}"
