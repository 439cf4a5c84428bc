"""What a vote costs through a signer process, beside the same vote signed in the node: ``python -m benchmarks.signer``.

The signer is a real process with its record on this machine's disk; each call is a round trip over the Unix socket, one
synced write and one signature. A NEW-VIEW's re-proposals go in one call.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from chain_core.codec import signed
from chain_core.codec.votes import encode_vote
from chain_core.crypto.keys import write_private_key
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.node.provision import NodePlan, make_accounts, make_validators, write_network
from chain_core.node.signer.client import RemoteSigner
from chain_core.node.signer.config import load_signer_config
from chain_core.node.signer.record import create_record
from chain_core.node.vote_keys import FileKeys
from chain_core.types.block import Phase, Vote
from chain_core.types.genesis import DEFAULT_PARAMETERS, Genesis

BATCH = 64


def vote(height: int) -> bytes:
    """A body that is signed once."""
    return encode_vote(Vote(Phase.PREPARE, 0, 0, height, 0, 0, bytes(32), 1))


def timed(sign: Callable[[Sequence[bytes]], list[bytes]], calls: int, size: int, first: int) -> dict[str, float]:
    """Microseconds a call of ``size`` new votes: median and 95th percentile."""
    taken = []
    for call in range(calls):
        bodies = [vote(first + call * size + i) for i in range(size)]
        began = perf_counter()
        sign(bodies)
        taken.append((perf_counter() - began) * 1e6)
    return {"median_us": round(median(taken)), "p95_us": round(quantiles(taken, n=20)[-1])}


def measure(directory: Path, calls: int) -> dict[str, object]:
    """All figures of one run."""
    plans = [NodePlan(f"n{i}", f"entity {i}", "127.0.0.1", 1 + 2 * i, 2 + 2 * i) for i in range(4)]
    genesis = Genesis("bench", "supervisory", "", 1, make_validators(directory, plans), DEFAULT_PARAMETERS, (), ())
    make_accounts(directory, ())
    chain = write_network(directory, genesis, plans, client_security="plaintext")
    private = generate_private_key()
    public = signing_provider().sm2_public_key(private)
    write_private_key(directory / "bench.key", private)
    file = directory / "signer.toml"
    file.write_text(
        '[signer]\ngenesis = "genesis.bin"\nkeys = ["bench.key"]\nrecord_dir = "record"\nsocket = "s"\n'
        "plaintext_keys = true\n"
    )
    create_record(directory / "record", load_signer_config(file).genesis_hash())
    command = [sys.executable, "-m", "dualchain", "signer", "run", "--config", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline().startswith("READY"):
                raise SystemExit("the signer did not start")
            remote = RemoteSigner(directory / "s", chain, directory / "cache")
            local = FileKeys(chain, {public: private})
            ping = [perf_counter()]
            for _ in range(calls):
                remote.sign(public, signed.VOTE, ())
                ping.append(perf_counter())
            steps = [(b - a) * 1e6 for a, b in zip(ping, ping[1:], strict=False)]
            return {
                "in_the_node": timed(lambda b: local.sign(public, signed.VOTE, b), calls, 1, 1),
                "empty_call": {"median_us": round(median(steps)), "p95_us": round(quantiles(steps, n=20)[-1])},
                "through_the_signer": timed(lambda b: remote.sign(public, signed.VOTE, b), calls, 1, 1),
                f"{BATCH}_in_one_call": timed(
                    lambda b: remote.sign(public, signed.VOTE, b), max(20, calls // BATCH), BATCH, calls + 1
                ),
            }
        finally:
            process.terminate()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signer-") as made:
        found = measure(Path(made), arguments.calls)
    print(json.dumps(found) if arguments.json else "\n".join(f"{name:20} {row}" for name, row in found.items()))


if __name__ == "__main__":
    main()
