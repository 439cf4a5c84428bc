"""What is signed around a call: call, reply, report, promise; the record of an access (docs/spec/service-registry.md
§5-§6, service-records.md §1).

Bodies travel as bytes. Reading one raises MalformedBytes for other fields, other types and second encodings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import ACCOUNT, HASH, Choice, Integer, Kind, ListOf, Octets, Record, Text
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import SIGNATURE_SIZE
from chain_core.types.values import Value

MAX_CALL_BYTES = 1_024
MAX_REPLY_BYTES = 1_024
MAX_PROMISE_BYTES = 512
MAX_REPORT_BYTES = 32_768
MAX_RECORD_BYTES = MAX_CALL_BYTES + MAX_REPLY_BYTES + 512
MAX_EXAMPLES = 8
MAX_FINDING_BYTES = 512
MAX_BREAKS, MAX_BREAK_BYTES = 16, 256
MAX_CALL_ID = (1 << 63) - 1
MAX_VERSION = (1 << 32) - 1
PASS, FAIL = "pass", "fail"


class AccessCode(IntEnum):
    """What became of a call. Numbers are hashed into records: they never change meaning."""

    OK = 0
    SERVICE_ERROR = 1
    BAD_REQUEST = 2
    UNREACHABLE = 3
    BAD_REPLY = 4
    BAD_RESPONSE = 5
    NOT_AUTHORISED = 6
    OVER_QUOTA = 7


REPLIED = frozenset((AccessCode.OK, AccessCode.SERVICE_ERROR, AccessCode.BAD_RESPONSE))
"""Codes of records that carry the publisher's signed reply."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls what, and SM3 of the request's bytes. ``call_id`` is used once for each service and consumer."""

    service: bytes
    version: int
    consumer: bytes
    call_id: int
    time_ms: int
    request_hash: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """The publisher's word: which call, OK or SERVICE_ERROR, and SM3 of the response's bytes."""

    call_hash: bytes
    code: int
    response_hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class AccessRecord:
    """One call as the gateway records it; reply and its signature are empty where there is none."""

    call: bytes
    consumer_signature: bytes
    reply: bytes
    publisher_signature: bytes
    code: int


@dataclass(frozen=True, slots=True)
class Promise:
    """The gateway's word that the record with hash ``record`` will be in a batch that is final at ``deadline_ms``."""

    gateway: bytes
    record: bytes
    service: bytes
    consumer: bytes
    call_id: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Trial:
    """One request of a joint test: hashes, and the access code it ended with."""

    request_hash: bytes
    response_hash: bytes
    code: int


@dataclass(frozen=True, slots=True)
class Report:
    """A joint test of one version (docs/spec/service-registry.md §10). ``breaks``: what does not go with the version in
    force; none when compatible.
    """

    service: bytes
    version: int
    definition_hash: bytes
    tester: bytes
    examples: tuple[Trial, ...]
    wrong: Trial
    checks: tuple[str, ...]
    findings: tuple[str, ...]
    breaks: tuple[str, ...]
    access_digest: bytes
    verdict: str
    time_ms: int


_ID = Octets(16)
_CODE = Integer(0, 65_535)
CODES = len(AccessCode)
NOT_CALLED = frozenset((AccessCode.NOT_AUTHORISED, AccessCode.OVER_QUOTA))
"""Codes of calls that the caller was not allowed to make."""

_CALL: Mapping[str, Kind] = {
    "service": _ID,
    "version": Integer(1, MAX_VERSION),
    "consumer": ACCOUNT,
    "call_id": Integer(1, MAX_CALL_ID),
    "time_ms": Integer(),
    "request_hash": HASH,
}
_REPLY: Mapping[str, Kind] = {"call_hash": HASH, "code": Integer(0, 1), "response_hash": HASH, "time_ms": Integer()}
_PROMISE: Mapping[str, Kind] = {
    "gateway": ACCOUNT,
    "record": HASH,
    "service": _ID,
    "consumer": ACCOUNT,
    "call_id": Integer(1, MAX_CALL_ID),
    "deadline_ms": Integer(),
}
_TRIAL = Record({"request_hash": HASH, "response_hash": HASH, "code": _CODE})
_REPORT: Mapping[str, Kind] = {
    "service": _ID,
    "version": Integer(1, MAX_VERSION),
    "definition_hash": HASH,
    "tester": ACCOUNT,
    "examples": ListOf(_TRIAL, MAX_EXAMPLES, 1),
    "wrong": _TRIAL,
    "checks": ListOf(Text(64), 16),
    "findings": ListOf(Text(MAX_FINDING_BYTES), 32),
    "breaks": ListOf(Text(MAX_BREAK_BYTES), MAX_BREAKS),
    "access_digest": HASH,
    "verdict": Choice(frozenset((PASS, FAIL))),
    "time_ms": Integer(),
}

RECORD = Record(
    {
        "call": Octets(1, MAX_CALL_BYTES),
        "consumer_signature": Octets(SIGNATURE_SIZE),
        "reply": Octets(0, MAX_REPLY_BYTES),
        "publisher_signature": Octets(0, SIGNATURE_SIZE),
        "code": Integer(0, max(AccessCode)),
    }
)
"""Argument kind of an access record."""


def encode_call(call: Call) -> bytes:
    """The bytes a consumer signs."""
    return encode_value({name: cast(Value, getattr(call, name)) for name in _CALL})


def read_call(data: bytes) -> Call:
    """Raises MalformedBytes."""
    return Call(**_row(data, _CALL, "call"))


def encode_reply(reply: Reply) -> bytes:
    """The bytes a publisher signs."""
    return encode_value({name: cast(Value, getattr(reply, name)) for name in _REPLY})


def read_reply(data: bytes) -> Reply:
    """Raises MalformedBytes."""
    return Reply(**_row(data, _REPLY, "reply"))


def encode_promise(promise: Promise) -> bytes:
    """The bytes a gateway signs."""
    return encode_value({name: cast(Value, getattr(promise, name)) for name in _PROMISE})


def read_promise(data: bytes) -> Promise:
    """Raises MalformedBytes."""
    return Promise(**_row(data, _PROMISE, "promise"))


def read_record(data: bytes) -> dict[str, Value]:
    """The row that ``record_row`` made. Raises MalformedBytes."""
    return _row(data, RECORD.fields, "access record")


def record_row(record: AccessRecord) -> dict[str, Value]:
    """A record as an argument of ``record_access``."""
    row: dict[str, Value] = {name: cast(Value, getattr(record, name)) for name in RECORD.fields}
    return row | {"code": int(record.code)}


def record_hash(row: Mapping[str, Value]) -> bytes:
    """SM3 of a record: what events name and digests chain."""
    return sm3(encode_value(row))


def next_digest(digest: bytes, hashed: bytes) -> bytes:
    """An access log's digest after one more record."""
    return sm3(digest + hashed)


def encode_report(report: Report) -> bytes:
    """The bytes a tester signs."""
    row: dict[str, Value] = {name: cast(Value, getattr(report, name)) for name in _REPORT}
    row["examples"] = [_trial_row(trial) for trial in report.examples]
    return encode_value(row | {"wrong": _trial_row(report.wrong)})


def read_report(data: bytes) -> Report:
    """Raises MalformedBytes."""
    row = _row(data, _REPORT, "report")
    examples = tuple(Trial(**trial) for trial in cast(Sequence[Mapping[str, Any]], row["examples"]))
    changed = {"examples": examples, "wrong": Trial(**row["wrong"])}
    return Report(**row | changed | {name: tuple(row[name]) for name in ("checks", "findings", "breaks")})


def call_message(genesis_hash: bytes, call: bytes) -> bytes:
    """M of a call."""
    return signed.message(signed.CALL, genesis_hash, call)


def reply_message(genesis_hash: bytes, reply: bytes) -> bytes:
    """M of a reply."""
    return signed.message(signed.REPLY, genesis_hash, reply)


def report_message(genesis_hash: bytes, report: bytes) -> bytes:
    """M of a joint-test report."""
    return signed.message(signed.REPORT, genesis_hash, report)


def promise_message(genesis_hash: bytes, promise: bytes) -> bytes:
    """M of a promise."""
    return signed.message(signed.PROMISE, genesis_hash, promise)


def _trial_row(trial: Trial) -> dict[str, Value]:
    return {"request_hash": trial.request_hash, "response_hash": trial.response_hash, "code": trial.code}


def _row(data: bytes, schema: Mapping[str, Kind], record: str) -> dict[str, Any]:
    row = decode_map(data, record)
    if not Record(schema).admits(row):
        raise MalformedBytes(
            f"{record}: a field is missing, unknown or out of bounds",
            where=record,
            next_step="see docs/spec/service-registry.md",
        )
    return dict(row)
