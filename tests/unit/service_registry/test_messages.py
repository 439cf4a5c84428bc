"""Interfaces of either kind: bytes become values, or are refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.types.errors import MalformedBytes
from service_registry.definition import PROTOBUF, encode_definition, read_definition
from service_registry.interfaces import ERROR, requests, responses
from service_registry.messages import message_type
from service_registry.schemas import BadSchema, NotOfSchema
from tests.unit.service_registry.house import DEFINITION, REQUEST
from tests.unit.service_registry.protos import descriptor_set

SET = descriptor_set({"Question": {"n": (1, "int64"), "part": (2, "Question")}, "Answer": {"text": (1, "string")}})
JSON = read_definition(encode_definition(DEFINITION))
PROTO = replace(JSON, kind=PROTOBUF, request_schema="p.Question", response_schema="p.Answer", descriptor=SET)


def test_json_of_a_schema() -> None:
    assert requests(JSON).read(REQUEST) == {"question": 1}
    assert responses(JSON).write({"answer": 2}) == b'{"answer":2}'
    for data in (b'{"question":"x"}', b"{}"):
        with pytest.raises(NotOfSchema):
            requests(JSON).read(data)
    with pytest.raises(MalformedBytes):
        requests(JSON).read(b"{")
    with pytest.raises(NotOfSchema):
        responses(JSON).write({"answer": "x"})


def test_messages() -> None:
    side = requests(PROTO)
    value = {"n": "7", "part": {"n": "8"}}
    assert side.read(side.write(value)) == value
    assert side.write({"n": 7, "part": {"n": 8}}) == side.write(value) == bytes.fromhex("080712020808")
    assert responses(PROTO).read(b"\x0a\x03\xe8\x82\xa1") == {"text": "股"}


@pytest.mark.parametrize("data", [b"\xff", b"\x08", b"\x0a\x05ab"])
def test_bytes_that_are_no_message(data: bytes) -> None:
    with pytest.raises(MalformedBytes):
        requests(PROTO).read(data)


@pytest.mark.parametrize(("data", "where"), [(b"\x18\x01", "Question"), (b"\x12\x02\x18\x01", "Question.part")])
def test_a_field_that_the_message_does_not_have(data: bytes, where: str) -> None:
    with pytest.raises(NotOfSchema) as told:
        requests(PROTO).read(data)
    assert told.value.where == where


@pytest.mark.parametrize("value", [{"m": 1}, {"n": "x"}, {"n": 1 << 70}, [], "x", None, {"part": 3}])
def test_values_that_are_none(value: object) -> None:
    with pytest.raises(NotOfSchema):
        requests(PROTO).write(value)


@pytest.mark.parametrize(
    ("descriptor", "name"),
    [
        (SET, "p.Nothing"),
        (SET, "Question"),
        (b"\xff", "p.Question"),
        (b"", "p.Question"),
        (SET + SET[:4], "p.Question"),
    ],
)
def test_descriptors_that_are_none(descriptor: bytes, name: str) -> None:
    with pytest.raises(BadSchema):
        message_type(descriptor, name)


def test_a_descriptor_brings_all_that_it_imports() -> None:
    broken = SET.replace(b".p.Question", b".q.Question")
    with pytest.raises(BadSchema):
        message_type(broken, "p.Question")


def test_typed_errors_are_json_in_both_kinds() -> None:
    assert ERROR.read(b'{"error":{"code":"A","what":"b"}}') == {"error": {"code": "A", "what": "b"}}
    with pytest.raises(NotOfSchema):
        ERROR.read(b'{"answer":1}')
