"""A node whose directory was restored from an old backup, and a second process with a running node's key."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from chain_core.node.client import NodeClient
from chain_core.node.config import NodeConfig
from chain_core.node.config import join as join_chain
from chain_core.node.halting import KEY_USED_ELSEWHERE
from chain_core.node.process import Node
from tests.integration.network import Network, assembly, drawn_ports, lay_out, other_account, run

pytestmark = pytest.mark.integration

BOB = other_account("bob")


async def block(network: Network) -> None:
    """One more block, final on every running node."""
    client = network.client("one", "two")
    await client.submit_until_final([network.wallets["alice"].transfer(BOB, 1)], within_s=20)
    await client.close()
    await network.until(max(node.store.final_height for node in network.nodes.values()))


def test_an_old_backup_votes_only_beyond_what_it_forgot(tmp_path: Path) -> None:
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        await block(network)
        await network.stop("three")
        data = network.configs["three"].path(network.configs["three"].node.data_dir)
        shutil.copytree(data, tmp_path / "backup")
        await network.start("three")
        await network.stop("four")  # now each certificate needs node three's signature
        for _ in range(3):
            await block(network)
        await network.stop("three")
        await network.start("four")
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "backup", data)

        await network.start("three")
        three = network.nodes["three"]
        await network.until(network.store("one").final_height)
        quiet = three.replica.quiet
        assert quiet is not None
        async with NodeClient(network.addresses("three")[0]) as asked:
            told = (await asked.status()).not_progressing
            while "asking the others" in told:
                told = (await asked.status()).not_progressing
        assert "old disk" in told and f"final above {quiet.questions.horizon + 1}" in told
        assert [code for code, _ in three.observer.alarms] == ["VOTES_LOST"]
        while quiet.questions.open:
            assert not three.replica.voter or not three.replica.voter.signer.votes, "it signs while it must not"
            await block(network)
        assert [code for code, _ in three.observer.alarms] == ["VOTES_LOST", "VOTES_AGAIN"]
        assert network.store("three").final_height == quiet.questions.horizon + 2
        await network.stop("four")  # now nothing becomes final without it
        await block(network)
        assert network.roots_agree() and not three.observer.halt

    run(tmp_path / "net", story)


def twin_config(network: Network, directory: Path) -> NodeConfig:
    """Node three's configuration and keys, other ports, an empty disk."""
    shutil.copytree(network.directory / "three", directory)
    shutil.rmtree(directory / "data", ignore_errors=True)
    peer, client = drawn_ports(2)
    config = network.configs["three"]
    listen = config.listen.model_copy(update={"peer": f"127.0.0.1:{peer}", "client": f"127.0.0.1:{client}"})
    return config.model_copy(update={"listen": listen, "file": str(directory / "node.toml")})


def test_a_second_process_with_a_running_nodes_key(tmp_path: Path) -> None:
    """One node dials it instead of the first one. It has too few answers and signs nothing, and the chain goes on; even
    one that votes unasked stops at the first vote of the other that it meets.
    """
    lay_out(tmp_path / "net")

    async def story(network: Network) -> None:
        config = twin_config(network, tmp_path / "twin")
        four = network.configs["four"]
        network.configs["four"] = four.model_copy(update={"peers": four.peers | {"three": config.listen.peer}})
        await network.start()
        membership = join_chain(config)
        twin = Node(config, membership, assembly(membership.genesis))
        try:
            await twin.start()
            for _ in range(3):
                await block(network)
            assert twin.replica.quiet is not None and twin.replica.voter is not None
            while not twin.replica.quiet.questions.answered:
                await block(network)
            assert "1 of 2 have answered" in twin.replica.quiet.words and not twin.replica.voter.signer.votes
            twin.replica.core.state.silent = twin.replica.quiet.questions.open = False
            for _ in range(3):
                await block(network)
            while not twin.observer.halt:
                await block(network)
            assert twin.observer.halt.startswith(KEY_USED_ELSEWHERE)
            await block(network)
            assert network.roots_agree()
        finally:
            await twin.stop()

    async def main() -> None:
        network = Network(tmp_path / "net")
        try:
            await asyncio.wait_for(story(network), 60)
        finally:
            await network.stop()

    asyncio.run(main())
