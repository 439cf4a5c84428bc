"""What loops run over, and how it is kept from being changed meanwhile (docs/spec/tpl-1.md §5)."""

from __future__ import annotations

from contracts.engine.refusals import Abort
from contracts.engine.values import Datum


def iterable(value: Datum, line: int) -> Datum:
    """What a loop may run over: a list, a dict (its keys), a range."""
    kind = type(value)
    if kind is list or kind is dict or kind is range:
        return value
    raise Abort("wrong_type", line)


def lock(locks: dict[int, int], value: Datum) -> bool:
    """Keeps a list or dict from being changed while a loop runs over it."""
    if type(value) is range:
        return False
    locks[id(value)] = locks.get(id(value), 0) + 1
    return True


def unlock(locks: dict[int, int], value: Datum) -> None:
    """One loop over it less."""
    left = locks[id(value)] - 1
    if left:
        locks[id(value)] = left
    else:
        del locks[id(value)]
