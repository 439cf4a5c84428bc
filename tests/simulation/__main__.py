"""``python -m tests.simulation --seeds A-B``: run seeds, print a line each and a table; exit 1 on a violation."""

from __future__ import annotations

import argparse
import os
import sys

from tests.simulation.runs import Order, Run, Total, attempt, attempts


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-23", help="A-B or one seed")
    parser.add_argument("--n", type=int, help="validators; else as the seed has it")
    parser.add_argument("--small", action="store_true", help="short runs, as in the portable test")
    parser.add_argument("--told", action="store_true", help="short runs, mostly of stories told on purpose")
    parser.add_argument("--real", action=argparse.BooleanOptionalAction, help="SM2 and LevelDB, or neither")
    parser.add_argument("--trace", action="store_true", help="print what happens (one process)")
    parser.add_argument("--workers", type=int, default=1, help="processes; 0: one a core")
    parser.add_argument("--brief", action="store_true", help="print failing seeds and the table only")
    parser.add_argument("--hunt", action="store_true", help="stop at the first failing seed; print nothing else")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    order = Order(options.n, options.small, options.told, options.real)
    total = Total()
    runs = (
        (attempt(seed, order, print) for seed in seeds)
        if options.trace
        else attempts(seeds, order, options.workers or os.cpu_count() or 1)
    )
    for run in runs:
        total.add(run)
        if options.hunt:
            if run.outcome is not None:
                continue
            print(line_of(run))
            return 1
        if run.outcome is None or not options.brief:
            print(line_of(run), flush=True)
        elif total.seeds % 100 == 0:
            print(f"{total.seeds} seeds, {total.cpu_s:.0f} s of CPU", flush=True)
    if options.hunt:
        return 0
    print(total.table())
    for run in total.failed:
        print(f"again: python -m tests.simulation --trace --seeds {run.seed}")
    return 1 if total.failed else 0


def line_of(run: Run) -> str:
    """One seed in one line; a failure with all that is known of it."""
    outcome = run.outcome
    if outcome is None:
        return f"seed {run.seed}: {run.failure}\n{run.details}".rstrip()
    return (
        f"seed {run.seed}: n={run.n} height {outcome.height} view {outcome.view} final {outcome.healed_ms} ms after "
        f"healing, {outcome.counted['frames']} frames, {run.cpu_s:.1f} s, {' '.join(outcome.strategies)} "
        f"{outcome.trace[:16]}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
