"""Throughput of a local chain on one machine: real node processes, real transfers, counted when proven final.

    python -m benchmarks.throughput --seconds 60 --json

With ``--json`` standard output is exactly one line; everything else goes to standard error. Method: docs/benchmarks.md.
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
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.market_load import Market, Signers, populate, start_market
from benchmarks.process_stats import Usage, directory_bytes, percentile, usage
from chain_core.codec import signed
from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.node.answers import ItemStatus
from chain_core.node.client import NodeClient
from chain_core.types.errors import DualchainError
from contracts.kernel.records import decode_holding

CALL_ENVELOPES = 125
CALLS_A_NODE = 3
LIGHT_TPS = 10
LIGHT_SECONDS = 15
PRESIGN_SECONDS = 40
MAX_TPS = 5_000
"""So many transfers a second are signed beforehand at most: they lie in the client's memory."""
CALL_SECONDS = 60.0


def say(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Tally:
    """What was verified final, with the time from handing in to verified, in milliseconds."""

    latencies_ms: list[float] = field(default_factory=list)
    refused: int = 0
    failed_calls: int = 0
    measuring: bool = False


class Load:
    """Calls in flight to every node, each with a batch of transfers that is sent once and awaited until final."""

    def __init__(self, market: Market, signers: Signers, stock: deque[bytes]) -> None:
        self.market, self.signers, self.stock = market, signers, stock
        self.nodes = [NodeClient(a, genesis_hash=market.view.genesis_hash) for a in market.addresses]
        self.tally = Tally()
        self.stop = False

    async def _take(self, count: int) -> list[bytes]:
        if len(self.stock) < count:
            self.stock.extend(await asyncio.to_thread(self.signers.sign, max(count, 500)))
        return [self.stock.popleft() for _ in range(count)]

    async def call(self, node: NodeClient, count: int) -> None:
        """One call: submit, wait until final, verify every receipt."""
        raws = await self._take(count)
        started = time.perf_counter()
        try:
            answer = await node.submit(raws, final_within_s=CALL_SECONDS)
        except DualchainError as refusal:
            say(f"call failed: {refusal}")
            self.tally.failed_calls += 1
            return
        headers = {decode_header(h.header).height: h for h in answer.headers}
        for raw, item in zip(raws, answer.items, strict=True):
            if item.status is not ItemStatus.FINAL or item.receipt is None:
                self.tally.refused += 1
                continue
            view = self.market.view
            found = view.check_own_receipt(decode_envelope(raw), headers[item.receipt.height], item.receipt)
            if found.receipt.code:
                self.tally.refused += 1
            elif self.tally.measuring:
                self.tally.latencies_ms.append((time.perf_counter() - started) * 1000)

    async def _worker(self, node: NodeClient) -> None:
        while not self.stop:
            await self.call(node, CALL_ENVELOPES)

    async def run(self, seconds: float, warm_up: float) -> float:
        """Full load; the seconds that were measured."""
        workers = [asyncio.create_task(self._worker(n)) for n in self.nodes for _ in range(CALLS_A_NODE)]
        await asyncio.sleep(warm_up)
        self.tally.measuring = True
        started = time.perf_counter()
        await asyncio.sleep(seconds)
        self.tally.measuring = False
        elapsed = time.perf_counter() - started
        self.stop = True
        await asyncio.gather(*workers)
        return elapsed

    async def light(self) -> list[float]:
        """A transaction each tenth of a second; milliseconds to proven final. What fails counts with the full load."""
        before = self.tally
        self.tally = Tally(measuring=True)
        calls = []
        for i in range(LIGHT_TPS * LIGHT_SECONDS):
            calls.append(asyncio.create_task(self.call(self.nodes[i % len(self.nodes)], 1)))
            await asyncio.sleep(1 / LIGHT_TPS)
        await asyncio.gather(*calls)
        light, self.tally = self.tally, before
        self.tally.refused += light.refused
        self.tally.failed_calls += light.failed_calls
        return light.latencies_ms

    async def close(self) -> None:
        """End the connections."""
        await asyncio.gather(*(node.close() for node in self.nodes))


def verify_rate(raws: list[bytes], market: Market) -> float:
    """Verifications a second of one core, by the provider in use, on the benchmark's own transactions."""
    items: list[VerifyItem] = []
    for raw in raws:
        envelope = decode_envelope(raw)
        message = signed.message_of_hash(signed.TX, market.view.genesis_hash, envelope.transaction_id)
        items.extend((s.public_key, message, s.signature) for s in envelope.signers)
    verify = provider().sm2_verify_many
    verify(items[:64])
    started = time.perf_counter()
    done = 0
    while time.perf_counter() - started < 2:
        if not all(verify(items)):
            raise RuntimeError("a signature of the benchmark's own does not verify")
        done += len(items)
    return done / (time.perf_counter() - started)


async def compare_nodes(market: Market, load: Load) -> None:
    """Roots and sums equal on all nodes, sums equal to what was registered. RuntimeError otherwise."""
    heights = [decode_header((await n.header()).header).height for n in load.nodes]
    lowest = min(heights)
    headers = {(await n.header(lowest)).header for n in load.nodes}
    if len(headers) != 1:
        raise RuntimeError(f"nodes differ at height {lowest}")
    for node in load.nodes:
        total, after, more = 0, b"", True
        while more:
            page = await node.scan(state_key("kernel", b"H"), after)
            total += sum(decode_holding(value).total for _, value in page.items)
            after, more = (page.items[-1][0] if page.items else b""), page.more
        if total != market.supply:
            raise RuntimeError(f"{node.address}: holdings sum to {total}, registered were {market.supply}")


def row(
    market: Market, load: Load, elapsed: float, rate: float, light: list[float], used: dict[str, tuple[Usage, Usage]]
) -> dict[str, object]:
    """The result's figures but disk."""
    count = len(load.tally.latencies_ms)
    cores, nodes = len(os.sched_getaffinity(0)), len(market.plans)
    limit = cores * rate / nodes
    node_cpu = sum(after.cpu_s - before.cpu_s for name, (before, after) in used.items() if name != "client")
    return {
        "tps": round(count / elapsed, 1),
        "p50_ms": round(percentile(load.tally.latencies_ms, 0.5), 1),
        "p99_ms": round(percentile(load.tally.latencies_ms, 0.99), 1),
        "nodes": nodes,
        "accounts": sum(len(s.sellers) + len(s.buyers) for s in market.securities),
        "cores": cores,
        "provider": provider().name,
        "verify_per_core_per_s": round(rate, 1),
        "verify_limit_tps": round(limit, 1),
        "ratio": round(count / elapsed / limit, 3),
        "light_load_p50_ms": round(percentile(light, 0.5), 1),
        "seconds": round(elapsed, 2),
        "transactions": count,
        "refused": load.tally.refused,
        "failed_calls": load.tally.failed_calls,
        "cpu_seconds": {name: round(after.cpu_s - before.cpu_s, 2) for name, (before, after) in used.items()},
        "peak_rss_mb": {name: round(after.peak_rss_mb, 1) for name, (_, after) in used.items()},
        "cpu_us_per_transaction_and_node": round(node_cpu * 1e6 / max(1, count) / nodes, 1),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


async def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, object]:
    """Set up, measure, compare; the result."""
    market = await start_market(directory, arguments.nodes)
    try:
        say(f"{arguments.nodes} nodes are up; registering {arguments.accounts} accounts")
        await populate(market, arguments.accounts)
        signers = Signers(market)
        sample = await asyncio.to_thread(signers.sign, 512)
        rate = await asyncio.to_thread(verify_rate, sample, market)
        stock = deque(sample)
        wanted = int(arguments.seconds * min(rate * len(os.sched_getaffinity(0)) / arguments.nodes, MAX_TPS))
        deadline = time.perf_counter() + PRESIGN_SECONDS
        while len(stock) < wanted and time.perf_counter() < deadline:
            stock.extend(await asyncio.to_thread(signers.sign, 1000))
        say(f"{rate:.0f} verifications/s a core; {len(stock)} transfers signed; light load")
        load = Load(market, signers, stock)
        light = await load.light()
        pids = {**market.pids(), "client": os.getpid()}
        say(f"full load for {arguments.seconds} s")
        before = {name: usage(pid) for name, pid in pids.items()}
        disk = directory_bytes(directory)
        elapsed = await load.run(arguments.seconds, 0.0)
        used = {name: (before[name], usage(pid)) for name, pid in pids.items()}
        result = row(market, load, elapsed, rate, light, used)
        grown = directory_bytes(directory) - disk
        result["disk_bytes_per_transaction"] = round(grown / max(1, len(load.tally.latencies_ms)) / arguments.nodes, 1)
        await compare_nodes(market, load)
        result["nodes_agree"] = True
        await load.close()
        signers.close()
        return result
    finally:
        await market.client.close()
        await market.group.stop()


def main() -> None:
    """Parse, run, print one JSON line; exit code 1 when a transfer was refused or a call failed."""
    parser = argparse.ArgumentParser(description="Throughput of a local chain of real processes on this machine.")
    parser.add_argument("--seconds", type=float, default=60, help="measured time under full load, at least 10")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--accounts", type=int, default=10_000, help="accounts with a key each")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    parser.add_argument("--keep", type=Path, help="an empty directory for the network's files, kept afterwards")
    arguments = parser.parse_args()
    if arguments.seconds < 10 or arguments.nodes < 4 or arguments.accounts < 320:
        parser.error("at least 10 seconds, 4 nodes and 320 accounts")
    with tempfile.TemporaryDirectory(prefix="dualchain-bench-") as temporary:
        directory = arguments.keep or Path(temporary) / "network"
        result = asyncio.run(measure(arguments, directory))
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:>34}  {value}")
    if result["refused"] or result["failed_calls"]:
        say(f"not a clean run: {result['refused']} transfers refused, {result['failed_calls']} calls failed")
        sys.exit(1)


if __name__ == "__main__":
    main()
