"""What another chain keeps of the channel is hostile until it was read: a value, or MalformedBytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.values import encode_value
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.channel import Source, Waiting
from crosschain.channel_state import decode_source, decode_units, encode_source, read_request
from crosschain.channel_view import request_row

SOURCE = Source((Waiting(3, 2, 9_000, 5, bytes(32)),), 3, 1, 1, 0, 0)
UNITS: dict[str, Value] = {"granted": 9, "available": 4, "escrow": 5, "paid": 0}
REQUEST: dict[str, Value] = {
    "number": 2,
    "sequence": 3,
    "account": bytes(15) + b"\x01",
    "service": "roll_head",
    "arguments": b"",
    "timeout_ms": 9_000,
    "units": 5,
    "height": 7,
    "status": "waiting",
    "code": -1,
    "hash": bytes(32),
    "response": b"",
}
READERS: Mapping[str, tuple[Callable[[bytes], object], dict[str, Any]]] = {
    "source": (decode_source, {"waiting": [[3, 2, 9_000, 5, False, bytes(32)]], "asked": 3, "answered": 1}),
    "units": (decode_units, UNITS),
    "request": (read_request, REQUEST),
}
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-1, 3), st.text(max_size=3), st.binary(max_size=3))
TREES = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner))


def test_what_was_written_is_read() -> None:
    assert decode_source(encode_source(SOURCE)) == SOURCE
    assert decode_units(encode_value(UNITS)).granted == 9
    assert request_row(encode_value(REQUEST), 9_000)["due"] is True


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_no_record_of_another_chain_is_more_than_refused(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    field = data.draw(st.sampled_from(sorted(good)))
    changed = {**good, field: data.draw(TREES)}
    if data.draw(st.booleans()):
        del changed[field]
    try:
        read(encode_value(changed))
    except MalformedBytes:
        return
    assert changed.keys() == good.keys() and name != "source", "only a value of the same kind is one"


def test_a_request_that_waits_as_something_else_is_none() -> None:
    row = {"waiting": [[3, 2, 9_000, 5, 0, bytes(32)]], "asked": 3, "answered": 1, "refunded": 1, "broken": 0}
    with pytest.raises(MalformedBytes):
        decode_source(encode_value({**row, "unreadable": 0}))
