"""Verifiable credentials and presentations: made strictly, verified in one order (docs/spec/identity.md §5, §7).

Pure: DIDs and statuses are looked up by what the caller gives, time and nonces are arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from crosschain.identity.canonical import (
    CREDENTIALS_CONTEXT,
    MAX_DOCUMENT_CHARACTERS,
    REM_CONTEXT,
    NotSignable,
    encodable,
)
from crosschain.identity.did import NoDid, is_credential_id, parse_did, split_url
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, DidRecord, date_time, key_url, listed
from crosschain.identity.records import VALID
from crosschain.identity.suite import SUITE, Sign, holds, prove

STATUS_TYPE = "VCStatus2022"
CONTEXTS = [CREDENTIALS_CONTEXT, REM_CONTEXT]
CREDENTIAL, PRESENTATION = "VerifiableCredential", "VerifiablePresentation"
PURPOSES = {"assertionMethod": ASSERTION, "authentication": AUTHENTICATION}
MAX_CREDENTIALS = 16
"""Of one presentation."""
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)\Z", re.ASCII)

CODES = (
    "malformed",
    "shape",
    "bad_did",
    "dates",
    "context",
    "issuer",
    "key",
    "signature",
    "status",
    "holder",
    "nonce",
)
"""Why a credential or presentation is refused, in the order in which it is looked at."""


class CredentialRefused(Exception):
    """It does not hold: ``code`` is one of ``CODES``, ``detail`` says what was found where."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


class LookUpFailed(Exception):
    """What was asked cannot be answered now; nothing follows from that."""


class LookUp(Protocol):
    """Where verifiers ask. Both methods may raise LookUpFailed."""

    def record(self, did: str) -> DidRecord | None:
        """What is on record of the DID, None when nothing is."""
        ...

    def status(self, url: str, credential: str) -> str:
        """``valid``, ``revoked`` or ``notExist``."""
        ...


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential that holds."""

    id: str
    types: tuple[str, ...]
    issuer: str
    subjects: tuple[Mapping[str, Any], ...]
    issued_ms: int
    expires_ms: int
    document: Mapping[str, Any]

    @property
    def subject_ids(self) -> frozenset[str]:
        """The DIDs that it is about."""
        return frozenset(subject["id"] for subject in self.subjects)


@dataclass(frozen=True, slots=True)
class Presentation:
    """A presentation that holds, with its credentials."""

    holder: str
    credentials: tuple[Credential, ...]
    document: Mapping[str, Any]


# ---- making


def issue(
    credential: str,
    kind: str,
    issuer: DidRecord,
    key: DidKey,
    subjects: Sequence[Mapping[str, Any]],
    *,
    from_ms: int,
    until_ms: int,
    status_url: str,
    sign: Sign,
) -> dict[str, Any]:
    """A credential with its proof, by an ``assertion`` key of the issuer.

    Raises ValueError for what could never be verified: dates, identifiers, a key of another purpose, undefined terms.
    """
    if not is_credential_id(credential):
        raise ValueError(f"{credential!r} is no identifier of a credential (did:rem:<label>:VC and digits)")
    if key.purpose != ASSERTION or not key.covers(from_ms):
        raise ValueError(f"{key_url(issuer.did, key)} is no assertion key in force at the time of issue")
    if not from_ms < until_ms:
        raise ValueError("the credential ends before it begins")
    for subject in subjects:
        parse_did(subject["id"])
    body: dict[str, Any] = {
        "@context": CONTEXTS,
        "id": credential,
        "type": [CREDENTIAL, kind],
        "issuer": issuer.did,
        "issuanceDate": date_time(from_ms),
        "expirationDate": date_time(until_ms),
        "credentialStatus": {"id": status_url, "type": STATUS_TYPE},
        "credentialSubject": subjects[0] if len(subjects) == 1 else list(subjects),
    }
    return prove(body, _options(issuer, key, from_ms, "assertionMethod"), sign)


def present(
    holder: DidRecord, key: DidKey, credentials: Sequence[Mapping[str, Any]], *, now_ms: int, nonce: str, sign: Sign
) -> dict[str, Any]:
    """A presentation of credentials with the verifier's nonce (Base64URL as it was sent)."""
    if not 1 <= len(credentials) <= MAX_CREDENTIALS:
        raise ValueError(f"a presentation has 1 to {MAX_CREDENTIALS} credentials")
    body: dict[str, Any] = {
        "@context": CONTEXTS,
        "type": [PRESENTATION],
        "holder": holder.did,
        "verifiableCredential": list(credentials),
    }
    purpose = "assertionMethod" if key.purpose == ASSERTION else "authentication"
    return prove(body, {**_options(holder, key, now_ms, purpose), "nonce": nonce}, sign)


def _options(by: DidRecord, key: DidKey, time_ms: int, purpose: str) -> dict[str, Any]:
    return {
        "type": SUITE,
        "created": date_time(time_ms),
        "verificationMethod": key_url(by.did, key),
        "proofPurpose": purpose,
    }


# ---- verifying


def verify_credential(raw: bytes | str, look: LookUp, *, now_ms: int) -> Credential:
    """The credential, if it holds now. Raises CredentialRefused."""
    return _credential(parsed(raw), look, now_ms)


def verify_presentation(raw: bytes | str, look: LookUp, *, now_ms: int, nonce: str) -> Presentation:
    """The presentation with its credentials, if all of it holds now and it answers this nonce.

    Whoever presents credentials about somebody else needs that one's authorisation: the caller looks at
    ``Presentation.holder`` and the credentials' subjects (docs/spec/identity.md §5). Raises CredentialRefused.
    """
    document = parsed(raw)
    shown = listed(document.get("verifiableCredential", []))
    _types(document, PRESENTATION)
    if not 1 <= len(shown) <= MAX_CREDENTIALS or not all(isinstance(one, dict) for one in shown):
        _refuse("shape", f"verifiableCredential: 1 to {MAX_CREDENTIALS} credentials are needed")
    holder = _did(document.get("holder"), "holder")
    proof = _proof(document)
    if not isinstance(proof.get("nonce"), str):
        _refuse("shape", "proof: a presentation carries the nonce that it answers")
    _check_proof(document, proof, holder, look, now_ms, "holder")
    credentials = tuple(_credential(one, look, now_ms) for one in shown)
    if proof["nonce"].rstrip("=") != nonce.rstrip("="):
        _refuse("nonce", "it answers another challenge")
    return Presentation(holder, credentials, document)


def check_about_itself(presentation: Presentation) -> None:
    """Raises CredentialRefused (``holder``) unless the holder is a subject of each credential shown."""
    for credential in presentation.credentials:
        if presentation.holder not in credential.subject_ids:
            _refuse("holder", f"{credential.id} is not about {presentation.holder}")


def _credential(document: Mapping[str, Any], look: LookUp, now_ms: int) -> Credential:
    types = _types(document, CREDENTIAL)
    for name in ("id", "issuer", "issuanceDate", "expirationDate", "credentialStatus", "credentialSubject"):
        if name not in document:
            _refuse("shape", f"{name} is missing")
    status = document["credentialStatus"]
    if not isinstance(status, dict) or status.get("type") != STATUS_TYPE or not isinstance(status.get("id"), str):
        _refuse("shape", f"credentialStatus is not one of type {STATUS_TYPE}")
    subjects = listed(document["credentialSubject"])
    if not subjects or not all(isinstance(one, dict) for one in subjects):
        _refuse("shape", "credentialSubject is no object")
    proof = _proof(document)
    identifier = document["id"]
    if not isinstance(identifier, str) or not is_credential_id(identifier):
        _refuse("bad_did", f"id: {str(identifier)[:60]!r} is no identifier of a credential")
    issuer = _did(document["issuer"], "issuer")
    for subject in subjects:
        _did(subject.get("id"), "credentialSubject")
    issued_ms, expires_ms = (_date(document[name], name) for name in ("issuanceDate", "expirationDate"))
    if not issued_ms < expires_ms:
        _refuse("dates", "it expires when it is issued, or before")
    if not issued_ms <= now_ms < expires_ms:
        _refuse("dates", f"valid from {document['issuanceDate']} to {document['expirationDate']}, not now")
    _check_proof(document, proof, issuer, look, now_ms, "issuer")
    try:
        found = look.status(status["id"], identifier)
    except LookUpFailed as error:
        _refuse("status", f"it cannot be asked now: {error}")
    if found != VALID:
        _refuse("status", f"it is {found}")
    return Credential(identifier, types, issuer, tuple(subjects), issued_ms, expires_ms, document)


def parsed(raw: bytes | str) -> dict[str, Any]:
    """A JSON object in which no name stands twice. Raises CredentialRefused (``malformed``)."""
    if len(raw) > MAX_DOCUMENT_CHARACTERS:
        _refuse("malformed", f"longer than {MAX_DOCUMENT_CHARACTERS}")
    try:
        document = json.loads(raw, object_pairs_hook=_without_doubles, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse("malformed", f"no JSON: {str(error)[:80]}")
    if not isinstance(document, dict):
        _refuse("malformed", "no JSON object")
    if not encodable(document):
        _refuse("malformed", "a text with half a surrogate pair, which no bytes stand for")
    return document


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _types(document: Mapping[str, Any], wanted: str) -> tuple[str, ...]:
    types = listed(document.get("type", []))
    if wanted not in types or not all(isinstance(one, str) for one in types):
        _refuse("shape", f"type does not name {wanted}")
    return tuple(types)


def _proof(document: Mapping[str, Any]) -> dict[str, Any]:
    """The one proof. Several would have to be judged against each other: they are refused."""
    proofs = listed(document.get("proof", []))
    if len(proofs) != 1 or not isinstance(proofs[0], dict):
        _refuse("shape", "exactly one proof is needed")
    proof: dict[str, Any] = proofs[0]
    for name in ("created", "verificationMethod", "proofPurpose", "proofValue"):
        if not isinstance(proof.get(name), str):
            _refuse("shape", f"proof: {name} is missing")
    if proof.get("type") != SUITE:
        _refuse("shape", f"proof: its type is not {SUITE}")
    if proof["proofPurpose"] not in PURPOSES:
        _refuse("shape", f"proof: no purpose {proof['proofPurpose'][:40]!r}")
    return proof


def _did(text: object, where: str) -> str:
    try:
        return parse_did(text if isinstance(text, str) else "").text
    except NoDid as error:
        _refuse("bad_did", f"{where}: {error}")


def _date(text: object, where: str) -> int:
    if not isinstance(text, str) or _DATE.match(text) is None:
        _refuse("dates", f"{where}: {str(text)[:40]!r} is no dateTime")
    found = moment_ms(text)
    if found is None:
        _refuse("dates", f"{where}: {text!r} is no moment")
    return found


def moment_ms(text: object) -> int | None:
    """Milliseconds since the epoch of a dateTime; None for what is none."""
    if not isinstance(text, str) or _DATE.match(text) is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(parsed.astimezone(UTC).timestamp() * 1000)


def _check_proof(
    document: Mapping[str, Any], proof: Mapping[str, Any], by: str, look: LookUp, now_ms: int, role: str
) -> None:
    """The proof is ``by``'s, with a key in force when it was made. Raises CredentialRefused."""
    try:
        signer, _ = split_url(proof["verificationMethod"])
    except NoDid as error:
        _refuse("bad_did", f"verificationMethod: {error}")
    if signer != by:
        _refuse("key", f"the proof is {signer}'s, the {role} is {by}")
    created_ms = _date(proof["created"], "proof.created")
    if created_ms > now_ms:
        _refuse("dates", f"the proof was made at {proof['created']}, later than now")
    try:
        record = look.record(by)
    except LookUpFailed as error:
        _refuse("issuer", f"{by} cannot be resolved now: {error}")
    if record is None:
        _refuse("issuer", f"{by} is not known")
    if not record.active:
        _refuse("issuer", f"{by} is deactivated")
    key = record.key_at(proof["verificationMethod"], PURPOSES[proof["proofPurpose"]], created_ms)
    if key is None:
        _refuse("key", f"{proof['verificationMethod']} was no {proof['proofPurpose']} key at {proof['created']}")
    bare = {name: value for name, value in document.items() if name != "proof"}
    try:
        good = holds(bare, proof, key.key)
    except NotSignable as error:
        _refuse("context", str(error))
    except KeyError:
        _refuse("context", "@context is missing")
    if not good:
        _refuse("signature", f"the proof of the {role} does not verify")


def _refuse(code: str, detail: str) -> NoReturn:
    raise CredentialRefused(code, detail)
