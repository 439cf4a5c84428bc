"""Old blocks leave the disk: archived from a running node, verified, pruned, and put back elsewhere.

    python -m tests.endurance.archive --blocks 5000 [--json]

The chain is made first (each block executed, certified by the validators' keys, committed). One of its nodes runs
while its blocks are archived through its client port; it is stopped to be pruned of 90 %. All sizes are bytes of
LevelDB's tables, compressed as they are. Exit 1 when the directory is larger afterwards than state, headers with their
certificates and packets, a tenth of the block data, and OVERHEAD_BYTES.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import plyvel

from benchmarks.process_stats import directory_bytes
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.ledger import keys
from chain_core.node.ledger_files import LEDGER_DIRECTORY, open_ledger
from chain_core.types.genesis import Genesis
from dualchain.demo.processes import ProcessGroup
from local_chain.assembly import local_assembly
from tests.endurance.crash_matrix import say
from tests.endurance.long_chain import grow

KEPT = 0.1
OVERHEAD_BYTES = 500_000
"""Of the LevelDB: tables that are not merged again, its log since the last compaction, manifest."""
TRANSACTIONS = 4
KEYS_A_TRANSACTION = 2
_KINDS = {
    "blocks": (keys.BATCH, keys.ENVELOPES),
    "receipts": (keys.RECEIPTS, keys.EVENTS, keys.TRANSACTION),
    "state": (keys.STATE, keys.SEEN, keys.EXPIRY, keys.ENTRY, keys.DIGEST_PAGE, keys.DIGEST_DELTA),
    "headers": (keys.HEADER, keys.CERTIFICATE, keys.HISTORY_NODE, keys.OUTBOX),
}


class Failed(Exception):
    """A step of the story did not hold."""


def dualchain(*words: str | Path) -> dict[str, Any]:
    """One command of the command line; what it printed."""
    command = [sys.executable, "-m", "dualchain", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout))


def measured(ledger: Path, *, compact: bool = False) -> dict[str, int]:
    """Bytes on disk by kind of a ledger that nobody has open, and of its directory before it was opened for that."""
    if compact:
        with closing(plyvel.DB(str(ledger))) as database:
            database.compact_range()
    found = {"directory": directory_bytes(ledger)}
    with closing(plyvel.DB(str(ledger))) as database:
        for name, prefixes in _KINDS.items():
            found[name] = sum(database.approximate_size(prefix, keys.after(prefix)) for prefix in prefixes)
    return found


async def archived(directory: Path, node: str, address: str, to: Path) -> dict[str, Any]:
    """The archive that is written while the node runs."""
    group = ProcessGroup(directory / "logs")
    try:
        one = await group.start(node, ["node", "run", "--config", str(directory / node / "node.toml")])
        await group.ready(one, 120)
        genesis = directory / "genesis.bin"
        return await asyncio.to_thread(
            dualchain, "node", "archive", "--node", address, "--genesis", genesis, "--to", to
        )
    finally:
        await group.stop()


def compare(genesis: Genesis, first: Path, second: Path, blocks: int) -> None:
    """Both ledgers have all blocks, the same ones, receipts and packets included, and the same final roots."""
    chain, assembly = genesis_hash(encode_genesis(genesis)), local_assembly(genesis)
    with (
        open_ledger(first, assembly, genesis, chain) as one,
        open_ledger(second, assembly, genesis, chain) as other,
    ):
        if one.header(one.final_height) != other.header(one.final_height) or other.final_height != one.final_height:
            raise Failed("the final headers, and so the roots, differ")
        for height in range(1, blocks + 1):
            if one.archived(height) is None or one.archived(height) != other.archived(height):
                raise Failed(f"block {height} is not what it was before it was pruned")


def story(directory: Path, blocks: int) -> dict[str, Any]:
    """Grow, archive, prune, import; the figures."""
    began = time.monotonic()
    count = blocks * TRANSACTIONS * KEYS_A_TRANSACTION
    genesis, _, plans, data = grow(directory, 4, blocks, count, time.time_ns() // 1_000_000, transactions=TRANSACTIONS)
    say(f"{blocks} blocks made")
    made_s, whole = time.monotonic() - began, directory.parent / "whole"
    node, ledger = plans[0].name, data / LEDGER_DIRECTORY
    shutil.copytree(data, whole)
    before = measured(whole / LEDGER_DIRECTORY, compact=True)

    began = time.monotonic()
    address, archive = f"{plans[0].host}:{plans[0].client_port}", directory.parent / "archive"
    written = asyncio.run(archived(directory, node, address, archive))
    archived_s, began = time.monotonic() - began, time.monotonic()
    verified = dualchain("node", "verify-archive", archive, "--genesis", directory / "genesis.bin")
    if (verified["first"], verified["last"]) != (1, blocks) or written["files"] != verified["files"]:
        raise Failed(f"the archive holds heights {verified['first']} to {verified['last']}")
    verified_s, began = time.monotonic() - began, time.monotonic()
    say(f"archive of {directory_bytes(archive)} bytes verified")

    config = directory / node / "node.toml"
    pruned = dualchain("node", "prune", "--config", config, "--keep", str(int(blocks * KEPT)))
    after = measured(ledger)
    pruned_s, began = time.monotonic() - began, time.monotonic()
    other = directory / plans[1].name
    shutil.copytree(data, other / "data")
    imported = dualchain("node", "import", "--config", other / "node.toml", archive)
    if imported["imported"] != pruned["removed"] or imported["pruned_through"]:
        raise Failed(f"{pruned['removed']} heights were pruned, {imported['imported']} put back")
    compare(genesis, whole, other / "data", blocks)
    remain = after["state"] + after["headers"] + KEPT * (before["blocks"] + before["receipts"]) + OVERHEAD_BYTES
    return {
        "blocks": blocks,
        "transactions": blocks * TRANSACTIONS,
        "made_s": round(made_s, 1),
        "archive_bytes": directory_bytes(archive),
        "archived_s": round(archived_s, 1),
        "verified_s": round(verified_s, 1),
        "pruned_heights": pruned["removed"],
        "pruned_s": round(pruned_s, 1),
        "imported_s": round(time.monotonic() - began, 1),
        "before": before,
        "after": after,
        "may_remain": int(remain),
        "shrunk": after["directory"] <= remain,
    }


def main() -> int:
    """Parse, run, print; 1 when the directory has not shrunk as it should."""
    parser = argparse.ArgumentParser(description="Archive, prune and import on a chain of real shape.")
    parser.add_argument("--blocks", type=int, default=5_000)
    parser.add_argument("--json", action="store_true", help="one JSON line on standard output")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dualchain-archive-") as temporary:
        found = story(Path(temporary) / "network", arguments.blocks)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:>15}  {value}" for name, value in found.items()))
    return 0 if found["shrunk"] else 1


if __name__ == "__main__":
    sys.exit(main())
