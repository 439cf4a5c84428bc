"""Packed lists give back what was packed, item by item, and refuse anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.ledger.errors import StoreCorrupt
from chain_core.ledger.packing import item, pack, unpack


@given(st.lists(st.binary(max_size=20), max_size=12))
def test_round_trip(items: list[bytes]) -> None:
    data = pack(items)
    assert unpack(data, "here") == tuple(items)
    assert [item(data, index, "here") for index in range(len(items))] == items
    assert item(data, len(items), "here") is None and item(data, -1, "here") is None


@pytest.mark.parametrize(
    "data", [b"", b"\x00\x00\x00", b"\x00\x00\x00\x01", b"\x00\x00\x00\x01\x00\x00\x00\x05abcd", pack([b"a"]) + b"b"]
)
def test_anything_else_is_corrupt(data: bytes) -> None:
    for read in (lambda: unpack(data, "height 3"), lambda: item(data, 0, "height 3")):
        with pytest.raises(StoreCorrupt, match="height 3"):
            read()
