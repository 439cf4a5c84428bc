"""Values have one encoding, and nothing else decodes (docs/spec/formats.md §2.2)."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec import values as values_module
from chain_core.codec.values import MAX_MAP_KEY_INT, decode_map, decode_value, encode_value
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import MAX_DEPTH

LIMIT = 2**255
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(1 - LIMIT, LIMIT - 1)
    | st.integers(-300, 300)
    | st.binary(max_size=12)
    | texts
)
keys = texts | st.integers(0, MAX_MAP_KEY_INT - 1)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)


def same(a: Any, b: Any) -> bool:
    """Equal and of one type all the way down: 1 is not True."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@given(values)
def test_what_is_written_reads_back_as_it_was(value: Any) -> None:
    raw = encode_value(value)
    assert same(decode_value(raw), value)


@given(values, values)
def test_different_values_have_different_bytes(a: Any, b: Any) -> None:
    assert (encode_value(a) == encode_value(b)) == same(a, b)


@given(st.binary(max_size=40))
def test_bytes_are_the_one_encoding_of_what_they_mean(raw: bytes) -> None:
    try:
        value = decode_value(raw)
    except MalformedBytes:
        return
    assert encode_value(value) == raw


@given(st.dictionaries(keys, leaves, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_a_map_was_filled_does_not_matter(items: dict[Any, Any], random: Any) -> None:
    shuffled = list(items.items())
    random.shuffle(shuffled)
    assert encode_value(dict(shuffled)) == encode_value(items)


def test_what_is_remembered_of_maps_is_taken_for_no_other_keys() -> None:
    """A map's text keys are encoded once; equal to Python are also 1, True and 1.0, which no map may mix up."""
    assert encode_value({"1": 0}) == encode_value({"1": 0}) != encode_value({1: 0})
    for key in (True, 1.0):
        with pytest.raises(TypeError):
            encode_value({key: 0})  # type: ignore[dict-item]
    assert decode_value(encode_value({"a" * 100: 1, "b": {"c": b"d"}})) == {"a" * 100: 1, "b": {"c": b"d"}}


def test_no_memory_grows_with_the_maps_that_others_send() -> None:
    for number in range(10_000):
        raw = encode_value({f"k{number}": number})
        assert decode_value(raw) == {f"k{number}": number}
    wide = {f"k{number:03d}": number for number in range(100)}
    assert decode_value(encode_value(wide)) == wide
    assert len(values_module._shapes) <= values_module._MAX_SHAPES
    assert len(values_module._names) <= values_module._MAX_NAMES


def test_maps_end_at_the_limit_of_nesting_too() -> None:
    deepest: Any = {}
    for _ in range(MAX_DEPTH):
        deepest = {"a": deepest}
    assert decode_value(encode_value(deepest)) == deepest
    for deeper in ({"a": deepest}, [deepest]):
        with pytest.raises(ValueError, match="nested deeper"):
            encode_value(deeper)
    head = b"\x08" + (1).to_bytes(4, "big") + encode_value("a")
    for leaf in (b"\x05\0\0\0\0", b"\x00", b"\x03\x00"):
        whole = head * MAX_DEPTH + leaf
        assert decode_value(whole) is not None
        with pytest.raises(MalformedBytes, match="nested deeper"):
            decode_value(head + whole)


def test_a_tuple_is_a_list() -> None:
    assert encode_value((1, "a")) == encode_value([1, "a"])


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        LIMIT,
        -LIMIT,
        "\ud800",
        bytearray(b"ab"),
        memoryview(b"ab"),
        range(3),
        {1, 2},
        {True: 0},
        {-1: 0},
        {MAX_MAP_KEY_INT: 0},
        {b"k": 0},
        {None: 0},
        {1.5: 0},
        [object()],
    ],
    ids=lambda value: re.sub(" at 0x.*?>", ">", repr(value)),
)
def test_what_has_no_encoding_is_not_written(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode_value(value)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_ends_at_the_limit() -> None:
    deepest = nested(MAX_DEPTH)
    assert decode_value(encode_value(deepest)) == deepest
    with pytest.raises(ValueError, match="nested deeper"):
        encode_value(nested(MAX_DEPTH + 1))


@pytest.mark.parametrize("value", [[], 1, {1: "a"}, {"a": 1, 2: 3}, None], ids=repr)
def test_a_map_of_arguments_has_text_keys(value: Any) -> None:
    with pytest.raises(MalformedBytes, match="text keys"):
        decode_map(encode_value(value))
