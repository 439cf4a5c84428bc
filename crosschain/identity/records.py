"""What chains keep of DIDs and credentials, as values and keys (docs/spec/identity.md §3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Boolean, Choice, Integer, Kind, ListOf, Octets, Record, Text
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE, PUBLIC_KEY_SIZE
from chain_core.types.values import Value
from crosschain.identity.did import MAX_DID_CHARACTERS
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, DidRecord, DidService

IDENTITIES = "identities"
"""The contract's name on the local chains and on the supervisory one: part of proven state keys."""
VALID, REVOKED, NOT_EXIST = "valid", "revoked", "notExist"
"""Words of ``VCStatus2022``; what is on record is one of the first two."""
MAX_KEYS, MAX_LISTED = 64, 8
QUALIFIED_INVESTOR = "QualifiedInvestorCredential"
DATA_AUTHORIZATION = "DataAuthorization"


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


_TIME, _COUNT = Integer(0), Integer(0)
_KEY_ROW = Record(
    {
        "number": Integer(1),
        "key": Octets(PUBLIC_KEY_SIZE),
        "purpose": Choice(frozenset((AUTHENTICATION, ASSERTION))),
        "from_ms": _TIME,
        "until_ms": _TIME,
    }
)
DID_TEXT = Text(MAX_DID_CHARACTERS)
SERVICE_ROW = Record({"id": Text(256), "type": Text(64), "endpoint": Text(512)})
ALSO_KNOWN_AS = ListOf(Text(256), MAX_LISTED, distinct=True)
_DID = Record(
    {
        "did": DID_TEXT,
        "account": Octets(ACCOUNT_ID_SIZE),
        "created_ms": _TIME,
        "updated_ms": _TIME,
        "version": _COUNT,
        "active": Boolean(),
        "also_known_as": ALSO_KNOWN_AS,
        "services": ListOf(SERVICE_ROW, MAX_LISTED),
        "keys": ListOf(_KEY_ROW, MAX_KEYS),
    }
)
_CREDENTIAL = Record(
    {
        "credential": DID_TEXT,
        "digest": Octets(HASH_SIZE),
        "kind": Text(64),
        "issuer": DID_TEXT,
        "subject": DID_TEXT,
        "valid_from_ms": _TIME,
        "expires_ms": _TIME,
        "status": Choice(frozenset((VALID, REVOKED))),
        "height": _COUNT,
    }
)


def _read(raw: bytes, kind: Kind, name: str) -> Mapping[str, Any]:
    """The map, when it is of this kind: another market's chain wrote it. Raises MalformedBytes."""
    row = decode_map(raw, name)
    if not kind.admits(cast(Value, row)):
        raise MalformedBytes(
            f"{name}: other fields than version 1 has", where="identities", next_step="ask another node"
        )
    return row


def decode_did(raw: bytes) -> DidRecord:
    """The reverse of ``encode_did``. Raises MalformedBytes."""
    row = _read(raw, _DID, "DID record")
    return DidRecord(
        row["did"],
        row["account"],
        row["created_ms"],
        row["updated_ms"],
        row["version"],
        row["active"],
        tuple(DidKey(k["number"], k["key"], k["purpose"], k["from_ms"], k["until_ms"]) for k in row["keys"]),
        tuple(row["also_known_as"]),
        tuple(DidService(s["id"], s["type"], s["endpoint"]) for s in row["services"]),
    )


def decode_credential(raw: bytes) -> CredentialRecord:
    """A credential's record from its canonical map. Raises MalformedBytes."""
    row = _read(raw, _CREDENTIAL, "credential record")
    return CredentialRecord(**row)
