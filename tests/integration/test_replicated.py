"""A client told REPLICATED: the transaction outlives the crash of the node that took it, and of all others."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chain_core.codec.transaction import decode_envelope
from chain_core.node.answers import ItemStatus
from chain_core.node.client import NodeClient
from tests.integration.network import Network, lay_out, run

pytestmark = pytest.mark.integration


def test_it_is_final_in_the_end_although_every_process_that_held_it_was_gone(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        raw = alice.transfer(bob.account, 5)
        async with NodeClient(network.addresses("one")[0], genesis_hash=network.view.genesis_hash) as node:
            answer = await node.submit([raw], replicated_within_s=20.0)
        assert answer.items[0].status is ItemStatus.REPLICATED, "two of four make no quorum"
        assert all(len(network.store(name).kept) == 1 for name in ("one", "two"))
        await network.stop()
        await network.start("two", "three", "four")
        client = network.client("three")
        envelope = decode_envelope(raw)
        await network.until(1)
        found = await client.receipt_of_nonce(envelope.body.account, envelope.body.nonce)
        assert found.receipt.transaction_id == envelope.transaction_id  # type: ignore[union-attr]
        assert not len(network.store("two").kept)
        await client.close()

    run(tmp_path / "net", story, "one", "two")


def test_alone_a_node_promises_nothing(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        raw = network.wallets["alice"].transfer(network.wallets["bob"].account, 5)
        async with NodeClient(network.addresses("one")[0], genesis_hash=network.view.genesis_hash) as node:
            answer = await node.submit([raw], replicated_within_s=0.5)
        assert answer.items[0].status is ItemStatus.ACCEPTED

    run(tmp_path / "net", story, "one")


def test_the_command(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        raw = network.wallets["alice"].transfer(network.wallets["bob"].account, 5)
        (tmp_path / "envelope.bin").write_bytes(raw)
        command = [sys.executable, "-m", "tests.integration.coins_node", "submit", str(tmp_path / "envelope.bin")]
        command += ["--node", network.addresses("one")[0], "--genesis", str(tmp_path / "net" / "genesis.bin"), "--json"]
        for wait, expected in (("replicated", {"REPLICATED", "FINAL"}), ("final", {"FINAL"})):
            done = await asyncio.to_thread(
                subprocess.run, [*command, "--wait", wait], capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stderr
            (item,) = json.loads(done.stdout)["items"]
            assert item["status"] in expected and item["transaction_id"] == decode_envelope(raw).transaction_id.hex()

    run(tmp_path / "net", story)
