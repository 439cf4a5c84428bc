"""Lists and dicts that a program may read and not change: constants, and what its caller shares with it."""

from __future__ import annotations

from contracts.engine.values import Datum


def containers_in(value: Datum) -> dict[int, int]:
    """The ids of every list and dict in a value, as the locks of a meter name them."""
    found: dict[int, int] = {}
    _add(value, found)
    return found


def _add(value: Datum, found: dict[int, int]) -> None:
    if isinstance(value, (list, dict)):
        found[id(value)] = 1
        for item in value.values() if isinstance(value, dict) else value:
            if type(item) is not str and type(item) is not int:
                _add(item, found)
