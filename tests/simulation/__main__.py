"""``python -m tests.simulation --seeds A-B [--n N] [--trace]``: run seeds, print a line each; exit 1 on a violation."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.simulation.runs import run_seed, size_of


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0-23", help="A-B or one seed")
    parser.add_argument("--n", type=int, help="validators; else as the seed has it")
    parser.add_argument("--small", action="store_true", help="short runs, as in the portable test")
    parser.add_argument("--trace", action="store_true", help="print what happens")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    failed = 0
    for seed in range(int(first), int(last or first) + 1):
        size = size_of(seed, small=options.small, n=options.n)
        began = time.process_time()
        try:
            outcome = run_seed(seed, size, tell=print if options.trace else None)
        except Exception as error:  # noqa: BLE001 - whatever ends a run is a finding
            failed += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            if not isinstance(error, AssertionError):
                traceback.print_exc()
            continue
        spent = time.process_time() - began
        print(
            f"seed {seed}: n={size.n} height {outcome.height} view {outcome.view} final {outcome.healed_ms} ms after "
            f"healing, {outcome.counted['frames']} frames, {spent:.1f} s, {' '.join(outcome.strategies)} "
            f"{outcome.trace[:16]}",
            flush=True,
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
