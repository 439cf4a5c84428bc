"""What a query shows: plain rows, bytes in hexadecimal, numbers beside the words that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from chain_core.execution.codes import Code
from chain_core.node import render
from chain_core.types.block import Header
from contracts.anchors.contract import Anchor
from contracts.codes.investor import CATEGORIES
from contracts.codes.regions import REGIONS
from contracts.kernel.records import HoldKind, Instrument, Status
from crosschain.looking.enterprise import EnterpriseInMarket
from crosschain.looking.holder import HeldSecurity, HolderInMarket, Party
from crosschain.looking.objects import AnchoredObject, TieredObject
from crosschain.looking.securities import NamedSecurity
from crosschain.looking.transactions import RollPosition
from supervisory_chain.looking.desk import Looked
from supervisory_chain.looking.questions import FoundTransaction

T = TypeVar("T")


def summary(looked: Looked[T], markets: Mapping[str, render.Row]) -> render.Row:
    """The whole answer: the record first, then the markets that answered, then those that are missing."""
    query, record = looked.query, looked.record
    return {
        "kind": query.kind,
        "subject": query.subject,
        "complete": looked.complete(),
        "record": {
            "transaction": record.receipt.transaction_id.hex(),
            "height": record.header.height,
            "time_ms": record.header.time_ms,
            "account": record.receipt.account.hex(),
            "purpose": query.purpose,
            "reference": query.reference,
        },
        "supervisory": _under(looked.supervisory.header),
        "markets": dict(markets),
        "missing": {code: {"code": one.code, "what": one.what} for code, one in looked.missing.items()},
        "not_admitted": [one.market for one in looked.supervisory.markets if not one.admitted],
        "took_ms": {step: round(took, 1) for step, took in looked.took_ms.items()},
        "alarms": [alarm.line() for alarm in looked.alarms],
    }


def market(code: str, endpoint: str, header: Header, row: render.Row) -> render.Row:
    """One market's answer with the header it stands under."""
    return {"market": REGIONS[code].zh, "endpoint": endpoint, **_under(header), **row}


def _under(header: Header) -> render.Row:
    return {"height": header.height, "time_ms": header.time_ms, "epoch": header.epoch}


def holder(found: HolderInMarket) -> render.Row:
    """All that a holder has in a market."""
    if found.party is None:
        return {"bound": False}
    return {
        "bound": True,
        "category": CATEGORIES[found.code[0]],
        **_party(found.party),
        "securities": len(found.holdings),
        "holdings": [_held(one) for one in found.holdings],
    }


def _party(party: Party) -> render.Row:
    suitability = party.suitability
    return {
        "account": party.account.hex(),
        "status": party.record.status,
        "entity": party.record.entity,
        "freezes": list(party.freezes),
        "suitability": None if suitability is None else suitability._asdict(),
        "cash": {"available_fen": party.cash.available, "held_fen": party.cash.held},
    }


def _held(one: HeldSecurity) -> render.Row:
    holding = one.holding
    return {
        **_security(one.security),
        "total": holding.total,
        "available": holding.available,
        "pledged": holding.pledged,
        "frozen": holding.frozen,
        "directive_freezes": [
            {"directive": freeze.directive, "quantity": freeze.quantity, "fruit_fen": freeze.fruit_fen}
            for freeze in one.freezes
        ],
        "lots": [lot._asdict() for lot in one.lots],
        "pledges": [{"pledge": key.hex(), **_plain(pledge)} for key, pledge in one.pledges],
        "court_orders": [{"order": key.hex(), **_plain(order)} for key, order in one.orders],
    }


def _security(one: NamedSecurity) -> render.Row:
    record = one.record
    return {
        "security": one.security.hex(),
        "reference": one.reference,
        "name": one.name,
        "status": Status(record.status).name.lower(),
        "instrument": Instrument(record.instrument).name.lower(),
        "unit_decimals": record.unit_decimals,
        "issuer": record.issuer.hex(),
        "security_freezes": list(one.freezes),
    }


def _plain(record: Any) -> render.Row:
    """A packed record's fields."""
    return {name: render.plain(value) for name, value in record._asdict().items()}


def enterprise(found: EnterpriseInMarket) -> render.Row:
    """An enterprise with the whole roll of everything it issued."""
    if found.account is None or found.record is None:
        return {"registered": False}
    return {
        "registered": True,
        "account": found.account.hex(),
        "status": found.record.status,
        "entity": found.record.entity,
        "province": found.province,
        "attributes": render.plain(dict(found.attributes or {})),
        "securities": [
            {
                **_security(one.security),
                "total": one.total,
                "holders": len(one.holders),
                "roll": {account.hex(): _plain(holding) for account, holding in one.holders},
            }
            for one in found.securities
        ],
    }


def transaction(found: FoundTransaction) -> render.Row:
    """A transaction from order to settlement to roll."""
    receipt, header, became = found.receipt.receipt, found.receipt.header, found.became
    return {
        "receipt": {
            "height": header.height,
            "time_ms": header.time_ms,
            "account": receipt.account.hex(),
            "nonce": receipt.nonce,
            "code": receipt.code,
            "code_name": Code(receipt.code).name if receipt.code in Code.__members__.values() else "",
            "rule": receipt.rule,
        },
        "events": [
            {"contract": e.contract, "event": e.name, "fields": render.plain(dict(e.fields))} for e in found.events
        ],
        "holds_now": {key.hex(): None if one is None else _hold(one) for key, one in became.holds.items()},
        "pledges_now": {key.hex(): None if one is None else _plain(one) for key, one in became.pledges.items()},
        "orders_now": {key.hex(): None if one is None else _plain(one) for key, one in became.orders.items()},
        "positions_now": [_position(one) for one in became.positions],
        "entries_left": became.entries_left,
    }


def _hold(one: Any) -> render.Row:
    return {**_plain(one), "kind": HoldKind(one.kind).name.lower()}


def _position(one: RollPosition) -> render.Row:
    return {
        "security": one.security.security.hex(),
        "reference": one.security.reference,
        "account": one.account.hex(),
        "holder": one.holding is not None,
        "holding": None if one.holding is None else {**_plain(one.holding), "total": one.holding.total},
        "roll_position": one.slot,
        "holders": one.holders,
    }


def anchored(found: AnchoredObject, stored: Mapping[int, str]) -> render.Row:
    """An object's history; ``stored``: what the object store's bytes of a version are, where it was asked."""
    head = found.head
    if head is None:
        return {"anchored": False}
    return {
        "anchored": True,
        "object_kind": head.kind,
        "owner": head.owner.hex(),
        "deleted": head.deleted,
        "rewriting": head.rewriting,
        "versions": [_anchor(n, one, stored.get(n, "not_asked")) for n, one in enumerate(found.versions)],
    }


def _anchor(number: int, anchor: Anchor, stored: str) -> render.Row:
    return {
        "version": number,
        "operation": anchor.operation,
        "hash": anchor.hash.hex(),
        "model": anchor.model,
        "anchored_height": anchor.height,
        "rewrites": anchor.rewrites,
        "former": anchor.former.hex(),
        "bytes": stored,
    }


def tiered(found: TieredObject) -> render.Row:
    """A tiered object's descriptor, readers and deletion; a public one's body where it was asked for."""
    descriptor = found.descriptor
    if descriptor is None:
        return {"described": False}
    deletion = found.deletion
    return {
        "described": True,
        "tier": descriptor.tier,
        "object_kind": descriptor.kind,
        "owner": descriptor.owner.hex(),
        "status": descriptor.status,
        "version": descriptor.version,
        "version_height": descriptor.height,
        "commitment": descriptor.commitment.hex(),
        "held": descriptor.held,
        "custodians": [account.hex() for account, _ in descriptor.custodians],
        "readers": [reader.hex() for reader in found.readers],
        "deletion": None
        if deletion is None
        else {"reason": deletion.reason, "ordered_ms": deletion.ordered_ms, "destroyed_ms": deletion.destroyed_ms},
        "authorised": found.authorised(),
        "body": None if found.body is None else found.body.hex(),
    }
