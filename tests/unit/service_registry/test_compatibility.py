"""What is called compatible is: every request that was valid is, every response that may come was."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from service_registry.compatibility import breaks, clip
from service_registry.definition import PROTOBUF, Definition, encode_definition, read_definition
from service_registry.schema_order import outside
from service_registry.schemas import validator_of
from tests.unit.service_registry.house import DEFINITION
from tests.unit.service_registry.protos import descriptor_set

BASE = read_definition(encode_definition(DEFINITION))
TEXT: dict[str, Any] = {"type": "string"}


def of(request: Any, response: Any = True) -> Definition:
    return replace(BASE, request_schema=json.dumps(request), response_schema=json.dumps(response))


def thing(required: tuple[str, ...] = (), closed: bool = False, **properties: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"type": "object", "required": list(required), "properties": properties}
    return row | ({"additionalProperties": False} if closed else {})


# case: former schema, new schema, breaks as request's, breaks as response's
SCHEMAS: dict[str, tuple[Any, Any, bool, bool]] = {
    "the same": (thing(a=TEXT), thing(a=TEXT), False, False),
    "other words": ({"title": "x", **TEXT}, {"description": "y", **TEXT}, False, False),
    "newly required": (thing(a=TEXT), thing(("a",), a=TEXT), True, False),
    "no longer required": (thing(("a",), a=TEXT), thing(a=TEXT), False, True),
    "an optional field more, open": (thing(a=TEXT), thing(a=TEXT, b=TEXT), True, False),
    "an optional field more, closed": (thing(closed=True, a=TEXT), thing(closed=True, a=TEXT, b=TEXT), False, True),
    "a field fewer, closed": (thing(closed=True, a=TEXT, b=TEXT), thing(closed=True, a=TEXT), True, False),
    "renamed": (thing(("a",), True, a=TEXT), thing(("b",), True, b=TEXT), True, True),
    "retyped": (thing(a=TEXT), thing(a={"type": "integer"}), True, True),
    "integer to number": ({"type": "integer"}, {"type": "number"}, False, True),
    "a further type": (TEXT, {"type": ["string", "null"]}, False, True),
    "closed": (thing(a=TEXT), thing(closed=True, a=TEXT), True, False),
    "a tighter bound": ({"type": "integer", "maximum": 9}, {"type": "integer", "maximum": 5}, True, False),
    "a bound of another type": (TEXT, {"type": "string", "maximum": 5, "minItems": 3}, False, False),
    "a longer text": ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}, False, True),
    "an enum value fewer": ({"enum": ["a", "b"]}, {"enum": ["a"]}, True, False),
    "an enum value more": ({"enum": ["a"]}, {"enum": ["a", "b"]}, False, True),
    "one is not true": ({"const": 1}, {"const": True}, True, True),
    "an enum within bounds": ({"enum": [1, 2]}, {"type": "integer", "maximum": 2}, False, True),
    "a pattern of fewer": ({"pattern": "^[0-9]{2,4}$"}, {"pattern": "^[0-9]{3}$"}, True, False),
    "another class": ({"pattern": "^[0-9]{2}$"}, {"pattern": "^[a-f]{2}$"}, True, True),
    "items": ({"type": "array", "items": TEXT}, {"type": "array", "items": {"enum": ["a"]}}, True, False),
    "a branch more": ({"anyOf": [TEXT]}, {"anyOf": [TEXT, {"type": "null"}]}, False, True),
    "branches in another order": (
        {"anyOf": [TEXT, {"type": "null"}]},
        {"anyOf": [{"type": "null"}, TEXT]},
        False,
        False,
    ),
    "nothing any more": (TEXT, False, True, False),
}


@pytest.mark.parametrize("case", SCHEMAS)
def test_schemas(case: str) -> None:
    old, new, as_request, as_response = SCHEMAS[case]
    assert bool(breaks(of(old), of(new))) is as_request, breaks(of(old), of(new))
    assert bool(breaks(of(True, old), of(True, new))) is as_response, breaks(of(True, old), of(True, new))


def test_a_break_says_where() -> None:
    assert breaks(of(thing(a=thing(b=TEXT))), of(thing(a=thing(("b",), b=TEXT)))) == (
        "request /a/b: required allows less than before",
    )
    assert breaks(of(True, TEXT), of(True, True)) == ("response /: type allows more than before",)
    many = {f"a{n}": TEXT for n in range(40)}
    assert len(breaks(of(thing(**many)), of(thing(tuple(many), **many)))) == 16
    long = {"名" * 200: TEXT}
    (told,) = breaks(of(thing(**long)), of(thing(tuple(long), **long)))
    assert len(told.encode()) <= 256
    assert clip("名名", 4) == "名"


def test_proof_kind_and_streaming_are_part_of_it() -> None:
    assert breaks(BASE, replace(BASE, proof="holder-roll/v1")) == ("proof: holder-roll/v1 instead of none",)
    assert breaks(BASE, replace(BASE, kind=PROTOBUF)) == ("interface: protobuf instead of json-schema",)
    assert breaks(BASE, replace(BASE, streaming=True))
    assert breaks(BASE, replace(BASE, price_fen=9, endpoints=("127.0.0.1:9",))) == ()


def test_what_is_too_involved_counts_as_a_break() -> None:
    branches = {"anyOf": [{"type": "object", "properties": {"a": {"maximum": n}}} for n in range(60)]}
    deep: Any = branches
    for _ in range(3):
        deep = {"anyOf": [{"properties": {"x": deep}}, {"properties": {"y": deep}}]}
    wider = json.loads(json.dumps(deep).replace('"a"', '"b"'))
    assert outside(deep, wider)


# ---- any two schemas

NAMES = ("a", "b")
CONSTANTS = (0, 1, True, None, "a", "ab", 1.5)
_LEAVES = st.one_of(
    st.booleans(),
    st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["string", "integer", "number", "null", "boolean", ["string", "null"]]),
        "minimum": st.integers(-1, 2),
        "maximum": st.integers(-1, 2),
        "minLength": st.integers(0, 2),
        "maxLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^[ab]{1,2}$", "^[ab]{1}$", "^[a]{0,3}$"]),
    }),
    st.fixed_dictionaries({"enum": st.lists(st.sampled_from(CONSTANTS), min_size=1, max_size=3)}),
    st.fixed_dictionaries({"const": st.sampled_from([0, 1, True, False, "a"])}),
)  # fmt: skip


def _inner(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries({}, optional={
            "type": st.sampled_from(["object", ["object", "string"]]),
            "properties": st.dictionaries(st.sampled_from(NAMES), children, max_size=2),
            "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            "additionalProperties": children,
        }),
        st.fixed_dictionaries({}, optional={
            "type": st.just("array"),
            "items": children,
            "minItems": st.integers(0, 2),
            "maxItems": st.integers(0, 2),
        }),
        st.fixed_dictionaries({"anyOf": st.lists(children, min_size=1, max_size=2)}, optional={
            "type": st.sampled_from(["string", "integer", "object"]),
        }),
    )  # fmt: skip


SUBSET = st.recursive(_LEAVES, _inner, max_leaves=4)
_SCALARS = st.sampled_from([None, True, False, 0, 1, -1, 2, 1.5, "", "a", "ab", "abc", "x"])
VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "c"]), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(SUBSET, SUBSET, st.lists(VALUES, min_size=10, max_size=30))
def test_what_is_within_accepts_no_value_that_the_wider_one_does_not(narrow: Any, wide: Any, values: list[Any]) -> None:
    assume(not outside(narrow, wide))
    event("within")
    one, other = validator_of(narrow), validator_of(wide)
    for value in values:
        assert other.is_valid(value) or not one.is_valid(value), value


@settings(max_examples=100, deadline=None)
@given(SUBSET)
def test_every_schema_is_within_itself_and_within_true(schema: Any) -> None:
    assert outside(schema, schema) == []
    assert outside(schema, True) == []
    assert outside(False, schema) == []
    assert outside(json.loads(json.dumps(schema)), {"anyOf": [schema, {"type": "null"}]}) == []


# ---- protobuf

FIELDS = {"id": (1, "string"), "kind": (2, "Kind"), "part": (3, "Part"), "tags": (4, "repeated string")}
RENAMED = {"code": FIELDS["id"], **{name: told for name, told in FIELDS.items() if name != "id"}}
PARTS = {"n": (1, "int64"), "again": (2, "Part")}
KINDS = {"Kind": ("NONE", "ROLL")}
SET = descriptor_set({"M": FIELDS, "Part": PARTS}, KINDS)


def proto(descriptor: bytes) -> Definition:
    return replace(BASE, kind=PROTOBUF, request_schema="p.M", response_schema="p.M", descriptor=descriptor)


CHANGED: dict[str, tuple[bytes, tuple[str, ...], tuple[str, ...]]] = {
    "the same": (SET, (), ()),
    "a field more": (descriptor_set({"M": {**FIELDS, "more": (9, "string")}, "Part": PARTS}, KINDS), (), ()),
    "removed": (
        descriptor_set({"M": {k: v for k, v in FIELDS.items() if k != "id"}, "Part": PARTS}, KINDS),
        ("id: removed",),
        ("id: removed",),
    ),
    "renumbered": (
        descriptor_set({"M": {**FIELDS, "id": (7, "string")}, "Part": PARTS}, KINDS),
        ("id: number 7 instead of 1",),
        ("id: number 7 instead of 1",),
    ),
    "renamed": (
        descriptor_set({"M": RENAMED, "Part": PARTS}, KINDS),
        ("id: its number 1 now belongs to code",),
        ("id: its number 1 now belongs to code",),
    ),
    "retyped, in a message that contains itself": (
        descriptor_set({"M": FIELDS, "Part": {**PARTS, "n": (1, "string")}}, KINDS),
        ("part.n: another type",),
        ("part.n: another type",),
    ),
    "one instead of many": (
        descriptor_set({"M": {**FIELDS, "tags": (4, "string")}, "Part": PARTS}, KINDS),
        ("tags: another type",),
        ("tags: another type",),
    ),
    "an enum value more": (
        descriptor_set({"M": FIELDS, "Part": PARTS}, {"Kind": ("NONE", "ROLL", "OTHER")}),
        (),
        ("kind: OTHER is new, who reads it does not know it",),
    ),
    "an enum value fewer": (
        descriptor_set({"M": FIELDS, "Part": PARTS}, {"Kind": ("NONE",)}),
        ("kind: ROLL is no longer 1",),
        ("kind: ROLL is no longer 1",),
    ),
    "a oneof": (
        descriptor_set({"M": FIELDS, "Part": PARTS}, KINDS, oneof=frozenset(("id", "kind"))),
        ("id: of another oneof", "kind: of another oneof"),
        ("id: of another oneof", "kind: of another oneof"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGED)
def test_messages(case: str) -> None:
    descriptor, requests, responses = CHANGED[case]
    expected = tuple(f"request {told}" for told in requests) + tuple(f"response {told}" for told in responses)
    assert breaks(proto(SET), proto(descriptor)) == expected


def test_a_new_required_field_breaks() -> None:
    fields = {"a": (1, "string")}
    old = descriptor_set({"M": fields}, syntax="proto2")
    new = descriptor_set({"M": {**fields, "b": (2, "string")}}, syntax="proto2", required=frozenset(("b",)))
    assert "request b: new and required" in breaks(proto(old), proto(new))
    assert base64.b64encode(old)
