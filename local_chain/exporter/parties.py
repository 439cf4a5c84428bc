"""What events of parties, money, processes and published data write (docs/spec/exporter.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.types.values import Value
from contracts.data.records import PUBLIC
from local_chain.exporter import bodies
from local_chain.exporter.bindings import explain, record
from local_chain.exporter.bodies import CLOSED, FROZEN, NORMAL
from local_chain.exporter.finishing import end
from local_chain.exporter.working import Working

Fields = Mapping[str, Value]

MONEY_IN, MONEY_OUT, PAYMENT = 1, 2, 3
_PUBLIC_TIER = 1


def registered(w: Working, f: Fields) -> None:
    """A new account."""
    w.subject(cast(bytes, f["account"]))


def closed(w: Working, f: Fields) -> None:
    """An account's end: its objects are deleted once it has neither shares nor money."""
    account = cast(bytes, f["account"])
    w.subject(account)
    w.set_book(f"k/{account.hex()}", 1)
    for name in (f"account-{account.hex()}", f"fund-{account.hex()}"):
        if w.exists(name):
            w.touch(name, "account", bodies.account_closed(w.time_ms))
        end(w, name, "account closed 销户")


def suitability_set(w: Working, f: Fields) -> None:
    """Checked proofs."""
    market = w.reference(w.subject(w.market.account))
    for account, category, expires_day in cast(Sequence[tuple[bytes, int, int]], f["rows"]):
        subject = w.subject(account)
        w.touch(subject, "subject", bodies.suitability(category, expires_day, market, w.time_ms))


def party_frozen(w: Working, f: Fields) -> None:
    """The account's status; one of the freezes that stand beside each other."""
    standing = w.book(_freezes(f)) or []
    w.set_book(_freezes(f), [*standing, f["directive"]])
    _party(w, "party_frozen", f)


def party_unfrozen(w: Working, f: Fields) -> None:
    """And back, once no freeze is left; without ``lifts`` all are lifted."""
    lifts = f.get("lifts")
    left = [] if lifts is None else [one for one in w.book(_freezes(f)) or [] if one != lifts]
    w.set_book(_freezes(f), left or None)
    _party(w, "party_unfrozen", f)


def _freezes(f: Fields) -> str:
    return f"z/{cast(bytes, f['account']).hex()}"


def _party(w: Working, name: str, f: Fields) -> None:
    account = cast(bytes, f["account"])
    w.subject(account)
    status = CLOSED if w.book(f"k/{account.hex()}") else FROZEN if w.book(_freezes(f)) else NORMAL
    facts = bodies.account_frozen(status, name == "party_frozen", cast(str, f["directive"]), w.time_ms)
    w.touch(f"account-{account.hex()}", "account", facts)
    record(w, name, f)


def enterprise_registered(w: Working, f: Fields) -> None:
    """The enterprise's record; who it is stands in its attributes."""
    _about(w, "enterprise", f)


def vehicle_set(w: Working, f: Fields) -> None:
    """As how many holders the account counts."""
    _about(w, "vehicle", f)


def _about(w: Working, what: str, f: Fields) -> None:
    account = cast(bytes, f["account"])
    w.subject(account)
    w.touch(f"supervision-{what}-{account.hex()}", "supervision", {what: bodies.plain(f)})


def disclosed(w: Working, f: Fields) -> None:
    """A public disclosure; of one of another tier only that it was made."""
    issuer, number = cast(bytes, f["issuer"]), cast(int, f["number"])
    subject = w.subject(issuer)
    if f["tier"] != _PUBLIC_TIER:
        record(w, "disclosed", f)
        return
    said: dict[str, object] = {"disclosure_type": f["type"]}
    if f["corrects"]:
        said["disclosure_submit_description"] = f"更正第{cast(int, f['corrects'])}号"
    name = f"disclosure-{issuer.hex()}-{number}"
    w.touch(name, "infodisclosure", bodies.disclosure(w.reference(subject), w.time_ms, said))


# ---- money


def cash_deposited(w: Working, f: Fields) -> None:
    """Money that came in."""
    account, amount = cast(bytes, f["account"]), cast(int, f["amount_fen"])
    w.money(account, amount)
    _settlement(w, MONEY_IN, amount, cast(str, f["reference"]), "", w.reference(w.fund(account)))


def cash_withdrawn(w: Working, f: Fields) -> None:
    """Money that was paid out."""
    account, amount = cast(bytes, f["account"]), cast(int, f["amount_fen"])
    w.money(account, -amount)
    _settlement(w, MONEY_OUT, amount, cast(str, f["reference"]), w.reference(w.fund(account)), "")


def paid(w: Working, f: Fields) -> None:
    """Money between two parties; after ``settled`` the price of what is delivered next."""
    payer, payee, amount = cast(bytes, f["payer"]), cast(bytes, f["payee"]), cast(int, f["amount_fen"])
    w.money(payer, -amount)
    w.money(payee, amount)
    if w.settling:
        w.paid_fen = amount
    _settlement(w, PAYMENT, amount, w.serial, w.reference(w.fund(payer)), w.reference(w.fund(payee)))


def _settlement(w: Working, kind: int, amount: int, serial: str, payer: str, payee: str) -> None:
    facts = bodies.settlement(kind, amount, serial, payer, payee, w.time_ms)
    w.create(f"settlement-{w.serial}", "settlement", facts)


# ---- processes, reasons


def instance(w: Working, f: Fields) -> None:
    """A template's instance: made, its state, its version."""
    facts = {name: bodies.plain(value) for name, value in f.items() if name != "instance"}
    w.touch(f"supervision-{cast(bytes, f['instance']).hex()}", "supervision", {"process": facts})


def resolved(w: Working, f: Fields) -> None:
    """A resolution's record."""
    w.touch(f"supervision-{cast(bytes, f['resolution']).hex()}", "supervision", {"resolution": bodies.plain(f)})


def non_trade_reason(w: Working, f: Fields) -> None:
    """Why the transfer before it happened."""
    explain(w, f"非交易过户 {cast(str, f['reason'])}")


def corrected(w: Working, f: Fields) -> None:
    """Which entry the transfer before it puts right."""
    explain(w, f"更正 {cast(bytes, f['transaction']).hex()}-{cast(int, f['place'])}")


# ---- published data


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


def data_deleted(w: Working, f: Fields) -> None:
    """Key and salt are destroyed: the object ends."""
    identity = cast(bytes, f["object"]).hex()
    for name in (f"statement-{identity}", f"disclosure-{identity}"):
        if w.exists(name):
            end(w, name, "data destroyed 数据销毁")
