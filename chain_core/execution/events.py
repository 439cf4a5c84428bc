"""Events of a transaction as one encoded value: a list of [contract, name, fields] (docs/spec/execution.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chain_core.codec.values import encode_value
from chain_core.codec.wire import U32
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import Value

Event = tuple[str, str, Mapping[str, Value]]

_MAX_SHAPES = 4_096
_SMALL = 1 << 64
_INT_HEADS = tuple(bytes((3, size)) for size in range(9))
_length = U32.pack


def encode_events(events: Sequence[Event]) -> bytes:
    """Exactly ``encode_value`` of the list of events."""
    parts = [b"\x07" + _length(len(events))]
    for contract, name, fields in events:
        _encode_event(contract, name, fields, parts)
    return b"".join(parts)


class _Field(NamedTuple):
    """A field's encoded key alone, with the head of a value of 16 bytes (an id) after it, and its name."""

    key: bytes
    key_of_id: bytes
    name: str


_Shape = tuple[bytes, tuple[_Field, ...]]


class _Shapes:
    """What events of one contract, name and field order have in common, encoded once; bounded."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[tuple[str, ...], _Shape] = {}

    def of(self, signature: tuple[str, ...]) -> _Shape:
        """Of (contract, name, fields as they are emitted): the event's head up to its fields, and these in canonical
        order."""
        head = b"\x07" + _length(3) + encode_value(signature[0]) + encode_value(signature[1])
        fields = sorted((encode_value(field), field) for field in signature[2:])
        keys = tuple(_Field(raw, raw + b"\x05" + _length(ACCOUNT_ID_SIZE), field) for raw, field in fields)
        if len(self.known) >= _MAX_SHAPES:
            self.known.clear()
        shape = self.known[signature] = head + b"\x08" + _length(len(keys)), keys
        return shape


_shapes = _Shapes()
_known = _shapes.known.get


def _encode_event(contract: str, name: str, fields: Mapping[str, Value], out: list[bytes]) -> None:
    signature = (contract, name, *fields)
    head, keys = _known(signature) or _shapes.of(signature)
    out.append(head)
    for key, key_of_id, field in keys:
        value = fields[field]
        kind = type(value)
        if kind is bytes:
            size = len(value)  # type: ignore[arg-type]
            out.append(key_of_id + value if size == ACCOUNT_ID_SIZE else key + b"\x05" + _length(size) + value)  # type: ignore[operator]
        elif kind is int and 0 <= value < _SMALL:  # type: ignore[operator]
            size = (value.bit_length() + 7) >> 3  # type: ignore[union-attr]
            out.append(key + _INT_HEADS[size] + value.to_bytes(size, "big"))  # type: ignore[union-attr]
        else:
            out.append(key + encode_value(value))
