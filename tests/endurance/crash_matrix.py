"""Hundreds of kill -9 at random persistence steps of a chain of four nodes under load, with lost unsynced writes.

    python -m tests.endurance.crash_matrix --kills 200 [--seed N] [--json]

Each node dies at a point and time drawn for it, loses a drawn part of what it had not synced, and is started again with
the next point; now and then all four are killed at once from outside. Afterwards, without faults: the chain resumes,
every receipt that a client had proven final is proven again, all nodes have the same header at every height, and no
validator's log shows two votes at one place. Prints its seed; the schedule of faults follows from it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.market_load import Market, populate, start_market
from chain_core.codec.block import decode_header
from chain_core.codec.transaction import decode_envelope
from chain_core.node.client import NodeClient
from dualchain.demo.processes import Running, tail
from tests.endurance.faulty_node import NONE, POINTS, lose_unsynced
from tests.endurance.votes import double_votes
from tests.integration.market_story import HOLDERS, Load, caught_up

MANY = 40
"""A point is met at most so often before the node dies."""
ALL_AT_ONCE = 20
"""One round of so many kills ends with all four."""
RESUME_S = 10.0
READY_S = 60.0


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Matrix:
    """The chain, its faults and what came of them."""

    market: Market
    load: Load
    chance: random.Random
    wanted: int
    kills: Counter[str] = field(default_factory=Counter)
    torn: int = 0
    resumed_s: list[float] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Kills so far."""
        return sum(self.kills.values())

    def notes(self, name: str) -> Path:
        """Where a node notes its votes."""
        return self.market.directory / "notes" / name

    async def start(self, name: str, point: str) -> Running:
        """Start a node that dies at ``point``, and wait until it serves or has died already."""
        lost = lose_unsynced(self.notes(name), self.chance)
        self.torn += lost
        after = self.chance.randint(1, MANY)
        wrapper = [sys.executable, "-m", "tests.endurance.faulty_node", str(self.notes(name)), point, str(after)]
        config = self.market.directory / name / "node.toml"
        one = await self.market.group.start(name, ["node", "run", "--config", str(config)], wrapper)
        ready = asyncio.create_task(self.market.group.ready(one, READY_S))
        died = asyncio.create_task(one.process.wait())
        await asyncio.wait((ready, died), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
        elif point == NONE:
            ready.result()
        await asyncio.gather(ready, return_exceptions=True)
        died.cancel()
        return one

    async def keep_dying(self, name: str, round_ends: asyncio.Event) -> None:
        """One node's lives in a round: each ends at a drawn point, or with the round."""
        while not round_ends.is_set():
            point = self.chance.choice(POINTS)
            one = await self.start(name, point)
            ended = asyncio.create_task(one.process.wait())
            waiting = asyncio.create_task(round_ends.wait())
            await asyncio.wait((ended, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not ended.done():
                ended.cancel()
                await self.market.group.kill(name)
                self.kills["anywhere"] += 1
                return
            if one.process.returncode != -9:
                raise RuntimeError(f"{name} ended by itself ({one.process.returncode}): {tail(one.log)}")
            self.market.group.running.pop(name, None)
            self.kills[point] += 1
            if self.total % 10 == 0:
                say(f"{self.total} kills, {len(self.load.final)} transactions final")

    async def round(self, kills: int) -> None:
        """So many kills, then all four at once, then a start without faults that must resume in time."""
        names = [plan.name for plan in self.market.plans]
        ends = asyncio.Event()
        aim = self.total + kills - len(names)
        lives = [asyncio.create_task(self.keep_dying(name, ends)) for name in names]
        while self.total < aim:
            done, _ = await asyncio.wait(lives, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        ends.set()
        await asyncio.gather(*lives)
        await asyncio.gather(*(self.start(name, NONE) for name in names))
        began = time.monotonic()
        await self.load.more()
        self.resumed_s.append(time.monotonic() - began)
        say(f"all nodes are back; the chain went on after {self.resumed_s[-1]:.1f} s")
        for name in names:
            if self.total >= self.wanted:
                return
            await self.market.group.kill(name)
            self.kills["anywhere"] += 1

    async def check(self) -> dict[str, object]:
        """What must hold after all that; RuntimeError when it does not."""
        await self.load.end()
        market = self.market
        nodes = [NodeClient(address, genesis_hash=market.view.genesis_hash) for address in market.addresses]
        await caught_up(self.load, nodes)
        lowest = min([decode_header((await node.header()).header).height for node in nodes])
        for height in range(1, lowest + 1):
            if len({(await node.header(height)).header for node in nodes}) != 1:
                raise RuntimeError(f"two headers at height {height}")
        for place, (raw, known) in enumerate(self.load.final):
            envelope = decode_envelope(raw)
            answer = await nodes[place % len(nodes)].receipt(envelope.transaction_id)
            if answer.receipt is None:
                raise RuntimeError(f"final transaction {envelope.transaction_id.hex()} is lost")
            found = market.view.check_own_receipt(envelope, answer.header, answer.receipt)
            if (found.header.height, found.receipt) != (known.header.height, known.receipt):
                raise RuntimeError(f"final transaction {envelope.transaction_id.hex()} moved")
        votes = 0
        for plan in market.plans:
            count, doubles = double_votes(self.notes(plan.name) / "votes")
            if doubles:
                raise RuntimeError("; ".join(doubles))
            votes += count
        await asyncio.gather(*(node.close() for node in nodes))
        if max(self.resumed_s) > RESUME_S:
            raise RuntimeError(f"the chain took {max(self.resumed_s):.1f} s to go on, at most {RESUME_S} are allowed")
        return {"height": lowest, "final": len(self.load.final), "votes": votes}


async def story(directory: Path, kills: int, seed: int) -> dict[str, object]:
    """Runs the matrix; the figures. Raises whatever went wrong."""
    market = await start_market(directory, 4)
    try:
        await populate(market, HOLDERS)
        for name in list(market.group.running):
            await market.group.kill(name)
        load = Load(market)
        matrix = Matrix(market, load, random.Random(seed), kills)
        load.start()
        while matrix.total < kills:
            await matrix.round(min(ALL_AT_ONCE, kills - matrix.total))
        found = await matrix.check()
        return {
            "seed": seed,
            "kills": dict(sorted(matrix.kills.items())),
            "kills_total": matrix.total,
            "writes_torn": matrix.torn,
            "slowest_resume_s": round(max(matrix.resumed_s), 1),
            **found,
        }
    finally:
        await market.client.close()
        await market.group.stop()


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="kill -9 at persistence steps of real nodes under load.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="dualchain-crashes-") as temporary:
        found = asyncio.run(story(Path(temporary) / "network", arguments.kills, seed))
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>18}  {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
