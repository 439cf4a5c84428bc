"""What crossing the border takes, between chains of real processes: python -m benchmarks.cross_chain [--json].

    python -m benchmarks.cross_chain --markets 3 --seconds 60 --directives 20 --backlog 5000 --json

A supervisory chain and one to three market chains of four nodes each, a relayer for each market.

* Backlog: the first market's chain has --backlog blocks of business of which nobody has carried anything. Counted from
  READY of its relayer until all of them have arrived: headers verified and packets taken a second.
* Light load: a piece of business each 1/--rate second, on the markets in turn. For each block with a report: from its
  header being told final by a node of the market until a node of the supervisory chain tells of the final block that
  verified a header at or above it.
* Directives, one after the other, during the same load: from handing in the confirmation until a node of the market
  tells of the final block that executed it; and the same from the confirmation being final.

With ``--json`` standard output is exactly one line. Method and results: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from benchmarks.border_network import MARKETS, BorderNetwork, Chain, business, events_of
from benchmarks.process_stats import percentile, usage
from chain_core.codec.block import decode_header
from chain_core.crypto.providers import provider
from chain_core.network.refusals import ServiceRefusal
from chain_core.node.event_filter import EventFilter
from crosschain.packets import REPORT_CHANNEL, count_in, read_channel, received_key, sent_key

CROSSING_S = 120.0
BACKLOG_S = 3_600.0
FREEZE, RELEASE = "freeze_holder", "unfreeze_holder"


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Seen:
    """Moments (seconds of one clock) at which nodes told of things."""

    reported: dict[tuple[str, int], float] = field(default_factory=dict)
    """(market, height) of blocks with a packet."""
    followed: dict[bytes, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """Chain -> heights verified on the supervisory chain."""
    issued: dict[tuple[bytes, int], float] = field(default_factory=dict)
    executed: dict[tuple[str, int], float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def verified(self, chain: bytes, height: int) -> float | None:
        """When the supervisory chain had verified a header at or above this height."""
        return next((at for found, at in self.followed[chain] if found >= height), None)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """TimeoutError after two minutes."""
        try:
            async with asyncio.timeout(CROSSING_S):
                while not holds():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{what} within {CROSSING_S:.0f} s") from None


async def watch_market(market: Chain, seen: Seen) -> None:
    """Every final block of a market."""
    async for block in market.told(EventFilter()):
        at, header = time.perf_counter(), decode_header(block.header.header)
        if header.outbox_count:
            seen.reported[market.name, header.height] = at
        for contract, kind, fields in events_of(block):
            if (contract, kind) == ("supervision", "directive"):
                seen.executed[market.name, cast(int, fields["sequence"])] = at
        seen.changed.set()


async def watch_above(above: Chain, seen: Seen) -> None:
    """What the supervisory chain verifies and issues."""
    async for block in above.told(EventFilter(contracts=frozenset(("clients", "directives")))):
        at = time.perf_counter()
        for _, kind, fields in events_of(block):
            chain = cast(bytes, fields.get("chain", b""))
            if kind == "followed":
                seen.followed[chain].append((cast(int, fields["height"]), at))
            elif kind == "issued":
                seen.issued[chain, cast(int, fields["sequence"])] = at
        seen.changed.set()


async def backlog(net: BorderNetwork) -> dict[str, object]:
    """The first market's relayer alone, until everything has arrived."""
    market = net.markets[0]
    name = net.relayers[market.name][0]
    sent = count_in(await market.value(sent_key(net.above.hash, REPORT_CHANNEL)))
    say(f"{sent} blocks with a report wait; the relayer starts")
    before = {one: usage(running.process.pid).cpu_s for one, running in net.group.running.items()}
    await net.start_relayer(name)
    began, arrived = time.perf_counter(), 0
    async with asyncio.timeout(BACKLOG_S):
        while arrived < sent:
            await asyncio.sleep(0.05)
            arrived = read_channel(await net.above.value(received_key(market.hash, REPORT_CHANNEL)))[0]
    took_s = time.perf_counter() - began
    used = {one: usage(running.process.pid).cpu_s - before.get(one, 0.0) for one, running in net.group.running.items()}
    above = [used[plan.name] for plan in net.above.plans]
    return {
        "headers": sent,
        "packets": sent,
        "seconds": round(took_s, 2),
        "headers_verified_per_s": round(sent / took_s, 1),
        "packets_per_s": round(sent / took_s, 1),
        "relayer_cpu_s": round(used[name], 2),
        "supervisory_node_cpu_s": round(sum(above) / len(above), 2),
    }


async def load(net: BorderNetwork, rate: float, stop: asyncio.Event) -> int:
    """Business on the markets in turn; how much of it."""
    handed_in: set[asyncio.Task[object]] = set()
    number = 0
    while not stop.is_set():
        market = net.markets[number % len(net.markets)]
        handed_in.add(asyncio.create_task(market.settle("operator", business(market.name, f"L{number}"))))
        number += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1 / rate)
    await asyncio.gather(*handed_in)
    return number


async def direct(net: BorderNetwork, seen: Seen, count: int) -> tuple[list[float], list[float]]:
    """Milliseconds to execution, from handing in the confirmation and from it being final."""
    handed_in, final = [], []
    for number in range(count):
        market = net.markets[number % len(net.markets)]
        sequence = number // len(net.markets)
        proposed = await net.issue(market, RELEASE if sequence % 2 else FREEZE, f"benchmark {number}")
        began = time.perf_counter()
        await net.confirm(proposed)
        key = (market.name, sequence)
        await seen.until(lambda key=key: key in seen.executed, f"directive {key} was not executed")  # type: ignore[misc]
        await seen.until(lambda: (market.hash, sequence) in seen.issued, "the confirmation was not told of")  # noqa: B023
        handed_in.append((seen.executed[key] - began) * 1e3)
        final.append((seen.executed[key] - seen.issued[market.hash, sequence]) * 1e3)
    return handed_in, final


async def light(net: BorderNetwork, rate: float, seconds: float, directives: int) -> dict[str, object]:
    """Latencies at light load."""
    seen, stop = Seen(), asyncio.Event()
    watching = [asyncio.create_task(watch_above(net.above, seen))]
    watching += [asyncio.create_task(watch_market(market, seen)) for market in net.markets]
    loading = asyncio.create_task(load(net, rate, stop))
    try:
        await asyncio.sleep(2.0)  # until the subscriptions are there and the first reports are over
        seen.reported.clear()
        began = time.perf_counter()
        handed_in, final = await direct(net, seen, directives)
        await asyncio.sleep(max(0.0, seconds - (time.perf_counter() - began)))
        stop.set()
        handed = await loading
        hashes = {market.name: market.hash for market in net.markets}
        await seen.until(
            lambda: all(seen.verified(hashes[name], height) for name, height in seen.reported), "not all was verified"
        )
        crossing = [
            (cast(float, seen.verified(hashes[name], height)) - at) * 1e3
            for (name, height), at in seen.reported.items()
        ]
    finally:
        stop.set()
        for task in watching:
            task.cancel()
        ended = await asyncio.gather(*watching, return_exceptions=True)
    for error in ended:
        if isinstance(error, ServiceRefusal):
            raise error
    return {
        "business": handed,
        "blocks_measured": len(crossing),
        "final_to_verified_p50_ms": round(percentile(crossing, 0.5), 1),
        "final_to_verified_p95_ms": round(percentile(crossing, 0.95), 1),
        "directives": len(handed_in),
        "confirm_to_executed_p50_ms": round(percentile(handed_in, 0.5), 1),
        "confirm_to_executed_p95_ms": round(percentile(handed_in, 0.95), 1),
        "confirmed_final_to_executed_p50_ms": round(percentile(final, 0.5), 1),
    }


async def measure(directory: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """The figures."""
    began = time.perf_counter()
    net = BorderNetwork(directory, arguments.markets, 1, arguments.backlog)
    say(f"laid out in {time.perf_counter() - began:.0f} s; {4 * (1 + arguments.markets)} nodes start")
    try:
        await net.start()
        caught_up = await backlog(net) if arguments.backlog else {}
        for market in net.markets:
            for name in net.relayers[market.name]:
                if name not in net.group.running:
                    await net.start_relayer(name)
        say("light load")
        found = await light(net, arguments.rate, arguments.seconds, arguments.directives)
        net.group.check()
    finally:
        await net.stop()
    return {
        "markets": arguments.markets,
        "nodes": 4 * (1 + arguments.markets),
        "provider": provider().name,
        "light": {"rate_per_s": arguments.rate, **found},
        "backlog": caught_up,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 1),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description="Latency and rate across the border, on this machine.")
    parser.add_argument("--markets", type=int, default=1, choices=range(1, len(MARKETS) + 1))
    parser.add_argument("--seconds", type=float, default=60, help="light load, at least so long")
    parser.add_argument("--rate", type=float, default=2.0, help="pieces of business a second, over all markets")
    parser.add_argument("--directives", type=int, default=20)
    parser.add_argument("--backlog", type=int, default=5_000, help="blocks that wait at the start; 0: none")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-cross-") as temporary:
        result = asyncio.run(measure(Path(temporary) / "network", arguments))
    print(json.dumps(result) if arguments.json else json.dumps(result, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
