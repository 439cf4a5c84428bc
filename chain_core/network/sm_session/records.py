"""Sealing and opening one direction's records (docs/spec/sm-session.md section 5): numbers, generations, limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from chain_core.crypto.errors import DecryptionRefused
from chain_core.crypto.hkdf import SM3
from chain_core.crypto.sm4_gcm import Sm4GcmKey
from chain_core.network.sm_session.key_schedule import TrafficKey, next_secret, traffic_key
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import TAG_SIZE, Direction

RECORD_VERSION: Final = 1
_HEADER: Final = Struct(">B16sIQQQB")
HEADER_SIZE: Final = _HEADER.size
RECORD_OVERHEAD: Final = HEADER_SIZE + TAG_SIZE
_LAST: Final = 0x80
_MAX_GENERATION: Final = 0xFFFF_FFFF


class Kind(IntEnum):
    """What a record carries."""

    DATA = 0
    ERROR = 1
    END = 2
    BEGIN = 3
    """Opens a call whose requests are a stream: its handler starts before the first message comes."""


@dataclass(frozen=True, slots=True)
class Header:
    """A record's readable front; believed only once the record has opened."""

    session_id: bytes
    generation: int
    number: int
    call: int
    index: int
    kind: Kind
    last: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """When a sender moves on to the next key, and what nobody seals or opens under one key."""

    rekey_records: int = 1 << 20
    rekey_bytes: int = 1 << 34
    hard_records: int = 1 << 22
    hard_bytes: int = 1 << 36


def read_header(record: bytes) -> Header:
    """Raises SessionRefused MALFORMED_RECORD."""
    if len(record) < RECORD_OVERHEAD:
        raise SessionRefused(Reason.MALFORMED_RECORD, f"{len(record)} bytes are no record", where="record")
    version, session_id, generation, number, call, index, flags = _HEADER.unpack_from(record)
    kind, last = flags & 0x03, bool(flags & _LAST)
    fits = {Kind.DATA: True, Kind.BEGIN: not last and index == 0}.get(Kind(kind), last)
    if version != RECORD_VERSION or flags & 0x7C or not fits:
        what = f"version {version}, flags {flags:#04x}: no record of this release"
        raise SessionRefused(Reason.MALFORMED_RECORD, what, where="record")
    return Header(session_id, generation, number, call, index, Kind(kind), last)


def associated_tail(direction: Direction, method: str) -> bytes:
    """What is authenticated behind the header: who seals, and for which method."""
    return bytes([direction]) + method.encode("ascii", "backslashreplace")


class _Generation:
    """The key of one generation, and how much went through it."""

    __slots__ = ("key", "octets", "records", "sealing", "secret")

    def __init__(self, secret: bytes) -> None:
        self.secret = secret
        self.key: TrafficKey = traffic_key(SM3, secret)
        self.sealing = Sm4GcmKey(self.key.key)
        self.records = 0
        self.octets = 0

    def count(self, size: int, limits: Limits) -> None:
        """Raises SessionRefused KEY_EXHAUSTED before a record beyond the hard limits."""
        if self.records >= limits.hard_records or self.octets + size > limits.hard_bytes:
            what = f"{self.records} records, {self.octets} bytes under one key"
            raise SessionRefused(Reason.KEY_EXHAUSTED, what, where="record")
        self.records += 1
        self.octets += size


class Sealer:
    """One direction's sending end. A number is used once: it is counted before the library is asked."""

    __slots__ = ("_current", "_limits", "_session_id", "generation")

    def __init__(self, session_id: bytes, secret: bytes, limits: Limits) -> None:
        self._session_id = session_id
        self._limits = limits
        self._current = _Generation(secret)
        self.generation = 0

    def seal(self, call: int, index: int, kind: Kind, last: bool, payload: bytes, tail: bytes) -> bytes:
        """The record; ``tail``: ``associated_tail`` of this direction. Raises SessionRefused KEY_EXHAUSTED."""
        current, limits = self._current, self._limits
        if current.records >= limits.rekey_records or current.octets + len(payload) > limits.rekey_bytes:
            current = self._move_on()
        number = current.records
        current.count(len(payload), limits)
        flags = kind | (_LAST if last else 0)
        header = _HEADER.pack(RECORD_VERSION, self._session_id, self.generation, number, call, index, flags)
        return header + current.sealing.seal(current.key.nonce(number), payload, header + tail)

    def _move_on(self) -> _Generation:
        if self._current.records == 0:
            return self._current  # one payload larger than the limit: no key is better for it than a fresh one
        if self.generation == _MAX_GENERATION:
            raise SessionRefused(Reason.KEY_EXHAUSTED, "no generations are left", where="record")
        self._current = _Generation(next_secret(SM3, self._current.secret))
        self.generation += 1
        return self._current


class Opener:
    """One direction's receiving end: opens under the newest generation, the one before it, or the one after."""

    __slots__ = ("_before", "_current", "_limits", "_next", "generation")

    def __init__(self, secret: bytes, limits: Limits) -> None:
        self._limits = limits
        self._before: _Generation | None = None
        self._current = _Generation(secret)
        self._next: _Generation | None = None
        self.generation = 0

    def open(self, header: Header, record: bytes, tail: bytes) -> bytes:
        """The payload. Raises SessionRefused: UNKNOWN_GENERATION, KEY_EXHAUSTED, BAD_RECORD."""
        ahead = header.generation - self.generation
        found = self._find(ahead)
        if found is None:
            what = f"generation {header.generation}, this side is at {self.generation}"
            raise SessionRefused(Reason.UNKNOWN_GENERATION, what, where="record")
        found.count(len(record) - RECORD_OVERHEAD, self._limits)
        try:
            nonce = found.key.nonce(header.number)
            payload = found.sealing.open(nonce, record[HEADER_SIZE:], record[:HEADER_SIZE] + tail)
        except DecryptionRefused as error:
            raise SessionRefused(Reason.BAD_RECORD, "a record does not open", where="record") from error
        if ahead == 1:
            self._before, self._current, self._next = self._current, found, None
            self.generation += 1
        return payload

    def _find(self, ahead: int) -> _Generation | None:
        if ahead == 0:
            return self._current
        if ahead == -1:
            return self._before
        if ahead != 1:
            return None
        if self._next is None:
            self._next = _Generation(next_secret(SM3, self._current.secret))
        return self._next
