"""What events of securities and their registers write (docs/spec/exporter.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.types.values import Value
from contracts.data_model.json_text import scaled
from contracts.kernel.records import Status
from local_chain.exporter import bodies
from local_chain.exporter.bodies import NON_TRADE, TRADE, ProductFacts
from local_chain.exporter.errors import ExporterFault
from local_chain.exporter.finishing import end, product_of, registration_of, roll_of
from local_chain.exporter.working import Working

Fields = Mapping[str, Value]

REGISTERING, LIVE, FROZEN, SUSPENDED, DELISTED, CLOSED = range(6)
"""Codes of a product's status."""
_TRADE_KIND = 2
_SHOWN = {
    Status.REGISTERING: REGISTERING,
    Status.LIVE: LIVE,
    Status.SUSPENDED: SUSPENDED,
    Status.DELISTED: DELISTED,
    Status.CLOSED: CLOSED,
}


def security_registered(w: Working, f: Fields) -> None:
    """The issuer, and the product."""
    security, issuer = cast(bytes, f["security"]), cast(bytes, f["issuer"])
    label = w.labels.get(security)
    if label is None:
        raise ExporterFault(f"nobody told what security {security.hex()} is called", where=f"height {w.height}")
    declared = cast(int, f["declared"])
    book = {"issuer": issuer.hex(), "decimals": label.decimals, "declared": declared}
    w.set_book(f"s/{security.hex()}", book | {"status": int(Status.REGISTERING), "freezes": []})
    subject, market = w.subject(issuer), w.subject(w.market.account)
    facts = ProductFacts(
        cast(str, f["reference"]),
        label.name,
        w.reference(subject),
        _company_name(w, subject),
        w.reference(market),
        w.market.name,
        declared,
        label.decimals,
    )
    w.touch(product_of(security), "product", bodies.product(facts, w.time_ms))
    _show_status(w, security)


def holdings_registered(w: Working, f: Fields) -> None:
    """A registration for each row."""
    security = cast(bytes, f["security"])
    for account, quantity in cast(Sequence[tuple[bytes, int]], f["rows"]):
        w.change(security, account, available=quantity)


def holdings_unregistered(w: Working, f: Fields) -> None:
    """Rows taken back: registrations down to nothing."""
    security = cast(bytes, f["security"])
    for account in cast(Sequence[bytes], f["accounts"]):
        w.change(security, account, available=-w.balance(security, account).available)


def security_live(w: Working, f: Fields) -> None:
    """The product goes live; the roll as it is then."""
    security = cast(bytes, f["security"])
    _set(w, security, status=int(Status.LIVE))
    w.touch(product_of(security), "product", bodies.product_listed(w.time_ms))
    _show_status(w, security)
    w.rolls[security] = None


def transferred(w: Working, f: Fields) -> None:
    """The report, and a registration for each side."""
    security, source, target = (cast(bytes, f[name]) for name in ("security", "source", "target"))
    quantity, kind = cast(int, f["quantity"]), cast(int, f["kind"])
    seller, buyer = w.reference(w.subject(source)), w.reference(w.subject(target))
    report = w.last_transfer = f"transfer-{w.serial}"
    amount, product = scaled(quantity, w.decimals(security)), w.reference(product_of(security))
    w.create(
        report,
        "transactionreport",
        bodies.transfer(product, seller, buyer, kind, amount, w.serial, w.time_ms, w.paid_fen),
    )
    w.settling, w.paid_fen = False, 0
    part = w.parts.get(w.place, "available")
    for movement in (
        w.change(security, source, **{part: -quantity}),
        w.change(security, target, available=quantity),
    ):
        movement.event, movement.report = TRADE if kind == _TRADE_KIND else NON_TRADE, report


def shares_entered(w: Working, f: Fields) -> None:
    """Shares that come into being with a holder."""
    _supply(w, f, cast(int, f["quantity"]))


def shares_ended(w: Working, f: Fields) -> None:
    """Shares of a holder that cease to exist; what was held for it, ``settled`` has freed."""
    _supply(w, f, -cast(int, f["quantity"]))


def _supply(w: Working, f: Fields, quantity: int) -> None:
    security = cast(bytes, f["security"])
    w.change(security, cast(bytes, f["account"]), available=quantity)
    w.settling, w.paid_fen = False, 0
    _grow(w, security, quantity)
    w.rolls[security] = None


def entitlements(w: Working, f: Fields) -> None:
    """What a corporate action gives or takes, chunk by chunk; the money is told by ``paid``."""
    security, by = cast(bytes, f["security"]), 0
    for account, shares, _, _, pledged, frozen in cast(Sequence[tuple[bytes, int, int, int, int, int]], f["rows"]):
        if shares or pledged or frozen:
            w.change(security, account, available=shares - pledged - frozen, pledged=pledged, frozen=frozen)
            by += shares
    if by:
        _grow(w, security, by)


def action_over(w: Working, f: Fields) -> None:
    """The action's record; the roll that it leaves."""
    name = f"supervision-{cast(bytes, f['action']).hex()}"
    w.touch(name, "supervision", {"action": bodies.plain({**f, "event": "action_over"})})
    security = w.book(f"e/{cast(bytes, f['action']).hex()}")
    w.set_book(f"e/{cast(bytes, f['action']).hex()}", None)
    if security is not None and f["reason"] == "done":
        w.rolls[bytes.fromhex(security)] = None


def action_announced(w: Working, f: Fields) -> None:
    """The action's record."""
    action = cast(bytes, f["action"]).hex()
    w.set_book(f"e/{action}", cast(bytes, f["security"]).hex())
    facts = bodies.plain({**f, "event": "action_announced"})
    w.touch(f"supervision-{action}", "supervision", {"action": facts})


def status_set(w: Working, f: Fields) -> None:
    """Suspended, resumed, delisted, listed anew; a register that ended is deleted with all that stands in it."""
    security, status = cast(bytes, f["security"]), Status(cast(int, f["status"]))
    before = Status(w.security(security)["status"])
    _set(w, security, status=int(status))
    product = product_of(security)
    if status is Status.DELISTED:
        w.touch(product, "product", bodies.product_delisted(w.time_ms))
    elif status is Status.LIVE and before is Status.DELISTED:
        w.touch(product, "product", bodies.product_listed(w.time_ms))
    elif status is Status.CLOSED:
        w.touch(product, "product", bodies.product_deregistered(w.time_ms))
        for account in w.ever_holders(security):
            end(w, registration_of(security, account), "register ended 退出登记")
        for name in (roll_of(security), product):
            end(w, name, "register ended 退出登记")
    _show_status(w, security)


def layer_set(w: Working, f: Fields) -> None:
    """The board on which the product stands."""
    w.touch(product_of(cast(bytes, f["security"])), "product", bodies.product_layer(cast(int, f["layer"])))


def security_frozen(w: Working, f: Fields) -> None:
    """The product's status; one of the freezes that stand beside each other."""
    security = cast(bytes, f["security"])
    _set(w, security, freezes=[*w.security(security)["freezes"], f["directive"]])
    _show_status(w, security)


def security_unfrozen(w: Working, f: Fields) -> None:
    """And back, once no freeze is left."""
    security = cast(bytes, f["security"])
    left = [one for one in w.security(security)["freezes"] if one != f["directive"]]
    _set(w, security, freezes=left)
    _show_status(w, security)


def _set(w: Working, security: bytes, **changes: object) -> None:
    w.set_book(f"s/{security.hex()}", w.security(security) | changes)


def _show_status(w: Working, security: bytes) -> None:
    book = w.security(security)
    shown = FROZEN if book["freezes"] else _SHOWN[Status(book["status"])]
    w.touch(product_of(security), "product", bodies.product_status(shown))


def _grow(w: Working, security: bytes, by: int) -> None:
    _set(w, security, declared=w.security(security)["declared"] + by)
    w.scales[security] = None


def _company_name(w: Working, subject: str) -> str:
    found = w.private(subject)
    for name in (
        "subject_information",
        "organization_subject_information",
        "basic_information_of_enterprise",
        "basic_information_description",
    ):
        found = found.get(name, {})
    return str(found.get("subject_company_name", ""))
