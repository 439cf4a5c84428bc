"""Running a seed: its size, a directory for its ledgers, its end."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.simulation.world import Outcome, Size, World

_MEMORY = Path("/dev/shm")
"""Where a synced write costs no disk: hundreds of them make a run, and a simulated crash loses no page anyway."""


def size_of(seed: int, *, small: bool = False, n: int | None = None) -> Size:
    """Every sixth seed has seven validators, the others four."""
    if small:
        return Size(n or 4, bad_weather_ms=6_000, transactions=8, faults=3)
    return Size(n or (7 if seed % 6 == 5 else 4))


def run_seed(seed: int, size: Size, *, tell: Callable[[str], None] | None = None) -> Outcome:
    """Runs one seed. Raises Violation, with all that is needed to see it again."""
    place = _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=place) as directory:
        world = World(seed, size, Path(directory), tell=tell)
        try:
            return world.run()
        finally:
            world.close()
