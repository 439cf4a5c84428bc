"""``python -m tests.border_simulation --seeds N``: 35 local chains and theirs above; exit 1 on a violation."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.border_simulation.runs import MARKETS, TICKS, run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.border_simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--markets", type=int, default=MARKETS)
    parser.add_argument("--ticks", type=int, default=TICKS)
    parser.add_argument("--brief", action="store_true", help="print failing seeds and the table only")
    options = parser.parse_args(arguments)
    failed, total, cpu_s = [], Counter[str](), 0.0
    for seed in range(options.first, options.first + options.seeds):
        done = run(seed, markets=options.markets, ticks=options.ticks)
        total.update(done.tally)
        cpu_s += done.cpu_s
        if done.violation:
            failed.append(seed)
        if done.violation or not options.brief:
            print(f"seed {seed}: {done.violation or 'holds'} ({done.cpu_s:.2f} s of CPU)", flush=True)
    print(f"{options.seeds} seeds, {len(failed)} broken, {cpu_s / max(1, options.seeds):.2f} s of CPU a seed")
    for what, count in sorted(total.items()):
        print(f"{count:>9,} {what}")
    for seed in failed:
        print(f"again: python -m tests.border_simulation --first {seed} --seeds 1")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
