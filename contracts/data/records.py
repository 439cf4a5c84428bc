"""What the contract ``data`` keeps, as values and keys (docs/spec/data-tiers.md §3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from chain_core.codec.values import decode_ids, decode_map, encode_value
from chain_core.codec.wire import malformed
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value

DATA = "data"

PUBLIC, LIMITED, PRIVATE = "public", "limited", "private"
"""Tiers."""
ACTIVE, DELETING, DELETED = "active", "deleting", "deleted"
"""States of an object."""
OWNER, REGULATOR = "owner", "regulator"
"""Whose a grant is; the second is a role as well."""
OPERATOR, DATA_OWNER, CUSTODIAN = "operator", "data_owner", "custodian"
"""Roles."""
SEALING = "sealing"
"""The purpose of keys that data is sealed to."""

KINDS = ("identity", "agreement", "financial", "disclosure", "government", "supervision", "evidence", "other")
PURPOSES = ("business", "supervision", "audit", "judicial", "holder")
REASONS = ("retention_over", "request", "order", "error")

MIN_CLASS, MAX_CLASS, MAX_LIMITED_CLASS = 8, 24, 15
"""A payload of size class c has 2^c bytes."""
MAX_BODY_BYTES = 1 << MAX_LIMITED_CLASS
SEALED_OVERHEAD = 28
"""Nonce and tag."""
MAX_READERS = 32
MAX_CUSTODIANS = 4

OBJECT, BODY, OWN_WRAP, READERS, GRANT, LOG, DELETION = b"d", b"b", b"o", b"n", b"g", b"l", b"x"
"""First byte of each kind of key inside ``data``."""

Read = Callable[[str, bytes], bytes | None]
"""Reads a value by (contract, key)."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What the chain says of an object. ``chain``: genesis hash under which the version in force was sealed;
    ``custodians``: accounts with the sealing key of each that is used.
    """

    tier: str
    kind: str
    owner: bytes
    status: str
    version: int
    size_class: int
    commitment: bytes
    store: bytes
    custodians: tuple[tuple[bytes, bytes], ...]
    held: bool = False
    chain: bytes = ZERO_HASH
    height: int = 0

    def place_of(self, custodian: bytes) -> int | None:
        """The custodian's index among the object's, None when it is none of them."""
        accounts = [account for account, _ in self.custodians]
        return accounts.index(custodian) if custodian in accounts else None


@dataclass(frozen=True, slots=True)
class Grant:
    """A reader's permission, in force before ``expires_ms``; ``wraps`` one for each custodian, of limited data only."""

    expires_ms: int
    by: str
    key: bytes = b""
    wraps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnWrap:
    """The owner's way into a limited body."""

    key: bytes
    wrap: bytes


@dataclass(frozen=True, slots=True)
class AccessLog:
    """A reader's accesses: how many, the last one, and the digest over all transactions."""

    count: int = 0
    version: int = 0
    time_ms: int = 0
    height: int = 0
    purpose: str = ""
    key: bytes = b""
    digest: bytes = ZERO_HASH


@dataclass(frozen=True, slots=True)
class Deletion:
    """Who ordered a deletion and why; when its custodian destroyed key and salt, zeros until then."""

    by: bytes
    reason: str
    ordered_ms: int
    ordered_height: int
    custodian: bytes
    destroyed_ms: int = 0
    destroyed_height: int = 0


R = TypeVar("R", Descriptor, Grant, OwnWrap, AccessLog, Deletion)


def encode(record: Descriptor | Grant | OwnWrap | AccessLog | Deletion) -> bytes:
    """Canonical map of a record's fields."""
    return encode_value({field.name: _plain(getattr(record, field.name)) for field in fields(record)})


def decode(kind: type[R], raw: bytes) -> R:
    """The reverse of ``encode``. Raises MalformedBytes."""
    row: Mapping[str, Any] = decode_map(raw, kind.__name__)
    if row.keys() != {field.name for field in fields(kind)}:
        malformed(kind.__name__, 0, "not exactly its fields")
    return kind(**{name: _frozen(value) for name, value in row.items()})


def _plain(value: object) -> Value:
    return [_plain(item) for item in value] if isinstance(value, tuple) else cast(Value, value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def object_key(identity: bytes) -> bytes:
    """Key of a descriptor, like all of these inside ``data``."""
    return OBJECT + identity


def body_key(identity: bytes) -> bytes:
    """Key of the body in force."""
    return BODY + identity


def own_key(identity: bytes) -> bytes:
    """Key of the owner's wrap."""
    return OWN_WRAP + identity


def readers_key(identity: bytes) -> bytes:
    """Key of the list of readers."""
    return READERS + identity


def grant_key(identity: bytes, reader: bytes) -> bytes:
    """Key of a grant."""
    return GRANT + identity + reader


def log_key(identity: bytes, reader: bytes) -> bytes:
    """Key of a reader's access log."""
    return LOG + identity + reader


def deletion_key(identity: bytes) -> bytes:
    """Key of a deletion record."""
    return DELETION + identity


def find(kind: type[R], raw: bytes | None) -> R | None:
    """A record, None when there is none."""
    return None if raw is None else decode(kind, raw)


def decode_readers(raw: bytes | None) -> list[bytes]:
    """The readers, ascending. Raises MalformedBytes."""
    return [] if raw is None else decode_ids(raw, "readers")


def class_of_sealed(size: int) -> int | None:
    """The size class of a sealed body of ``size`` bytes, None when it is of none."""
    payload = size - SEALED_OVERHEAD
    number = payload.bit_length() - 1
    return number if MIN_CLASS <= number <= MAX_CLASS and payload == 1 << number else None


def class_for(size: int) -> int:
    """The smallest class whose payload takes ``size`` bytes."""
    return max(MIN_CLASS, (size - 1).bit_length())
