"""The method ``record_access``: every call through a gateway, signed by both sides, counted (art. 19, 22;
docs/spec/service-registry.md §6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from service_registry import replay
from service_registry.authority import Denied, find_service, judge, trusted_key
from service_registry.bodies import (
    CODES,
    NOT_CALLED,
    REPLIED,
    AccessCode,
    Call,
    call_message,
    next_digest,
    read_call,
    read_reply,
    record_hash,
    reply_message,
)
from service_registry.records import AccessLog, decode, encode, log_key
from service_registry.usage import count_usage, over_quota

GATEWAY = "gateway"
MAX_RECORDS = 32
MAX_AGE_MS = 600_000
"""A call's time may be this far from block time."""
_MAX_DETAIL = 120


@dataclass(frozen=True, slots=True)
class _Judged:
    """A record's call, and the signatures that remain to be verified, with whose they are."""

    call: Call
    signatures: tuple[tuple[VerifyItem, str], ...]


def record_access(ctx: CallContext, args: Arguments) -> None:
    """All of the records or none; a refusal names the index of the first that may not be recorded."""
    rows = cast(Sequence[Mapping[str, Value]], args["records"])
    judged = [_judge(ctx, index, row) for index, row in enumerate(rows)]
    wanted = [(index, item, whose) for index, one in enumerate(judged) for item, whose in one.signatures]
    answers = provider().sm2_verify_many([item for _, item, _ in wanted])
    for (index, _, whose), holds in zip(wanted, answers, strict=True):
        if not holds:
            ctx.refuse("services.record_signature", index, whose)
    for index, (row, one) in enumerate(zip(rows, judged, strict=True)):
        _count(ctx, index, row, one.call)


def _judge(ctx: CallContext, index: int, row: Mapping[str, Value]) -> _Judged:
    raw, code = cast(bytes, row["call"]), AccessCode(cast(int, row["code"]))
    try:
        call = read_call(raw)
    except MalformedBytes as error:
        ctx.refuse("services.record_malformed", index, error.what[:_MAX_DETAIL])
    if abs(ctx.block.time_ms - call.time_ms) > MAX_AGE_MS:
        ctx.refuse("services.record_stale", index, call.time_ms)
    found, key = find_service(ctx.read, call.service), trusted_key(ctx.read, call.consumer)
    if found is None or key is None:
        ctx.refuse("services.record_unknown", index)
    genesis = ctx.block.genesis_hash
    consumer = ((key, call_message(genesis, raw), cast(bytes, row["consumer_signature"])), "consumer")
    _check_reply(ctx, index, row, code)
    if code in NOT_CALLED:
        return _Judged(call, (consumer,))
    verdict = judge(ctx.read, call.service, found, call.version, call.consumer)
    if isinstance(verdict, Denied):
        ctx.refuse("services.record_denied", index, verdict.name)
    if not verdict.testing and over_quota(ctx.read, call.service, call.version, call.consumer, day_of(call.time_ms)):
        ctx.refuse("services.record_denied", index, AccessCode.OVER_QUOTA.name)
    if code not in REPLIED:
        return _Judged(call, (consumer,))
    message = reply_message(genesis, cast(bytes, row["reply"]))
    publisher = ((verdict.publisher_key, message, cast(bytes, row["publisher_signature"])), "publisher")
    return _Judged(call, (consumer, publisher))


def _check_reply(ctx: CallContext, index: int, row: Mapping[str, Value], code: AccessCode) -> None:
    """The reply is there when the code says so, and about this call."""
    raw, signature = cast(bytes, row["reply"]), cast(bytes, row["publisher_signature"])
    if code not in REPLIED:
        if raw or signature:
            ctx.refuse("services.record_reply", index, f"{code.name} has none")
        return
    try:
        reply = read_reply(raw)
    except MalformedBytes as error:
        ctx.refuse("services.record_reply", index, error.what[:_MAX_DETAIL])
    if reply.call_hash != sm3(cast(bytes, row["call"])):
        ctx.refuse("services.record_reply", index, "it is about another call")
    if code is not AccessCode.BAD_RESPONSE and reply.code != code:
        ctx.refuse("services.record_reply", index, f"it says code {reply.code}")


def _count(ctx: CallContext, index: int, row: Mapping[str, Value], call: Call) -> None:
    key, code = log_key(call.service, call.consumer), cast(int, row["code"])
    raw = ctx.get(key)
    log = AccessLog() if raw is None else decode(AccessLog, raw)
    if replay.used(log.highest, log.window, call.call_id):
        ctx.refuse("services.record_replayed", index, call.call_id)
    highest, window = replay.use(log.highest, log.window, call.call_id)
    hashed = record_hash(row)
    digest = next_digest(log.digest, hashed)
    failures = log.failures + (code != AccessCode.OK)
    ctx.put(key, encode(AccessLog(log.calls + 1, failures, highest, window, digest, ctx.block.height)))
    codes = [int(one == code) for one in range(CODES)]
    count_usage(ctx, call.service, call.version, call.consumer, day_of(call.time_ms), codes)
    ctx.emit(
        "access",
        service=call.service,
        version=call.version,
        consumer=call.consumer,
        call_id=call.call_id,
        code=code,
        record=hashed,
    )
