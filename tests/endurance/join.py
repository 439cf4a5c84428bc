"""An empty fifth node joins a long chain with much state: by snapshot, killed half-way, one peer lying; then it votes.

    python -m tests.endurance.join --blocks 20000 --keys 1000000 [--json]

The chain is made first (minutes: each block executed, certified by the validators' keys, committed) and copied to four
nodes. Printed are how long the newcomer took, its peak resident memory, and what of the disk it holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.process_stats import directory_bytes, usage
from chain_core.node.client import NodeClient
from chain_core.node.provision import NodePlan
from chain_core.types.errors import DualchainError
from dualchain.demo.processes import ProcessGroup
from tests.endurance.crash_matrix import say
from tests.endurance.long_chain import grow

LIAR = 1
HALF_WAY = 0.5
PATIENCE_S = 1_800.0
PARAMETERS = {"idle_block_ms": 1_000}


class Joining:
    """Four nodes with the chain and one without."""

    def __init__(self, directory: Path, plans: tuple[NodePlan, ...], blocks: int) -> None:
        self.directory, self.plans, self.blocks = directory, plans, blocks
        self.group = ProcessGroup(directory / "logs")
        self.newcomer = plans[-1]
        self.peak_rss_mb = 0.0

    async def start(self, plan: NodePlan, *, lying: bool = False) -> None:
        """Start a node and wait until it serves."""
        under = [sys.executable, "-m", "tests.endurance.lying_node"] if lying else []
        config = self.directory / plan.name / "node.toml"
        one = await self.group.start(plan.name, ["node", "run", "--config", str(config)], under)
        await self.group.ready(one, 300)

    async def height(self, plan: NodePlan) -> int:
        """Its final height, -1 while it cannot be asked."""
        try:
            async with NodeClient(f"{plan.host}:{plan.client_port}") as client:
                return (await client.status()).height
        except DualchainError:
            return -1

    async def until(self, plan: NodePlan, height: int) -> None:
        """Until the node has this height; TimeoutError after half an hour."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.height(plan) < height:
                self.look()
                await asyncio.sleep(0.5)

    def look(self) -> None:
        """Remember the newcomer's memory."""
        one = self.group.running.get(self.newcomer.name)
        if one is not None and one.process.returncode is None:
            self.peak_rss_mb = max(self.peak_rss_mb, usage(one.process.pid).peak_rss_mb)

    async def half_way(self, bytes_of_chain: int) -> None:
        """Until the newcomer holds about half of what it will hold."""
        data = self.directory / self.newcomer.name / "data"
        async with asyncio.timeout(PATIENCE_S):
            while not data.exists() or directory_bytes(data) < bytes_of_chain * HALF_WAY:
                self.look()
                await asyncio.sleep(0.2)

    async def story(self, state_bytes: int) -> dict[str, object]:
        """Join, be killed, go on, vote; the figures."""
        for place, plan in enumerate(self.plans[:-1]):
            await self.start(plan, lying=place == LIAR)
        began = time.monotonic()
        await self.start(self.newcomer)
        await self.half_way(state_bytes)
        killed_after = time.monotonic() - began
        self.look()
        await self.group.kill(self.newcomer.name)
        say(f"killed after {killed_after:.0f} s, half-way")
        await self.start(self.newcomer)
        await self.until(self.newcomer, self.blocks)
        joined_after = time.monotonic() - began
        say(f"joined after {joined_after:.0f} s")
        await self.group.kill(self.plans[3].name)  # four of five are a quorum: the newcomer's vote is needed now
        reached = await self.height(self.plans[2])
        await self.until(self.plans[2], reached + 3)
        self.look()
        log = (self.directory / "logs" / f"{self.newcomer.name}.log").read_text("utf-8")
        if "SNAPSHOT_PEER_LIES" not in log:
            raise RuntimeError("the lying peer was not named")
        return {
            "killed_after_s": round(killed_after, 1),
            "joined_after_s": round(joined_after, 1),
            "peak_rss_mb": round(self.peak_rss_mb, 1),
            "blocks_after_with_its_vote": await self.height(self.plans[2]) - reached,
            "newcomer_disk_mb": round(directory_bytes(self.directory / self.newcomer.name / "data") / 1e6, 1),
        }


async def run(directory: Path, blocks: int, keys: int) -> dict[str, object]:
    """Make the chain, copy it, run the story."""

    def tell(height: int) -> None:
        if height % 2_000 == 0:
            say(f"{height} blocks made")

    began = time.monotonic()
    _, _, plans, data = grow(directory, 5, blocks, keys, time.time_ns() // 1_000_000, tell, parameters=PARAMETERS)
    made_s = time.monotonic() - began
    size = directory_bytes(data)
    for plan in plans[1:-1]:
        shutil.copytree(data, directory / plan.name / "data")
    joining = Joining(directory, plans, blocks)
    try:
        # Bodies and receipts are not handed over: about half of the directory is headers, certificates and state.
        found = await joining.story(size // 2)
    finally:
        await joining.group.stop()
    facts = {"blocks": blocks, "state_keys": keys, "made_s": round(made_s, 1), "chain_disk_mb": round(size / 1e6, 1)}
    return {**facts, **found, "cores": len(os.sched_getaffinity(0))}


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="An empty node joins a long chain by snapshot.")
    parser.add_argument("--blocks", type=int, default=20_000)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-join-") as temporary:
        found = asyncio.run(run(Path(temporary) / "network", arguments.blocks, arguments.keys))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>28}  {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
