"""A vote leaves a node only after the log write that holds it was synced: seen from outside, with strace."""

from __future__ import annotations

import asyncio
import re
import shutil
import struct
from pathlib import Path

import pytest

from benchmarks.market_load import Signers, populate, start_market
from chain_core.codec.block import HEADER_SIZE
from chain_core.types.block import Phase
from tests.integration.strace_log import SENDS, calls

TRACED, INDEX = "node-1", 1
TRACE = "trace=openat,write,pwrite64,writev,sendto,sendmsg,fdatasync,fsync"
SIGNATURE = 64
BLOCKS = 6

# A signed ordering vote of this node: format, phase, ledger 0, epoch 0, height, view, attempt 0, digest, signer.
VOTE = re.compile(
    rb"\x01([\x01-\x03])\x00{4}\x00{8}(.{8})(.{8})\x00{4}(.{32})" + re.escape(struct.pack(">H", INDEX)) + rb"(.{64})",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node that ordered transactions of a market under strace; the trace."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: apt-get install strace")
    directory = tmp_path_factory.mktemp("traced")
    path = directory / "strace.txt"
    under = ["strace", "-f", "-xx", "-s", "65536", "-e", TRACE, "-o", str(path)]

    async def run() -> None:
        market = await start_market(directory / "network", 4, under={TRACED: under})
        try:
            await populate(market, 320)
            signers, client = Signers(market), market.client
            for _ in range(BLOCKS):
                await client.submit_until_final(signers.sign(1))
        finally:
            await market.client.close()
            await market.group.stop()

    asyncio.run(run())
    return path


def signatures_sent(data: bytes, genesis_headers: re.Pattern[bytes]) -> list[tuple[str, bytes]]:
    """(kind, signature) of every vote of the traced node in what was sent at once."""
    found = [(Phase(match[1][0]).name, match[5]) for match in VOTE.finditer(data)]
    return found + [("HEADER", match[1]) for match in genesis_headers.finditer(data)]


def test_every_vote_is_synced_in_the_log_before_it_is_sent(trace: Path) -> None:
    genesis = (trace.parent / "network" / "genesis.bin").read_bytes()
    from chain_core.codec.genesis import genesis_hash

    head = rb"\x00\x01\x00\x01" + re.escape(genesis_hash(genesis))
    rest = HEADER_SIZE - 36
    headers = re.compile(head + rb".{%d}" % rest + re.escape(struct.pack(">H", INDEX)) + rb"(.{64})", re.DOTALL)
    logs: set[int] = set()
    written: list[tuple[int, bytes]] = []
    synced = b""
    checked: dict[str, set[bytes]] = {}
    for call in calls(trace):
        if call.name == "openat" and call.result >= 0:
            (logs.add if call.data.endswith(b".log") else logs.discard)(call.result)
        elif call.name == "fdatasync" and call.result == 0:
            synced += b"".join(data for descriptor, data in written if descriptor == call.descriptor)
            written = [item for item in written if item[0] != call.descriptor]
        elif call.name == "write" and call.descriptor in logs:
            written.append((call.descriptor, call.data))
        elif call.name in SENDS:
            for kind, signature in signatures_sent(call.data, headers):
                # LevelDB may cut a record once, at the end of a block: one half of the signature is whole.
                halves = (signature[: SIGNATURE // 2], signature[SIGNATURE // 2 :])
                assert any(half in synced for half in halves), f"a {kind} vote was sent before it was synced"
                checked.setdefault(kind, set()).add(signature)
    assert {kind: len(found) >= 5 for kind, found in checked.items()} == {
        "PREPARE": True,
        "COMMIT": True,
        "HEADER": True,
    }
