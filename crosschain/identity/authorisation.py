"""Data authorisations (数据授权凭证): what they say, and whether they cover a request (docs/spec/government-data.md
§1, §3, §4; JR/T 0325-2024 §10.3 and annex E.3). Pure.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.values import Value
from crosschain.identity.credentials import Credential, moment_ms
from crosschain.identity.data_uses import MAX_USES
from crosschain.identity.did import Did, Subject, label_of_credential, parse_did
from crosschain.identity.document import date_time, listed
from crosschain.identity.records import DATA_AUTHORIZATION

REQUEST = signed.tag("dualchain/govdata-call/v1")
MAX_ITEMS, MAX_LICENSEES, MAX_TEXT = 16, 16, 64
REFERENCE_BYTES = 16
CLAIM_VERSION = "v1.0"


class NotAuthorised(Exception):
    """The authorisation does not cover the request: ``code`` of docs/spec/government-data.md §4, and what was found."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        super().__init__(code, zh, en)
        self.code, self.zh, self.en = code, zh, en


@dataclass(frozen=True, slots=True)
class Authorisation:
    """What the enterprise ``owner`` allows; times are milliseconds, the end excluded."""

    credential: str
    digest: bytes
    owner: str
    licensees: frozenset[str]
    from_ms: int
    until_ms: int
    items: frozenset[str]
    purpose: str
    uses: int
    enterprise: str
    credit_code: str


@dataclass(frozen=True, slots=True)
class DataRequest:
    """One request, as it is hashed: ``service`` and ``consumer`` are ids, ``holder`` the DID that presents."""

    service: bytes
    consumer: bytes
    holder: str
    authorisation: str
    items: tuple[str, ...]
    purpose: str
    reference: bytes
    time_ms: int

    def hash(self, genesis_hash: bytes) -> bytes:
        """The request hash under the supervisory chain's genesis hash."""
        body: dict[str, Value] = {
            "service": self.service,
            "consumer": self.consumer,
            "holder": self.holder,
            "authorisation": self.authorisation,
            "items": list(self.items),
            "purpose": self.purpose,
            "reference": self.reference,
            "time_ms": self.time_ms,
        }
        return sm3(signed.message(REQUEST, genesis_hash, encode_value(body)))


def nonce_of(request_hash: bytes) -> str:
    """The nonce that the presentation carries."""
    return base64.urlsafe_b64encode(request_hash).decode("ascii")


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """A credential's bytes: UTF-8 JSON without blanks, names sorted."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8")


def document_digest(document: Mapping[str, Any]) -> bytes:
    """SM3 of a credential's bytes: what ``identities.issue`` puts on record."""
    return sm3(document_bytes(document))


def claim(
    owner: str,
    licensees: Sequence[str],
    items: Sequence[str],
    *,
    purpose: str,
    uses: int,
    from_ms: int,
    until_ms: int,
    enterprise: str,
    credit_code: str,
) -> dict[str, Any]:
    """The credential's subject. Raises ValueError for what §1 does not allow, NoDid for a licensee that is no DID."""
    for one in licensees:
        parse_did(one)
    row = {
        "lisensee": list(licensees),
        "startDate": date_time(from_ms),
        "endDate": date_time(until_ms),
        "dataItems": list(items),
        "purpose": purpose,
        "uses": uses,
        "entityInfo": {"enterpriseName": enterprise, "enterpriseUSCI": credit_code},
    }
    fault = _fault(row)
    if fault:
        raise ValueError(f"authorization: {fault}")
    return {"id": owner, "version": CLAIM_VERSION, "authorization": row}


def read_authorisation(credential: Credential) -> Authorisation:
    """What a credential that holds allows. Raises NotAuthorised."""
    row: Any = credential.subjects[0].get("authorization") if len(credential.subjects) == 1 else None
    fault = _fault(row) if DATA_AUTHORIZATION in credential.types else f"it is of kind {credential.types}"
    if fault:
        raise NotAuthorised("NOT_ONE_AUTHORISATION", f"凭证不是数据授权：{fault}", f"no data authorisation: {fault}")
    (owner,) = credential.subject_ids
    if owner != credential.issuer:
        raise NotAuthorised(
            "NOT_SELF_ISSUED", f"授权须由数据拥有方 {owner} 本人签发", f"issued by {credential.issuer}, not by {owner}"
        )
    return Authorisation(
        credential.id,
        document_digest(credential.document),
        owner,
        frozenset(listed(row["lisensee"])),
        moment_ms(row["startDate"]) or 0,
        moment_ms(row["endDate"]) or 0,
        frozenset(listed(row["dataItems"])),
        row["purpose"],
        row["uses"],
        row["entityInfo"]["enterpriseName"],
        row["entityInfo"]["enterpriseUSCI"],
    )


def check_covers(found: Authorisation, request: DataRequest, label: str, now_ms: int) -> None:
    """Raises NotAuthorised unless it allows this request now, in the market of this label."""
    owner = parse_did(found.owner)
    if owner.label != label or label_of_credential(found.credential) != label:
        raise NotAuthorised("OTHER_MARKET", f"授权不属于本市场（{label}）", f"it is not of this market ({label})")
    if request.holder not in found.licensees:
        raise NotAuthorised("NOT_LICENSED", f"{request.holder} 不在被授权方之列", f"{request.holder} is not licensed")
    if not found.from_ms <= now_ms < found.until_ms:
        window = f"{date_time(found.from_ms)} - {date_time(found.until_ms)}"
        raise NotAuthorised("OUTSIDE_WINDOW", f"不在授权期间 {window}", f"it covers {window}, not now")
    for item in request.items:
        if item not in found.items:
            raise NotAuthorised("ITEM_NOT_AUTHORISED", f"未授权数据项 {item}", f"the item {item!r} is not authorised")
    if request.purpose != found.purpose:
        raise NotAuthorised(
            "PURPOSE_DIFFERS", f"授权用途为 {found.purpose}", f"authorised for {found.purpose!r}, not for this"
        )


def names_enterprise(found: Authorisation, account: bytes, leads_to: bytes | None) -> bool:
    """Whether the credit code is the enterprise's own: in its DID, or leading to its account on the chain."""
    owner: Did = parse_did(found.owner)
    return (owner.subject is Subject.BODY and owner.code == found.credit_code) or leads_to == account


def _fault(row: object) -> str:
    """What is wrong with ``authorization``, empty for a good one."""
    if not isinstance(row, dict):
        return "no claim `authorization`"
    licensees, items, info = listed(row.get("lisensee")), listed(row.get("dataItems")), row.get("entityInfo")
    begin, end = moment_ms(row.get("startDate")), moment_ms(row.get("endDate"))
    if begin is None or end is None or not begin < end:
        return "startDate, endDate"
    if not 1 <= len(licensees) <= MAX_LICENSEES or not all(isinstance(one, str) for one in licensees):
        return f"lisensee: 1 to {MAX_LICENSEES} DIDs"
    if not 1 <= len(items) <= MAX_ITEMS or not all(_short(one) for one in items):
        return f"dataItems: 1 to {MAX_ITEMS} texts of at most {MAX_TEXT} characters"
    if not _short(row.get("purpose")):
        return f"purpose: a text of at most {MAX_TEXT} characters"
    if type(row.get("uses")) is not int or not 1 <= cast(int, row["uses"]) <= MAX_USES:
        return f"uses: 1 to {MAX_USES}"
    if not isinstance(info, dict) or not all(isinstance(info.get(n), str) for n in _INFO):
        return "entityInfo: enterpriseName, enterpriseUSCI"
    return ""


_INFO = ("enterpriseName", "enterpriseUSCI")


def _short(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT
