"""A batch as its gateway shows it, held against what the chain has of it (docs/spec/service-records.md §3, §7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root
from chain_core.network.raw_rpc import RawChannel, parse
from chain_core.types.errors import InvalidProof
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry.batch_records import MAX_COUNT
from service_registry.bodies import read_call, read_record
from service_registry.calls import GATEWAY_RECORDS
from service_registry.disputes import UPHELD, judge_record

_ANSWER_S = 10.0
_REPORT = "dispute the record (dualchain registry dispute), and report the gateway to the supervisory chain's operator"
Row = Mapping[str, Value]


async def fetch_batch(channel: RawChannel, gateway: bytes, number: int) -> list[bytes] | None:
    """All records of a batch of that gateway's account, in order, not verified; None when another one answers.

    Raises NotFound, InvalidProof when they have no end.
    """
    records: list[bytes] = []
    while True:
        request = pb.RecordsRequest(batch=number, first=len(records)).SerializeToString()
        answer = parse(pb.RecordsResponse, await channel.unary(GATEWAY_RECORDS, request, timeout_s=_ANSWER_S))
        if answer.gateway != gateway:
            return None
        records += [one.record for one in answer.records]
        if len(records) >= answer.count or not answer.records:
            return records
        if len(records) > MAX_COUNT:
            raise InvalidProof("more records than a batch holds", where=f"batch {number}", next_step=_REPORT)


async def evidence_of(channel: RawChannel, service: bytes, consumer: bytes, call_id: int) -> dict[str, Any]:
    """Arguments of ``dispute`` about one call's record, as its gateway shows it; the chain verifies them.

    Raises NotFound when the gateway has no such record, InvalidProof when it is in no batch, or of none of its rows.
    """
    asked = pb.RecordsRequest(service=service, consumer=consumer, call_id=call_id).SerializeToString()
    answer = parse(pb.RecordsResponse, await channel.unary(GATEWAY_RECORDS, asked, timeout_s=_ANSWER_S))
    if not answer.batch or len(answer.records) != 1:
        raise InvalidProof("the record is in no batch yet", where=f"call {call_id}", next_step="ask again later")
    (found,), rows = answer.records, cast(list[Row], decode_value(answer.rows))
    evidence = {"number": answer.batch, "rows": rows, "index": found.index, "path": list(found.path)}
    row = _row_of(rows, found.record)
    return {**evidence, "gateway": answer.gateway, "record": found.record, "row": row}


def check_batch(genesis_hash: bytes, args: Mapping[str, Value], records: Sequence[bytes]) -> None:
    """Raises InvalidProof unless these are the records under the batch's root, each properly signed, summed up by its
    rows. ``args``: of the ordered ``record_batch``.
    """
    number, rows = cast(int, args["number"]), cast(Sequence[Row], args["rows"])
    if merkle_root([sm3(record) for record in records]) != args["root"]:
        raise InvalidProof("the records have another root", where=f"batch {number}", next_step=_REPORT)
    counted: list[Counter[int]] = [Counter() for _ in rows]
    for index, raw in enumerate(records):
        place = _row_of(rows, raw)
        ruling, why = judge_record(genesis_hash, rows[place], raw)
        if ruling != UPHELD:
            raise InvalidProof(f"{ruling}: {why}", where=f"batch {number}, record {index}", next_step=_REPORT)
        counted[place][cast(int, read_record(raw)["code"])] += 1
    for row, found in zip(rows, counted, strict=True):
        codes = cast(Sequence[int], row["codes"])
        if [found[code] for code in range(len(codes))] != list(codes):
            raise InvalidProof("a row sums up other records", where=f"batch {number}", next_step=_REPORT)


def _row_of(rows: Sequence[Row], raw: bytes) -> int:
    call = read_call(cast(bytes, read_record(raw)["call"]))
    mine = encode_value([call.service, call.version, call.consumer, day_of(call.time_ms)])
    for index, row in enumerate(rows):
        if encode_value([row[name] for name in ("service", "version", "consumer", "day")]) == mine:
            return index
    raise InvalidProof("the record is of none of the batch's rows", where=f"call {call.call_id}", next_step=_REPORT)
