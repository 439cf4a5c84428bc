"""Blocks archived from running nodes, which are not trusted, and pruned by the nodes themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_core.ledger import store as ledger_store
from chain_core.network.refusals import Pruned
from chain_core.node import instance
from chain_core.node.archive import Archive, NodeSource
from chain_core.node.client import NodeClient
from chain_core.types.ids import MAX_U64
from tests.integration.network import Network, lay_out, other_account, run

pytestmark = pytest.mark.integration

BOB = other_account("bob")
BLOCKS = 9


def test_archived_while_it_runs_and_pruned_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_store, "KEPT_HEIGHTS", 2)
    monkeypatch.setattr(instance, "PRUNE_EVERY", 1)
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        for name in ("one", "two"):
            await network.stop(name)
            storage = network.configs[name].storage.model_copy(update={"keep_blocks": 3})
            if name == "two":
                network.configs[name] = network.configs[name].model_copy(update={"storage": storage})
            await network.start(name)
        client = network.client("one")
        for _ in range(BLOCKS):
            await client.submit_until_final([network.wallets["alice"].transfer(BOB, 1)], within_s=20)
        await client.close()
        final = network.store("one").final_height
        await network.until(final)
        config = network.configs["one"]
        archive = Archive(tmp_path / "archive", config.path(config.chain.genesis).read_bytes())
        async with NodeClient(network.addresses("one")[0]) as source:
            await archive.write(NodeSource(source), MAX_U64, 4)
        assert archive.verify()[-1].last >= final
        assert network.store("one").pruning.height == 0
        assert network.store("two").pruning.height == network.store("two").final_height - 3
        async with NodeClient(network.addresses("two")[0]) as pruned:
            with pytest.raises(Pruned):
                await pruned.block(1)

    run(tmp_path / "net", story)
