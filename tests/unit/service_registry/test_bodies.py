"""Signed bodies have one encoding, and reading one gives a value or a typed refusal, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.values import decode_map, encode_value
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from service_registry.bodies import (
    Call,
    Reply,
    Report,
    Trial,
    encode_call,
    encode_reply,
    encode_report,
    read_call,
    read_reply,
    read_report,
)
from service_registry.definition import encode_definition, read_definition
from tests.unit.service_registry.house import DEFINITION

_TRIAL = Trial(bytes(32), b"\1" * 32, 2)
CALL = Call(b"s" * 16, 3, b"c" * 16, 9, 1_790_000_000_000, b"r" * 32)
REPLY = Reply(b"c" * 32, 1, b"r" * 32, 1_790_000_000_000)
REPORT = Report(
    b"s" * 16,
    1,
    b"d" * 32,
    b"t" * 16,
    (_TRIAL,),
    _TRIAL,
    ("schema",),
    ("finding",),
    ("request /question: type allows less than before",),
    bytes(32),
    "fail",
    1_790_000_000_000,
)
BODIES: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
    "call": (encode_call(CALL), read_call),
    "reply": (encode_reply(REPLY), read_reply),
    "report": (encode_report(REPORT), read_report),
    "definition": (encode_definition(DEFINITION), read_definition),
}


def test_round_trips() -> None:
    assert read_call(encode_call(CALL)) == CALL
    assert read_reply(encode_reply(REPLY)) == REPLY
    assert read_report(encode_report(REPORT)) == REPORT


@pytest.mark.parametrize("name", BODIES)
def test_each_field_is_needed_and_no_other(name: str) -> None:
    raw, read = BODIES[name]
    row: dict[str, Any] = decode_map(raw)
    for field in row:
        with pytest.raises(MalformedBytes):
            read(encode_value({k: v for k, v in row.items() if k != field}))
        wrong: Any
        for wrong in (None, -1, b"", 1 << 70, [{}]):
            with pytest.raises(MalformedBytes):
                read(encode_value({**row, field: wrong}))
    with pytest.raises(MalformedBytes):
        read(encode_value({**row, "surplus": 0}))


@pytest.mark.parametrize("name", BODIES)
@given(data=st.data())
def test_altered_bytes_are_another_value_or_refused(name: str, data: st.DataObject) -> None:
    raw, read = BODIES[name]
    place = data.draw(st.integers(0, len(raw) - 1))
    altered = raw[:place] + bytes([raw[place] ^ data.draw(st.integers(1, 255))]) + raw[place + 1 :]
    honest = read(raw)
    try:
        assert read(altered) != honest
    except MalformedBytes as refusal:
        assert refusal.what  # noqa: PT017 - a refusal is one of two right outcomes


@pytest.mark.parametrize("name", BODIES)
@given(garbage=st.binary(max_size=200))
def test_garbage(name: str, garbage: bytes) -> None:
    with pytest.raises(MalformedBytes):
        BODIES[name][1](garbage)


def test_codes_of_replies_are_answers_or_typed_errors() -> None:
    row: dict[str, Value] = decode_map(encode_reply(REPLY))
    with pytest.raises(MalformedBytes):
        read_reply(encode_value({**row, "code": 2}))
