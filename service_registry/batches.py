"""The method ``record_batch``: many calls by one root and sums that the chain checks and counts
(docs/spec/service-records.md §3; guideline art. 19, 22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import ACTIVE
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry import replay
from service_registry.authority import find_service
from service_registry.batch_records import (
    KEEP_MS,
    MAX_KEYS,
    Batch,
    GatewayLog,
    batch_key,
    decode_batch,
    decode_gateway,
    encode_batch,
    gateway_key,
    row_order,
    rows_hash,
)
from service_registry.bodies import NOT_CALLED, AccessCode, next_digest
from service_registry.parties import LATE_MS, signed_lately
from service_registry.records import DRAFT, TESTED, AccessLog, Version, decode, encode, log_key, version_key
from service_registry.usage import count_usage

AHEAD_MS = 600_000
"""A caller's clock may be so far ahead of block time."""
_PRUNED_AT_ONCE = 4
Row = Mapping[str, Value]


def record_batch(ctx: CallContext, args: Arguments) -> None:
    """All of the batch or nothing."""
    number, key, rows = cast(int, args["number"]), cast(bytes, args["key"]), cast(Sequence[Row], args["rows"])
    log = decode_gateway(ctx.get(gateway_key(ctx.account)))
    if number != log.next:
        ctx.refuse("services.batch_number", log.next)
    owner = ctx.record_of(ctx.account)
    if owner is None or owner.status != ACTIVE or key not in owner.keys.get("assertion", ()):
        ctx.refuse("services.batch_key")
    last = b""
    for index, row in enumerate(rows):
        last = _check_row(ctx, index, row, last)
    root, count = cast(bytes, args["root"]), cast(int, args["count"])
    if sum(_calls(row) for row in rows) != count:
        ctx.refuse("services.batch_rows", len(rows), f"they sum up others than {count} calls")
    for index, row in enumerate(rows):
        _count(ctx, index, row, root)
    hashed = rows_hash(cast(Sequence[Value], rows))
    batch = Batch(root, count, hashed, ctx.block.time_ms, ctx.block.height)
    ctx.put(batch_key(ctx.account, number), encode_batch(batch))
    keys = log.keys if key in log.keys else (key, *log.keys)[:MAX_KEYS]
    pruned = _prune(ctx, replace(log, next=number + 1, keys=keys))
    ctx.put(gateway_key(ctx.account), encode_batch(pruned))
    ctx.emit("batch", gateway=ctx.account, number=number, root=root, count=count, rows=hashed)


def _check_row(ctx: CallContext, index: int, row: Row, last: bytes) -> bytes:
    """The row's place in the order."""
    order, ids = row_order(row), cast(bytes, row["ids"])
    if order <= last:
        ctx.refuse("services.batch_rows", index, "not in ascending order")
    bits, calls = int.from_bytes(ids, "big"), _calls(row)
    if not calls or bits.bit_count() != calls or not bits & 1 or not ids[0]:
        ctx.refuse("services.batch_rows", index, "its ids are not those of its calls")
    if bits.bit_length() > cast(int, row["highest"]):
        ctx.refuse("services.batch_rows", index, "a call id below 1")
    service, version = cast(bytes, row["service"]), cast(int, row["version"])
    found, now_ms = find_service(ctx.read, service), ctx.block.time_ms
    if found is None or ctx.record_of(cast(bytes, row["consumer"])) is None:
        ctx.refuse("services.batch_unknown", index, "service or consumer")
    codes = cast(Sequence[int], row["codes"])
    allowed = calls - sum(codes[code] for code in NOT_CALLED)
    raw = ctx.get(version_key(service, version))
    if allowed and (raw is None or decode(Version, raw).status in (DRAFT, TESTED)):
        ctx.refuse("services.batch_unknown", index, "version")
    key = cast(bytes, row["publisher_key"])
    if not signed_lately(ctx.read, cast(bytes, row["consumer"]), cast(bytes, row["consumer_key"]), now_ms):
        ctx.refuse("services.batch_unknown", index, "consumer's key")
    if (allowed or key) and not signed_lately(ctx.read, found.publisher, key, now_ms):
        ctx.refuse("services.batch_unknown", index, "publisher's key")
    day = cast(int, row["day"])
    if not day_of(now_ms - LATE_MS) <= day <= day_of(now_ms + AHEAD_MS):
        ctx.refuse("services.batch_day", index, day)
    return order


def _count(ctx: CallContext, index: int, row: Row, root: bytes) -> None:
    service, consumer = cast(bytes, row["service"]), cast(bytes, row["consumer"])
    codes, key = cast(Sequence[int], row["codes"]), log_key(service, consumer)
    raw = ctx.get(key)
    log = AccessLog() if raw is None else decode(AccessLog, raw)
    ids = int.from_bytes(cast(bytes, row["ids"]), "big")
    merged = replay.merge(log.highest, log.window, cast(int, row["highest"]), ids)
    if merged is None:
        ctx.refuse("services.batch_replayed", index)
    digest, calls = next_digest(log.digest, row_digest(root, row)), sum(codes)
    failures = log.failures + calls - codes[AccessCode.OK]
    ctx.put(key, encode(AccessLog(log.calls + calls, failures, *merged, digest, ctx.block.height)))
    count_usage(ctx, service, cast(int, row["version"]), consumer, cast(int, row["day"]), codes)


def row_digest(root: bytes, row: Row) -> bytes:
    """What an access log's digest chains of a row."""
    return sm3(root + sm3(encode_value(dict(row))))


def _calls(row: Row) -> int:
    return sum(cast(Sequence[int], row["codes"]))


def _prune(ctx: CallContext, log: GatewayLog) -> GatewayLog:
    """Takes a few batches away whose records can be disputed no longer."""
    oldest = log.oldest
    for number in range(oldest, min(oldest + _PRUNED_AT_ONCE, log.next)):
        raw = ctx.get(batch_key(ctx.account, number))
        if raw is not None:
            if decode_batch(raw).time_ms + KEEP_MS >= ctx.block.time_ms:
                break
            ctx.delete(batch_key(ctx.account, number))
        oldest = number + 1
    return replace(log, oldest=oldest)
