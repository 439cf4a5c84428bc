"""What a flood from one caller costs a chain under load: bad signatures, handshakes, and the CPU of the flooder alone.

    python -m benchmarks.flood --what signatures --seconds 10 --rounds 3 --json

Phases take turns in one run: base, flood, base, control, ... The control burns as much CPU as the flooder did in the
round's flood and sends nothing: on one machine the flooder takes it from the nodes, over a network it would not.
With ``--json`` standard output is exactly one line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.flooder import write_blobs
from benchmarks.market_load import Market, Signers, populate, start_market
from benchmarks.process_stats import usage
from benchmarks.throughput import Load, say
from chain_core.codec.transaction import decode_envelope, encode_envelope
from chain_core.crypto.providers import generate_private_key, provider
from chain_core.network.secured.security import SmClient
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.client import ClientHandshake
from chain_core.network.sm_session.ports import Identity, PeerIdentity
from chain_core.node.certify import CLIENTS
from chain_core.node.client import NodeClient
from chain_core.node.client_security import client_security
from chain_core.node.provision import NodePlan
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.transaction import Signer

FORGED = 4_000
CALLER, VILLAIN = "operator", "bank"
"""Certificates that load and flooder show."""
CALL = 40
"""Transfers a call: small, so that phases of seconds are counted finely."""
SETTLE_S = 2.0
PRESIGN_TPS = 600


async def speak_sm(directory: Path, plans: tuple[NodePlan, ...]) -> None:
    """The client ports speak SM, so that callers have names."""
    for plan in plans:
        file = directory / plan.name / "node.toml"
        text = await asyncio.to_thread(file.read_text, "utf-8")
        changed = text.replace('client_security = "plaintext"', 'client_security = "sm"')
        await asyncio.to_thread(file.write_text, changed, "utf-8")


def credentials(market: Market, name: str) -> SmClient:
    """Of a client that was certified when the network was laid out."""
    return client_security(market.directory / CLIENTS / name, (market.directory / "genesis.bin").read_bytes())


@dataclass(slots=True)
class Flooder:
    """The other process."""

    process: Process

    @classmethod
    async def start(cls, *arguments: str) -> Flooder:
        """Waits until it is ready."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.flooder", *arguments, stdin=PIPE, stdout=PIPE
        )
        one = cls(process)
        await one._line()
        return one

    async def _line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    def tell(self, line: str) -> None:
        """``go CALLS``, ``go SHARE`` or ``stop``."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())

    async def stop(self) -> dict[str, Any]:
        """End the flood; what came of it."""
        self.tell("stop")
        facts: dict[str, Any] = json.loads(await self._line())
        return facts

    async def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


class FineLoad(Load):
    """Smaller calls than the throughput benchmark's, over sessions of a certificate of its own."""

    def __init__(self, market: Market, signers: Signers, stock: deque[bytes]) -> None:
        super().__init__(market, signers, stock)
        self.nodes = [
            NodeClient(address, genesis_hash=market.view.genesis_hash, security=credentials(market, CALLER))
            for address in market.addresses
        ]

    async def _worker(self, node: NodeClient) -> None:
        while not self.stop:
            await self.call(node, CALL)


@dataclass(slots=True)
class Phases:
    """Transactions a second by phase, and what the flooder met."""

    tps: dict[str, list[float]] = field(default_factory=lambda: {"base": [], "flood": [], "control": []})
    cpu_share: list[float] = field(default_factory=list)
    node_cpu: dict[str, list[float]] = field(default_factory=lambda: {"base": [], "flood": [], "control": []})
    met: Counter[str] = field(default_factory=Counter)


async def measure_phase(load: Load, market: Market, phases: Phases, name: str, seconds: float) -> None:
    """Let the load settle, then count what becomes proven final."""
    await asyncio.sleep(SETTLE_S)
    pids = list(market.pids().values())
    done, began, cpu = len(load.tally.latencies_ms), time.perf_counter(), sum(usage(pid).cpu_s for pid in pids)
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - began
    phases.tps[name].append((len(load.tally.latencies_ms) - done) / elapsed)
    phases.node_cpu[name].append((sum(usage(pid).cpu_s for pid in pids) - cpu) / elapsed)
    say(f"  {name}: {phases.tps[name][-1]:.0f} tps, nodes use {phases.node_cpu[name][-1]:.2f} CPUs")


async def rounds(
    load: Load, market: Market, flooder: Flooder, spinner: Flooder, arguments: argparse.Namespace
) -> Phases:
    """Base, flood, base, control, again and again."""
    phases, seconds, in_flight = Phases(), arguments.seconds, arguments.in_flight
    for _ in range(arguments.rounds):
        await measure_phase(load, market, phases, "base", seconds)
        flooder.tell(f"go {in_flight}")
        await measure_phase(load, market, phases, "flood", seconds)
        facts = await flooder.stop()
        phases.cpu_share.append(facts["cpu_s"] / facts["seconds"])
        phases.met.update(facts["told"])
        await measure_phase(load, market, phases, "base", seconds)
        spinner.tell(f"go {min(phases.cpu_share[-1], 1.0)}")
        await measure_phase(load, market, phases, "control", seconds)
        await spinner.stop()
    return phases


def forge(raws: list[bytes], market: Market) -> list[bytes]:
    """The genesis hash, and envelopes whose accounts and keys are known and whose signatures are not theirs."""
    forged = [market.view.genesis_hash]
    for number, raw in enumerate(raws, 1):
        envelope = decode_envelope(raw)
        (signer,) = envelope.signers
        signature = number.to_bytes(32, "big") + signer.signature[32:]
        forged.append(encode_envelope(envelope.body_bytes, (Signer(signer.public_key, signature),)))
    return forged


def first_message(market: Market) -> bytes:
    """A ClientHello that the peer port answers: whoever knows the genesis document can make it."""
    nobody = Identity((), lambda message: b"")

    def unused(certificates: Sequence[bytes]) -> PeerIdentity:
        raise AssertionError("no answer is looked at")

    binding = Binding(market.view.genesis_hash, Role.PEER)
    random, key = secrets.token_bytes(32), generate_private_key()
    return ClientHandshake(nobody, binding, unused, random=random, ephemeral=key).hello()


def row(what: str, phases: Phases) -> dict[str, object]:
    """The result. ``loss``: medians, against the base; ``loss_beside_its_cpu``: against the control."""
    mean = {name: statistics.median(values) for name, values in phases.tps.items()}
    cpu = {name: statistics.fmean(values) for name, values in phases.node_cpu.items()}
    return {
        "what": what,
        "tps": {name: round(value, 1) for name, value in mean.items()},
        "tps_by_round": {name: [round(value, 1) for value in values] for name, values in phases.tps.items()},
        "loss_by_round": [
            round(1 - flood / statistics.fmean(phases.tps["base"][2 * i : 2 * i + 2]), 3)
            for i, flood in enumerate(phases.tps["flood"])
        ],
        "loss": round(1 - mean["flood"] / mean["base"], 3),
        "loss_by_control": round(1 - mean["control"] / mean["base"], 3),
        "loss_beside_its_cpu": round(1 - mean["flood"] / mean["control"], 3),
        "flooder_cpus": round(statistics.fmean(phases.cpu_share), 2),
        "node_cpus": {name: round(value, 2) for name, value in cpu.items()},
        "node_cpu_ms_per_transaction": {
            name: round(1_000 * value / statistics.fmean(phases.tps[name]), 2) for name, value in cpu.items()
        },
        "flooder_met": dict(phases.met),
        "cores": len(os.sched_getaffinity(0)),
        "provider": provider().name,
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


async def measure(arguments: argparse.Namespace, directory: Path) -> dict[str, object]:
    """Set up, flood, compare; the result."""
    market = await start_market(directory / "network", 4, prepare=speak_sm)
    await market.client.close()
    market.client = VerifyingClient(market.view, market.addresses, credentials(market, CALLER))
    flooder = spinner = None
    try:
        say(f"4 nodes are up; registering {arguments.accounts} accounts")
        await populate(market, arguments.accounts)
        signers = Signers(market)
        blobs = directory / "blobs"
        if arguments.what == "signatures":
            target, made = market.addresses[0], forge(await asyncio.to_thread(signers.sign, FORGED), market)
        else:
            target, made = f"{market.plans[0].host}:{market.plans[0].peer_port}", [first_message(market)]
        await asyncio.to_thread(write_blobs, blobs, made)
        villain = [str(market.directory / CLIENTS / VILLAIN), str(market.directory / "genesis.bin")]
        flooder = await Flooder.start(
            arguments.what, target, str(blobs), *(villain if arguments.what == "signatures" else [])
        )
        spinner = await Flooder.start("spin")
        total_s = arguments.rounds * 4 * (arguments.seconds + SETTLE_S)
        stock = deque(await asyncio.to_thread(signers.sign, int(total_s * PRESIGN_TPS)))
        say(f"{len(stock)} transfers signed; load begins")
        load = FineLoad(market, signers, stock)
        load.tally.measuring = True
        loading = asyncio.create_task(load.run(total_s + 60, 0.0))
        phases = await rounds(load, market, flooder, spinner, arguments)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        result = row(arguments.what, phases) | {
            "in_flight": arguments.in_flight,
            "failed_calls": load.tally.failed_calls,
            "refused": load.tally.refused,
        }
        await load.close()
        signers.close()
        return result
    finally:
        for one in (flooder, spinner):
            if one is not None:
                await one.end()
        await market.client.close()
        await market.group.stop()


def main() -> None:
    """Parse, run, print one JSON line."""
    parser = argparse.ArgumentParser(description="What a flood from one caller costs a chain under load.")
    parser.add_argument("--what", choices=["signatures", "handshakes"], default="signatures")
    parser.add_argument("--seconds", type=float, default=10, help="each phase")
    parser.add_argument("--rounds", type=int, default=3, help="of base, flood, base, control")
    parser.add_argument("--in-flight", type=int, default=16, help="calls that the flooder has open at once")
    parser.add_argument("--accounts", type=int, default=640)
    parser.add_argument("--json", action="store_true", help="print exactly one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-flood-") as temporary:
        result = asyncio.run(measure(arguments, Path(temporary)))
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:>20}  {value}")


if __name__ == "__main__":
    main()
