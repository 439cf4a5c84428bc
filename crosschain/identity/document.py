"""DID documents, rendered from what a chain has on record (docs/spec/identity.md §4; JR/T 0325-2024 §6, annex D)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from chain_core.crypto.sm2_domain import is_on_curve
from chain_core.types.ids import PUBLIC_KEY_SIZE

DID_CONTEXT = "https://www.w3.org/ns/did/v1"
KEY_TYPE = "SM2VerificationKey2022"
AUTHENTICATION, ASSERTION = "did-auth", "assertion"
"""Key purposes of accounts (docs/spec/keys.md §1) behind the two relationships."""
COORDINATE = PUBLIC_KEY_SIZE // 2


@dataclass(frozen=True, slots=True)
class DidKey:
    """One key of a document: its number never changes, ``until_ms`` is 0 while it is in force."""

    number: int
    key: bytes
    purpose: str
    from_ms: int
    until_ms: int = 0

    def covers(self, time_ms: int) -> bool:
        """Whether the key was in force at that moment."""
        return self.from_ms <= time_ms and (self.until_ms == 0 or time_ms < self.until_ms)


@dataclass(frozen=True, slots=True)
class DidService:
    """An entry of ``service``."""

    id: str
    type: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class DidRecord:
    """What a chain has on record of a DID; times are block times in milliseconds."""

    did: str
    account: bytes
    created_ms: int
    updated_ms: int
    version: int
    active: bool
    keys: tuple[DidKey, ...]
    also_known_as: tuple[str, ...] = ()
    services: tuple[DidService, ...] = ()

    def key_at(self, url: str, purpose: str, time_ms: int) -> DidKey | None:
        """The key that a DID URL names, when it was in force for ``purpose`` at that moment."""
        for key in self.keys:
            if key_url(self.did, key) == url and key.purpose == purpose and key.covers(time_ms):
                return key
        return None


def key_url(did: str, key: DidKey) -> str:
    """The DID URL of a key."""
    return f"{did}#keys-{key.number}"


def date_time(time_ms: int) -> str:
    """``YYYY-MM-DDThh:mm:ssZ``; the milliseconds are left out."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render(record: DidRecord) -> dict[str, Any]:
    """The document. Keys that have ended stand among the methods, for old credentials, but in no relationship."""
    did = record.did
    relations: dict[str, list[str]] = {AUTHENTICATION: [], ASSERTION: []}
    if record.active:
        for key in record.keys:
            if not key.until_ms:
                relations[key.purpose].append(key_url(did, key))
    document: dict[str, Any] = {
        "@context": DID_CONTEXT,
        "id": did,
        "controller": did,
        "verificationMethod": [
            {"id": key_url(did, key), "type": KEY_TYPE, "controller": did, "publicKeyJwk": jwk_of(key.key)}
            for key in record.keys
        ],
        "authentication": relations[AUTHENTICATION],
        "assertionMethod": relations[ASSERTION],
    }
    if record.also_known_as:
        document["alsoKnownAs"] = list(record.also_known_as)
    if record.services:
        document["service"] = [
            {"id": service.id, "type": service.type, "serviceEndpoint": service.endpoint} for service in record.services
        ]
    return document


def metadata(record: DidRecord) -> dict[str, Any]:
    """``didDocumentMetadata`` of JR/T 0325-2024 §5.4.2."""
    return {
        "created": date_time(record.created_ms),
        "updated": date_time(record.updated_ms),
        "deactivated": not record.active,
        "versionId": str(record.version),
    }


def jwk_of(key: bytes) -> dict[str, str]:
    """Annex D: the two coordinates, 43 characters each."""
    return {"kty": "EC", "crv": "SM2", "x": _encoded(key[:COORDINATE]), "y": _encoded(key[COORDINATE:])}


def key_of_jwk(jwk: Mapping[str, Any]) -> bytes:
    """The 64 bytes of a public key. Raises ValueError for anything that is no point of the SM2 curve."""
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "SM2") or "d" in jwk:
        raise ValueError("publicKeyJwk: not a public key with kty EC and crv SM2")
    key = b"".join(_decoded(jwk.get(name), name) for name in ("x", "y"))
    if not is_on_curve(key):
        raise ValueError("publicKeyJwk: the point is not on the SM2 curve")
    return key


def _encoded(coordinate: bytes) -> str:
    return base64.urlsafe_b64encode(coordinate).rstrip(b"=").decode("ascii")


def _decoded(text: object, name: str) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"publicKeyJwk: {name} is no text")
    try:
        raw = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", validate=True)
    except ValueError:
        raise ValueError(f"publicKeyJwk: {name} is not Base64URL") from None
    if len(raw) != COORDINATE:
        raise ValueError(f"publicKeyJwk: {name} has {len(raw)} bytes, not {COORDINATE}")
    return raw


def listed(value: object) -> Sequence[Any]:
    """A property that the standard's samples give as one value or as an array, as an array."""
    return value if isinstance(value, list) else [value]
