"""The supervision rules of this build: sources, and the trees that nodes execute (``dualchain template build``)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

DIRECTORY = Path(__file__).parent
SOURCES, TREES = DIRECTORY / "sources", DIRECTORY / "trees"


@cache
def shipped_rules() -> tuple[bytes, ...]:
    """The trees, by name. Reads the files once, when the process starts."""
    return tuple(path.read_bytes() for path in sorted(TREES.glob("*.tree")))
