"""A validator that voted twice: the proof is kept, served, verified by the client, and printed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec import signed
from chain_core.codec.evidence import decode_equivocation, encode_equivocation, equivocation
from chain_core.codec.votes import encode_vote
from chain_core.crypto.providers import signing_provider
from chain_core.node.client import NodeClient
from chain_core.node.config import join as join_chain
from chain_core.node.vote_keys import FileKeys
from chain_core.types.block import Phase, Vote
from chain_core.types.errors import InvalidProof
from chain_core.types.evidence import Statement
from tests.integration.network import Network, lay_out, run

pytestmark = pytest.mark.integration


def proof(network: Network) -> bytes:
    """Two COMMITs of node three."""
    keys = join_chain(network.configs["three"]).keys
    assert isinstance(keys, FileKeys)
    (key,) = keys.private.values()
    pairs = []
    for digest in (bytes(32), b"d" * 32):
        body = encode_vote(Vote(Phase.COMMIT, 0, 0, 9, 0, 0, digest, 2))
        message = signed.message(signed.VOTE, network.view.genesis_hash, body)
        pairs.append((body, signing_provider().sm2_sign(key, message)))
    return encode_equivocation(equivocation(Statement.ORDERING, (0, 0, 2), *pairs))


def test_a_proof_reaches_who_asks_for_it(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        made = proof(network)
        network.store("one").add_equivocation(decode_equivocation(made))
        address = network.addresses("one")[0]
        async with NodeClient(address) as node:
            assert await node.equivocations() == (made,)
        found = network.view.check_equivocation(made)
        assert (found.signer, found.statement) == (2, Statement.ORDERING)
        forged = encode_equivocation(replace(found, first_signature=bytes(64)))
        for bad in (forged, made[:-1], encode_equivocation(replace(found, ledger=1))):
            with pytest.raises(InvalidProof):
                network.view.check_equivocation(bad)
        assert "dualchain_equivocation_proofs 1" in network.nodes["one"].instances[0].metrics.text()

        command = [sys.executable, "-m", "tests.integration.coins_node", "equivocations", "--node", address, "--json"]
        command += ["--genesis", str(tmp_path / "net" / "genesis.bin")]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        row = json.loads(done.stdout)
        assert row["verified"] and row["count"] == 1
        assert (row["equivocations"][0]["validator"], row["equivocations"][0]["proof"]) == ("three", made.hex())

    run(tmp_path / "net", story)
