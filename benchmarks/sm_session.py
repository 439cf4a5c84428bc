"""What the SM session costs: ``python -m benchmarks.sm_session --json`` (docs/spec/sm-session.md).

Handshakes a second on one core, both ends together, certificates verified; sealing and opening of small and large
records; the CPU time of a unary call over a session against plaintext, the two alternating in one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.crypto.x509.authority import Authority, Wish, create_root
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.crypto.x509.roles import role_uri
from chain_core.crypto.x509.verify import Anchors, Usage, verify_chain
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawChannel, RawServer, Unary
from chain_core.network.secured.security import PLAINTEXT, SmClient, SmServer, identity_of
from chain_core.network.sm_session.binding import Binding, Role
from chain_core.network.sm_session.client import ClientHandshake
from chain_core.network.sm_session.ports import Established, PeerIdentity, Verify
from chain_core.network.sm_session.server import ServerHandshake
from chain_core.network.sm_session.session import Session
from chain_core.network.sm_session.suite import Direction

_METHOD = "/benchmark.Service/Echo"
_BINDING = Binding(bytes(32), Role.CLIENT)
_SMALL, _LARGE = 200, 32_768
_CALLS, _ROUNDS, _AT_ONCE = 400, 6, 16


def _ends() -> tuple[SmClient, SmServer]:
    """A client and a server with certificates of one authority, as two nodes have."""
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        root = create_root(Path(directory) / "root", Subject("benchmark root", "benchmark"), days=2, now_ms=now_ms)
        anchors = Anchors((root.certificate,), "benchmark")
        client, server = (_certified(root, role, now_ms) for role in ("client", "peer"))

    def verify(usage: Usage) -> Verify:
        def judge(certificates: Sequence[bytes]) -> PeerIdentity:
            return verify_chain(certificates, anchors, now_ms, usage=usage, crls=None)

        return judge

    return (
        SmClient(identity_of(*client), _BINDING, verify(Usage.SERVER)),
        SmServer(identity_of(*server), _BINDING, verify(Usage.CLIENT)),
    )


def _certified(root: Authority, role: str, now_ms: int) -> tuple[tuple[bytes, ...], bytes]:
    private = generate_private_key()
    public = signing_provider().sm2_public_key(private)
    wish = Wish(Kind.SIGNING, Subject(role, "benchmark"), public, 1, server=True, uris=(role_uri(role),))
    return (root.issue(wish, now_ms).der,), private


def _shake(client: SmClient, server: SmServer) -> tuple[Established, Established]:
    ours, theirs = (
        kind(
            end.identity,
            end.binding,
            end.verify,
            random=secrets.token_bytes(32),
            ephemeral=generate_private_key(),
        )
        for kind, end in ((ClientHandshake, client), (ServerHandshake, server))
    )
    assert isinstance(ours, ClientHandshake) and isinstance(theirs, ServerHandshake)
    flight = ours.answer(theirs.answer(ours.hello()))
    served = theirs.decide(flight)
    return ours.finish(theirs.verdict), served


def handshakes_per_s(seconds: float) -> float:
    """Of one core, both ends together, certificates verified; ``seconds`` of CPU time."""
    client, server = _ends()
    return round(_rate(lambda: _shake(client, server), seconds), 1)


def _rate(act: Callable[[], object], seconds: float) -> float:
    """Calls a second of CPU time."""
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        act()
        count += 1
    return count / spent


def _records(pair: tuple[Established, Established], size: int, seconds: float) -> dict[str, float]:
    ours, theirs = Session(pair[0], Direction.CLIENT), Session(pair[1], Direction.SERVER)
    payload = secrets.token_bytes(size)
    sealing = _rate(lambda: ours.begin(_METHOD).seal(payload, last=True), seconds)
    both = _rate(lambda: theirs.accept(_METHOD, ours.begin(_METHOD).seal(payload, last=True)), seconds)
    opening = 1 / (1 / both - 1 / sealing)
    return {
        "bytes": size,
        "sealed_mb_per_s": round(sealing * size / 1e6, 1),
        "opened_mb_per_s": round(opening * size / 1e6, 1),
        "seal_us": round(1e6 / sealing, 1),
        "open_us": round(1e6 / opening, 1),
    }


async def _calls(client: SmClient, server: SmServer) -> dict[str, float]:
    """Both ends of the call are in this process: what is stated is their sum."""

    async def echo(_: Caller, data: bytes) -> bytes:
        return data

    found: dict[str, list[float]] = {"sm": [], "plaintext": []}
    payload = secrets.token_bytes(_SMALL)
    ports = {"sm": RawServer({_METHOD: Unary(echo)}, security=server), "plaintext": RawServer({_METHOD: Unary(echo)})}
    channels: dict[str, RawChannel] = {}
    for name, port in ports.items():
        address = port.bind("127.0.0.1:0")
        await port.start()
        channels[name] = RawChannel(address, client if name == "sm" else PLAINTEXT)
        await channels[name].unary(_METHOD, payload, timeout_s=10)
    for _ in range(_ROUNDS):
        for name, channel in channels.items():
            begun = time.process_time()
            for _ in range(_CALLS // _AT_ONCE):
                await asyncio.gather(*(channel.unary(_METHOD, payload, timeout_s=10) for _ in range(_AT_ONCE)))
            found[name].append((time.process_time() - begun) / (_CALLS // _AT_ONCE * _AT_ONCE) * 1e6)
    for name, port in ports.items():
        await channels[name].close()
        await port.stop(0)
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {
        "bytes": _SMALL,
        "sm_us": round(medians["sm"], 1),
        "plaintext_us": round(medians["plaintext"], 1),
        "added_us": round(medians["sm"] - medians["plaintext"], 1),
    }


def measure(seconds: float) -> dict[str, object]:
    """Everything, ``seconds`` of CPU time a figure."""
    client, server = _ends()
    pair = _shake(client, server)
    return {
        "handshakes_per_s": handshakes_per_s(seconds),
        "records": [_records(pair, size, seconds) for size in (_SMALL, _LARGE, 1_000_000)],
        "unary_call_cpu": asyncio.run(_calls(client, server)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time a figure")
    arguments = parser.parse_args()
    found = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps(found))
        return
    for key, value in found.items():
        print(f"{key}: {json.dumps(value)}")


if __name__ == "__main__":
    main()
