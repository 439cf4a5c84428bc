"""Operators of ``tpl/1`` beyond their fast cases (docs/spec/tpl-1.md §3).

Each takes the meter of the call, two values and the line.
"""

from __future__ import annotations

from collections.abc import Callable

from contracts.engine.values import (
    CHARACTERS,
    ITEM,
    ITEMS,
    Datum,
    Meter,
    abort,
    allocate,
    equal,
    integer,
    look_up,
    machine_integer,
    new_list,
    new_text,
    position,
    search,
    spend,
)

Binary = Callable[[Meter, Datum, Datum, int], Datum]


def _both(left: Datum, right: Datum, kind: type) -> bool:
    return type(left) is kind and type(right) is kind


def add(meter: Meter, left: Datum, right: Datum, line: int) -> Datum:
    """int + int, str + str, list + list (a new list)."""
    if _both(left, right, int):
        return integer(left + right, line)
    if _both(left, right, str):
        if len(left) + len(right) > CHARACTERS:
            abort("too_long", line)
        return new_text(meter, left + right, line)
    if _both(left, right, list):
        if len(left) + len(right) > ITEMS:
            abort("too_long", line)
        return new_list(meter, left + right, line)
    abort("wrong_type", line)


def subtract(meter: Meter, left: Datum, right: Datum, line: int) -> Datum:
    """int - int."""
    if not _both(left, right, int):
        abort("wrong_type", line)
    return integer(left - right, line)


def multiply(meter: Meter, left: Datum, right: Datum, line: int) -> Datum:
    """int * int; a str or list by an int, in either order."""
    if _both(left, right, int):
        return integer(left * right, line)
    sequence, count = (right, left) if type(left) is int else (left, right)
    if type(sequence) not in (str, list):
        abort("wrong_type", line)
    machine_integer(count, line)
    # Refused before anything is built: [0] * 10**9 must cost nothing.
    size = len(sequence) * max(count, 0)
    if type(sequence) is str:
        if size > CHARACTERS:
            abort("too_long", line)
        return new_text(meter, sequence * count, line)
    if size > ITEMS:
        abort("too_long", line)
    return new_list(meter, sequence * count, line)


def floor_divide(meter: Meter, left: Datum, right: Datum, line: int) -> Datum:
    """int // int, rounded down."""
    if not _both(left, right, int):
        abort("wrong_type", line)
    if right == 0:
        abort("division_by_zero", line)
    return integer(left // right, line)


def modulo(meter: Meter, left: Datum, right: Datum, line: int) -> Datum:
    """int % int, with the sign of the right one."""
    if not _both(left, right, int):
        abort("wrong_type", line)
    if right == 0:
        abort("division_by_zero", line)
    return integer(left % right, line)


BINARY: tuple[Binary, ...] = (add, subtract, multiply, floor_divide, modulo)
"""In the order of ``nodes.OPERATORS``."""


def extend(meter: Meter, target: list[Datum], items: list[Datum], line: int) -> None:
    """Adds items to a list in place; the caller has checked that it is open."""
    if len(target) + len(items) > ITEMS:
        abort("too_long", line)
    spend(meter, len(items) >> 2, line)
    allocate(meter, len(items) * ITEM, line)
    target.extend(items)


def less(meter: Meter, left: Datum, right: Datum, line: int) -> bool:
    """int < int, str < str by code points."""
    if _both(left, right, str):
        spend(meter, min(len(left), len(right)) >> 5, line)
    elif not _both(left, right, int):
        abort("wrong_type", line)
    return bool(left < right)


def contains(meter: Meter, item: Datum, container: Datum, line: int) -> bool:
    """A list's item, a dict's key, a part of a text."""
    kind = type(container)
    if kind is dict:
        look_up(meter, container, item, line)
        return item in container
    if kind is list:
        for one in container:
            spend(meter, 1, line)
            if equal(meter, one, item, line):
                return True
        return False
    if kind is str and type(item) is str:
        search(meter, container, item, line)
        return item in container
    abort("wrong_type", line)


COMPARE: tuple[Callable[[Meter, Datum, Datum, int], bool], ...] = (
    equal,
    lambda meter, left, right, line: not equal(meter, left, right, line),
    less,
    lambda meter, left, right, line: not less(meter, right, left, line),
    lambda meter, left, right, line: less(meter, right, left, line),
    lambda meter, left, right, line: not less(meter, left, right, line),
    contains,
    lambda meter, left, right, line: not contains(meter, left, right, line),
)
"""In the order of ``nodes.COMPARISONS``."""


def negate(value: Datum, line: int) -> int:
    """-int."""
    if type(value) is not int:
        abort("wrong_type", line)
    return integer(-value, line)


def item_of(meter: Meter, container: Datum, index: Datum, line: int) -> Datum:
    """``container[index]``."""
    if type(container) is dict:
        look_up(meter, container, index, line)
        if index not in container:
            abort("no_such_item", line)
        return container[index]
    if type(container) is list or type(container) is str:
        return container[position(container, index, line)]
    abort("wrong_type", line)


def slice_of(meter: Meter, value: Datum, low: Datum, high: Datum, line: int) -> Datum:
    """``value[low:high]`` of a str or list; None is an end left out."""
    for end in (low, high):
        if end is not None:
            machine_integer(end, line)
    if type(value) is str:
        return new_text(meter, value[low:high], line)
    if type(value) is list:
        return new_list(meter, value[low:high], line)
    abort("wrong_type", line)
