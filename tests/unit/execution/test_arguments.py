"""Argument kinds admit what they say, and nothing else (docs/spec/execution.md §3)."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    PUBLIC_KEY,
    Boolean,
    Choice,
    Document,
    Integer,
    Kind,
    ListOf,
    MapOf,
    Octets,
    Optional,
    Record,
    Text,
    wrong_argument,
)


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("kind", "admitted", "refused"),
    [
        (Integer(), (0, 2**63 - 1), (-1, 2**63, True, "1", None, b"1")),
        (Integer(-5, 5), (-5, 5), (-6, 6, False)),
        (Boolean(), (True, False), (0, 1, None, "True")),
        (Text(4), ("a", "abcd", "券"), ("", "abcde", "券券", b"a", 1)),
        (Text(4, 0), ("",), (None,)),
        (Text(9, 1, re.compile("[a-z]+")), ("abc",), ("abc1", "abc\n", "A")),
        (Octets(3), (b"abc",), (b"ab", b"abcd", "abc", None)),
        (Octets(1, 3), (b"a", b"abc"), (b"", b"abcd")),
        (HASH, (bytes(32),), (bytes(31),)),
        (PUBLIC_KEY, (bytes(64),), (bytes(65),)),
        (ACCOUNT, (b"a" * 16,), (bytes(16), b"a" * 15, "a" * 16)),
        (Choice(frozenset(("x", "y"))), ("x",), ("z", b"x", None)),
        (ListOf(Integer(), 2, 1), ([1], [1, 1]), ([], [1, 2, 3], [-1], (1,), "1")),
        (ListOf(Text(9), 3, distinct=True), (["a", "b"], []), (["a", "a"],)),
        (ListOf(MapOf(Text(1), Integer(), 1), 2, distinct=True), ([{"a": 1}, {"a": 2}],), ([{"a": 1}, {"a": 1}],)),
        (MapOf(Text(1), Integer(), 2), ({}, {"a": 1}), ({"aa": 1}, {"a": -1}, {"a": 1, "b": 1, "c": 1}, [])),
        (
            Record({"a": Integer()}),
            ({"a": 1},),
            ({}, {"a": 1, "b": 1}, {"a": "x"}, [], {"a": 1, 7: 1}, {"a": 1, 7: 1, "b": 1}),
        ),
        (Document(25), ({}, {"a": [1, 2]}), ({"a": "x" * 20}, {1: 2}, [], None)),
        (Document(999), (nested(8),), (nested(9),)),
        (Document(999), ({"a": [[[[[[[]]]]]]]},), ({"a": [[[[[[[[]]]]]]]]},)),
    ],
)
def test_kinds(kind: Kind, admitted: tuple[Any, ...], refused: tuple[Any, ...]) -> None:
    for value in admitted:
        assert kind.admits(value), value
    for value in refused:
        assert not kind.admits(value), value


SCHEMA: Mapping[str, Kind] = {"to": ACCOUNT, "amount": Integer(1), "note": Optional(Text(8))}


@pytest.mark.parametrize(
    ("args", "wrong"),
    [
        ({"to": b"a" * 16, "amount": 1}, None),
        ({"to": b"a" * 16, "amount": 1, "note": "x"}, None),
        ({"amount": 1}, "to"),
        ({"to": b"a" * 16, "amount": 0}, "amount"),
        ({"to": b"a" * 16, "amount": 1, "note": ""}, "note"),
        ({"to": b"a" * 16, "amount": 1, "zz": 1, "z": 1}, "z"),
        ({"to": b"a" * 16, "amount": 1, "note": "x", "": 1}, ""),
        ({}, "to"),
    ],
)
def test_a_schema_names_the_first_that_is_wrong(args: dict[str, Any], wrong: str | None) -> None:
    assert wrong_argument(SCHEMA, args) == wrong


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.binary(max_size=70) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 9) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_no_value_makes_a_kind_fail(value: Any) -> None:
    value = decode_value(encode_value(value))
    kinds = (*SCHEMA.values(), Boolean(), HASH, ListOf(Text(5), 3, distinct=True), Record(SCHEMA), Document(50))
    more = (Record({}), Record({"note": Optional(Text(8))}))
    for kind in (*kinds, *more):
        assert kind.admits(value) in (True, False)


texts = st.text(max_size=8)
plain = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.binary(max_size=8) | texts
documents = st.dictionaries(
    texts,
    st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)),
    max_size=4,
)


@given(documents)
def test_a_document_is_measured_by_its_encoding_to_the_byte(document: Any) -> None:
    size = len(encode_value(document))
    assert Document(size, 99).admits(document)
    assert not document or not Document(size - 1, 99).admits(document)
