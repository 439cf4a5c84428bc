"""How much a replica keeps: every table in its core, counted whatever it is called."""

from __future__ import annotations

from collections import deque
from dataclasses import fields, is_dataclass
from typing import Any

from chain_core.node.replica import Replica

_VALUES = ("config",)


def tables(owner: Any, path: str = "") -> dict[str, int]:
    """Sizes of all collections in a state object, by place; those within collections too."""
    found: dict[str, int] = {}
    for field in fields(owner):
        value, name = getattr(owner, field.name), f"{path}.{field.name}"
        if field.name in _VALUES:
            continue
        if isinstance(value, dict | list | set | deque):
            found[name] = len(value)
            inner = value.values() if isinstance(value, dict) else value
            for index, item in enumerate(inner):
                if _is_state(item):
                    found.update(tables(item, f"{name}[{index}]"))
        elif _is_state(value):
            found.update(tables(value, name))
    return found


def _is_state(value: Any) -> bool:
    """Messages are frozen and bounded by their codec; what changes is state."""
    if not is_dataclass(value) or isinstance(value, type):
        return False
    frozen: bool = value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    return not frozen


def excess(replica: Replica, n: int) -> str:
    """The table that outgrew what n validators and the window allow; empty when none did."""
    state = replica.core.state
    window = max(state.config.parameters.window_heights, len(state.slots))
    limit = 4 * n * (window + 1)
    sizes = tables(state)
    worst = max(sizes, key=sizes.__getitem__)
    if sizes[worst] > limit:
        return f"{worst} holds {sizes[worst]}, {limit} would do"
    held, wanted = replica.bodies.held, len(replica.bodies.wanted)
    if len(state.slots) > window or wanted > 4 * window or held > 4_000:
        return f"{len(state.slots)} slots, {wanted} batches wanted, {held} bodies held"
    return ""
