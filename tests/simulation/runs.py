"""Running seeds: what a seed is about, where its ledgers lie, many of them in worker processes."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.governing import short_notice
from tests.simulation.world import Outcome, Size, World

_MEMORY = Path("/dev/shm")
"""Where a synced write costs no disk: hundreds of them make a run, and a simulated crash loses no page anyway."""

SIZES = (4, 4, 4, 7, 4, 4, 4, 4, 4, 7, 4, 4, 4, 4, 4, 7, 4, 4, 4, 10)
WINDOWS = (1, 2, 4, 8)
BLOCKS = (1, 2, 3)
DISTANCES = (3, 5, 8)
"""How far behind a node is, beyond the window, that joins by snapshot; and of which heights snapshots are kept."""
HEIGHTS = 50
REAL_EVERY = 10
"""Every so many seeds run with SM2 and LevelDB; the place in between is that of a seed with four validators."""


def size_of(seed: int, *, small: bool = False, told: bool = False, n: int | None = None) -> Size:
    """Mostly four validators, else seven or ten; the window goes through 1, 2, 4, 8. ``told``: stories for the most."""
    window = WINDOWS[seed // 4 % len(WINDOWS)]
    if told:
        block = BLOCKS[seed // 16 % len(BLOCKS)] if window > 1 else 2_000
        return Size(n or 4, bad_weather_ms=4_000, transactions=8, faults=3, window=window, block=block, stories=5)
    if small:
        return Size(n or 4, bad_weather_ms=6_000, transactions=8, faults=3, window=window)
    block = BLOCKS[seed // 16 % len(BLOCKS)] if window > 1 else 2_000
    idle_ms = 4_000 if seed % 4 == 3 else 0
    proposals = 6 if seed % 3 else 0
    return Size(
        n or SIZES[seed % len(SIZES)],
        heights=HEIGHTS,
        window=window,
        block=block,
        idle_ms=idle_ms,
        proposals=proposals,
        snapshot_distance=window + DISTANCES[seed // 2 % len(DISTANCES)],
        snapshot_every=DISTANCES[seed // 6 % len(DISTANCES)],
        stories=1,
    )


def is_real(seed: int) -> bool:
    """Whether the seed runs with SM2 and LevelDB."""
    return seed % REAL_EVERY == 0


def run_seed(seed: int, size: Size, *, real: bool = False, tell: Callable[[str], None] | None = None) -> Outcome:
    """Runs one seed. Raises Violation. ``real``: SM2 signatures, ledgers in LevelDB."""
    with short_notice():
        return _run(seed, size, real, tell)


def _run(seed: int, size: Size, real: bool, tell: Callable[[str], None] | None) -> Outcome:
    if not real:
        return World(seed, size, None, tell=tell).run()
    place = _MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=place) as directory:
        world = World(seed, size, Path(directory), tell=tell)
        try:
            return world.run()
        finally:
            world.close()


@dataclass(frozen=True, slots=True)
class Run:
    """One seed's result: what happened, or how it failed."""

    seed: int
    n: int
    cpu_s: float
    outcome: Outcome | None
    failure: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """How seeds are to be run."""

    n: int | None = None
    small: bool = False
    told: bool = False
    real: bool | None = None
    """None: as ``is_real`` says."""


def attempt(seed: int, order: Order, tell: Callable[[str], None] | None = None) -> Run:
    """Runs one seed, whatever becomes of it."""
    size = size_of(seed, small=order.small, told=order.told, n=order.n)
    began = time.process_time()
    try:
        outcome = run_seed(seed, size, real=is_real(seed) if order.real is None else order.real, tell=tell)
    except Exception as error:  # noqa: BLE001 - whatever ends a run is a finding
        spent = time.process_time() - began
        known = isinstance(error, AssertionError) and str(error)
        details = "" if known else traceback.format_exc()
        return Run(seed, size.n, spent, None, f"{type(error).__name__}: {error}", details)
    return Run(seed, size.n, time.process_time() - began, outcome)


def attempts(seeds: Sequence[int], order: Order, workers: int) -> Iterator[Run]:
    """Runs seeds in worker processes, in the order of the seeds."""
    if workers <= 1:
        yield from (attempt(seed, order) for seed in seeds)
        return
    with pool(workers) as executor:
        futures = [executor.submit(attempt, seed, order) for seed in seeds]
        try:
            yield from (future.result() for future in futures)
        finally:
            for future in futures:
                future.cancel()


def pool(workers: int, *, background: bool = False) -> ProcessPoolExecutor:
    """Fresh interpreters: what the caller's process holds (threads, loops, patches) does not reach a run.
    ``background``: they take the time that nobody else wants.
    """
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(background,))


def _begin(background: bool) -> None:
    sys.tracebacklimit = 20
    gc.freeze()  # what was imported is never garbage, and looking for some costs an eighth of a run
    gc.set_threshold(20_000, 20, 50)
    if background:
        os.nice(19)


@dataclass(slots=True)
class Total:
    """What happened over many seeds."""

    seeds: int = 0
    failed: list[Run] = field(default_factory=list)
    cpu_s: float = 0.0
    counted: Counter[str] = field(default_factory=Counter)
    sizes: Counter[int] = field(default_factory=Counter)
    tricks: Counter[str] = field(default_factory=Counter)

    def add(self, run: Run) -> None:
        """One more seed."""
        self.seeds += 1
        self.cpu_s += run.cpu_s
        self.sizes[run.n] += 1
        if run.outcome is None:
            self.failed.append(run)
        else:
            self.counted.update(run.outcome.counted)
            self.tricks.update(name.partition(":")[2] for name in run.outcome.strategies)

    def table(self) -> str:
        """Lines of what happened how often."""
        decided = self.counted["heights"]
        asked = (
            "view changes",
            "equivocations",
            "crashes between sync and send",
            "epochs begun",
            "snapshots installed",
        )
        lines = [
            f"{self.seeds} seeds, {len(self.failed)} with a violation, {self.cpu_s:.0f} s of CPU; validators: "
            + ", ".join(f"n={n} {count} times" for n, count in sorted(self.sizes.items())),
            f"{decided} heights decided, {decided / max(self.cpu_s, 0.001):.1f} a second of CPU",
        ]
        lines.append("what happened: " + ", ".join(f"{name} {self.counted[name]}" for name in asked))
        width = max((len(name) for name in self.counted), default=0)
        lines += [f"  {name:<{width}} {count:>10}" for name, count in sorted(self.counted.items())]
        tricks = ", ".join(f"{name} {count}" for name, count in sorted(self.tricks.items()))
        lines.append(f"Byzantine members: {tricks}")
        return "\n".join(lines)
