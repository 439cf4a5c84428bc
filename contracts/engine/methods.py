"""Methods of str, list and dict: name -> (fewest arguments, most, function) (docs/spec/tpl-1.md §4).

Each function takes the meter, the line, the value and the arguments. Methods of texts that look at letters take ASCII
only: tables of other letters differ between releases of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.engine.operators import extend
from contracts.engine.values import (
    CHARACTERS,
    ITEM,
    ITEMS,
    Datum,
    Meter,
    abort,
    allocate,
    check_open,
    equal,
    look_up,
    machine_integer,
    new_list,
    new_text,
    position,
    put,
    search,
    spend,
)

Function = Callable[..., Any]
WHITE_SPACE = " \t\n\r\x0b\x0c"


def _need(value: Datum, kind: type, line: int) -> None:
    if type(value) is not kind:
        abort("wrong_type", line)


def _need_ascii(value: Datum, line: int) -> None:
    _need(value, str, line)
    if not value.isascii():
        abort("not_ascii", line)


# ---- text


def _startswith(meter: Meter, line: int, text: Datum, prefix: Datum) -> bool:
    _need(text, str, line)
    _need(prefix, str, line)
    spend(meter, len(prefix) >> 5, line)
    return bool(text.startswith(prefix))


def _endswith(meter: Meter, line: int, text: Datum, suffix: Datum) -> bool:
    _need(text, str, line)
    _need(suffix, str, line)
    spend(meter, len(suffix) >> 5, line)
    return bool(text.endswith(suffix))


def _search(meter: Meter, line: int, text: Datum, part: Datum, times: int = 1) -> None:
    _need(text, str, line)
    _need(part, str, line)
    search(meter, text, part, line, times)


def _find(meter: Meter, line: int, text: Datum, part: Datum) -> int:
    _search(meter, line, text, part)
    return int(text.find(part))


def _count(meter: Meter, line: int, text: Datum, part: Datum) -> int:
    _search(meter, line, text, part)
    if not part:
        abort("wrong_type", line)
    return int(text.count(part))


def _replace(meter: Meter, line: int, text: Datum, old: Datum, new: Datum) -> str:
    _search(meter, line, text, old, 3)
    _need(new, str, line)
    if not old:
        abort("wrong_type", line)
    found = text.count(old)
    # Counted before it is built: a long replacement of each character must cost nothing.
    if len(text) + found * (len(new) - len(old)) > CHARACTERS:
        abort("too_long", line)
    return new_text(meter, text.replace(old, new), line)


def _split(meter: Meter, line: int, text: Datum, separator: Datum) -> list[str]:
    _search(meter, line, text, separator, 2)
    if not separator:
        abort("wrong_type", line)
    if text.count(separator) >= ITEMS:
        abort("too_long", line)
    parts = text.split(separator)
    for part in parts:
        new_text(meter, part, line)
    return new_list(meter, parts, line)


def _join(meter: Meter, line: int, separator: Datum, items: Datum) -> str:
    _need(separator, str, line)
    _need(items, list, line)
    size = len(separator) * max(len(items) - 1, 0)
    for item in items:
        _need(item, str, line)
        size += len(item)
    spend(meter, len(items), line)
    if size > CHARACTERS:
        abort("too_long", line)
    return new_text(meter, separator.join(items), line)


def _lower(meter: Meter, line: int, text: Datum) -> str:
    _need_ascii(text, line)
    return new_text(meter, text.lower(), line)


def _upper(meter: Meter, line: int, text: Datum) -> str:
    _need_ascii(text, line)
    return new_text(meter, text.upper(), line)


def _strip(meter: Meter, line: int, text: Datum) -> str:
    _need_ascii(text, line)
    spend(meter, len(text) >> 4, line)
    return new_text(meter, text.strip(WHITE_SPACE), line)


def _isdigit(meter: Meter, line: int, text: Datum) -> bool:
    _need_ascii(text, line)
    spend(meter, len(text) >> 4, line)
    return bool(text.isdigit())


# ---- lists


def _open_list(meter: Meter, line: int, items: Datum) -> None:
    _need(items, list, line)
    if meter[2]:
        check_open(meter, items, line)


def _append(meter: Meter, line: int, items: Datum, item: Datum) -> None:
    _open_list(meter, line, items)
    if len(items) >= ITEMS:
        abort("too_long", line)
    allocate(meter, ITEM, line)
    items.append(item)


def _extend(meter: Meter, line: int, items: Datum, more: Datum) -> None:
    _open_list(meter, line, items)
    _need(more, list, line)
    extend(meter, items, more, line)


def _insert(meter: Meter, line: int, items: Datum, index: Datum, item: Datum) -> None:
    _open_list(meter, line, items)
    machine_integer(index, line)
    if len(items) >= ITEMS:
        abort("too_long", line)
    spend(meter, len(items) >> 5, line)
    allocate(meter, ITEM, line)
    size = len(items)
    items.insert(max(-size, min(index, size)), item)


def _remove(meter: Meter, line: int, items: Datum, item: Datum) -> None:
    _open_list(meter, line, items)
    del items[_index(meter, line, items, item)]


def _index(meter: Meter, line: int, items: Datum, item: Datum) -> int:
    _need(items, list, line)
    for place, one in enumerate(items):
        spend(meter, 1, line)
        if equal(meter, one, item, line):
            return place
    abort("no_such_item", line)


# ---- dicts


def _get(meter: Meter, line: int, items: Datum, key: Datum, default: Datum = None) -> Datum:
    _need(items, dict, line)
    look_up(meter, items, key, line)
    return items.get(key, default)


def _keys(meter: Meter, line: int, items: Datum) -> list[Datum]:
    _need(items, dict, line)
    return new_list(meter, list(items), line)


def _values(meter: Meter, line: int, items: Datum) -> list[Datum]:
    _need(items, dict, line)
    return new_list(meter, list(items.values()), line)


def _setdefault(meter: Meter, line: int, items: Datum, key: Datum, default: Datum) -> Datum:
    _need(items, dict, line)
    check_open(meter, items, line)
    look_up(meter, items, key, line)
    if key not in items:
        put(meter, items, key, default, line)
    return items[key]


def _update(meter: Meter, line: int, items: Datum, more: Datum) -> None:
    _need(items, dict, line)
    _need(more, dict, line)
    check_open(meter, items, line)
    for key, item in more.items() if more is not items else ():
        spend(meter, 1, line)
        put(meter, items, key, item, line)


# ---- both


def _pop(meter: Meter, line: int, items: Datum, *arguments: Datum) -> Datum:
    if type(items) is list:
        _open_list(meter, line, items)
        if len(arguments) > 1:
            abort("wrong_type", line)
        spend(meter, len(items) >> 5, line)
        return items.pop(position(items, arguments[0] if arguments else -1, line))
    _need(items, dict, line)
    check_open(meter, items, line)
    if not arguments:
        abort("wrong_type", line)
    look_up(meter, items, arguments[0], line)
    if arguments[0] not in items and len(arguments) == 1:
        abort("no_such_item", line)
    return items.pop(*arguments)


def _clear(meter: Meter, line: int, items: Datum) -> None:
    if type(items) is not list and type(items) is not dict:
        abort("wrong_type", line)
    check_open(meter, items, line)
    items.clear()


METHODS: Mapping[str, tuple[int, int, Function]] = {
    "append": (1, 1, _append),
    "clear": (0, 0, _clear),
    "count": (1, 1, _count),
    "endswith": (1, 1, _endswith),
    "extend": (1, 1, _extend),
    "find": (1, 1, _find),
    "get": (1, 2, _get),
    "index": (1, 1, _index),
    "insert": (2, 2, _insert),
    "isdigit": (0, 0, _isdigit),
    "join": (1, 1, _join),
    "keys": (0, 0, _keys),
    "lower": (0, 0, _lower),
    "pop": (0, 2, _pop),
    "remove": (1, 1, _remove),
    "replace": (2, 2, _replace),
    "setdefault": (2, 2, _setdefault),
    "split": (1, 1, _split),
    "startswith": (1, 1, _startswith),
    "strip": (0, 0, _strip),
    "update": (1, 1, _update),
    "upper": (0, 0, _upper),
    "values": (0, 0, _values),
}
