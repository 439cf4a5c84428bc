"""Strict reading of TLS's presentation language (RFC 8446 section 3): one encoding a value, else a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import Extension, HandshakeType


class Reader:
    """Takes fields from the front of ``data``; ``name`` says what it reads."""

    __slots__ = ("_at", "_data", "name")

    def __init__(self, data: bytes, name: str) -> None:
        self._data = data
        self._at = 0
        self.name = name

    def malformed(self, what: str) -> NoReturn:
        """Refuses at the present place."""
        raise SessionRefused(Reason.MALFORMED_MESSAGE, f"{self.name}: {what}", where=f"offset {self._at}")

    def take(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        end = self._at + size
        if end > len(self._data):
            self.malformed(f"{size} bytes are announced, {len(self._data) - self._at} are there")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def number(self, size: int) -> int:
        """An unsigned integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def vector(self, prefix: int, low: int, high: int) -> bytes:
        """A vector of ``low`` to ``high`` bytes, its length in ``prefix`` bytes."""
        size = self.number(prefix)
        if not low <= size <= high:
            self.malformed(f"a vector of {size} bytes where {low} to {high} are allowed")
        return self.take(size)

    @property
    def left(self) -> int:
        """Bytes not taken yet."""
        return len(self._data) - self._at

    def end(self) -> None:
        """Refuses when something is left over."""
        if self.left:
            self.malformed(f"{self.left} bytes too many")


def message(kind: HandshakeType, body: bytes) -> bytes:
    """A handshake message: type, length in three bytes, body."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(prefix: int, data: bytes) -> bytes:
    """``data`` behind its length."""
    return len(data).to_bytes(prefix, "big") + data


class Flight:
    """The messages of one part, taken one by one in the order that the protocol fixes."""

    __slots__ = ("_reader",)

    def __init__(self, data: bytes, name: str) -> None:
        self._reader = Reader(data, name)

    def next(self, kind: HandshakeType) -> tuple[bytes, Reader]:
        """The next message, which must be of this ``kind``: its whole bytes, and a reader of its body."""
        reader = self._reader
        if not reader.left:
            raise SessionRefused(Reason.MISSING_MESSAGE, f"no {kind.name} came", where=reader.name)
        found = reader.number(1)
        body = reader.vector(3, 0, 0xFFFFFF)
        if found != kind:
            what = f"message {_shown(found)} where {kind.name} should stand"
            raise SessionRefused(Reason.UNEXPECTED_MESSAGE, what, where=reader.name)
        return bytes([found]) + vector(3, body), Reader(body, kind.name)

    def end(self) -> None:
        """Refuses a message behind the last one."""
        if self._reader.left:
            what = f"message {_shown(self._reader.number(1))} after the last one"
            raise SessionRefused(Reason.UNEXPECTED_MESSAGE, what, where=self._reader.name)


def _shown(kind: int) -> str:
    return HandshakeType(kind).name if kind in set(HandshakeType) else str(kind)


def extensions(reader: Reader, expected: Sequence[Extension]) -> list[Reader]:
    """Bodies of the extensions, which must be the ``expected`` ones in that order."""
    block = Reader(reader.vector(2, 0, 0xFFFF), f"{reader.name} extensions")
    found: list[tuple[int, bytes]] = []
    while block.left:
        found.append((block.number(2), block.vector(2, 0, 0xFFFF)))
    kinds = [kind for kind, _ in found]
    for kind in kinds:
        if kind not in expected:
            what = f"extension {kind} has no place here"
            raise SessionRefused(Reason.UNEXPECTED_EXTENSION, what, where=reader.name)
        if kinds.count(kind) > 1:
            raise SessionRefused(Reason.UNEXPECTED_EXTENSION, f"extension {kind} stands twice", where=reader.name)
    for kind in expected:
        if kind not in kinds:
            reason = Reason.MALFORMED_MESSAGE
            if kind == Extension.SUPPORTED_VERSIONS:
                reason = Reason.UNSUPPORTED_VERSION  # what an older TLS sends
            raise SessionRefused(reason, f"extension {kind.name} is missing", where=reader.name)
    if kinds != list(expected):
        block.malformed("extensions out of order")
    return [Reader(body, kind.name) for kind, body in zip(expected, (body for _, body in found), strict=True)]


def extension(kind: Extension, body: bytes) -> bytes:
    """One extension."""
    return kind.to_bytes(2, "big") + vector(2, body)
