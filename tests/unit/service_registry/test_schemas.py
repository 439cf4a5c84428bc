"""Schemas of strangers: a subset in which nothing is fetched, recurses or runs for ever; JSON is read strictly."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.types.errors import MalformedBytes
from service_registry import schemas
from service_registry.lookup import REQUEST_SCHEMA, RESPONSE_SCHEMA

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1/schema"},
        {"$ref": "#"},
        {"properties": {"a": {"$dynamicRef": "#"}}},
        {"items": {"items": {"allOf": []}}},
        {"patternProperties": {"(a+)+$": True}},
        {"pattern": "(a+)+$"},
        {"pattern": "^a*a*a*b$"},
        {"pattern": "^[a]{1,99999999}$"},
        {"anyOf": [{"not": {}}]},
        {"type": "unheard of"},
        {"minLength": -1},
        {"items": 7},
        [],
        "text",
    ],
)
def test_refused_schemas(schema: Any) -> None:
    with pytest.raises(schemas.BadSchema):
        schemas.validator(json.dumps(schema))


@pytest.mark.parametrize(
    "text", ["", "{", '{"type":"object","type":"array"}', "NaN", "[" * 100_000, '"\\ud800', "\ufeff{}"]
)
def test_refused_json(text: str) -> None:
    with pytest.raises(MalformedBytes):
        schemas.read_json(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(schemas.BadSchema):
        schemas.validator(text)


def test_bytes_that_are_not_utf_8() -> None:
    with pytest.raises(MalformedBytes):
        schemas.read_json(b'"\xff"')


def test_nesting_has_its_limit() -> None:
    deep: Any = 0
    for _ in range(schemas.MAX_DEPTH):
        deep = [deep]
    assert schemas.read_json(json.dumps(deep).encode()) == deep
    with pytest.raises(MalformedBytes):
        schemas.read_json(json.dumps([deep]).encode())


@given(JSON)
def test_what_is_written_is_read(value: Any) -> None:
    assert schemas.read_json(schemas.write_json(value)) == value


def test_a_pattern_judges_long_text_at_once() -> None:
    schema = json.dumps({"type": "string", "pattern": "^[a-z]{1,99999}$"})
    started = time.process_time()
    with pytest.raises(schemas.NotOfSchema):
        schemas.check(schema, "a" * 60_000 + "!")
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({}, "JSON"),
        ({"security": 7}, "security"),
        ({"security": "00"}, "security"),
        ({"security": "00" * 16 + "\n"}, "security"),
        ({"security": "00" * 16, "more": 1}, "JSON"),
    ],
)
def test_the_place_that_does_not_fit_is_named(value: Any, where: str) -> None:
    with pytest.raises(schemas.NotOfSchema) as refusal:
        schemas.check(json.dumps(REQUEST_SCHEMA), value)
    assert refusal.value.where == where


def test_the_schemas_of_this_release_are_of_the_subset() -> None:
    for schema in (json.dumps(REQUEST_SCHEMA), json.dumps(RESPONSE_SCHEMA), schemas.ERROR_SCHEMA):
        schemas.validator(schema)
    schemas.check(schemas.ERROR_SCHEMA, {"error": {"code": "X", "what": "y"}})
    with pytest.raises(schemas.NotOfSchema):
        schemas.check(schemas.ERROR_SCHEMA, {"error": {"code": "X"}})
