"""What a hostile template can cost a node: `python -m benchmarks.engine_attacks`.

Runs each program of tests/unit/engine/hostile.py with the full fuel and memory of a call and reports the slowest and
the largest, and what checking and compiling the largest trees takes. With --json, stdout is one JSON line.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable

from contracts.engine.limits import LIMITS
from contracts.engine.nodes import decode_tree, encode_tree
from contracts.engine.parser import parse_template
from contracts.engine.program import Program
from contracts.engine.refusals import Abort
from tests.unit.engine.hostile import PROGRAMS

_SHOWN = 10


def _files() -> dict[str, str]:
    """Files near the limits of a tree, which the approver and each node check and compile once."""
    wide = "".join(f"    v{i} = {i}\n" for i in range(2_600))
    sums = "".join(f"    v{i} = [x + {i} for x in [1]]\n" for i in range(880))
    flat = "".join(f"def f{i}(a):\n    return a\n" for i in range(2_000))
    ladder = "".join(
        f"def f{i}():\n    return [" + ", ".join(f"f{j}()" for j in range(i + 1, min(i + 40, 110))) + "]\n"
        for i in range(110)
    )
    return {
        "a function of 2,600 variables": f"def f():\n{wide}",
        "880 comprehensions": f"def f():\n{sums}",
        "2,000 functions": flat,
        "functions that call all later ones": ladder,
        **{name: source for name, (source, _) in PROGRAMS.items() if len(source) > 30_000},
    }


def _timed(run: Callable[[], object], rounds: int) -> float:
    """Milliseconds of the process's own time, the best of ``rounds``."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return best * 1_000


def _call(program: Program) -> str:
    try:
        program.call("main", None, [])
    except Abort as end:
        return end.reason
    return ""


def _peak_bytes(program: Program) -> int:
    tracemalloc.start()
    try:
        _call(program)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measure(rounds: int) -> dict[str, object]:
    """Times and memory of every program and file."""
    rows = []
    for name, (source, _) in PROGRAMS.items():
        program = Program(parse_template(source.encode()), {})
        ended = _call(program)
        spent_ms = _timed(lambda program=program: _call(program), rounds)  # type: ignore[misc]
        rows.append((spent_ms, _peak_bytes(program), name, ended))
    compiled = {}
    for name, source in _files().items():
        raw = encode_tree(parse_template(source.encode()))
        compiled[name] = _timed(lambda raw=raw: Program(decode_tree(raw), {}), 2)  # type: ignore[misc]
    slowest = sorted(rows, reverse=True)
    largest = max(rows, key=lambda row: row[1])
    slow_file = max(compiled, key=lambda name: compiled[name])
    return {
        "programs": len(rows),
        "fuel": LIMITS.fuel,
        "worst_call_ms": round(slowest[0][0], 2),
        "worst_call": slowest[0][2],
        "worst_ns_per_fuel": round(slowest[0][0] * 1e6 / LIMITS.fuel),
        "worst_memory_kib": largest[1] // 1024,
        "worst_memory": largest[2],
        "worst_compile_ms": round(compiled[slow_file], 1),
        "worst_compile": slow_file,
        "slowest": {name: [round(ms, 2), ended] for ms, _, name, ended in slowest[:_SHOWN]},
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="one JSON line on stdout")
    options = parser.parse_args()
    report = measure(max(1, options.rounds))
    if options.json:
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    else:
        for name, value in report.items():
            sys.stdout.write(f"{name}: {value}\n")


if __name__ == "__main__":
    main()
