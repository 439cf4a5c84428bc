"""The table event → what it writes (docs/spec/exporter.md §3). An event more is a row more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from chain_core.types.values import Value
from contracts.data.records import DATA, PUBLIC
from contracts.data_model.json_text import scaled
from contracts.kernel.records import HoldKind
from contracts.templates.contract import TEMPLATES
from local_chain.exporter import bodies
from local_chain.exporter.bodies import NON_TRADE, TRADE, ProductFacts
from local_chain.exporter.errors import ExporterFault
from local_chain.exporter.working import Working

Fields = Mapping[str, Value]
Handler = Callable[[Working, Fields], None]

REGISTERING, LIVE, FROZEN = 0, 1, 2
MONEY_IN, MONEY_OUT, PAYMENT = 1, 2, 3
_TRADE_KIND = 2
_INSTANCE_EVENTS = ("instance_created", "instance_state")


def apply_event(working: Working, contract: str, name: str, fields: Fields) -> None:
    """Carries one event into the work of its block. What the table does not name is noted, never guessed.

    Under ``templates`` a template may emit events of any name; all of them, and only they, name their instance.
    """
    own = contract == TEMPLATES and "instance" in fields and name not in _INSTANCE_EVENTS
    table = DATA_EVENTS if contract == DATA else LEDGER_EVENTS
    handler = None if own else table.get(name)
    if handler is not None:
        handler(working, fields)
    elif own or name not in SILENT:
        working.unmapped.add(f"{contract}.{name}")


# ---- securities and registers


def security_registered(w: Working, f: Fields) -> None:
    """The issuer, and the product."""
    security, issuer = cast(bytes, f["security"]), cast(bytes, f["issuer"])
    label = w.labels.get(security)
    if label is None:
        raise ExporterFault(f"nobody told what security {security.hex()} is called", where=f"height {w.height}")
    book = {"issuer": issuer.hex(), "decimals": label.decimals}
    w.set_book(f"s/{security.hex()}", book)
    subject, market = w.subject(issuer), w.subject(w.market.account)
    facts = ProductFacts(
        cast(str, f["reference"]),
        label.name,
        w.reference(subject),
        _company_name(w, subject),
        w.reference(market),
        w.market.name,
        cast(int, f["declared"]),
        label.decimals,
    )
    product = _product(security)
    w.touch(product, "product", bodies.product(facts, w.time_ms))
    w.touch(product, "product", bodies.product_status(REGISTERING))


def holdings_registered(w: Working, f: Fields) -> None:
    """A registration for each row."""
    security = cast(bytes, f["security"])
    for account, quantity in cast(Sequence[tuple[bytes, int]], f["rows"]):
        _registration(w, security, account, NON_TRADE, available=quantity)
    _holder_count(w, security)


def holdings_unregistered(w: Working, f: Fields) -> None:
    """Rows taken back: registrations down to nothing."""
    security = cast(bytes, f["security"])
    for account in cast(Sequence[bytes], f["accounts"]):
        _registration(w, security, account, NON_TRADE, available=-w.balance(security, account).available)
    _holder_count(w, security)


def security_live(w: Working, f: Fields) -> None:
    """The product goes live; the roll as it is then."""
    security = cast(bytes, f["security"])
    book = w.security(security)
    w.touch(_product(security), "product", bodies.product_status(LIVE, w.time_ms))
    holders = w.holders(security)
    rows = [(w.reference(w.subject(account)), w.balance(security, account).total) for account in holders]
    issuer = w.reference(w.subject(bytes.fromhex(book["issuer"])))
    facts = bodies.roll(issuer, w.reference(_product(security)), rows, book["decimals"], w.time_ms)
    w.touch(f"roll-{security.hex()}", "registration", facts)


def transferred(w: Working, f: Fields) -> None:
    """The report, and a registration for each side."""
    security, source, target = (cast(bytes, f[name]) for name in ("security", "source", "target"))
    quantity, kind = cast(int, f["quantity"]), cast(int, f["kind"])
    seller, buyer = w.reference(w.subject(source)), w.reference(w.subject(target))
    report, decimals = f"transfer-{w.serial}", w.decimals(security)
    amount = scaled(quantity, decimals)
    facts = bodies.transfer(w.reference(_product(security)), seller, buyer, kind, amount, w.serial, w.time_ms)
    w.touch(report, "transactionreport", facts)
    if w.paid_fen:
        w.touch(report, "transactionreport", bodies.transfer_price(w.paid_fen))
        w.paid_fen = 0
    count = w.book(f"n/{security.hex()}")
    event = TRADE if kind == _TRADE_KIND else NON_TRADE
    _registration(w, security, source, event, report, available=-quantity)
    _registration(w, security, target, event, report, available=quantity)
    if w.book(f"n/{security.hex()}") != count:
        _holder_count(w, security)


def shares_entered(w: Working, f: Fields) -> None:
    """Shares that come into being with a holder."""
    security, account = cast(bytes, f["security"]), cast(bytes, f["account"])
    _registration(w, security, account, NON_TRADE, available=cast(int, f["quantity"]))
    _holder_count(w, security)


# ---- what binds


def held(w: Working, f: Fields) -> None:
    """Shares or money bound; of shares a registration."""
    hold, owner, quantity = cast(bytes, f["hold"]), cast(bytes, f["owner"]), cast(int, f["quantity"])
    shares, security = f["kind"] == HoldKind.SHARES, cast(bytes, f["security"])
    w.set_book(f"o/{hold.hex()}", [security.hex(), owner.hex(), quantity] if shares else [])
    if shares:
        _registration(w, security, owner, NON_TRADE, available=-quantity, frozen=quantity)


def released(w: Working, f: Fields) -> None:
    """Free again."""
    row = _bound(w, "o", cast(bytes, f["hold"]))
    if row:
        security, owner, quantity = row
        _registration(w, security, owner, NON_TRADE, available=quantity, frozen=-quantity)


def settled(w: Working, f: Fields) -> None:
    """Held shares are about to be transferred: the books free them, no snapshot says so."""
    row = _bound(w, "o", cast(bytes, f["hold"]))
    if row:
        security, owner, quantity = row
        w.change(security, owner, available=quantity, frozen=-quantity)


def pledged(w: Working, f: Fields) -> None:
    """Available shares become pledged."""
    pledge, owner, security = cast(bytes, f["pledge"]), cast(bytes, f["owner"]), cast(bytes, f["security"])
    quantity = cast(int, f["quantity"])
    w.set_book(f"p/{pledge.hex()}", [security.hex(), owner.hex(), quantity])
    _registration(w, security, owner, NON_TRADE, available=-quantity, pledged=quantity)


def pledge_released(w: Working, f: Fields) -> None:
    """And back, the whole or a part."""
    pledge = cast(bytes, f["pledge"])
    row = _bound(w, "p", pledge)
    if row:
        security, owner, whole = row
        quantity = cast(int, f.get("quantity", whole))
        if quantity < whole:
            w.set_book(f"p/{pledge.hex()}", [security.hex(), owner.hex(), whole - quantity])
        _registration(w, security, owner, NON_TRADE, available=quantity, pledged=-quantity)


def holding_frozen(w: Working, f: Fields) -> None:
    """A directive freezes shares of one holder."""
    quantity = cast(int, f["quantity"])
    security, account = cast(bytes, f["security"]), cast(bytes, f["account"])
    _registration(w, security, account, NON_TRADE, available=-quantity, frozen=quantity)
    _directive(w, "holding_frozen", f)


def holding_unfrozen(w: Working, f: Fields) -> None:
    """And back."""
    quantity = cast(int, f["quantity"])
    security, account = cast(bytes, f["security"]), cast(bytes, f["account"])
    _registration(w, security, account, NON_TRADE, available=quantity, frozen=-quantity)
    _directive(w, "holding_unfrozen", f)


def party_frozen(w: Working, f: Fields) -> None:
    """The account's status."""
    _party(w, f, frozen=True)


def party_unfrozen(w: Working, f: Fields) -> None:
    """And back."""
    _party(w, f, frozen=False)


def security_frozen(w: Working, f: Fields) -> None:
    """The product's status."""
    w.touch(_product(cast(bytes, f["security"])), "product", bodies.product_status(FROZEN))
    _directive(w, "security_frozen", f)


def security_unfrozen(w: Working, f: Fields) -> None:
    """And back."""
    w.touch(_product(cast(bytes, f["security"])), "product", bodies.product_status(LIVE))
    _directive(w, "security_unfrozen", f)


# ---- parties and money


def registered(w: Working, f: Fields) -> None:
    """A new account."""
    w.subject(cast(bytes, f["account"]))


def suitability_set(w: Working, f: Fields) -> None:
    """Checked proofs."""
    market = w.reference(w.subject(w.market.account))
    for account, category, expires_day in cast(Sequence[tuple[bytes, int, int]], f["rows"]):
        subject = w.subject(account)
        w.touch(subject, "subject", bodies.suitability(category, expires_day, market, w.time_ms))


def cash_deposited(w: Working, f: Fields) -> None:
    """Money that came in."""
    payee = w.reference(w.fund(cast(bytes, f["account"])))
    _settlement(w, MONEY_IN, cast(int, f["amount_fen"]), cast(str, f["reference"]), "", payee)


def cash_withdrawn(w: Working, f: Fields) -> None:
    """Money that was paid out."""
    payer = w.reference(w.fund(cast(bytes, f["account"])))
    _settlement(w, MONEY_OUT, cast(int, f["amount_fen"]), cast(str, f["reference"]), payer, "")


def paid(w: Working, f: Fields) -> None:
    """The cash leg of what is transferred next."""
    payer, payee = w.reference(w.fund(cast(bytes, f["payer"]))), w.reference(w.fund(cast(bytes, f["payee"])))
    w.paid_fen = cast(int, f["amount_fen"])
    _settlement(w, PAYMENT, w.paid_fen, w.serial, payer, payee)


# ---- processes, data


def instance(w: Working, f: Fields) -> None:
    """A template's instance and its state."""
    facts = {name: value for name, value in f.items() if name != "instance" and isinstance(value, str | int)}
    w.touch(f"supervision-{cast(bytes, f['instance']).hex()}", "supervision", {"process": facts})


def data_created(w: Working, f: Fields) -> None:
    """Disclosures and financial statements: that they are there, and whose; what they say is in their attributes."""
    identity, kind, owner = cast(bytes, f["object"]), f["kind"], cast(bytes, f["owner"])
    facts = {"object": identity.hex(), "tier": f["tier"]}
    if kind == "disclosure" and f["tier"] == PUBLIC:
        subject = w.reference(w.subject(owner))
        w.touch(f"disclosure-{identity.hex()}", "infodisclosure", bodies.disclosure(subject, w.time_ms))
    elif kind == "financial":
        w.subject(owner)
        w.touch(f"statement-{identity.hex()}", "financial_statements", {"source": facts | {"version": 1}})


def data_revised(w: Working, f: Fields) -> None:
    """The next version of one of them."""
    identity = cast(bytes, f["object"]).hex()
    if w.exists(f"statement-{identity}"):
        w.touch(f"statement-{identity}", "financial_statements", {"source": {"version": f["version"]}})
    elif w.exists(f"disclosure-{identity}"):
        facts = {"disclosure_submit_date": bodies.day(w.time_ms)}
        body = {"disclosure_approval_information": {"disclosure_basic_information": facts}}
        w.touch(f"disclosure-{identity}", "infodisclosure", body)


LEDGER_EVENTS: Mapping[str, Handler] = {
    "registered": registered,
    "suitability_set": suitability_set,
    "security_registered": security_registered,
    "holdings_registered": holdings_registered,
    "holdings_unregistered": holdings_unregistered,
    "security_live": security_live,
    "transferred": transferred,
    "shares_entered": shares_entered,
    "held": held,
    "released": released,
    "settled": settled,
    "pledged": pledged,
    "pledge_released": pledge_released,
    "holding_frozen": holding_frozen,
    "holding_unfrozen": holding_unfrozen,
    "party_frozen": party_frozen,
    "party_unfrozen": party_unfrozen,
    "security_frozen": security_frozen,
    "security_unfrozen": security_unfrozen,
    "cash_deposited": cash_deposited,
    "cash_withdrawn": cash_withdrawn,
    "paid": paid,
    "instance_created": instance,
    "instance_state": instance,
}
"""Events of ``kernel``, ``templates``, ``accounts`` and the border, which share one set of names."""

DATA_EVENTS: Mapping[str, Handler] = {"created": data_created, "revised": data_revised}
"""Events of ``data``; its ``held`` is another one than the kernel's."""

SILENT = frozenset(
    (
        *("transfers_accepted", "non_trade_reason", "calendar_set", "anchored", "directive", "followed"),
        *("epoch_followed", "key_attached", "key_revoked", "granted", "grant_revoked", "closed", "proposed"),
        *("approved", "rejected", "withdrawn", "held", "deletion_ordered", "deleted", "accessed", "frozen"),
    )
)
"""Events that say nothing of the nine kinds."""


# ---- what they share


def _product(security: bytes) -> str:
    return f"product-{security.hex()}"


def _registration(
    w: Working,
    security: bytes,
    account: bytes,
    event: int,
    report: str = "",
    *,
    available: int = 0,
    pledged: int = 0,
    frozen: int = 0,
) -> None:
    before, after = w.change(security, account, available, pledged, frozen)
    refs = {
        "register_subject_ref": w.reference(w.subject(account)),
        "register_subject_account_ref": w.reference(f"account-{account.hex()}"),
        "register_product_ref": w.reference(_product(security)),
    }
    if report:
        refs["register_transaction_ref"] = w.reference(report)
    decimals, party = w.decimals(security), _subject_type(w, account)
    facts = bodies.registration(refs, party, event, before, after, decimals, w.time_ms)
    w.touch(f"registration-{security.hex()}-{account.hex()}", "registration", facts)


def _bound(w: Working, book: str, identity: bytes) -> tuple[bytes, bytes, int] | None:
    """What a hold or pledge bound, taken out of the books; None for a hold of money."""
    row = w.book(f"{book}/{identity.hex()}")
    if row is None:
        raise ExporterFault(f"{identity.hex()} binds nothing that the books know", where=f"height {w.height}")
    w.set_book(f"{book}/{identity.hex()}", None)
    return (bytes.fromhex(row[0]), bytes.fromhex(row[1]), int(row[2])) if row else None


def _holder_count(w: Working, security: bytes) -> None:
    issuer, count = bytes.fromhex(w.security(security)["issuer"]), w.book(f"n/{security.hex()}") or 0
    w.touch(w.subject(issuer), "subject", bodies.holder_count(count))


def _settlement(w: Working, kind: int, amount: int, serial: str, payer: str, payee: str) -> None:
    facts = bodies.settlement(kind, amount, serial, payer, payee, w.time_ms)
    w.touch(f"settlement-{w.serial}", "settlement", facts)


def _party(w: Working, f: Fields, *, frozen: bool) -> None:
    account, directive = cast(bytes, f["account"]), cast(str, f["directive"])
    w.subject(account)
    w.touch(f"account-{account.hex()}", "account", bodies.account_frozen(frozen, directive, w.time_ms))
    _directive(w, "party_frozen" if frozen else "party_unfrozen", f)


def _directive(w: Working, name: str, f: Fields) -> None:
    facts = {key: value.hex() if isinstance(value, bytes) else value for key, value in f.items() if value is not None}
    facts = {key: value for key, value in facts.items() if isinstance(value, str | int)}
    w.touch(f"supervision-{w.serial}", "supervision", {"directive": {"event": name, **facts}})


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


def _subject_type(w: Working, account: bytes) -> int:
    """1 organisation, 2 person; 0 while its attributes do not say."""
    found = w.private(f"subject-{account.hex()}")
    for name in ("subject_information", "basic_information_subject", "general_information_subject"):
        found = found.get(name, {})
    code = found.get("subject_type", 0)
    return code if isinstance(code, int) else 0
