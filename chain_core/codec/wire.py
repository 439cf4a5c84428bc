"""Reading and writing canonical records: fixed-width big-endian integers and length-prefixed bytes, nothing
else.

Every record has exactly one encoding; the reader refuses everything that the writer cannot have written
(docs/spec/formats.md §2.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 - struct's name is an ordinary word
from typing import Any, NoReturn

from chain_core.types.errors import MalformedBytes

U8 = Struct(">B")
U16 = Struct(">H")
U32 = Struct(">I")
U64 = Struct(">Q")


def malformed(record: str, offset: int, reason: str) -> NoReturn:
    """Refuse: ``reason`` at ``offset`` of a ``record``."""
    raise MalformedBytes(
        f"{record}: {reason}",
        where=f"offset {offset}",
        next_step="send the canonical encoding of docs/spec/formats.md",
    )


_u32_at = U32.unpack_from
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_.-]{0,63}\Z")
_IDENTIFIER_BYTES = 64


@lru_cache(maxsize=4_096)
def _identifier(raw: bytes) -> str | None:
    """The identifier that these bytes spell, None when they spell none; a chain uses few of them."""
    text = raw.decode("ascii", "replace")
    return text if _IDENTIFIER.match(text) else None


def _slice_getter(places: list[int]) -> Callable[[Any], Any]:
    return itemgetter(slice(places[0], places[0] + 1) if places else slice(0, 0))


class Layout:
    """Fields at fixed offsets, big-endian. Byte fields need their exact size: struct alone pads and cuts
    them.
    """

    __slots__ = ("_bytes_of", "_lengths", "_pack", "_sizes", "size", "unpack_from")

    def __init__(self, fields: str) -> None:
        codes = re.findall(r"(\d*)([BHIQs])", fields)
        layout = Struct(">" + fields)
        self._pack = layout.pack
        self._sizes = tuple((place, int(size)) for place, (size, code) in enumerate(codes) if code == "s")
        places = [place for place, _ in self._sizes]
        self._lengths = [size for _, size in self._sizes]
        # The byte fields of a record, as a sequence however many they are.
        self._bytes_of: Callable[[Any], Any] = itemgetter(*places) if len(places) > 1 else _slice_getter(places)
        self.size = layout.size
        # (data, offset) -> the fields of the record there; the caller has checked that it is all there.
        self.unpack_from: Callable[[bytes, int], tuple[Any, ...]] = layout.unpack_from

    def pack(self, *fields: int | bytes) -> bytes:
        """The record's bytes. ValueError for an integer out of range or bytes of another size."""
        try:
            if list(map(len, self._bytes_of(fields))) != self._lengths:
                self._wrong_size(fields)
            return self._pack(*fields)
        except (StructError, TypeError, IndexError) as error:
            raise ValueError(f"a field does not fit its place: {error}") from error

    def _wrong_size(self, fields: tuple[Any, ...]) -> None:
        for place, size in self._sizes:
            if len(fields[place]) != size:
                raise ValueError(f"field {place} has {len(fields[place])} bytes, not {size}")


def ascending(items: Iterable[Any]) -> bool:
    """Whether ``items`` are strictly ascending: a set written in its one order."""
    return all(a < b for a, b in pairwise(items))


def is_identifier(text: str) -> bool:
    """Whether ``text`` can name a contract, method, channel or packet kind: lower-case ASCII, at most 64
    bytes.
    """
    return _IDENTIFIER.match(text) is not None


class Writer:
    """Appends fields to a record; ``take()`` gives the bytes. ValueError for what does not fit its field."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def _integer(self, layout: Struct, value: int) -> Writer:
        try:
            self.parts.append(layout.pack(value))
        except StructError as error:
            raise ValueError(f"{value} does not fit into {layout.size} bytes") from error
        return self

    def u8(self, value: int) -> Writer:
        return self._integer(U8, value)

    def u16(self, value: int) -> Writer:
        return self._integer(U16, value)

    def u32(self, value: int) -> Writer:
        return self._integer(U32, value)

    def u64(self, value: int) -> Writer:
        return self._integer(U64, value)

    def fixed(self, value: bytes, size: int) -> Writer:
        """Exactly ``size`` bytes."""
        if len(value) != size:
            raise ValueError(f"field of {size} bytes given {len(value)}")
        self.parts.append(value)
        return self

    def blob(self, value: bytes) -> Writer:
        """u32 length and bytes."""
        self.u32(len(value)).parts.append(value)
        return self

    def name(self, value: str) -> Writer:
        """u8 length and UTF-8 text of at most 255 bytes."""
        raw = value.encode("utf-8")
        self.u8(len(raw)).parts.append(raw)
        return self

    def take(self) -> bytes:
        """The record."""
        return b"".join(self.parts)


class Reader:
    """Reads a record strictly; ``end()`` refuses trailing bytes."""

    __slots__ = ("data", "pos", "record")

    def __init__(self, data: bytes, record: str) -> None:
        self.data = data
        self.pos = 0
        self.record = record

    def fail(self, reason: str) -> NoReturn:
        """Refuse at the present position."""
        malformed(self.record, self.pos, reason)

    def unpack(self, layout: Struct | Layout) -> tuple[Any, ...]:
        """A fixed layout of several fields at once."""
        start = self.pos
        self.pos = end = start + layout.size
        if end > len(self.data):
            self._short(start)
        return layout.unpack_from(self.data, start)

    def _short(self, start: int) -> NoReturn:
        self.pos = start
        self.fail("ends too early")

    def u8(self) -> int:
        pos = self.pos
        if pos >= len(self.data):
            self._short(pos)
        self.pos = pos + 1
        return self.data[pos]

    def u16(self) -> int:
        return int(self.unpack(U16)[0])

    def u32(self) -> int:
        start = self.pos
        self.pos = end = start + 4
        if end > len(self.data):
            self._short(start)
        value: int = _u32_at(self.data, start)[0]
        return value

    def u64(self) -> int:
        return int(self.unpack(U64)[0])

    def fixed(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        start = self.pos
        self.pos = end = start + size
        if end > len(self.data):
            self._short(start)
        return self.data[start:end]

    def blob(self, limit: int) -> bytes:
        """u32 length (at most ``limit``) and bytes."""
        size = self.u32()
        if size > limit:
            self.fail(f"{size} bytes where at most {limit} are allowed")
        return self.fixed(size)

    def name(self, limit: int = 255) -> str:
        """u8 length (at most ``limit``) and UTF-8 text."""
        size = self.u8()
        if size > limit:
            self.fail(f"text of {size} bytes where at most {limit} are allowed")
        raw = self.fixed(size)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            self.fail("text is not UTF-8")

    def identifier(self) -> str:
        """A name that passes ``is_identifier``."""
        start = self.pos
        size = self.u8()
        if size > _IDENTIFIER_BYTES:
            self.fail(f"text of {size} bytes where at most {_IDENTIFIER_BYTES} are allowed")
        text = _identifier(self.fixed(size))
        if text is None:
            malformed(self.record, start, "a name is a lower-case letter, then up to 63 of a-z 0-9 _ . -")
        return text

    def count(self, low: int, high: int, value: int) -> int:
        """A count read before, refused outside low..high."""
        if not low <= value <= high:
            self.fail(f"count {value} outside {low}..{high}")
        return value

    def version(self, expected: int = 1) -> None:
        """The record's format byte; an unknown one is refused."""
        value = self.u8()
        if value != expected:
            self.fail(f"unknown format version {value}, this build reads {expected}")

    def end(self) -> None:
        """Refuse trailing bytes."""
        if self.pos != len(self.data):
            self.fail(f"{len(self.data) - self.pos} trailing bytes")
