"""The resolver's answers (JR/T 0325-2024 §5.4; docs/spec/identity.md §4): requests to results, without IO."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from crosschain.identity.did import NoDid, is_credential_id, parse_did
from crosschain.identity.document import DidRecord, metadata, render
from crosschain.identity.records import NOT_EXIST, REVOKED, VALID

MEDIA_TYPE = "application/did+ld+json"
INVALID, NOT_FOUND, NOT_SUPPORTED, INTERNAL = "InvalidDid", "notFound", "representationNotSupported", "internalError"
_HTTP = {"": 200, INVALID: 400, NOT_FOUND: 404, NOT_SUPPORTED: 406, INTERNAL: 500}
MAX_PATH_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Result:
    """One answer: HTTP status and JSON."""

    status: int
    body: Mapping[str, Any]

    @property
    def error(self) -> str:
        """The standard's error word, empty for a document."""
        return str(self.body["didResolutionMetadata"].get("error", ""))

    def encoded(self) -> bytes:
        """The JSON text, the same bytes wherever it is rendered."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode("utf-8")


def wanted(headers: Mapping[str, str]) -> bool:
    """Whether our representation is asked for: by ``resolutionOptions``, else ``Accept``, else ``Content-Type``."""
    for name in ("resolutionOptions", "Accept", "Content-Type"):
        text = headers.get(name, "").strip()
        if text:
            kinds = [kind.split(";")[0].strip().lower() for kind in text.split(",")]
            return MEDIA_TYPE in kinds or "*/*" in kinds
    return True


def did_in(path: str) -> str:
    """The DID of a request's path, raw or percent-encoded once. Raises NoDid."""
    if len(path) > MAX_PATH_CHARACTERS:
        raise NoDid(f"the path has more than {MAX_PATH_CHARACTERS} characters")
    return unquote(path.removeprefix("/"), errors="strict")


def found(record: DidRecord) -> Result:
    """The document, in both members by which its place is known (§5.4.2 and annex B)."""
    document = render(record)
    return Result(
        200,
        {
            "didResolutionMetadata": {"contentType": MEDIA_TYPE},
            "didDocumentMetadata": metadata(record),
            "didDocumentStream": document,
            "didDocument": document,
        },
    )


def failed(error: str) -> Result:
    """No document, and which of the standard's four errors says why."""
    return Result(
        _HTTP[error],
        {
            "didResolutionMetadata": {"error": error},
            "didDocumentMetadata": {},
            "didDocumentStream": None,
            "didDocument": None,
        },
    )


def label_of(text: str) -> str | Result:
    """The label of a DID that may be resolved; the identifier of a credential has no document."""
    try:
        return parse_did(text).label
    except NoDid:
        return failed(NOT_FOUND if is_credential_id(text) else INVALID)


def status_answer(credential: str, status: str | None) -> dict[str, str]:
    """``VCStatus2022``: what is on record, ``notExist`` for nothing."""
    return {"id": credential, "credentialStatus": status if status in (VALID, REVOKED) else NOT_EXIST}


def same_document(body: Mapping[str, Any], did: str) -> bool:
    """Whether a result that another resolver gave is of the standard's shape and about this DID."""
    about = body.get("didResolutionMetadata")
    if not isinstance(about, dict) or not isinstance(body.get("didDocumentMetadata"), dict):
        return False
    shown = [body[name] for name in ("didDocumentStream", "didDocument") if body.get(name) is not None]
    if about.get("error"):
        return not shown
    return bool(shown) and all(isinstance(one, dict) and one == shown[0] for one in shown) and shown[0].get("id") == did
