"""A process that floods one port, or only burns as much CPU: told on standard input, it answers on standard output.

    signatures ADDRESS FILE CREDENTIALS GENESIS
                               hands in the envelopes of FILE (u32 length, bytes; again and again), ignoring all hints
    handshakes ADDRESS FILE    opens handshakes with the ClientHello of FILE, reads the answer, goes away
    spin                       burns a share of one CPU

``go CALLS_AT_ONCE`` (``go SHARE`` of a CPU) begins, ``stop`` ends and is answered with one JSON line: calls, refusals
by code, CPU seconds, seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.network.raw_rpc import RawChannel
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.api_names import method_name
from chain_core.node.client_security import client_security
from chain_core.types.errors import DualchainError

BATCH = 500
_SLOT_S = 0.01

Flood = Callable[[Counter[str]], Awaitable[None]]


def read_blobs(path: Path) -> list[bytes]:
    """What ``write_blobs`` wrote."""
    data, found, at = path.read_bytes(), [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def write_blobs(path: Path, blobs: list[bytes]) -> None:
    """Length and bytes, one after the other."""
    path.write_bytes(b"".join(len(blob).to_bytes(4, "big") + blob for blob in blobs))


def signatures(channel: RawChannel, blobs: list[bytes]) -> Flood:
    """Batches of forged envelopes; the first blob is the genesis hash."""
    scope = pb.Scope(genesis_hash=blobs[0])
    requests = [
        pb.SubmitRequest(scope=scope, envelopes=blobs[start : start + BATCH]).SerializeToString()
        for start in range(1, len(blobs), BATCH)
    ]
    turn = [0]

    async def flood(told: Counter[str]) -> None:
        turn[0] += 1
        data = await channel.unary(method_name("Submit"), requests[turn[0] % len(requests)], timeout_s=30.0)
        for item in pb.SubmitResponse.FromString(data).items:
            told[item.refusal.code or "TAKEN"] += 1

    return flood


def handshakes(channel: RawChannel, blobs: list[bytes]) -> Flood:
    """The cheapest handshake for who floods: the same first message each time, and no word more."""

    async def flood(told: Counter[str]) -> None:
        stream = channel.stream("/dualchain.session.v1.Session/Handshake")
        try:
            await stream.send(blobs[0])
            await stream.receive()
            told["ANSWERED"] += 1
        finally:
            stream.cancel()

    return flood


async def spin(share: float) -> None:
    """Burn a share of one CPU until cancelled."""
    while True:
        until = time.perf_counter() + share * _SLOT_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(max(0.0, (1 - share) * _SLOT_S))


async def _repeat(flood: Flood, told: Counter[str]) -> None:
    while True:
        try:
            await flood(told)
            told["calls"] += 1
        except DualchainError as refusal:
            told[f"refused {refusal.code}"] += 1
            await asyncio.sleep(0)


def open_channel(address: str, _: str, folder: str = "", genesis: str = "") -> RawChannel:
    """In plaintext, where no credentials are named: handshakes are flooded without a session."""
    security: ClientSecurity = client_security(Path(folder), Path(genesis).read_bytes()) if folder else PLAINTEXT
    return RawChannel(address, security)


async def main() -> None:
    """Obey standard input until it ends."""
    mode, *where = sys.argv[1:]
    channel = open_channel(*where) if where else None
    blobs = read_blobs(Path(where[1])) if where else []
    loop, told = asyncio.get_running_loop(), Counter[str]()
    tasks: list[asyncio.Task[None]] = []
    began = began_cpu = 0.0
    print("ready", flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        if line[0] == "go":
            told.clear()
            began, began_cpu = time.perf_counter(), time.process_time()
            if channel is None:
                tasks = [asyncio.create_task(spin(float(line[1])))]
            else:
                flood = {"signatures": signatures, "handshakes": handshakes}[mode](channel, blobs)
                tasks = [asyncio.create_task(_repeat(flood, told)) for _ in range(int(line[1]))]
        else:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            facts = {"cpu_s": time.process_time() - began_cpu, "seconds": time.perf_counter() - began, "told": told}
            print(json.dumps(facts), flush=True)
    if channel is not None:
        await channel.close()


if __name__ == "__main__":
    asyncio.run(main())
