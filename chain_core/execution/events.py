"""Events of a transaction as one encoded value: a list of [contract, name, fields] (docs/spec/execution.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chain_core.codec.values import encode_value
from chain_core.codec.wire import U32
from chain_core.types.values import Value

Event = tuple[str, str, Mapping[str, Value]]

_MAX_SHAPES = 4_096
_SMALL = 1 << 64
_INT_HEADS = tuple(bytes((3, size)) for size in range(9))
_length = U32.pack


def encode_events(events: Sequence[Event]) -> bytes:
    """Exactly ``encode_value`` of the list of events."""
    parts = [b"\x07" + U32.pack(len(events))]
    for contract, name, fields in events:
        _encode_event(contract, name, fields, parts)
    return b"".join(parts)


class _Shapes:
    """What events of one contract, name and field order have in common, encoded once; bounded."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[tuple[str, ...], tuple[bytes, tuple[tuple[bytes, str], ...]]] = {}

    def of(self, contract: str, name: str, fields: Mapping[str, Value]) -> tuple[bytes, tuple[tuple[bytes, str], ...]]:
        """The event's head up to its fields, and each field's encoded key with its name, in canonical order."""
        signature = (contract, name, *fields)
        shape = self.known.get(signature)
        if shape is None:
            head = b"\x07" + U32.pack(3) + encode_value(contract) + encode_value(name)
            keys = tuple(sorted((encode_value(field), field) for field in fields))
            shape = head + b"\x08" + U32.pack(len(keys)), keys
            if len(self.known) >= _MAX_SHAPES:
                self.known.clear()
            self.known[signature] = shape
        return shape


_shapes = _Shapes()


def _encode_event(contract: str, name: str, fields: Mapping[str, Value], out: list[bytes]) -> None:
    head, keys = _shapes.of(contract, name, fields)
    out.append(head)
    for key, field in keys:
        value = fields[field]
        if type(value) is bytes:
            out.append(key + b"\x05" + _length(len(value)) + value)
        elif type(value) is str:
            raw = value.encode("utf-8")
            out.append(key + b"\x06" + _length(len(raw)) + raw)
        elif type(value) is int and 0 <= value < _SMALL:
            size = (value.bit_length() + 7) >> 3
            out.append(key + _INT_HEADS[size] + value.to_bytes(size, "big"))
        else:
            out.append(key + encode_value(value))
