"""What sealing costs a chain: throughput with SM sessions on all links and ports, sealed and in plain, in one run.

    python -m benchmarks.session_cost --seconds 12 --rounds 3 --json

Four nodes whose peer and client ports speak SM sessions, and a client, all of which can leave their records in plain
(``benchmarks.sealing_switch``): the same processes, books, frames and load, but no SM4-GCM. Phases take turns (sealed,
plain, plain, sealed, ...), so that what drifts falls on both. With ``--json`` standard output is exactly one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import sealing_switch
from benchmarks.flood import CALLER, credentials, speak_sm
from benchmarks.market_load import Market, Signers, populate, start_market
from benchmarks.process_stats import usage
from benchmarks.sealing_switch import FIGURES, PLAIN, SEALED, SWITCH
from benchmarks.sm_session import handshakes_per_s
from benchmarks.throughput import CALL_ENVELOPES, Load, compare_nodes, say
from chain_core.crypto.providers import provider
from chain_core.node.client import NodeClient
from chain_core.node.provision import NodePlan
from chain_core.node.verifying_client import VerifyingClient

SETTLE_S = 3.0
PRESIGN_TPS = 600
SIGNALS = {SEALED: signal.SIGUSR1, PLAIN: signal.SIGUSR2}


class SealedLoad(Load):
    """The throughput benchmark's load over sessions, in calls of its size."""

    def __init__(self, market: Market, signers: Signers, stock: deque[bytes]) -> None:
        super().__init__(market, signers, stock)
        self.nodes = [
            NodeClient(address, genesis_hash=market.view.genesis_hash, security=credentials(market, CALLER))
            for address in market.addresses
        ]


@dataclass(slots=True)
class Phase:
    """One phase: transactions proven final, seconds, CPU seconds of all nodes and of the client."""

    count: int
    seconds: float
    node_cpu_s: float
    client_cpu_s: float

    @property
    def tps(self) -> float:
        """Transactions a second."""
        return self.count / self.seconds

    @property
    def node_us(self) -> float:
        """CPU microseconds a transaction, of all nodes together."""
        return self.node_cpu_s * 1e6 / max(1, self.count)


@dataclass(slots=True)
class Found:
    """The phases by mode, in the order in which they were."""

    phases: dict[str, list[Phase]] = field(default_factory=lambda: {SEALED: [], PLAIN: []})

    def median(self, mode: str, figure: str) -> float:
        """Over the rounds."""
        return float(statistics.median(getattr(phase, figure) for phase in self.phases[mode]))


def switch(market: Market, mode: str) -> None:
    """All nodes, and this process."""
    for pid in market.pids().values():
        os.kill(pid, SIGNALS[mode])
    SWITCH.mode = mode


async def measure_phase(load: Load, market: Market, found: Found, mode: str, seconds: float) -> None:
    """Switch, let it settle, count what becomes proven final."""
    switch(market, mode)
    await asyncio.sleep(SETTLE_S)
    pids = list(market.pids().values())

    def now() -> tuple[int, float, float, float]:
        nodes = sum(usage(pid).cpu_s for pid in pids)
        return len(load.tally.latencies_ms), time.perf_counter(), nodes, time.process_time()

    before = now()
    await asyncio.sleep(seconds)
    phase = Phase(*(b - a for a, b in zip(before, now(), strict=True)))  # type: ignore[arg-type]
    found.phases[mode].append(phase)
    say(f"  {mode}: {phase.tps:.0f} tps, {phase.node_us:.0f} us of all nodes a transaction")


async def through_nodes(market: Market) -> dict[str, dict[str, int]]:
    """What went through the record layers of all nodes, by mode; they write it when they are told to switch."""
    files = [market.directory / plan.name / FIGURES for plan in market.plans]
    for file in files:
        file.unlink(missing_ok=True)
    switch(market, SEALED)
    deadline = time.monotonic() + 10
    while not all(file.exists() for file in files):
        if time.monotonic() > deadline:
            raise RuntimeError("a node did not write its figures")
        await asyncio.sleep(0.05)
    total: dict[str, dict[str, int]] = {SEALED: {}, PLAIN: {}}
    for file in files:
        for mode, figures in json.loads(file.read_text("ascii")).items():
            for name, value in figures.items():
                total[mode][name] = total[mode].get(name, 0) + value
    return total


def per_transaction(
    before: dict[str, dict[str, int]], after: dict[str, dict[str, int]], tally: int, nodes: int
) -> dict[str, float]:
    """Records and bytes out of a node for a transaction, both modes together: their frames are the same.

    ``sealing_us``: CPU microseconds of SM4-GCM a transaction and node, from what a sealed byte took: counted inside the
    calls, so that what else the machine does shows little in it."""
    grown = {name: sum(after[mode][name] - before[mode].get(name, 0) for mode in after) for name in after[SEALED]}
    spent = grown.pop("cpu_ns")
    sealed = sum(after[SEALED][name] - before[SEALED].get(name, 0) for name in ("bytes_in", "bytes_out"))
    moved = {name: round(value / max(1, tally) / nodes, 3) for name, value in grown.items()}
    sealing_us = spent / max(1, sealed) * (moved["bytes_in"] + moved["bytes_out"]) / 1e3
    return moved | {"sealing_us": round(sealing_us, 2)}


def paired_cost(found: Found, seed: int = 1, draws: int = 2000) -> dict[str, object]:
    """What sealing adds to the nodes' CPU time, as a part of it, round by round: median and 90 % bootstrap interval.

    The phases of one round stand next to each other, so what drifts over minutes cancels."""
    pairs = zip(found.phases[SEALED], found.phases[PLAIN], strict=True)
    added = [sealed.node_us / plain.node_us - 1 for sealed, plain in pairs]
    chance = random.Random(seed)  # noqa: S311 - resampling, no secret
    medians = sorted(statistics.median(chance.choices(added, k=len(added))) for _ in range(draws))
    return {
        "median": round(statistics.median(added), 4),
        "interval_90": [round(medians[draws // 20], 4), round(medians[-draws // 20], 4)],
    }


def row(found: Found, nodes: int) -> dict[str, object]:
    """The result's figures of the chain. ``cost``: the part of plain throughput that sealing takes; medians."""
    tps = {mode: found.median(mode, "tps") for mode in found.phases}
    cpu = {mode: found.median(mode, "node_us") / nodes for mode in found.phases}
    return {
        "tps": {mode: round(value, 1) for mode, value in tps.items()},
        "tps_by_round": {mode: [round(p.tps, 1) for p in phases] for mode, phases in found.phases.items()},
        "ratio": round(tps[SEALED] / tps[PLAIN], 4),
        "cost": round(1 - tps[SEALED] / tps[PLAIN], 4),
        "cpu_us_per_transaction_and_node": {mode: round(value, 1) for mode, value in cpu.items()},
        "cpu_us_by_round": {
            mode: [round(p.node_us / nodes, 1) for p in phases] for mode, phases in found.phases.items()
        },
        "cpu_cost": round(cpu[SEALED] / cpu[PLAIN] - 1, 4),
        "cpu_cost_paired": paired_cost(found),
        "client_cpu_us_per_transaction": {
            mode: round(statistics.median(p.client_cpu_s * 1e6 / max(1, p.count) for p in phases), 1)
            for mode, phases in found.phases.items()
        },
        "nodes": nodes,
        "envelopes_a_call": CALL_ENVELOPES,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": round(os.getloadavg()[0], 2),
        "provider": provider().name,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


async def prepare(directory: Path, plans: tuple[NodePlan, ...]) -> None:
    """Client ports speak SM; the network is marked as the benchmark's."""
    await speak_sm(directory, plans)
    await asyncio.to_thread(sealing_switch.mark, directory)


async def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, object]:
    """Set up, take turns, compare; the result."""
    sealing_switch.install()
    wrapper = [sys.executable, "-m", "benchmarks.sealing_switch"]
    under = {f"node-{i}": wrapper for i in range(arguments.nodes)}
    market = await start_market(directory / "network", arguments.nodes, under=under, prepare=prepare)
    await market.client.close()
    market.client = VerifyingClient(market.view, market.addresses, credentials(market, CALLER))
    try:
        say(f"{arguments.nodes} nodes are up; registering {arguments.accounts} accounts")
        await populate(market, arguments.accounts)
        signers = Signers(market)
        total_s = arguments.rounds * 2 * (arguments.seconds + SETTLE_S)
        stock = deque(await asyncio.to_thread(signers.sign, int(total_s * PRESIGN_TPS)))
        say(f"{len(stock)} transfers signed; load begins")
        load = SealedLoad(market, signers, stock)
        load.tally.measuring = True
        found = Found()
        before, counted = await through_nodes(market), len(load.tally.latencies_ms)
        loading = asyncio.create_task(load.run(total_s + 60, 0.0))
        for number in range(arguments.rounds):
            for mode in (SEALED, PLAIN) if number % 2 == 0 else (PLAIN, SEALED):
                await measure_phase(load, market, found, mode, arguments.seconds)
        after = await through_nodes(market)
        moved = per_transaction(before, after, len(load.tally.latencies_ms) - counted, arguments.nodes)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await compare_nodes(market, load)
        result = row(found, arguments.nodes) | {
            "per_transaction_and_node": moved,
            "sealing_share_of_cpu": round(moved["sealing_us"] * arguments.nodes / found.median(SEALED, "node_us"), 4),
            "records_and_bytes": after,
            "handshakes_per_s": handshakes_per_s(2.0),
            "failed_calls": load.tally.failed_calls,
            "refused": load.tally.refused,
            "nodes_agree": True,
        }
        await load.close()
        signers.close()
        return result
    finally:
        await market.client.close()
        await market.group.stop()


def main() -> None:
    """Parse, run, print one JSON line; exit code 1 when a transfer was refused or a call failed."""
    parser = argparse.ArgumentParser(description="What sealing records costs a chain under load.")
    parser.add_argument("--seconds", type=float, default=12, help="each phase")
    parser.add_argument("--rounds", type=int, default=3, help="of a sealed and a plain phase")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--accounts", type=int, default=640)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    arguments = parser.parse_args()
    if arguments.seconds < 1 or arguments.rounds < 1 or arguments.nodes < 4 or arguments.accounts < 320:
        parser.error("at least 1 second, 1 round, 4 nodes and 320 accounts")
    with tempfile.TemporaryDirectory(prefix="dualchain-session-") as temporary:
        result = asyncio.run(measure(arguments, Path(temporary)))
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
