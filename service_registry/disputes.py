"""Disputes settled by the record, and claims for promises without one (docs/spec/service-records.md §5-§6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.codec.wire import malformed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import verify_inclusion
from chain_core.crypto.providers import provider
from chain_core.execution.arguments import ACCOUNT, Integer, Kind, ListOf, Octets
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Method
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.values import Value
from service_registry.authority import TESTER, find_service
from service_registry.batch_records import (
    KEEP_MS,
    MAX_COUNT,
    MAX_ROWS,
    PATH,
    ROW,
    Batch,
    Judged,
    batch_key,
    decode_batch,
    decode_gateway,
    encode_batch,
    gateway_key,
    group_of,
    row_order,
    rows_hash,
    ruling_key,
)
from service_registry.bodies import (
    MAX_PROMISE_BYTES,
    MAX_RECORD_BYTES,
    REPLIED,
    AccessCode,
    Call,
    Promise,
    call_message,
    promise_message,
    read_call,
    read_promise,
    read_record,
    read_reply,
    reply_message,
)
from service_registry.usage import strike

OPERATOR, GATEWAY = "operator", "gateway"
FAULTY, STRUCK, UPHELD = "faulty", "struck", "upheld"
"""Rulings."""
OPEN, KEPT, WITHDRAWN, BROKEN = "open", "kept", "withdrawn", "broken"
"""States of a claim."""
ANSWER_MS = 3 * 86_400_000
CLAIM_MS = KEEP_MS - ANSWER_MS - 86_400_000
"""So long after its deadline a promise is claimed: until the answer is due the batch it is in is kept."""
_MAX_DETAIL = 120


class Whose(Enum):
    """Who may take a step."""

    PARTY = "consumer or publisher of the row"
    CONSUMER = "the promise's consumer"
    GATEWAY = "the promise's gateway"
    ANYBODY = "anybody"


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the specification's tables; ``source`` is empty for what begins."""

    source: str
    targets: frozenset[str]
    whose: Whose


DISPUTES: Mapping[str, Step] = {"dispute": Step("", frozenset((FAULTY, STRUCK, UPHELD)), Whose.PARTY)}
CLAIMS: Mapping[str, Step] = {
    "claim_record": Step("", frozenset((OPEN,)), Whose.CONSUMER),
    "answer_claim": Step(OPEN, frozenset((KEPT,)), Whose.GATEWAY),
    "withdraw_claim": Step(OPEN, frozenset((WITHDRAWN,)), Whose.CONSUMER),
    "lapse_claim": Step(OPEN, frozenset((BROKEN,)), Whose.ANYBODY),
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise that is said to be unkept; ``due_ms`` is by when the gateway answers."""

    state: str
    promise: bytes
    gateway: bytes
    consumer: bytes
    record: bytes
    due_ms: int
    height: int


def claim_key(promise: bytes) -> bytes:
    """Key inside ``services`` of the claim on a promise with these bytes."""
    return b"w" + sm3(promise)


def decode_claim(raw: bytes) -> Claim:
    """Raises MalformedBytes."""
    row: dict[str, Any] = decode_map(raw, "claim")
    if row.keys() != {field.name for field in fields(Claim)}:
        malformed("claim", 0, "not exactly its fields")
    return Claim(**row)


# ---- disputes


def dispute(ctx: CallContext, args: Arguments) -> None:
    """Rules on one record of a batch; a ruling is final."""
    gateway, number, index = cast(bytes, args["gateway"]), cast(int, args["number"]), cast(int, args["index"])
    raw, rows = cast(bytes, args["record"]), cast(Sequence[Mapping[str, Value]], args["rows"])
    _require_in_batch(ctx, gateway, args, sm3(raw))
    place = cast(int, args["row"])
    if place >= len(rows):
        ctx.refuse("services.dispute_evidence", f"there is no row {place}")
    row = rows[place]
    service = find_service(ctx.read, cast(bytes, row["service"]))
    assert service is not None, "a row of a recorded batch names a service"
    if ctx.principal not in (service.publisher, row["consumer"]):
        ctx.refuse("services.dispute_party")
    key = ruling_key(gateway, number, index)
    former = ctx.get(key)
    if former is not None:
        ctx.refuse("services.ruled", cast(str, decode_map(former, "ruling")["ruling"]))
    home = _row_of(rows, raw)
    if home not in (None, place):  # whoever chooses the row does not choose the ruling by it
        ctx.refuse("services.dispute_evidence", f"the record is of row {home}")
    ruling, why = judge_record(ctx.block.genesis_hash, row, raw)
    if ruling != UPHELD:
        log = decode_gateway(ctx.get(gateway_key(gateway)))
        ctx.put(gateway_key(gateway), encode_batch(replace(log, faults=log.faults + 1)))
    if ruling == STRUCK:
        strike(ctx, row, AccessCode(cast(int, read_record(raw)["code"])))
    kept: dict[str, Value] = {"ruling": ruling, "by": ctx.principal, "why": why, "record": sm3(raw)}
    ctx.put(key, encode_value(kept | {"height": ctx.block.height}))
    ctx.emit("ruled", gateway=gateway, number=number, index=index, ruling=ruling, why=why)


def _row_of(rows: Sequence[Mapping[str, Value]], raw: bytes) -> int | None:
    """The row that a record belongs to, None when it is no record or of none."""
    try:
        record = read_record(raw)
        call = read_call(cast(bytes, record["call"]))
    except MalformedBytes:
        return None
    for index, row in enumerate(rows):
        judged = Judged(record, cast(bytes, row["consumer_key"]), cast(bytes, row["publisher_key"]))
        if encode_value(list(group_of(call, judged))) == row_order(row):
            return index
    return None


def judge_record(genesis_hash: bytes, row: Mapping[str, Value], raw: bytes) -> tuple[str, str]:
    """(ruling, why) on a record that stands under a batch's root, as one of the row's."""
    try:
        record = read_record(raw)
        call = read_call(cast(bytes, record["call"]))
    except MalformedBytes as error:
        return FAULTY, error.what[:_MAX_DETAIL]
    judged = Judged(record, cast(bytes, row["consumer_key"]), cast(bytes, row["publisher_key"]))
    age, codes = cast(int, row["highest"]) - call.call_id, cast(Sequence[int], row["codes"])
    mine = encode_value(list(group_of(call, judged))) == row_order(row)
    listed = age >= 0 and bool(int.from_bytes(cast(bytes, row["ids"]), "big") >> age & 1)
    if not mine or not listed or not codes[cast(int, record["code"])]:
        return FAULTY, "no record of this row"
    message = call_message(genesis_hash, cast(bytes, record["call"]))
    if not provider().sm2_verify(judged.consumer_key, message, cast(bytes, record["consumer_signature"])):
        return STRUCK, "the consumer did not sign the call"
    return _judge_reply(genesis_hash, judged, AccessCode(cast(int, record["code"])), call)


def _judge_reply(genesis_hash: bytes, judged: Judged, code: AccessCode, call: Call) -> tuple[str, str]:
    raw, signature = cast(bytes, judged.row["reply"]), cast(bytes, judged.row["publisher_signature"])
    if code not in REPLIED:
        return (STRUCK, f"{code.name} has no reply") if raw or signature else (UPHELD, "")
    try:
        reply = read_reply(raw)
    except MalformedBytes as error:
        return STRUCK, error.what[:_MAX_DETAIL]
    if reply.call_hash != sm3(cast(bytes, judged.row["call"])):
        return STRUCK, "the reply is about another call"
    if code is not AccessCode.BAD_RESPONSE and reply.code != code:
        return STRUCK, f"the reply says code {reply.code}"
    if not provider().sm2_verify(judged.publisher_key, reply_message(genesis_hash, raw), signature):
        return STRUCK, "the publisher did not sign the reply"
    return UPHELD, ""


# ---- claims


def claim_record(ctx: CallContext, args: Arguments) -> None:
    """The consumer has a promise, its deadline has passed, and he says that there is no record."""
    raw = cast(bytes, args["promise"])
    promise = _promise(ctx, raw)
    if promise.consumer != ctx.principal:
        ctx.refuse("services.claim_party", Whose.CONSUMER.value)
    now_ms = ctx.block.time_ms
    if now_ms <= promise.deadline_ms:
        ctx.refuse("services.claim_early", promise.deadline_ms)
    if now_ms > promise.deadline_ms + CLAIM_MS:
        ctx.refuse("services.claim_late", promise.deadline_ms)
    former = ctx.get(claim_key(raw))
    if former is not None:
        ctx.refuse("services.claim_state", decode_claim(former).state, "claim_record")
    owner = ctx.record_of(promise.gateway)
    known = () if owner is None else owner.keys.get("assertion", ())
    keys = (*known, *decode_gateway(ctx.get(gateway_key(promise.gateway))).keys)
    message, signature = promise_message(ctx.block.genesis_hash, raw), cast(bytes, args["signature"])
    if owner is None or GATEWAY not in owner.roles:
        ctx.refuse("services.claim_signature")
    if not any(provider().sm2_verify(key, message, signature) for key in keys):
        ctx.refuse("services.claim_signature")
    claim = Claim(OPEN, raw, promise.gateway, promise.consumer, promise.record, now_ms + ANSWER_MS, ctx.block.height)
    _put(ctx, raw, claim)


def answer_claim(ctx: CallContext, args: Arguments) -> None:
    """The gateway shows the record in a batch."""
    raw, claim = _open(ctx, args, "answer_claim")
    if claim.gateway != ctx.account:
        ctx.refuse("services.claim_party", Whose.GATEWAY.value)
    _require_in_batch(ctx, claim.gateway, args, claim.record)
    _put(ctx, raw, replace(claim, state=KEPT))


def withdraw_claim(ctx: CallContext, args: Arguments) -> None:
    """The consumer found the record."""
    raw, claim = _open(ctx, args, "withdraw_claim")
    if claim.consumer != ctx.principal:
        ctx.refuse("services.claim_party", Whose.CONSUMER.value)
    _put(ctx, raw, replace(claim, state=WITHDRAWN))


def lapse_claim(ctx: CallContext, args: Arguments) -> None:
    """The gateway did not answer in time: the promise is broken, and that stays with its account."""
    raw, claim = _open(ctx, args, "lapse_claim")
    if ctx.block.time_ms <= claim.due_ms:
        ctx.refuse("services.claim_early", claim.due_ms)
    log = decode_gateway(ctx.get(gateway_key(claim.gateway)))
    ctx.put(gateway_key(claim.gateway), encode_batch(replace(log, strikes=log.strikes + 1)))
    _put(ctx, raw, replace(claim, state=BROKEN))


# ---- what they share


def _promise(ctx: CallContext, raw: bytes) -> Promise:
    try:
        return read_promise(raw)
    except MalformedBytes as error:
        ctx.refuse("services.claim_malformed", error.what[:_MAX_DETAIL])


def _open(ctx: CallContext, args: Arguments, step: str) -> tuple[bytes, Claim]:
    raw = cast(bytes, args["promise"])
    kept = ctx.get(claim_key(raw))
    if kept is None:
        ctx.refuse("services.claim_unknown")
    claim = decode_claim(kept)
    if claim.state != CLAIMS[step].source:
        ctx.refuse("services.claim_state", claim.state, step)
    return raw, claim


def _put(ctx: CallContext, raw: bytes, claim: Claim) -> None:
    changed = replace(claim, height=ctx.block.height)
    ctx.put(claim_key(raw), encode_value({field.name: getattr(changed, field.name) for field in fields(changed)}))
    ctx.emit("claim", promise=sm3(raw), gateway=claim.gateway, consumer=claim.consumer, state=claim.state)


def _require_in_batch(ctx: CallContext, gateway: bytes, args: Arguments, record: bytes) -> Batch:
    """The batch, when it is kept, has these rows, and the record's hash at that index."""
    raw = ctx.get(batch_key(gateway, cast(int, args["number"])))
    if raw is None:
        ctx.refuse("services.dispute_evidence", "there is no such batch any more")
    batch = decode_batch(raw)
    if rows_hash(cast(Sequence[Value], args["rows"])) != batch.rows:
        ctx.refuse("services.dispute_evidence", "the batch has other rows")
    index, path = cast(int, args["index"]), cast(Sequence[bytes], args["path"])
    if not verify_inclusion(record, index, batch.count, path, batch.root):
        ctx.refuse("services.dispute_evidence", "the path does not lead from the record to the root")
    return batch


_EVIDENCE: Mapping[str, Kind] = {
    "number": Integer(1),
    "rows": ListOf(ROW, MAX_ROWS, 1),
    "index": Integer(0, MAX_COUNT - 1),
    "path": PATH,
}
_PROMISE: Mapping[str, Kind] = {"promise": Octets(1, MAX_PROMISE_BYTES)}
_DISPUTED: Mapping[str, Kind] = {
    "gateway": ACCOUNT,
    "row": Integer(0, MAX_ROWS - 1),
    "record": Octets(1, MAX_RECORD_BYTES),
}
_PARTIES = frozenset((OPERATOR, TESTER))

METHODS: Mapping[str, Method] = {
    "dispute": Method(dispute, {**_EVIDENCE, **_DISPUTED}, _PARTIES),
    "claim_record": Method(claim_record, {**_PROMISE, "signature": Octets(SIGNATURE_SIZE)}, _PARTIES),
    "answer_claim": Method(answer_claim, {**_PROMISE, **_EVIDENCE}, frozenset((GATEWAY,))),
    "withdraw_claim": Method(withdraw_claim, _PROMISE, _PARTIES),
    "lapse_claim": Method(lapse_claim, _PROMISE),
}
"""The contract's methods of this page."""
