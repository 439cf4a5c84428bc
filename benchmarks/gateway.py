"""Calls of a registered service: through the gateway, and straight to the publisher's host, in the same run.

The service is recorded by batch. Calls are signed beforehand, so that what is measured is the way: sessions, judging,
forwarding, the promise and its disk. Light load: one call at a time, the two ways in turn. Then as many as the gateway
takes from several callers at once. ``python -m benchmarks.gateway [--calls 200] [--seconds 10] [--json]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway_network import CONSUMER, GATE, GatewayNetwork
from benchmarks.process_stats import usage
from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.crypto.x509.roles import PUBLISHER
from chain_core.network.raw_rpc import RawChannel
from service_registry.batch_records import decode_gateway, gateway_key
from service_registry.bodies import Call
from service_registry.calls import GATEWAY_CALL, SERVICE_CALL, SignedCall, sign_call
from service_registry.chain import wall_clock_ms
from service_registry.records import SERVICES, AccessLog, decode, log_key

_REQUEST = b'{"question":7}'
_PAUSE_S = 0.02
"""Between two calls of the light load."""
_WARMING = 10
"""Calls of either way before the measured ones: they make sessions and fill caches."""


@dataclass(slots=True)
class Bench:
    """A network, its two ways, and ids for calls."""

    network: GatewayNetwork
    gateway: RawChannel
    host: RawChannel
    last_id: int = 0

    @classmethod
    def of(cls, network: GatewayNetwork) -> Bench:
        gateway = RawChannel(network.gateway, network.security(CONSUMER))
        return cls(network, gateway, RawChannel(network.endpoint, network.security(GATE, PUBLISHER)))

    async def close(self) -> None:
        await asyncio.gather(self.gateway.close(), self.host.close())

    def call(self) -> bytes:
        """The next call, signed."""
        self.last_id += 1
        who, network = self.network.desk.actors[CONSUMER].account, self.network
        call = Call(network.service, 1, who, self.last_id, wall_clock_ms(), sm3(_REQUEST))
        signed: SignedCall = sign_call(network.registry.genesis_hash, call, _REQUEST, network.keys[CONSUMER].private)
        return signed.message().SerializeToString()

    async def light(self, calls: int) -> tuple[list[float], list[float]]:
        """Milliseconds of each call, through the gateway and straight."""
        through, straight = list[float](), list[float]()
        for number in range(calls + _WARMING):
            for way, method, found in (
                (self.gateway, GATEWAY_CALL, through),
                (self.host, SERVICE_CALL, straight),
            ):
                data = self.call()
                began = time.perf_counter()
                await way.unary(method, data, timeout_s=10)
                if number >= _WARMING:
                    found.append((time.perf_counter() - began) * 1_000)
                await asyncio.sleep(_PAUSE_S)
        return through, straight

    async def full_load(self, seconds: float, at_once: int) -> tuple[int, float]:
        """(calls answered, seconds) with so many callers, each of them always waiting for one answer."""
        until, answered = time.perf_counter() + seconds, 0

        async def caller() -> None:
            nonlocal answered
            while time.perf_counter() < until:
                response = pb.CallResponse.FromString(await self.gateway.unary(GATEWAY_CALL, self.call(), timeout_s=10))
                answered += response.HasField("promise")

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(at_once)))
        return answered, time.perf_counter() - began

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds of gateway and host so far."""
        running = self.network.group.running
        return {name: usage(running[name].process.pid).cpu_s for name in ("gateway", "host")}


async def measure(work: Path, calls: int, seconds: float, at_once: int) -> dict[str, object]:
    """All figures of one run."""
    network = await GatewayNetwork.begin(work)
    bench = Bench.of(network)
    try:
        before = bench.cpu_s()
        through, straight = await bench.light(calls)
        between = bench.cpu_s()
        answered, took_s = await bench.full_load(seconds, at_once)
        after = bench.cpu_s()
        expected = len(through) + _WARMING + answered
        counted, batches = await _counted(network, expected)
    finally:
        await bench.close()
        await network.stop()
    p50, p50_straight = statistics.median(through), statistics.median(straight)
    return {
        "provider": provider().name,
        "calls": calls,
        "gateway_p50_ms": round(p50, 2),
        "gateway_p99_ms": round(statistics.quantiles(through, n=100)[98], 2),
        "direct_p50_ms": round(p50_straight, 2),
        "direct_p99_ms": round(statistics.quantiles(straight, n=100)[98], 2),
        "added_p50_ms": round(p50 - p50_straight, 2),
        "gateway_cpu_ms_a_call_light": _per(between["gateway"] - before["gateway"], calls + _WARMING),
        "host_cpu_ms_a_call_light": _per(between["host"] - before["host"], 2 * (calls + _WARMING)),
        "callers": at_once,
        "calls_a_second": round(answered / took_s, 1),
        "gateway_cpu_ms_a_call": _per(after["gateway"] - between["gateway"], answered),
        "host_cpu_ms_a_call": _per(after["host"] - between["host"], answered),
        "calls_answered": expected,
        "calls_counted_on_chain": counted,
        "batches": batches,
    }


def _per(cpu_s: float, calls: int) -> float:
    return round(cpu_s * 1_000 / max(calls, 1), 2)


async def _counted(network: GatewayNetwork, expected: int) -> tuple[int, int]:
    """(calls that the chain has counted, batches), once it has counted all, or after half a minute."""
    who = network.desk.actors
    asked = [(SERVICES, log_key(network.service, who[CONSUMER].account)), (SERVICES, gateway_key(who[GATE].account))]
    left = 60
    while True:
        left -= 1
        values = list((await network.registry.values(asked)).values())
        calls = 0 if values[0] is None else decode(AccessLog, values[0]).calls
        if calls >= expected or not left:
            return calls, decode_gateway(values[1]).next - 1
        await asyncio.sleep(0.5)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200, help="calls of each way at light load")
    parser.add_argument("--seconds", type=float, default=10.0, help="of full load")
    parser.add_argument("--at-once", type=int, default=16, help="callers at full load, at most 32")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        row = asyncio.run(measure(Path(work) / "network", chosen.calls, chosen.seconds, chosen.at_once))
    print(json.dumps(row) if chosen.json else "\n".join(f"{key}: {value}" for key, value in row.items()))
    if row["calls_counted_on_chain"] != row["calls_answered"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
