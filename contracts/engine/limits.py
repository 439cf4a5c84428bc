"""What a template and a call of it may use (docs/spec/tpl-1.md §8). Part of the meaning of ``tpl/1``: consensus."""

from __future__ import annotations

from dataclasses import dataclass

ENGINE = "tpl/1"

MAX_SOURCE_BYTES = 65_536
MAX_TREE_BYTES = 65_536
MAX_NODES = 8_000
MAX_NESTING = 40
"""Levels of blocks and expressions inside one function."""
MAX_CALL_CHAIN = 120
"""Functions on the longest path through the calls of a template."""
MAX_STACK = 700
"""Frames of the host's interpreter on the longest such path, known before anything runs."""
MAX_NAME = 64
MAX_PARAMETERS = 16

INTEGER_BOUND = 1 << 255
"""|n| stays below it."""
KEY_BOUND = 1 << 60
"""Integer keys of dicts are 0 or more, and below it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """A call's limits. Fuel and memory are counters of docs/spec/tpl-1.md §7, never clocks or the host's sizes."""

    fuel: int = 20_000
    memory: int = 1_048_576
    characters: int = 16_384
    items: int = 4_096
    depth: int = 16


LIMITS = Limits()
