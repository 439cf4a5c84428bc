"""The canonical encoding of values: one encoding a value, strict to read (docs/spec/formats.md §2.2).

Tags: 00 None, 01 False, 02 True, 03 integer >= 0, 04 integer < 0 (u8 length and shortest magnitude), 05
bytes, 06 text, 07 list, 08 map (u32 length or count; keys strictly ascending by their encoding).
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from struct import error as StructError  # noqa: N812 - struct's name is an ordinary word

from chain_core.codec.wire import U32, malformed
from chain_core.types.ids import ACCOUNT_ID_SIZE
from chain_core.types.values import MAX_DEPTH, MAX_INT_BITS, Value

_MAX_MAGNITUDE = (MAX_INT_BITS + 7) // 8
MAX_MAP_KEY_INT = 1 << 60
_CONSTANTS = (None, False, True)
_length = U32.unpack_from
_pack_length = U32.pack
_first = itemgetter(0)
_SMALL = 1 << 64
_SMALL_HEADS = tuple(bytes((3, size)) for size in range(9))
_MAX_NAMES, _MAX_NAME_BYTES = 4_096, 69
_names: dict[bytes, str] = {}
"""Short text keys by their encoding: a chain uses few of them. Bounded."""


def encode_value(value: Value) -> bytes:
    """Canonical bytes of ``value``; ValueError or TypeError for what has none (floats, deep nesting ...)."""
    parts: list[bytes] = []
    _encode(value, parts, 0)
    return b"".join(parts)


def _encode(value: Value, out: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"value nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is bytes:
        out.append(b"\x05" + _pack_length(len(value)) + value)  # type: ignore[arg-type,operator]
    elif kind is dict and depth < MAX_DEPTH:
        _encode_usual_map(value, out, depth)  # type: ignore[arg-type]
    else:
        _encode_any(value, out, depth)


def _encode_any(value: Value, out: list[bytes], depth: int) -> None:
    """Whatever has a canonical encoding, values of classes derived from Python's own included."""
    if isinstance(value, str):
        raw = value.encode("utf-8")
        out.append(b"\x06" + _pack_length(len(raw)) + raw)
    elif value is None:
        out.append(b"\x00")
    elif isinstance(value, int):
        if value is True or value is False:
            out.append(b"\x02" if value else b"\x01")
        else:
            out.append(_encode_int(value))
    elif isinstance(value, bytes):
        out.append(b"\x05" + _pack_length(len(value)) + value)
    elif isinstance(value, (dict, Mapping)):
        items = sorted([(_encode_key(key), item) for key, item in value.items()], key=_first)
        out.append(b"\x08" + _pack_length(len(items)))
        for raw, item in items:
            out.append(raw)
            _encode(item, out, depth + 1)
    elif isinstance(value, (list, tuple)):
        out.append(b"\x07" + _pack_length(len(value)))
        for item in value:
            _encode(item, out, depth + 1)
    else:
        # A bytearray or range too: a sequence of integers to Python, bytes to whoever passes it by mistake.
        raise TypeError(f"a {type(value).__name__} has no canonical encoding")


_Shape = tuple[bytes, tuple[tuple[bytes, str], ...]]
_MAX_SHAPES, _MAX_SHAPE_KEYS, _MAX_SHAPE_BYTES = 1_024, 32, 1_024
_shapes: dict[tuple[object, ...], _Shape] = {}
"""Of maps with these text keys in this order: the head, and each key's encoding with the key, in canonical order.
Nothing but texts equals a text, so no other keys are taken for them. Bounded in number and size."""


def _shape_of(keys: tuple[object, ...]) -> _Shape | None:
    """The shape, remembered; None for keys that are not all texts, and for too many or too long ones."""
    if len(keys) > _MAX_SHAPE_KEYS:
        return None
    texts = [key for key in keys if type(key) is str]
    order = sorted([(_encode_key(text), text) for text in texts])
    if len(texts) != len(keys) or sum(len(raw) for raw, _ in order) > _MAX_SHAPE_BYTES:
        return None
    if len(_shapes) >= _MAX_SHAPES:
        _shapes.clear()
    shape = _shapes[keys] = b"\x08" + _pack_length(len(order)), tuple(order)
    return shape


def _encode_usual_map(value: dict[str, Value], out: list[bytes], depth: int) -> None:
    """A dict whose items may be one level deeper."""
    keys = tuple(value)
    shape = _shapes.get(keys) or _shape_of(keys)
    if shape is None:
        _encode_any(value, out, depth)
        return
    head, order = shape
    out.append(head)
    for raw, key in order:
        item = value[key]
        kind = type(item)
        if kind is bytes:
            out.append(raw + b"\x05" + _pack_length(len(item)) + item)  # type: ignore[arg-type,operator]
        elif kind is str:
            text = item.encode("utf-8")  # type: ignore[union-attr]
            out.append(raw + b"\x06" + _pack_length(len(text)) + text)
        elif kind is int:
            out.append(raw + _encode_int(item))  # type: ignore[arg-type]
        else:
            out.append(raw)
            _encode(item, out, depth + 1)


def _encode_int(value: int) -> bytes:
    if 0 <= value < _SMALL:
        size = (value.bit_length() + 7) >> 3
        return _SMALL_HEADS[size] + value.to_bytes(size, "big")
    magnitude = -value if value < 0 else value
    bits = magnitude.bit_length()
    if bits > MAX_INT_BITS:
        raise ValueError(f"integer of {bits} bits, at most {MAX_INT_BITS}")
    size = (bits + 7) >> 3
    return bytes((4 if value < 0 else 3, size)) + magnitude.to_bytes(size, "big")


def _encode_key(key: object) -> bytes:
    if isinstance(key, str):
        raw = key.encode("utf-8")
        return b"\x06" + _pack_length(len(raw)) + raw
    if isinstance(key, bool) or not isinstance(key, int) or not 0 <= key < MAX_MAP_KEY_INT:
        raise TypeError("map keys are text or integers below 2^60")
    return _encode_int(key)


def decode_value(data: bytes, record: str = "value") -> Value:
    """The value that ``data`` encodes; MalformedBytes for anything but its one encoding."""
    try:
        value, pos = _decode(data, 0, 0, record)
    except (IndexError, StructError):
        malformed(record, len(data), "ends too early")
    except UnicodeDecodeError as error:
        malformed(record, len(data), f"text is not UTF-8: {error.reason}")
    if pos != len(data):
        malformed(record, pos, f"{len(data) - pos} trailing bytes")
    return value


def decode_map(data: bytes, record: str = "value") -> dict[str, Value]:
    """A map with text keys; MalformedBytes for any other value."""
    value = decode_value(data, record)
    if type(value) is not dict:
        malformed(record, 0, "not a map with text keys")
    for key in value:
        if type(key) is not str:
            malformed(record, 0, "not a map with text keys")
    return value


def decode_ids(data: bytes, record: str = "value") -> list[bytes]:
    """A list of internal ids, 16 bytes each. Raises MalformedBytes."""
    value = decode_value(data, record)
    listed = value if isinstance(value, list) else [None]
    ids = [one for one in listed if isinstance(one, bytes) and len(one) == ACCOUNT_ID_SIZE]
    if len(ids) != len(listed):
        malformed(record, 0, f"not a list of ids of {ACCOUNT_ID_SIZE} bytes")
    return ids


def _decode(data: bytes, pos: int, depth: int, record: str) -> tuple[Value, int]:
    """One value and where it ends. IndexError or StructError where the bytes end inside a tag or a length."""
    if depth > MAX_DEPTH:
        malformed(record, pos, f"nested deeper than {MAX_DEPTH}")
    tag = data[pos]
    if tag == 5 or tag == 6:
        start = pos + 5
        end = start + _length(data, pos + 1)[0]
        if end > len(data):
            malformed(record, pos, "ends too early")
        return (data[start:end] if tag == 5 else data[start:end].decode("utf-8")), end
    if tag == 3 or tag == 4:
        return _decode_int(data, pos, record)
    if tag == 8:
        return _decode_map(data, pos, depth, record)
    if tag == 7:
        count = _length(data, pos + 1)[0]
        pos += 5
        if count > len(data) - pos:
            malformed(record, pos, f"{count} items cannot follow")
        items: list[Value] = []
        for _ in range(count):
            item, pos = _decode(data, pos, depth + 1, record)
            items.append(item)
        return items, pos
    if tag > 8:
        malformed(record, pos, f"unknown tag {tag:02x}")
    return _CONSTANTS[tag], pos + 1


def _decode_int(data: bytes, pos: int, record: str) -> tuple[int, int]:
    size = data[pos + 1]
    start = pos + 2
    end = start + size
    if end > len(data):
        malformed(record, pos, "ends too early")
    negative = data[pos] == 4
    if size == 0:
        if negative:
            malformed(record, pos, "minus zero")
        return 0, end
    if data[start] == 0 or size > _MAX_MAGNITUDE:
        malformed(record, pos, "integer is not in its shortest form or too long")
    magnitude = int.from_bytes(data[start:end], "big")
    if magnitude >> MAX_INT_BITS:
        malformed(record, pos, f"integer of more than {MAX_INT_BITS} bits")
    return (-magnitude if negative else magnitude), end


def _decode_map(data: bytes, pos: int, depth: int, record: str) -> tuple[Value, int]:
    count = _length(data, pos + 1)[0]
    pos += 5
    size = len(data)
    if count > size - pos:
        malformed(record, pos, f"{count} entries cannot follow")
    items: dict[str | int, Value] = {}
    previous = b""
    for _ in range(count):
        start = pos
        if data[pos] == 6:
            pos += 5 + _length(data, pos + 1)[0]
            raw = data[start:pos]
            key: str | int = _names.get(raw) or _text_key(raw, pos <= size)
        else:
            key, pos = _integer_key(data, pos, record)
            raw = data[start:pos]
        if raw <= previous:
            malformed(record, start, "map keys are not strictly ascending")
        previous = raw
        if data[pos] == 5 and depth < MAX_DEPTH:  # most items are ids: no further call for them
            start = pos + 5
            end = start + _length(data, pos + 1)[0]
            if end > size:
                malformed(record, pos, "ends too early")
            items[key] = data[start:end]
            pos = end
        else:
            items[key], pos = _decode(data, pos, depth + 1, record)
    return _typed(items), pos


def _text_key(raw: bytes, whole: bool) -> str:
    """The text of an encoded key, remembered when it is short and not cut off by the end of the bytes."""
    key = raw[5:].decode("utf-8")
    if whole and len(raw) <= _MAX_NAME_BYTES:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[raw] = key
    return key


def _integer_key(data: bytes, pos: int, record: str) -> tuple[int, int]:
    if data[pos] != 3:
        malformed(record, pos, "a map key is text or an integer from 0 to 2^60-1")
    key, end = _decode_int(data, pos, record)
    if key >= MAX_MAP_KEY_INT:
        malformed(record, pos, "integer key of 2^60 or more")
    return key, end


def _typed(items: dict[str | int, Value]) -> Value:
    return items  # type: ignore[return-value]  # keys of both kinds may stand in one map
