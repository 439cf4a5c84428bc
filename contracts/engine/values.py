"""Values of ``tpl/1`` and the meter of a call (docs/spec/tpl-1.md §2, §7).

A value is None, a bool, an int, a str, a list or a dict; types are told apart exactly, so True is not 1. Whatever walks
a value is charged for each item of it and refuses what is nested too deeply: a list that holds itself ends there.
"""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

from contracts.engine.limits import INTEGER_BOUND, KEY_BOUND, LIMITS
from contracts.engine.refusals import Abort

Datum: TypeAlias = Any

FUEL, MEMORY, LOCKS = 0, 1, 2
Meter: TypeAlias = list[Any]
"""[fuel left, memory left, locks: id of a list or dict -> how many loops run over it]."""

TEXT_BASE, LIST_BASE, DICT_BASE, ITEM, ENTRY = 16, 32, 64, 8, 24
"""Memory, in the engine's own units (about a byte): of a str beside its characters, a list, a dict, their items."""

SHORT_KEY, _SMALL_DICT = 64, 127
MACHINE_BOUND = 1 << 31
CHARACTERS, ITEMS, DEPTH = LIMITS.characters, LIMITS.items, LIMITS.depth


def abort(reason: str, line: int) -> NoReturn:
    """Ends the call."""
    raise Abort(reason, line)


def spend(meter: Meter, fuel: int, line: int) -> None:
    """Charges fuel."""
    meter[FUEL] -= fuel
    if meter[FUEL] < 0:
        raise Abort("fuel", line)


def allocate(meter: Meter, size: int, line: int) -> None:
    """Charges memory; what is dropped is never given back."""
    meter[MEMORY] -= size
    if meter[MEMORY] < 0:
        raise Abort("memory", line)


def new_text(meter: Meter, text: str, line: int) -> str:
    """A text that an operation made."""
    size = len(text)
    if size > CHARACTERS:
        raise Abort("too_long", line)
    meter[FUEL] -= size >> 6
    if meter[FUEL] < 0:
        raise Abort("fuel", line)
    meter[MEMORY] -= size + TEXT_BASE
    if meter[MEMORY] < 0:
        raise Abort("memory", line)
    return text


def new_list(meter: Meter, items: list[Datum], line: int) -> list[Datum]:
    """A list that an operation made."""
    size = len(items)
    if size > ITEMS:
        raise Abort("too_long", line)
    meter[FUEL] -= size >> 2
    if meter[FUEL] < 0:
        raise Abort("fuel", line)
    meter[MEMORY] -= size * ITEM + LIST_BASE
    if meter[MEMORY] < 0:
        raise Abort("memory", line)
    return items


def integer(value: int, line: int) -> int:
    """The value, within |n| < 2^255."""
    if -INTEGER_BOUND < value < INTEGER_BOUND:
        return value
    raise Abort("integer_range", line)


def check_key(key: Datum, line: int) -> None:
    """A dict's key is text, or an integer in 0..2^60-1."""
    if type(key) is not str and (type(key) is not int or not 0 <= key < KEY_BOUND):
        raise Abort("bad_key", line)


def look_up(meter: Meter, container: dict[Datum, Datum], key: Datum, line: int) -> None:
    """Checks a key that is looked for in a dict, and charges for it: a long text is hashed and compared, and the hashes
    of integers are known to whoever writes them, so that each may meet the places of all the others.
    """
    if type(key) is str:
        if len(key) > SHORT_KEY:
            spend(meter, len(key) >> 6, line)
        return
    check_key(key, line)
    if len(container) > _SMALL_DICT:
        spend(meter, len(container) >> 7, line)


def search(meter: Meter, text: str, part: str, line: int, times: int = 1) -> None:
    """Charges for looking for ``part`` in ``text``, at worst at each place anew."""
    whole, wanted = len(text), len(part)
    pairs = (whole - wanted + 1) * wanted if whole >= wanted else 0
    spend(meter, (whole >> 4) + (wanted >> 4) + times * (pairs >> 8), line)


def check_open(meter: Meter, container: Datum, line: int) -> None:
    """A constant, or what a loop runs over, is not changed."""
    if id(container) in meter[LOCKS]:
        raise Abort("locked", line)


def put(meter: Meter, container: Datum, key: Datum, value: Datum, line: int) -> None:
    """``container[key] = value``."""
    if meter[LOCKS]:
        check_open(meter, container, line)
    if type(container) is dict:
        look_up(meter, container, key, line)
        if key not in container:
            if len(container) >= ITEMS:
                raise Abort("too_long", line)
            allocate(meter, ENTRY, line)
        container[key] = value
    elif type(container) is list:
        container[position(container, key, line)] = value
    else:
        raise Abort("wrong_type", line)


def machine_integer(value: Datum, line: int) -> int:
    """An index or count: Starlark keeps them to 32 bits, and so does the language."""
    if type(value) is not int:
        raise Abort("wrong_type", line)
    if -MACHINE_BOUND < value < MACHINE_BOUND:
        return value
    raise Abort("integer_range", line)


def position(sequence: list[Datum] | str, index: Datum, line: int) -> int:
    """An index from the front, or from the end when it is negative."""
    if type(index) is not int:
        raise Abort("wrong_type", line)
    size = len(sequence)
    if not -size <= index < size:
        raise Abort("no_such_item", line)
    return index


def equal(meter: Meter, left: Datum, right: Datum, line: int, depth: int = DEPTH) -> bool:
    """``==``: of one type and the same; lists item by item, dicts whatever their order."""
    kind = type(left)
    if kind is not type(right):
        return False
    if kind is str:
        if len(left) != len(right):
            return False
        spend(meter, len(left) >> 5, line)
        return bool(left == right)
    if kind is list or kind is dict:
        return _equal_containers(meter, left, right, line, depth)
    return bool(left == right)


def _equal_containers(meter: Meter, left: Datum, right: Datum, line: int, depth: int) -> bool:
    if depth == 0:
        raise Abort("too_deep", line)
    spend(meter, 1, line)
    if len(left) != len(right):
        return False
    if type(left) is list:
        for one, other in zip(left, right, strict=True):
            spend(meter, 1, line)
            if not equal(meter, one, other, line, depth - 1):
                return False
        return True
    for key, one in left.items():
        spend(meter, 2, line)
        look_up(meter, right, key, line)
        if key not in right or not equal(meter, one, right[key], line, depth - 1):
            return False
    return True


def check_walk(meter: Meter, value: Datum, line: int, depth: int = DEPTH) -> None:
    """Charges for a walk through a value that leaves the call; refuses one that is nested too deeply."""
    kind = type(value)
    if kind is str:
        spend(meter, 1 + (len(value) >> 4), line)
        return
    spend(meter, 1, line)
    if kind is list or kind is dict:
        if depth == 0:
            raise Abort("too_deep", line)
        for item in value.values() if kind is dict else value:
            check_walk(meter, item, line, depth - 1)
        if kind is dict:
            for key in value:
                spend(meter, 1 + (len(key) >> 4 if type(key) is str else 0), line)


def imported(meter: Meter, value: Datum, line: int) -> Datum:
    """A value that came from the host, charged as if the call had made it. The host gives fresh lists and dicts."""
    kind = type(value)
    if kind is str:
        return new_text(meter, value, line)
    if kind is list:
        for item in new_list(meter, value, line):
            imported(meter, item, line)
    elif kind is dict:
        allocate(meter, DICT_BASE + ENTRY * len(value), line)
        for key, item in value.items():
            spend(meter, 1, line)
            if type(key) is str:
                allocate(meter, len(key) + TEXT_BASE, line)
            imported(meter, item, line)
    return value
