"""Flight recordings of real nodes: through a view change and a restart, replayed by the command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from chain_core.node.ledger_files import RECORDING_DIRECTORY
from tests.integration.network import NAMES, Network, lay_out, run

pytestmark = pytest.mark.integration


def test_what_nodes_recorded_replays(tmp_path: Path) -> None:
    lay_out(tmp_path / "net", order_timeout_ms=500, order_timeout_max_ms=1_000)

    async def story(network: Network) -> None:
        alice, bob = network.wallets["alice"], network.wallets["bob"]
        client = network.client("two", "three")
        await client.submit_until_final([alice.transfer(bob.account, 1) for _ in range(20)])
        await network.stop("one")  # the primary: the others change view
        await client.submit_until_final([alice.transfer(bob.account, 2)])
        await network.start("one")
        await client.submit_until_final([alice.transfer(bob.account, 3)])
        await network.until(network.store("two").final_height)
        await client.close()

    run(tmp_path / "net", story)

    for name in NAMES:
        directory = tmp_path / "net" / name / "data" / RECORDING_DIRECTORY
        command = [sys.executable, "-m", "tests.integration.coins_node", "replay", str(directory), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        row = json.loads(done.stdout)
        assert row["same"] and row["steps"] > 20 and row["final_height"] >= 3
        assert row["view"] >= 1 or name == "one"
        assert row["segments"] == (2 if name == "one" else 1)


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")
    path = tmp_path / "net" / "one" / "node.toml"
    path.write_text(path.read_text("utf-8") + "\n[recorder]\nmegabytes = 0\n", "utf-8")

    async def story(network: Network) -> None:
        await asyncio.sleep(0)
        assert network.nodes["one"].instances[0].recorder is None

    run(tmp_path / "net", story, "one")
    assert not (tmp_path / "net" / "one" / "data" / RECORDING_DIRECTORY).exists()
