"""The core's inputs, effects and state as bytes, for the flight recorder: any value it is made of, by class name.

Not a format that is signed, hashed into a chain or sent: a recording is read by the release that made it. Decoding
builds registered classes only, so that a recording from somebody else runs no code.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable
from enum import Enum
from hashlib import sha256
from operator import attrgetter
from struct import Struct
from types import ModuleType
from typing import Any

from chain_core.codec import block as blocks
from chain_core.codec import votes
from chain_core.consensus import effects, inputs, messages, state
from chain_core.network.ingress import recorded
from chain_core.types import block, evidence, reopening, validator_set
from chain_core.types.errors import MalformedBytes
from chain_core.types.verified import Verified

_U32 = Struct(">I")
_BYTES_HEAD = b"\x04"
_MODULES: tuple[ModuleType, ...] = (effects, inputs, messages, state, block, evidence, reopening, validator_set)
_NONE, _TRUE, _FALSE, _INT, _BYTES, _TEXT, _TUPLE, _LIST, _SET, _DICT, _ENUM, _VALUE, _CANONICAL = range(13)
_MAX_DEPTH = 40
_KEPT_BATCHES = 8
MAX_ITEMS = 1 << 22


class UnknownValue(TypeError):
    """Something in the core that this codec was not told of: a test of the recorder finds it."""


def _classes() -> dict[str, type[Any]]:
    found = {
        name: kind
        for module in _MODULES
        for name, kind in vars(module).items()
        if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or issubclass(kind, Enum))
    }
    return found | {"Verified": Verified}


CLASSES = _classes()
TABLE = ",".join(sorted(CLASSES))
"""What a recording names at its start; another table is another release's."""
_NUMBER = {CLASSES[name]: number for number, name in enumerate(sorted(CLASSES))}
_BY_NUMBER = [CLASSES[name] for name in sorted(CLASSES)]
_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(f.name for f in dataclasses.fields(kind) if f.init)
    for kind in CLASSES.values()
    if dataclasses.is_dataclass(kind)
}


# What has a canonical encoding of its own, which contains the whole value, is written in it: most of what travels.
_CODECS: dict[type[Any], tuple[Callable[[Any], bytes], Callable[[bytes], Any]]] = {
    block.SignedVote: (votes.encode_signed_vote, votes.decode_signed_vote),
    block.HeaderVote: (votes.encode_header_vote, votes.decode_header_vote),
    block.SignedViewChange: (votes.encode_signed_view_change, votes.decode_signed_view_change),
    block.SignedNewView: (votes.encode_signed_new_view, votes.decode_signed_new_view),
    block.Batch: (blocks.encode_batch, blocks.decode_batch),
    block.Certificate: (blocks.encode_certificate, blocks.decode_certificate),
}


class _Batches:
    """One proposal goes in and out of the core many times: the last few encodings, by identity."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[block.Batch, bytes, bytes]] = OrderedDict()

    def of(self, batch: block.Batch) -> tuple[bytes, bytes]:
        """Encoding, and a digest of it."""
        found = self._known.get(id(batch))
        if found is None or found[0] is not batch:
            raw = blocks.encode_batch(batch)
            found = self._known[id(batch)] = (batch, raw, sha256(raw).digest())
            if len(self._known) > _KEPT_BATCHES:
                self._known.popitem(last=False)
        return found[1], found[2]


_batches = _Batches()


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


_GET = {kind: _getter(names) for kind, names in _FIELDS.items()}


def encode(value: object) -> bytes:
    """The value's bytes. Raises UnknownValue."""
    out: list[bytes] = []
    _write(value, out, False)
    return b"".join(out)


def outline(value: object) -> bytes:
    """The same with digests in place of batches: for comparing, not for decoding."""
    out: list[bytes] = []
    _write(value, out, True)
    return b"".join(out)


def _write(value: Any, out: list[bytes], short: bool) -> None:
    kind = type(value)
    if kind in _CODECS:
        raw = _batches.of(value)[short] if kind is block.Batch else _CODECS[kind][0](value)
        out.append(bytes((_CANONICAL, _NUMBER[kind])) + _U32.pack(len(raw)))
        out.append(raw)
    elif kind is bytes:
        out.append(_BYTES_HEAD + _U32.pack(len(value)))
        out.append(value)
    elif kind is int:
        raw = value.to_bytes((value.bit_length() >> 3) + 1, "big", signed=True)
        out.append(bytes((_INT, len(raw))) + raw)
    elif kind in _GET:
        out.append(bytes((_VALUE, _NUMBER[kind])))
        for item in _GET[kind](value):
            _write(item, out, short)
    elif value is None or kind is bool:
        out.append(bytes((_NONE if value is None else _TRUE if value else _FALSE,)))
    elif kind is tuple or kind is list or kind is set:
        _write_items(kind, value, out, short)
    elif kind is dict:
        out.append(bytes((_DICT,)) + _U32.pack(len(value)))
        for key, item in value.items():
            _write(key, out, short)
            _write(item, out, short)
    elif kind is str:
        raw = value.encode()
        out.append(bytes((_TEXT,)) + _U32.pack(len(raw)) + raw)
    elif kind in _NUMBER:  # an Enum: its member's name
        raw = value.name.encode()
        out.append(bytes((_ENUM, _NUMBER[kind], len(raw))) + raw)
    else:
        raise UnknownValue(f"{kind.__name__} is not known to the recorder")


def _write_items(kind: type[Any], value: Iterable[Any], out: list[bytes], short: bool) -> None:
    items = list(value)
    if kind is set:
        items = sorted(items, key=encode)
    out.append(bytes((_TUPLE if kind is tuple else _LIST if kind is list else _SET,)) + _U32.pack(len(items)))
    for item in items:
        _write(item, out, short)


def decode(data: bytes) -> Any:
    """The reverse of ``encode``. Raises MalformedBytes."""
    reader = _Reader(data)
    try:
        value = reader.read(0)
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _malformed(reader.at, f"{type(error).__name__}: {error}") from error
    if reader.at != len(data):
        raise _malformed(reader.at, "trailing bytes")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def _take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise IndexError("ends too early")
        raw, self.at = self.data[self.at : end], end
        return raw

    def _count(self) -> int:
        count = int.from_bytes(self._take(4), "big")
        if count > MAX_ITEMS or count > len(self.data):
            raise ValueError(f"{count} items")
        return count

    def read(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError("nested too deeply")
        kind = self._take(1)[0]
        if kind == _VALUE:
            cls = _BY_NUMBER[self._take(1)[0]]
            parts = [self.read(depth + 1) for _ in _FIELDS[cls]]
            return recorded(*parts) if cls is Verified else cls(**dict(zip(_FIELDS[cls], parts, strict=True)))
        if kind in (_TUPLE, _LIST, _SET):
            items = [self.read(depth + 1) for _ in range(self._count())]
            return tuple(items) if kind == _TUPLE else items if kind == _LIST else set(items)
        if kind == _DICT:
            return {self.read(depth + 1): self.read(depth + 1) for _ in range(self._count())}
        if kind == _CANONICAL:
            return _CODECS[_BY_NUMBER[self._take(1)[0]]][1](self._take(self._count()))
        return self._plain(kind)

    def _plain(self, kind: int) -> Any:
        if kind in (_NONE, _TRUE, _FALSE):
            return {_NONE: None, _TRUE: True, _FALSE: False}[kind]
        if kind == _INT:
            return int.from_bytes(self._take(self._take(1)[0]), "big", signed=True)
        if kind == _BYTES:
            return self._take(self._count())
        if kind == _TEXT:
            return self._take(self._count()).decode()
        if kind == _ENUM:
            cls = _BY_NUMBER[self._take(1)[0]]
            return cls[self._take(self._take(1)[0]).decode()]
        raise ValueError(f"unknown kind {kind}")


def _malformed(at: int, what: str) -> MalformedBytes:
    return MalformedBytes(what, where=f"recording, offset {at}", next_step="replay it with the release that made it")
