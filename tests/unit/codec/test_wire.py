"""Fields of records, one by one: exact sizes, limits before reading, offsets in refusals (formats.md §2.1)."""

from collections.abc import Callable

import pytest

from chain_core.codec.wire import Layout, Reader, Writer, ascending, is_identifier
from chain_core.types.errors import MalformedBytes


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda w: w.u8(256), "256 does not fit into 1 bytes"),
        (lambda w: w.u16(-1), "-1 does not fit into 2 bytes"),
        (lambda w: w.u32(1 << 32), "does not fit into 4 bytes"),
        (lambda w: w.u64(1 << 64), "does not fit into 8 bytes"),
        (lambda w: w.fixed(b"abc", 4), "field of 4 bytes given 3"),
        (lambda w: w.fixed(b"abcde", 4), "field of 4 bytes given 5"),
        (lambda w: w.name("x" * 256), "256 does not fit"),
    ],
)
def test_what_does_not_fit_is_not_written(write: Callable[[Writer], object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        write(Writer())


@pytest.mark.parametrize(
    ("data", "read", "reason", "offset"),
    [
        (b"", lambda r: r.u8(), "ends too early", 0),
        (b"\0\0\0", lambda r: r.u32(), "ends too early", 0),
        (b"abc", lambda r: r.fixed(4), "ends too early", 0),
        (b"\0\0\0\x03ab", lambda r: r.blob(9), "ends too early", 4),
        (b"\0\0\0\x0aab", lambda r: r.blob(9), "10 bytes where at most 9", 4),
        (b"\xff\xff\xff\xff", lambda r: r.blob(9), "4294967295 bytes where at most 9", 4),
        (b"\x03ab", lambda r: r.name(), "ends too early", 1),
        (b"\x03abc", lambda r: r.name(2), "3 bytes where at most 2", 1),
        (b"\x01\xff", lambda r: r.name(), "not UTF-8", 2),
        (b"\x01A", lambda r: r.identifier(), "lower-case", 0),
        (b"\x00", lambda r: r.identifier(), "lower-case", 0),
        (b"\x02", lambda r: r.version(), "unknown format version 2", 1),
        (b"\x05", lambda r: r.count(1, 4, r.u8()), r"count 5 outside 1\.\.4", 1),
        (b"ab", lambda r: (r.u8(), r.end()), "1 trailing bytes", 1),
    ],
)
def test_what_cannot_have_been_written_is_refused_where_it_stands(
    data: bytes, read: Callable[[Reader], object], reason: str, offset: int
) -> None:
    with pytest.raises(MalformedBytes, match=reason) as refusal:
        read(Reader(data, "sample"))
    assert refusal.value.what.startswith("sample: ")
    assert refusal.value.where == f"offset {offset}"


def test_a_layout_neither_pads_nor_cuts() -> None:
    layout = Layout("B4sI")
    raw = layout.pack(1, b"abcd", 2)
    assert (raw, layout.size, layout.unpack_from(b"x" + raw, 1)) == (b"\x01abcd\0\0\0\x02", 9, (1, b"abcd", 2))
    for bad in ((1, b"abc", 2), (1, b"abcde", 2), (1, 7, 2), (256, b"abcd", 2), (1, b"abcd", 1 << 32)):
        with pytest.raises(ValueError, match=r"bytes, not 4|does not fit"):
            layout.pack(*bad)


def test_names_and_order() -> None:
    assert all(map(is_identifier, ("a", "kernel", "x-1_y.z", "a" * 64)))
    assert not any(map(is_identifier, ("", "A", "1a", "a b", "a\n", "ä", "a" * 65)))
    assert ascending([]) and ascending([1]) and ascending([1, 2, 9])
    assert not ascending([1, 1]) and not ascending([2, 1])
