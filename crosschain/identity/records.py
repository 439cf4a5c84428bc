"""What chains keep of DIDs and credentials, as values and keys (docs/spec/identity.md §3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.identity.document import DidKey, DidRecord, DidService

IDENTITIES = "identities"
"""The contract's name on the local chains and on the supervisory one: part of proven state keys."""
VALID, REVOKED = "valid", "revoked"
MAX_KEYS, MAX_LISTED = 64, 8
QUALIFIED_INVESTOR = "QualifiedInvestorCredential"


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """A credential's status on record; ``digest`` is SM3 of the credential's bytes, which stay with its holder."""

    credential: str
    digest: bytes
    kind: str
    issuer: str
    subject: str
    valid_from_ms: int
    expires_ms: int
    status: str
    height: int

    def payload(self) -> dict[str, Value]:
        """Canonical map: state value and packet."""
        return {
            "credential": self.credential,
            "digest": self.digest,
            "kind": self.kind,
            "issuer": self.issuer,
            "subject": self.subject,
            "valid_from_ms": self.valid_from_ms,
            "expires_ms": self.expires_ms,
            "status": self.status,
            "height": self.height,
        }


def did_place(did: str) -> bytes:
    """A DID's key inside the contract."""
    return b"d" + sm3(did.encode("utf-8"))


def credential_place(credential: str) -> bytes:
    """A credential's key inside the contract."""
    return b"c" + sm3(credential.encode("utf-8"))


def did_key(did: str) -> bytes:
    """Full state key of a DID's record."""
    return state_key(IDENTITIES, did_place(did))


def credential_key(credential: str) -> bytes:
    """Full state key of a credential's record."""
    return state_key(IDENTITIES, credential_place(credential))


def did_payload(record: DidRecord) -> dict[str, Value]:
    """Canonical map: state value and packet."""
    return {
        "did": record.did,
        "account": record.account,
        "created_ms": record.created_ms,
        "updated_ms": record.updated_ms,
        "version": record.version,
        "active": record.active,
        "also_known_as": list(record.also_known_as),
        "services": [{"id": s.id, "type": s.type, "endpoint": s.endpoint} for s in record.services],
        "keys": [
            {"number": k.number, "key": k.key, "purpose": k.purpose, "from_ms": k.from_ms, "until_ms": k.until_ms}
            for k in record.keys
        ],
    }


def encode_did(record: DidRecord) -> bytes:
    """The state value."""
    return encode_value(did_payload(record))


def decode_did(raw: bytes) -> DidRecord:
    """The reverse. Raises MalformedBytes."""
    row = decode_map(raw, "DID record")
    try:
        keys = tuple(
            DidKey(
                cast(int, k["number"]),
                cast(bytes, k["key"]),
                cast(str, k["purpose"]),
                cast(int, k["from_ms"]),
                cast(int, k["until_ms"]),
            )
            for k in cast(Sequence[Mapping[str, Value]], row["keys"])
        )
        services = tuple(
            DidService(s["id"], s["type"], s["endpoint"]) for s in cast(Sequence[Mapping[str, str]], row["services"])
        )
        return DidRecord(
            cast(str, row["did"]),
            cast(bytes, row["account"]),
            cast(int, row["created_ms"]),
            cast(int, row["updated_ms"]),
            cast(int, row["version"]),
            cast(bool, row["active"]),
            keys,
            tuple(cast(Sequence[str], row["also_known_as"])),
            services,
        )
    except (KeyError, TypeError, AttributeError):
        raise MalformedBytes(
            "DID record: other fields than version 1 has", where="identities", next_step="ask another node"
        ) from None


def decode_credential(raw: bytes) -> CredentialRecord:
    """A credential's record from its canonical map. Raises MalformedBytes."""
    row = decode_map(raw, "credential record")
    try:
        return CredentialRecord(
            cast(str, row["credential"]),
            cast(bytes, row["digest"]),
            cast(str, row["kind"]),
            cast(str, row["issuer"]),
            cast(str, row["subject"]),
            cast(int, row["valid_from_ms"]),
            cast(int, row["expires_ms"]),
            cast(str, row["status"]),
            cast(int, row["height"]),
        )
    except KeyError:
        raise MalformedBytes(
            "credential record: other fields than version 1 has", where="identities", next_step="ask another node"
        ) from None
