"""A market under load, for stories about faults: hands in transfers, checks afterwards that nothing final was lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.market_load import Market, Signers, populate, start_market
from chain_core.codec.block import decode_header
from chain_core.codec.transaction import decode_envelope
from chain_core.node.answers import ItemStatus
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.verifying_client import Refused, VerifyingClient

HOLDERS = 320
BATCH = 20
MORE_S = 60.0


class Load:
    """Hands in transfers, batch after batch, and remembers every receipt that was proven final."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.signers = Signers(market)
        self.final: list[tuple[bytes, VerifiedReceipt]] = []
        self.progress = asyncio.Event()
        self._stop = False
        self._running: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """One customer a node, each with its own node first, until ``stop``."""
        addresses = self.market.addresses
        async with asyncio.TaskGroup() as customers:
            for first in range(len(addresses)):
                customers.create_task(self._customer(addresses[first:] + addresses[:first]))

    async def _customer(self, addresses: list[str]) -> None:
        client = VerifyingClient(self.market.view, addresses)
        while not self._stop:
            raws = self.signers.sign(BATCH)
            for raw, outcome in zip(raws, await client.submit_until_final(raws, within_s=240), strict=True):
                assert not isinstance(outcome, Refused), outcome.refusal
                self.final.append((raw, outcome))
            self.progress.set()
        await client.close()

    async def more(self) -> None:
        """Until another batch has become final, or a customer failed."""
        self.progress.clear()
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(self.progress.wait())}
        if self._running is not None:
            waits.add(self._running)
        done, left = await asyncio.wait(waits, timeout=MORE_S, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise TimeoutError(f"nothing became final for {MORE_S:.0f} s")
        if self._running in done:
            await self.end()
        for task in left - {self._running}:
            task.cancel()

    def start(self) -> None:
        """Begin to hand in."""
        self._running = asyncio.create_task(self.run())

    async def end(self) -> None:
        """Hand in nothing more; what is under way becomes final first. Raises what ended a customer."""
        self._stop = True
        if self._running is not None:
            await self._running


@asynccontextmanager
async def market_under_load(directory: Path) -> AsyncIterator[tuple[Market, Load]]:
    market = await start_market(directory, 4)
    try:
        await populate(market, HOLDERS)
        load = Load(market)
        load.start()
        await load.more()
        yield market, load
        await load.end()
    finally:
        await market.client.close()
        await market.group.stop()


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
