"""A gateway's access records on disk: durable before the caller's answer leaves, kept while they can be disputed
(docs/spec/service-records.md §7).

Keys: ``r`` u64 a record by its durable number, ``z`` u64 one that was set aside, ``k`` service consumer u64 call id the
number, ``b`` u64 a batch, ``n`` the next number. One thread at a time writes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import U64
from chain_core.ledger.database import Database
from chain_core.types.values import Value
from service_registry.batch_records import Judged

_NEXT = b"n"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A batch as it was cut: the records with durable numbers ``first`` to ``last``, without those set aside.

    ``height`` is 0 until it is final.
    """

    number: int
    first: int
    last: int
    time_ms: int
    height: int = 0


class RecordStore:
    """One directory. Raises StoreLocked, StoreCorrupt, StoreFailed, DiskFull."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        raw = self._database.get(_NEXT)
        self.next = 1 if raw is None else U64.unpack(raw)[0]
        """The next durable number."""
        pairs = self._database.pairs(b"b", b"c")
        self._batches = [Sealed(**cast(dict[str, Any], decode_map(value))) for _, value in pairs]

    def close(self) -> None:
        """Releases the directory."""
        self._database.close()

    # ---- records

    def append(self, records: Sequence[Judged]) -> list[int]:
        """Their numbers, once all of them are on disk."""
        batch, numbers = self._database.batch(), list(range(self.next, self.next + len(records)))
        for number, record in zip(numbers, records, strict=True):
            call = record.call
            batch.put(b"r" + U64.pack(number), _encode(record))
            batch.put(_call_key(call.service, call.consumer, call.call_id), U64.pack(number))
        batch.put(_NEXT, U64.pack(self.next + len(records)))
        self._database.write(batch)
        self.next += len(records)
        return numbers

    def number_of(self, service: bytes, consumer: bytes, call_id: int) -> int | None:
        """The durable number of a call's record."""
        raw = self._database.get(_call_key(service, consumer, call_id))
        return None if raw is None else cast(int, U64.unpack(raw)[0])

    def record(self, number: int) -> Judged | None:
        """One record, None when it was set aside or has left."""
        raw = self._database.get(b"r" + U64.pack(number))
        return None if raw is None else _decode(raw)

    def records(self, first: int, last: int) -> Iterator[tuple[int, Judged]]:
        """(number, record), ascending, both ends included."""
        for key, raw in self._database.pairs(b"r" + U64.pack(first), b"r" + U64.pack(last + 1)):
            yield U64.unpack(key[1:])[0], _decode(raw)

    def set_aside(self, numbers: Sequence[int]) -> None:
        """These will be in no batch; they are kept for whoever looks into it."""
        batch = self._database.batch()
        for number in numbers:
            raw = self._database.get(b"r" + U64.pack(number))
            if raw is not None:
                batch.put(b"z" + U64.pack(number), raw)
                batch.delete(b"r" + U64.pack(number))
        self._database.write(batch)

    # ---- batches

    @property
    def unfinished(self) -> int:
        """How many durable numbers are in no final batch."""
        done = max((sealed.last for sealed in self._batches if sealed.height), default=0)
        return self.next - 1 - done

    @property
    def newest(self) -> Sealed | None:
        """The batch cut last."""
        return self._batches[-1] if self._batches else None

    def batch(self, number: int) -> Sealed | None:
        """A batch, None when it is not kept."""
        at = bisect_right(self._batches, number, key=lambda sealed: sealed.number) - 1
        return self._batches[at] if at >= 0 and self._batches[at].number == number else None

    def batch_with(self, number: int) -> Sealed | None:
        """The batch of a record with this durable number."""
        at = bisect_right(self._batches, number, key=lambda sealed: sealed.first) - 1
        return self._batches[at] if at >= 0 and number <= self._batches[at].last else None

    def seal(self, sealed: Sealed) -> None:
        """Writes a batch before it is handed in."""
        self._put(sealed)
        self._batches.append(sealed)

    def finish(self, height: int) -> None:
        """The newest batch is final."""
        self._batches[-1] = replace(self._batches[-1], height=height)
        self._put(self._batches[-1])

    def drop(self) -> None:
        """Of the newest batch nothing is left: its number is not taken."""
        sealed = self._batches.pop()
        batch = self._database.batch()
        batch.delete(b"b" + U64.pack(sealed.number))
        self._database.write(batch)

    def forget(self, before_ms: int) -> None:
        """Takes away the oldest batch with its records, when it is final and of before."""
        if not self._batches or not self._batches[0].height or self._batches[0].time_ms >= before_ms:
            return
        sealed, batch = self._batches[0], self._database.batch()
        for number, record in self.records(sealed.first, sealed.last):
            call = record.call
            batch.delete(b"r" + U64.pack(number))
            batch.delete(_call_key(call.service, call.consumer, call.call_id))
        batch.delete(b"b" + U64.pack(sealed.number))
        self._database.write(batch)
        del self._batches[0]

    def _put(self, sealed: Sealed) -> None:
        batch = self._database.batch()
        row: dict[str, Value] = {name: getattr(sealed, name) for name in Sealed.__slots__}
        batch.put(b"b" + U64.pack(sealed.number), encode_value(row))
        self._database.write(batch)


def _call_key(service: bytes, consumer: bytes, call_id: int) -> bytes:
    return b"k" + service + consumer + U64.pack(call_id)


def _encode(record: Judged) -> bytes:
    row: dict[str, Value] = {"row": dict(record.row)}
    return encode_value(row | {"consumer_key": record.consumer_key, "publisher_key": record.publisher_key})


def _decode(raw: bytes) -> Judged:
    row: dict[str, Any] = decode_map(raw, "record")
    return Judged(row["row"], row["consumer_key"], row["publisher_key"])
