"""Argument schemas: what a method accepts, checked before its handler runs (docs/spec/execution.md §3).

Each kind answers ``admits(value)``; none raises. Text is measured in UTF-8 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from chain_core.codec.values import encode_value
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE, NO_ACCOUNT, PUBLIC_KEY_SIZE
from chain_core.types.values import Value

_PLAIN_INTEGER = 1 << 64
MAX_INTEGER = (1 << 63) - 1
"""Default upper bound: sums of a few arguments stay far below the codec's 255 bits."""


class Kind(Protocol):
    """One argument's type with its limits."""

    def admits(self, value: Value) -> bool:
        """Whether ``value`` is of this kind and within its limits."""
        ...


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer in low..high; booleans are none."""

    low: int = 0
    high: int = MAX_INTEGER

    def admits(self, value: Value) -> bool:
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or False."""

    def admits(self, value: Value) -> bool:
        return value is True or value is False


@dataclass(frozen=True, slots=True)
class Text:
    """Text of ``low``..``high`` bytes; ``pattern`` must match the whole of it."""

    high: int = 64
    low: int = 1
    pattern: re.Pattern[str] | None = None

    def admits(self, value: Value) -> bool:
        if type(value) is not str:
            return False
        size = len(value) if value.isascii() else len(value.encode("utf-8"))
        if not self.low <= size <= self.high:
            return False
        return self.pattern is None or self.pattern.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class Octets:
    """Bytes of ``low``..``high``; with ``low`` alone, exactly that many."""

    low: int
    high: int = -1

    def admits(self, value: Value) -> bool:
        if type(value) is not bytes:
            return False
        return len(value) == self.low if self.high < 0 else self.low <= len(value) <= self.high


@dataclass(frozen=True, slots=True)
class AccountId:
    """A 16-byte account id, not all zeros."""

    def admits(self, value: Value) -> bool:
        return type(value) is bytes and len(value) == ACCOUNT_ID_SIZE and value != NO_ACCOUNT


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few texts."""

    texts: frozenset[str]

    def admits(self, value: Value) -> bool:
        return type(value) is str and value in self.texts


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of ``low``..``high`` items of one kind; ``distinct`` refuses a doubled item."""

    item: Kind
    high: int
    low: int = 0
    distinct: bool = False

    def admits(self, value: Value) -> bool:
        if type(value) is not list or not self.low <= len(value) <= self.high:
            return False
        admits = self.item.admits
        for item in value:
            if not admits(item):
                return False
        return not self.distinct or len({encode_value(item) for item in value}) == len(value)


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map of at most ``high`` entries with keys and values of one kind each."""

    key: Kind
    item: Kind
    high: int

    def admits(self, value: Value) -> bool:
        if type(value) is not dict or len(value) > self.high:
            return False
        return all(self.key.admits(key) and self.item.admits(item) for key, item in value.items())


@dataclass(frozen=True, slots=True)
class Record:
    """A map with exactly these fields."""

    fields: Mapping[str, Kind]

    def admits(self, value: Value) -> bool:
        return type(value) is dict and wrong_argument(self.fields, value) is None


@dataclass(frozen=True, slots=True)
class Document:
    """Any map with text keys, of at most ``high`` bytes when encoded and ``depth`` levels of lists and maps.

    The depth keeps it fit for being put into another value, whose nesting the codec bounds.
    """

    high: int
    depth: int = 8

    def admits(self, value: Value) -> bool:
        if type(value) is not dict:
            return False
        for key in value:
            if type(key) is not str:
                return False
        return not value or (_depth_within(value, self.depth) and _size(value) <= self.high)


@dataclass(frozen=True, slots=True)
class Optional:
    """An argument that may be left out; handlers read it with ``args.get``."""

    kind: Kind

    def admits(self, value: Value) -> bool:
        return self.kind.admits(value)


HASH = Octets(HASH_SIZE)
PUBLIC_KEY = Octets(PUBLIC_KEY_SIZE)
ACCOUNT = AccountId()


def _depth_within(value: Value, levels: int) -> bool:
    if not isinstance(value, (list, dict)):
        return True
    if levels <= 0:
        return False
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (list, dict)) and not _depth_within(item, levels - 1):
            return False
    return True


def _size(value: Value) -> int:
    """Bytes of the encoding: measured where all is plain, else by encoding it."""
    kind = type(value)
    if kind is bytes:
        return 5 + len(value)  # type: ignore[arg-type]
    if kind is str and value.isascii():  # type: ignore[union-attr]
        return 5 + len(value)  # type: ignore[arg-type]
    if kind is int and 0 <= value < _PLAIN_INTEGER:  # type: ignore[operator]
        return 2 + ((value.bit_length() + 7) >> 3)  # type: ignore[union-attr]
    if kind is dict:
        size = 5
        for key, item in value.items():  # type: ignore[union-attr]
            size += _size(key) + _size(item)
        return size
    return len(encode_value(value))


def wrong_argument(schema: Mapping[str, Kind], args: Mapping[str, Value]) -> str | None:
    """The first argument that is missing, unknown or outside its limits; None when all fit.

    Maps inside arguments may have integer keys beside text ones (docs/spec/formats.md §2.2): those come out as "".
    """
    found = 0
    for name, kind in schema.items():
        if name in args:
            found += 1
            if not kind.admits(args[name]):
                return name
        elif type(kind) is not Optional:
            return name
    if found != len(args):
        return min((name for name in args if name not in schema and type(name) is str), default="")
    return None
