"""Batches of access records as values: rows that sum up, what the chain keeps of a batch and of a gateway
(docs/spec/service-records.md §2-§3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U32, U64, malformed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree, merkle_root
from chain_core.execution.arguments import ACCOUNT, HASH, PUBLIC_KEY, Integer, ListOf, Octets, Record
from chain_core.types.ids import PUBLIC_KEY_SIZE
from chain_core.types.values import Value
from contracts.kernel.calendar import MAX_DAY, day_of
from service_registry.bodies import CODES, MAX_CALL_ID, MAX_VERSION, Call, read_call, record_hash
from service_registry.replay import WINDOW_BYTES, bit_map

MAX_COUNT = 4_096
MAX_ROWS = 64
MAX_PATH = 16
KEEP_MS = 31 * 86_400_000
"""So long a batch stays in state, and with it the right to dispute its records."""
MAX_KEYS = 8

ROW = Record(
    {
        "service": Octets(16),
        "version": Integer(1, MAX_VERSION),
        "consumer": ACCOUNT,
        "day": Integer(0, MAX_DAY),
        "consumer_key": PUBLIC_KEY,
        "publisher_key": Octets(0, PUBLIC_KEY_SIZE),
        "codes": ListOf(Integer(0, MAX_COUNT), CODES, CODES),
        "highest": Integer(1, MAX_CALL_ID),
        "ids": Octets(1, WINDOW_BYTES),
    }
)
BATCH: Mapping[str, Any] = {
    "number": Integer(1),
    "root": HASH,
    "count": Integer(1, MAX_COUNT),
    "key": PUBLIC_KEY,
    "rows": ListOf(ROW, MAX_ROWS, 1),
}
"""Arguments of ``record_batch``."""
PATH = ListOf(HASH, MAX_PATH)
_GROUP = ("service", "version", "consumer", "day", "consumer_key", "publisher_key")


@dataclass(frozen=True, slots=True)
class Batch:
    """What the chain keeps of a batch; ``rows`` is SM3 of the canonical list."""

    root: bytes
    count: int
    rows: bytes
    time_ms: int
    height: int


@dataclass(frozen=True, slots=True)
class GatewayLog:
    """A gateway's account with the register: ``next`` and ``oldest`` are numbers of batches."""

    next: int = 1
    oldest: int = 1
    keys: tuple[bytes, ...] = ()
    strikes: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """A record with what it was judged by; ``row`` is ``bodies.record_row`` of it."""

    row: Mapping[str, Value]
    consumer_key: bytes
    publisher_key: bytes

    @property
    def call(self) -> Call:
        """The call it is about."""
        return read_call(cast(bytes, self.row["call"]))


def group_of(call: Call, judged: Judged) -> tuple[bytes | int, ...]:
    """What the records of one row have in common."""
    return call.service, call.version, call.consumer, day_of(call.time_ms), judged.consumer_key, judged.publisher_key


def sum_up(records: Sequence[Judged]) -> list[dict[str, Value]]:
    """The rows of a batch of these records, ascending. Call ids of a (service, consumer) are distinct and near."""
    groups: dict[tuple[bytes | int, ...], tuple[list[int], list[int]]] = {}
    for record in records:
        call = record.call
        codes, ids = groups.setdefault(group_of(call, record), ([0] * CODES, []))
        codes[cast(int, record.row["code"])] += 1
        ids.append(call.call_id)
    rows = []
    for group, (codes, ids) in groups.items():
        highest, bits = bit_map(ids)
        summed: dict[str, Value] = {"codes": cast(list[Value], codes), "highest": highest, "ids": bits}
        rows.append({**dict(zip(_GROUP, group, strict=True)), **summed})
    return sorted(rows, key=row_order)


def row_order(row: Mapping[str, Value]) -> bytes:
    """Rows ascend by this."""
    return encode_value([row[name] for name in _GROUP])


def batch_root(records: Iterable[Judged]) -> bytes:
    """RFC 6962 root over the records' hashes."""
    return merkle_root([record_hash(record.row) for record in records])


def batch_tree(hashes: Sequence[bytes]) -> MerkleTree:
    """The tree whose root a batch has, for paths."""
    return MerkleTree(hashes)


def rows_hash(rows: Sequence[Value]) -> bytes:
    """SM3 of a batch's rows."""
    return sm3(encode_value(list(rows)))


def gateway_key(gateway: bytes) -> bytes:
    """Key inside ``services`` of a gateway's log."""
    return b"g" + gateway


def batch_key(gateway: bytes, number: int) -> bytes:
    """Key inside ``services`` of a batch."""
    return b"b" + gateway + U64.pack(number)


def ruling_key(gateway: bytes, number: int, index: int) -> bytes:
    """Key inside ``services`` of the ruling on a record."""
    return b"x" + gateway + U64.pack(number) + U32.pack(index)


def encode_batch(record: Batch | GatewayLog) -> bytes:
    """Canonical map of its fields."""
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    return encode_value({name: list(part) if isinstance(part, tuple) else part for name, part in row.items()})


def decode_batch(raw: bytes) -> Batch:
    """Raises MalformedBytes."""
    return Batch(**_row(raw, Batch))


def decode_gateway(raw: bytes | None) -> GatewayLog:
    """A gateway's log, a new one of None. Raises MalformedBytes."""
    if raw is None:
        return GatewayLog()
    row = _row(raw, GatewayLog)
    return GatewayLog(**row | {"keys": tuple(row["keys"])})


def _row(raw: bytes, kind: type[Batch | GatewayLog]) -> dict[str, Any]:
    row: dict[str, Any] = decode_map(raw, kind.__name__)
    if row.keys() != {field.name for field in fields(kind)}:
        malformed(kind.__name__, 0, "not exactly its fields")
    return row
