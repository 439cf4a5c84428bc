"""One validator's key on two running node processes: the chain is safe and live, and each of the two stops in time.

A peer answers to one address a validator, so that two processes can both begin to vote only when a peer's
configuration is changed in between, as here.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from pathlib import Path

import pytest

from chain_core.node.client import NodeClient
from chain_core.node.replica import KEY_USED_ELSEWHERE
from tests.integration.network import drawn_ports, other_account
from tests.integration.processes import Processes, processes, signers

pytestmark = pytest.mark.integration

BOB = other_account("bob")
KEY = 3
"""The validator whose key is used twice."""


def rewrite(net: Processes, name: str, changes: dict[str, str]) -> None:
    """In a node's configuration file."""
    path = net.directory / name / "node.toml"
    text = path.read_text("utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, "utf-8")
    net.read_config(name)


class Twins:
    """Four and its twin; ``peer`` is the address of each."""

    def __init__(self, net: Processes) -> None:
        self.net = net
        shutil.copytree(net.directory / "four", net.directory / "twin")
        four = net.configs["four"]
        peer, client, metrics = (f"127.0.0.1:{port}" for port in drawn_ports(3))
        rewrite(net, "twin", {four.listen.peer: peer, four.listen.client: client, four.metrics.listen: metrics})
        self.peer = {"four": four.listen.peer, "twin": peer}
        self.dialled = dict.fromkeys(("one", "two", "three"), "four")

    def dials(self, name: str, which: str) -> None:
        """From its next start this node sends to that one of the two."""
        rewrite(self.net, name, {self.peer[self.dialled[name]]: self.peer[which]})
        self.dialled[name] = which

    async def stopped(self, name: str) -> None:
        """It stopped voting for a vote that it never cast, and says so."""
        said = await self.net.running[name].says("HALTED")
        assert f"code={KEY_USED_ELSEWHERE}" in said and "header vote at height" in said, said
        assert f"stopped voting: {KEY_USED_ELSEWHERE}" in await self.net.obstacle(name)


async def needed(net: Processes, away: str, *present: str) -> None:
    """A block that the key has to certify: one of the three others is away, and then comes back."""
    await net.end(away)
    settled = await net.pay(BOB, 1, *present)
    assert KEY in signers(settled)
    await net.begin(away)


async def check(net: Processes) -> None:
    """One chain, and nobody accused but the key that was used twice."""
    nodes = [NodeClient(address) for address in net.addresses("one", "two", "three")]
    height = min([(await node.status()).height for node in nodes])
    for at in range(1, height + 1):
        assert len({(await node.header(at)).header for node in nodes}) == 1
    for node in nodes:
        for proof in await node.equivocations():
            assert net.view.check_equivocation(proof).signer == KEY
        await node.close()


def test_each_of_two_processes_with_one_key_stops_on_the_others_vote(tmp_path: Path) -> None:
    async def story() -> None:
        async with processes(tmp_path / "net", start=False) as net:
            twins = Twins(net)
            twins.dials("three", "twin")
            await asyncio.gather(*(net.begin(name) for name in ("one", "two", "three", "four")))
            await net.votes("four")
            await net.end("one")
            twins.dials("one", "twin")
            await asyncio.gather(net.begin("one"), net.begin("twin"))
            await asyncio.gather(*map(net.votes, ("one", "three", "twin")))

            await needed(net, "two", "one", "three")  # the twin's vote; only node two tells four of it
            await twins.stopped("four")
            await net.pay(BOB)

            await asyncio.gather(net.end("four"), net.end("one"))
            twins.dials("one", "four")
            net.running["twin"].process.send_signal(signal.SIGSTOP)
            await asyncio.gather(net.begin("one"), net.begin("four"))
            four = net.running["four"]
            await four.says("VOTES_LOST")
            while not any("VOTES_AGAIN" in line for line in four.log):
                await net.pay(BOB)
            await needed(net, "three", "one", "two")  # four's vote; only node three tells the twin of it
            net.running["twin"].process.send_signal(signal.SIGCONT)
            await twins.stopped("twin")
            await net.pay(BOB)
            await check(net)

    asyncio.run(story())
