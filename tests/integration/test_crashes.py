"""Under load, kill -9 a backup, then the primary, then all four nodes: what was final stays, the chain resumes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.market_load import Market, Signers, populate, start_market
from chain_core.codec.block import decode_header
from chain_core.codec.transaction import decode_envelope
from chain_core.node.answers import ItemStatus
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.verifying_client import Refused, VerifyingClient

HOLDERS = 320
BATCH = 20
RESUME_S = 10.0


class Load:
    """Hands in transfers, batch after batch, and remembers every receipt that was proven final."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.signers = Signers(market)
        self.final: list[tuple[bytes, VerifiedReceipt]] = []
        self.progress = asyncio.Event()
        self._stop = False

    async def run(self) -> None:
        client = VerifyingClient(self.market.view, self.market.addresses)
        while not self._stop:
            raws = self.signers.sign(BATCH)
            for raw, outcome in zip(raws, await client.submit_until_final(raws, within_s=120), strict=True):
                assert not isinstance(outcome, Refused), outcome.refusal
                self.final.append((raw, outcome))
            self.progress.set()
        await client.close()

    async def more(self) -> None:
        """Until another batch has become final."""
        self.progress.clear()
        async with asyncio.timeout(60):
            await self.progress.wait()

    def stop(self) -> None:
        self._stop = True


@asynccontextmanager
async def market_under_load(directory: Path) -> AsyncIterator[tuple[Market, Load]]:
    market = await start_market(directory, 4)
    try:
        await populate(market, HOLDERS)
        load = Load(market)
        task = asyncio.create_task(load.run())
        await load.more()
        yield market, load
        load.stop()
        await task
    finally:
        await market.client.close()
        await market.group.stop()


async def restart(market: Market, names: list[str]) -> float:
    """Start nodes again; the moment the q-th node said READY."""
    commands = {name: ["node", "run", "--config", str(market.directory / name / "node.toml")] for name in names}
    started = [await market.group.start(name, command) for name, command in commands.items()]
    moments: list[float] = []

    async def ready(one: int) -> None:
        await market.group.ready(started[one], 60)
        moments.append(time.monotonic())

    await asyncio.gather(*(ready(i) for i in range(len(started))))
    quorum = market.view.genesis.validators.q
    alive_before = len(market.plans) - len(names)
    return sorted(moments)[max(0, quorum - alive_before - 1)]


async def check_everything(market: Market, load: Load) -> None:
    """Every final receipt is still proven by every node; headers and state roots agree."""
    nodes = [NodeClient(a, genesis_hash=market.view.genesis_hash) for a in market.addresses]
    try:
        await caught_up(load, nodes)
        height = min([decode_header((await n.header()).header).height for n in nodes])
        headers = [await n.header(height) for n in nodes]
        assert len({h.header for h in headers}) == 1
        for certified in headers:
            market.view.check_header(certified)
        for raw, known in load.final:
            envelope = decode_envelope(raw)
            for node in nodes:
                answer = await node.receipt(envelope.transaction_id)
                assert answer.receipt is not None
                found = market.view.check_own_receipt(envelope, answer.header, answer.receipt)
                assert (found.header.height, found.receipt) == (known.header.height, known.receipt)
    finally:
        await asyncio.gather(*(n.close() for n in nodes))


async def caught_up(load: Load, nodes: list[NodeClient]) -> None:
    """A node answers a hand-in once it is final there: then it has every block up to it."""
    for node in nodes:
        answer = await node.submit(load.signers.sign(1), final_within_s=60)
        assert [item.status for item in answer.items] == [ItemStatus.FINAL]


async def story(directory: Path) -> None:
    async with market_under_load(directory) as (market, load):
        primary, backup, names = "node-0", "node-2", [plan.name for plan in market.plans]
        await market.group.kill(backup)
        await load.more()
        await restart(market, [backup])
        await load.more()
        await market.group.kill(primary)
        await load.more()
        await restart(market, [primary])
        await load.more()
        for name in names:
            await market.group.kill(name)
        before = len(load.final)
        quorum_ready = await restart(market, names)
        await load.more()
        assert len(load.final) > before
        assert time.monotonic() - quorum_ready < RESUME_S
        load.stop()
        await load.more()
        await check_everything(market, load)


def test_kill_a_backup_the_primary_and_all_four_under_load(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path / "network"))
