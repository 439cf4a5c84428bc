"""Reading and writing canonical records: fixed-width big-endian integers and length-prefixed bytes, nothing else.

Every record has exactly one encoding; the reader refuses everything that the writer cannot have written
(docs/spec/formats.md §2.1).
"""

from __future__ import annotations

from struct import Struct
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


class Writer:
    """Appends fields to a record; ``take()`` gives the bytes."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def u8(self, value: int) -> Writer:
        self.parts.append(U8.pack(value))
        return self

    def u16(self, value: int) -> Writer:
        self.parts.append(U16.pack(value))
        return self

    def u32(self, value: int) -> Writer:
        self.parts.append(U32.pack(value))
        return self

    def u64(self, value: int) -> Writer:
        self.parts.append(U64.pack(value))
        return self

    def fixed(self, value: bytes, size: int) -> Writer:
        """Exactly ``size`` bytes."""
        if len(value) != size:
            raise ValueError(f"field of {size} bytes given {len(value)}")
        self.parts.append(value)
        return self

    def blob(self, value: bytes) -> Writer:
        """u32 length and bytes."""
        self.parts.append(U32.pack(len(value)))
        self.parts.append(value)
        return self

    def name(self, value: str) -> Writer:
        """u8 length and UTF-8 text of at most 255 bytes."""
        raw = value.encode("utf-8")
        self.parts.append(U8.pack(len(raw)))
        self.parts.append(raw)
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

    def unpack(self, layout: Struct) -> tuple[Any, ...]:
        """A fixed layout of several fields at once."""
        end = self.pos + layout.size
        if end > len(self.data):
            self.fail("ends too early")
        fields = layout.unpack_from(self.data, self.pos)
        self.pos = end
        return fields

    def u8(self) -> int:
        return int(self.unpack(U8)[0])

    def u16(self) -> int:
        return int(self.unpack(U16)[0])

    def u32(self) -> int:
        return int(self.unpack(U32)[0])

    def u64(self) -> int:
        return int(self.unpack(U64)[0])

    def fixed(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        end = self.pos + size
        if end > len(self.data):
            self.fail("ends too early")
        value = self.data[self.pos : end]
        self.pos = end
        return value

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
