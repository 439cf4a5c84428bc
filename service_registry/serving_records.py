"""Records of batches for who wants to see them: one call's with its path, or a batch's, a page at a time
(docs/spec/service-records.md §7).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import encode_value
from chain_core.crypto.merkle import MerkleTree
from chain_core.network.refusals import NotFound
from chain_core.types.values import Value
from service_registry.batch_records import Judged, batch_tree, sum_up
from service_registry.batcher import Batcher
from service_registry.bodies import record_hash
from service_registry.record_store import RecordStore, Sealed

PAGE = 256


@dataclass(frozen=True, slots=True)
class _Contents:
    """A batch's durable numbers, records and encoded rows."""

    numbers: list[int]
    records: list[Judged]
    rows: bytes


def serve_records(batcher: Batcher | None, request: pb.RecordsRequest) -> pb.RecordsResponse:
    """Raises NotFound."""
    if batcher is None:
        raise _missing("this gateway records no batches")
    store = batcher.store
    response = _page(store, request.batch, request.first) if request.batch else _one(store, request)
    response.gateway = batcher.gateway
    return response


def _one(store: RecordStore, request: pb.RecordsRequest) -> pb.RecordsResponse:
    number = store.number_of(request.service, request.consumer, request.call_id)
    record = None if number is None else store.record(number)
    if number is None or record is None:
        raise _missing("no record of this call is here")
    told = pb.BatchedRecord(record=encode_value(dict(record.row)))
    sealed = store.batch_with(number)
    if sealed is None:
        return pb.RecordsResponse(records=[told])
    contents = _contents(store, sealed)
    tree, index = _tree(sealed, store, len(contents.records)), contents.numbers.index(number)
    told.index, response = index, _head(sealed, contents)
    told.path.extend(tree.path(index))
    response.records.append(told)
    return response


def _page(store: RecordStore, number: int, first: int) -> pb.RecordsResponse:
    sealed = store.batch(number)
    if sealed is None:
        raise _missing(f"batch {number} is not kept here")
    contents = _contents(store, sealed)
    response = _head(sealed, contents)
    for index, record in enumerate(contents.records[first : first + PAGE], first):
        response.records.append(pb.BatchedRecord(record=encode_value(dict(record.row)), index=index))
    return response


def _head(sealed: Sealed, contents: _Contents) -> pb.RecordsResponse:
    return pb.RecordsResponse(
        batch=sealed.number, height=sealed.height, count=len(contents.records), rows=contents.rows
    )


def _contents(store: RecordStore, sealed: Sealed) -> _Contents:
    """Of a batch that is final, remembered: it is asked for a page at a time."""
    return _kept(store, sealed) if sealed.height else _read(store, sealed)


def _read(store: RecordStore, sealed: Sealed) -> _Contents:
    pairs = list(store.records(sealed.first, sealed.last))
    records = [record for _, record in pairs]
    rows: list[Value] = list(sum_up(records))
    return _Contents([number for number, _ in pairs], records, encode_value(rows))


_kept = lru_cache(maxsize=2)(_read)


@lru_cache(maxsize=8)
def _tree(sealed: Sealed, store: RecordStore, count: int) -> MerkleTree:
    """``count``: of a batch that is not final yet, records may still be set aside."""
    return batch_tree([record_hash(record.row) for record in _contents(store, sealed).records])


def _missing(what: str) -> NotFound:
    return NotFound(what, where="records", next_step="records are kept for 31 days; ask the gateway that took the call")
