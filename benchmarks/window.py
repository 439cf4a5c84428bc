"""What several heights in flight are worth: throughput with W = 1 and W = 8, on long lines and on short ones.

    python -m benchmarks.window --seconds 20 --json

Long lines: each peer link held back 50 ms one way, at most 100 transactions a block. Short ones: neither.
Printed are transactions a second and the ratios W = 8 to W = 1, all of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import deque
from pathlib import Path

from benchmarks.delayed_links import DelayedLinks
from benchmarks.market_load import Signers, populate, start_market
from benchmarks.throughput import Load, compare_nodes, say

WINDOWS = (1, 8)
DELAY_S = 0.05
BLOCK_TRANSACTIONS = 100
WARM_UP_S = 3.0
STOCK = 6_000


async def throughput(
    directory: Path, parameters: dict[str, int], delay_s: float, seconds: float, accounts: int
) -> float:
    """Transactions a second, proven final, of a new chain with these parameters."""
    links = DelayedLinks(delay_s)
    market = await start_market(directory, 4, parameters, prepare=links.prepare if delay_s else None)
    try:
        await populate(market, accounts)
        signers = Signers(market)
        load = Load(market, signers, deque(await asyncio.to_thread(signers.sign, STOCK)))
        elapsed = await load.run(seconds, WARM_UP_S)
        await compare_nodes(market, load)
        if load.tally.refused or load.tally.failed_calls:
            raise RuntimeError(f"{load.tally.refused} transfers refused, {load.tally.failed_calls} calls failed")
        await load.close()
        signers.close()
        return len(load.tally.latencies_ms) / elapsed
    finally:
        await market.client.close()
        await market.group.stop()
        await links.close()


async def measure(seconds: float, accounts: int, root: Path) -> dict[str, float]:
    """All four runs, one after the other."""
    found: dict[str, float] = {}
    for name, delay_s, limit in (("long", DELAY_S, {"max_block_transactions": BLOCK_TRANSACTIONS}), ("short", 0.0, {})):
        for window in WINDOWS:
            say(f"{name} lines, W = {window}")
            parameters = {"window_heights": window, **limit}
            tps = await throughput(root / f"{name}-{window}", parameters, delay_s, seconds, accounts)
            found[f"{name}_w{window}_tps"] = round(tps, 1)
        found[f"{name}_ratio"] = round(found[f"{name}_w{WINDOWS[-1]}_tps"] / found[f"{name}_w{WINDOWS[0]}_tps"], 3)
    return found


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(description="Throughput with one and with eight heights in flight.")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--accounts", type=int, default=640)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-window-") as temporary:
        found = asyncio.run(measure(arguments.seconds, arguments.accounts, Path(temporary)))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>16}  {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
