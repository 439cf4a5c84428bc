"""Functions of the language: name -> (fewest arguments, most, function) (docs/spec/tpl-1.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contracts.engine.values import (
    DICT_BASE,
    ENTRY,
    ITEMS,
    Datum,
    Meter,
    abort,
    allocate,
    integer,
    machine_integer,
    new_list,
    new_text,
    spend,
)

_DIGITS = 80
"""More decimal digits than any integer of the language has."""


def _len(meter: Meter, line: int, value: Datum) -> int:
    kind = type(value)
    if kind is list or kind is str or kind is dict:
        return len(value)
    abort("wrong_type", line)


def _str(meter: Meter, line: int, value: Datum) -> str:
    kind = type(value)
    if kind is list or kind is dict:
        abort("wrong_type", line)
    return new_text(meter, str(value), line)


def _int(meter: Meter, line: int, value: Datum) -> int:
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is bool:
        return 1 if value else 0
    if kind is not str:
        abort("wrong_type", line)
    digits = value[1:] if value[:1] == "-" else value
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS:
        abort("not_a_number", line)
    spend(meter, len(digits), line)
    return integer(int(value), line)


def _bool(meter: Meter, line: int, value: Datum) -> bool:
    return bool(value)


def _abs(meter: Meter, line: int, value: Datum) -> int:
    if type(value) is not int:
        abort("wrong_type", line)
    return abs(value)


def _ordered(meter: Meter, line: int, items: Datum, factor: int) -> list[Datum]:
    """The items, all ints or all texts; charged ``factor`` steps for each."""
    if type(items) is not list:
        abort("wrong_type", line)
    spend(meter, len(items) * factor, line)
    kinds = {type(item) for item in items}
    if kinds == {str}:
        spend(meter, factor * sum(len(item) >> 5 for item in items), line)
    elif kinds and kinds != {int}:
        abort("wrong_type", line)
    return items


def _min(meter: Meter, line: int, *arguments: Datum) -> Datum:
    items = _ordered(meter, line, arguments[0] if len(arguments) == 1 else list(arguments), 1)
    if not items:
        abort("no_such_item", line)
    return min(items)


def _max(meter: Meter, line: int, *arguments: Datum) -> Datum:
    items = _ordered(meter, line, arguments[0] if len(arguments) == 1 else list(arguments), 1)
    if not items:
        abort("no_such_item", line)
    return max(items)


def _sorted(meter: Meter, line: int, items: Datum) -> list[Datum]:
    factor = max(len(items).bit_length(), 1) if type(items) is list else 1
    return new_list(meter, sorted(_ordered(meter, line, items, factor)), line)


def _any(meter: Meter, line: int, items: Datum) -> bool:
    if type(items) is not list:
        abort("wrong_type", line)
    spend(meter, len(items) >> 2, line)
    return any(items)


def _all(meter: Meter, line: int, items: Datum) -> bool:
    if type(items) is not list:
        abort("wrong_type", line)
    spend(meter, len(items) >> 2, line)
    return all(items)


def _list(meter: Meter, line: int, items: Datum) -> list[Datum]:
    if type(items) is range:
        if len(items) > ITEMS:
            abort("too_long", line)
    elif type(items) is not list and type(items) is not dict:
        abort("wrong_type", line)
    return new_list(meter, list(items), line)


def _dict(meter: Meter, line: int, items: Datum) -> dict[Datum, Datum]:
    if type(items) is not dict:
        abort("wrong_type", line)
    spend(meter, len(items) >> 1, line)
    if len(items) >> 7 and any(type(key) is int for key in items):
        spend(meter, len(items) * (len(items) >> 7), line)  # as if each key were looked up: see values.look_up
    allocate(meter, DICT_BASE + ENTRY * len(items), line)
    return dict(items)


BUILTINS: Mapping[str, tuple[int, int, Callable[..., Any]]] = {
    "abs": (1, 1, _abs),
    "all": (1, 1, _all),
    "any": (1, 1, _any),
    "bool": (1, 1, _bool),
    "dict": (1, 1, _dict),
    "int": (1, 1, _int),
    "len": (1, 1, _len),
    "list": (1, 1, _list),
    "max": (1, 8, _max),
    "min": (1, 8, _min),
    "sorted": (1, 1, _sorted),
    "str": (1, 1, _str),
}


def make_range(arguments: tuple[Datum, ...], line: int) -> range:
    """``range(...)``, whose ends are indices and whose step is not 0."""
    for argument in arguments:
        machine_integer(argument, line)
    if len(arguments) == 3 and arguments[2] == 0:
        abort("division_by_zero", line)
    return range(*arguments)
