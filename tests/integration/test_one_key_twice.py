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
from chain_core.node.halting import KEY_USED_ELSEWHERE
from chain_core.types.evidence import Equivocation, Statement
from tests.integration.network import NAMES, drawn_ports, other_account
from tests.integration.processes import Processes, processes, signers

pytestmark = pytest.mark.integration

BOB = other_account("bob")


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
    """A node and its twin; ``peer`` is the address of each, ``dialled`` to whom the others send."""

    def __init__(self, net: Processes, name: str) -> None:
        self.net, self.index = net, NAMES.index(name)
        shutil.copytree(net.directory / name, net.directory / "twin")
        first = net.configs[name]
        peer, client, metrics = (f"127.0.0.1:{port}" for port in drawn_ports(3))
        rewrite(net, "twin", {first.listen.peer: peer, first.listen.client: client, first.metrics.listen: metrics})
        self.peer = {name: first.listen.peer, "twin": peer}
        self.dialled = {other: name for other in NAMES if other != name}

    async def both_vote(self, name: str, always: str, later: str) -> None:
        """Both begin to vote: the first one while all but ``always`` send to it, the twin when ``later`` is moved."""
        self.dials(always, "twin")
        await asyncio.gather(*map(self.net.begin, NAMES))
        await self.net.votes(name)
        await self.net.end(later)
        self.dials(later, "twin")
        await asyncio.gather(self.net.begin(later), self.net.begin("twin"))
        await asyncio.gather(*map(self.net.votes, (*NAMES, "twin")))

    def dials(self, name: str, which: str) -> None:
        """From its next start this node sends to that one of the two."""
        rewrite(self.net, name, {self.peer[self.dialled[name]]: self.peer[which]})
        self.dialled[name] = which

    async def stopped(self, name: str) -> None:
        """It stopped voting for a vote that it never cast, and says so."""
        said = await self.net.running[name].says("HALTED")
        assert f"code={KEY_USED_ELSEWHERE}" in said and "header vote at height" in said, said
        assert f"stopped voting: {KEY_USED_ELSEWHERE}" in await self.net.obstacle(name)

    async def needed(self, away: str, *present: str) -> None:
        """A block that the key has to certify: one of the three others is away, and then comes back."""
        await self.net.end(away)
        settled = await self.net.pay(BOB, 1, *present)
        assert self.index in signers(settled)
        await self.net.begin(away)

    async def proofs(self) -> list[Equivocation]:
        """What the others keep; verified, and about nobody but the key that was used twice."""
        found = []
        for address in self.net.addresses(*self.dialled):
            async with NodeClient(address) as node:
                found += [self.net.view.check_equivocation(proof) for proof in await node.equivocations()]
        assert {proof.signer for proof in found} <= {self.index}
        return found

    async def one_chain(self) -> None:
        """The others have the same header at each height."""
        nodes = [NodeClient(address) for address in self.net.addresses(*self.dialled)]
        height = min([(await node.status()).height for node in nodes])
        for at in range(1, height + 1):
            assert len({(await node.header(at)).header for node in nodes}) == 1
        for node in nodes:
            await node.close()


def test_each_of_two_processes_with_one_key_stops_on_the_others_vote(tmp_path: Path) -> None:
    async def story() -> None:
        async with processes(tmp_path / "net", start=False) as net:
            twins = Twins(net, "four")
            await twins.both_vote("four", "three", "one")

            await twins.needed("two", "one", "three")  # the twin's vote; only node two tells four of it
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
            await twins.needed("three", "one", "two")  # four's vote; only node three tells the twin of it
            net.running["twin"].process.send_signal(signal.SIGCONT)
            await twins.stopped("twin")
            await net.pay(BOB)
            await twins.one_chain()
            await twins.proofs()

    asyncio.run(story())


def test_a_primary_that_runs_twice_is_proven_to_and_the_chain_goes_on(tmp_path: Path) -> None:
    """Each of the two proposes another first block: nobody has decided yet which one, the others see both at once."""

    async def story() -> None:
        async with processes(tmp_path / "net", start=False, order_timeout_ms=2_000) as net:
            twins = Twins(net, "one")
            await twins.both_vote("one", "four", "three")
            others = [net.running[name].process for name in twins.dialled]
            for process in others:
                process.send_signal(signal.SIGSTOP)
            for name in ("one", "twin"):
                async with NodeClient(net.addresses(name)[0], genesis_hash=net.view.genesis_hash) as node:
                    await node.submit([net.wallets["alice"].transfer(BOB, 1)])
            for process in others:
                process.send_signal(signal.SIGCONT)
            await net.pay(BOB, 1, "two", "three")
            assert Statement.ORDERING in {proof.statement for proof in await twins.proofs()}
            await net.pay(BOB, 1, "two", "three")
            await twins.one_chain()

    asyncio.run(story())
