"""Two of four nodes are stopped (SIGSTOP) for a minute under load and go on (SIGCONT): so does the chain, soon.

python -m tests.endurance.stopped_nodes [--seconds 60] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from chain_core.node.client import NodeClient
from tests.integration.market_story import check_everything, market_under_load

STOPPED = ("node-0", "node-1")
"""The primary of the first view and that of the next."""
RESUME_S = 10.0
VIEW_CHANGES = 3


async def story(directory: Path, seconds: float) -> dict[str, object]:
    """Runs it; the figures. RuntimeError when the chain takes too long or changes views too often."""
    async with market_under_load(directory) as (market, load):
        observer = NodeClient(market.addresses[-1], genesis_hash=market.view.genesis_hash)
        before = (await observer.status()).view
        pids = [market.pids()[name] for name in STOPPED]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        stalled = len(load.final)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        began = time.monotonic()
        await load.more()
        resumed_s = time.monotonic() - began
        await load.more()
        after = (await observer.status()).view
        await observer.close()
        await load.end()
        await check_everything(market, load)
        if resumed_s > RESUME_S or after - before > VIEW_CHANGES:
            raise RuntimeError(f"resumed after {resumed_s:.1f} s and {after - before} view changes")
        return {
            "stopped_s": seconds,
            "resumed_s": round(resumed_s, 1),
            "view_changes": after - before,
            "final_before": stalled,
            "final": len(load.final),
        }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="SIGSTOP two of four nodes under load, then SIGCONT.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-stopped-") as temporary:
        found = asyncio.run(story(Path(temporary) / "network", arguments.seconds))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>14}  {value}" for name, value in found.items()))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
