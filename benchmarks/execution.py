"""Execution without consensus, on a state in LevelDB, with every rule and hook.

    python -m benchmarks.execution [--rounds 10] [--json]

Microseconds of processor time a kernel transfer and a step of a negotiated transfer through ``tpl/1``, in batches of
2,000; the synced write of a batch apart; and calls of the template engine alone, with 2 reads and 2 writes each.

State is read as a node reads it: through ``ledger.value_cache`` over LevelDB, which has what the last batches read and
wrote. ``transfer_cold_us`` has that cache empty before each batch: every value is read from LevelDB once.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import plyvel

from benchmarks.kernel import BATCH, STEPS, Bench, negotiated, transfers
from chain_core.execution.executor import BlockResult, StateReader
from chain_core.ledger.value_cache import ValueCache
from contracts.engine.host import Operation
from contracts.engine.parser import parse_template
from contracts.engine.program import Program
from contracts.kernel.invariants import check_state

_CALL = b"""
def transfer(ctx, call, source, target, quantity):
    have = ctx.get(source)
    if have < quantity:
        return "short"
    if source == target or quantity <= 0:
        return "bad"
    got = ctx.get(target)
    ctx.put(source, have - quantity)
    ctx.put(target, got + quantity)
    return "done"
"""
_CALLS = 20_000
_CACHE = 256 << 20


class Stored(MutableMapping[bytes, bytes]):
    """State in LevelDB, with the mapping's face that the benchmark's chain wants."""

    def __init__(self, path: Path) -> None:
        self.database = plyvel.DB(str(path), create_if_missing=True, lru_cache_size=_CACHE, bloom_filter_bits=10)

    def __getitem__(self, key: bytes) -> bytes:
        value = self.database.get(key)
        if value is None:
            raise KeyError(key)
        return bytes(value)

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        """One lookup, without an exception for what is not there."""
        value: bytes | None = self.database.get(key)
        return default if value is None else value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.database.put(key, value)

    def __delitem__(self, key: bytes) -> None:
        self.database.delete(key)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.database.iterator(include_value=False))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class StoredBench(Bench):
    """The benchmark's chain, with its state on the disk and one synced write a batch."""

    def __init__(self, path: Path) -> None:
        self.written: list[float] = []
        self._stored = Stored(path)
        self.cold = False
        super().__init__()
        self._stored.update(self.memory.values)
        self.memory.values = self._stored  # type: ignore[assignment]
        self._cache = ValueCache(self._stored.get)

    def state(self) -> StateReader:
        """The node's cache over LevelDB, an empty one before each batch while ``cold``."""
        return ValueCache(self._stored.get) if self.cold else self._cache

    def commit(self, result: BlockResult) -> None:
        """Takes the batch's writes over."""
        self.height += 1
        begin = time.perf_counter()
        with self._stored.database.write_batch(sync=True) as batch:
            for key, value in result.writes.items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
        self._cache.committed(result.writes)
        if len(result.codes) == BATCH:
            self.written.append((time.perf_counter() - begin) / BATCH * 1e6)


def engine_calls(rounds: int) -> float:
    """Calls a second of the engine alone: the best of a few rounds of processor time."""
    store = {"a": 10**12, "b": 0}
    host = {
        "get": Operation(("key",), lambda host, meter, line, key: store.get(key)),
        "put": Operation(("key", "value"), lambda host, meter, line, key, value: store.__setitem__(key, value)),
    }
    program = Program(parse_template(_CALL), host)
    best = 0.0
    for _ in range(rounds):
        begin = time.process_time()
        for _ in range(_CALLS):
            program.call("transfer", None, [{"caller": "a"}, "a", "b", 1])
        best = max(best, _CALLS / (time.process_time() - begin))
    return best


def measure(rounds: int, path: Path) -> dict[str, object]:
    """All figures, and that the invariants hold afterwards."""
    bench = StoredBench(path)
    securities = bench.set_up()
    moved = transfers(bench, securities, rounds)
    bench.cold = True
    cold = transfers(bench, securities, rounds, joining=False)
    bench.cold = False
    steps = negotiated(bench, securities, rounds)
    check_state(sorted(bench.memory.values.items()))
    return {
        "transfer_us": round(statistics.median(moved["transfer"]), 2),
        "transfer_best_us": round(min(moved["transfer"]), 2),
        "transfer_cold_us": round(statistics.median(cold["transfer"]), 2),
        "transfer_cold_best_us": round(min(cold["transfer"]), 2),
        "step_us": {step: round(statistics.median(steps[step]), 2) for step in STEPS},
        "step_best_us": {step: round(min(steps[step]), 2) for step in STEPS},
        "synced_write_us": round(statistics.median(bench.written), 2),
        "engine_calls_per_s": round(engine_calls(max(3, rounds))),
        "batch": BATCH,
        "rounds": rounds,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-execution-") as directory:
        report = measure(max(1, options.rounds), Path(directory) / "state")
    if options.json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        for name, value in report.items():
            sys.stdout.write(f"{name}: {value}\n")


if __name__ == "__main__":
    main()
