"""What the contract ``services`` keeps, as values and keys (docs/spec/service-registry.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from chain_core.codec.values import decode_ids, decode_map, encode_value
from chain_core.codec.wire import U32, malformed
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value

SERVICES = "services"

DRAFT, REGISTERED, ONLINE, OFFLINE, CANCELLED = "draft", "registered", "online", "offline", "cancelled"
"""States of a service; the first two are states of a version too."""
TESTED, REPLACED = "tested", "replaced"
"""Further states of a version."""
APPLIED, CONFIRMED, REFUSED, WITHDRAWN, REVOKED = "applied", "confirmed", "refused", "withdrawn", "revoked"
"""States of an application."""

MAX_CONSUMERS = 256


@dataclass(frozen=True, slots=True)
class Service:
    """A service. ``version`` in force, ``draft`` in test (0 is none), ``versions`` made so far."""

    reference: str
    publisher: bytes
    entity: str
    market: str
    chain: bytes
    status: str
    version: int
    draft: int
    versions: int
    height: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version; tester, report and compatibility (with the version in force) are of the last report."""

    definition_hash: bytes
    status: str
    tester: bytes
    tester_entity: str
    report_hash: bytes
    compatible: bool
    height: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """An account's trusted key, with SM3 of the certificate that vouches for it."""

    key: bytes
    certificate: bytes
    height: int


@dataclass(frozen=True, slots=True)
class Application:
    """A consumer's application; ``market`` and ``entity`` are the consumer's."""

    status: str
    market: str
    entity: str
    reason: str
    height: int


@dataclass(frozen=True, slots=True)
class AccessLog:
    """One caller's calls of one service. ``window``: which of the ids at and below ``highest`` were used."""

    calls: int = 0
    failures: int = 0
    highest: int = 0
    window: bytes = b""
    digest: bytes = ZERO_HASH
    height: int = 0


@dataclass(frozen=True, slots=True)
class FiledReport:
    """The last joint-test report of a version, as signed."""

    report: bytes
    signature: bytes
    key: bytes


R = TypeVar("R", Service, Version, Certificate, Application, AccessLog, FiledReport)


def encode(record: Service | Version | Certificate | Application | AccessLog | FiledReport) -> bytes:
    """Canonical map of a record's fields."""
    return encode_value({field.name: cast(Value, getattr(record, field.name)) for field in fields(record)})


def decode(kind: type[R], raw: bytes) -> R:
    """The reverse of ``encode``. Raises MalformedBytes."""
    row: Mapping[str, Any] = decode_map(raw, kind.__name__)
    if row.keys() != {field.name for field in fields(kind)}:
        malformed(kind.__name__, 0, "not exactly its fields")
    return kind(**row)


def service_key(service: bytes) -> bytes:
    """Key of a service, like all of these inside ``services``."""
    return b"s" + service


def definition_key(service: bytes, version: int) -> bytes:
    """Key of a version's definition."""
    return b"d" + service + U32.pack(version)


def version_key(service: bytes, version: int) -> bytes:
    """Key of a version's record."""
    return b"v" + service + U32.pack(version)


def report_key(service: bytes, version: int) -> bytes:
    """Key of a version's last report."""
    return b"t" + service + U32.pack(version)


def certificate_key(account: bytes) -> bytes:
    """Key of an account's trusted certificate."""
    return b"c" + account


AUTHORITIES_KEY, PROPOSED_KEY = b"i", b"j"
"""Keys of the authorities in force, and of a list that one officer proposed."""


def path_key(account: bytes) -> bytes:
    """Key of an account's certificate with those above it."""
    return b"p" + account


def offer_key(service: bytes, version: int) -> bytes:
    """Key of a version's source mark."""
    return b"f" + service + U32.pack(version)


def application_key(service: bytes, consumer: bytes) -> bytes:
    """Key of an application."""
    return b"a" + service + consumer


def consumers_key(service: bytes) -> bytes:
    """Key of the list of all that ever applied."""
    return b"n" + service


def log_key(service: bytes, caller: bytes) -> bytes:
    """Key of a caller's access log."""
    return b"l" + service + caller


def decode_consumers(raw: bytes | None) -> list[bytes]:
    """The accounts that ever applied. Raises MalformedBytes."""
    return [] if raw is None else decode_ids(raw, "consumers")
