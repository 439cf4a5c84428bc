"""Four node processes of the toy chain, any of which may be of an altered build, and what a test asks them."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import MappingProxyType

from chain_core.codec.block import decode_certificate, decode_header
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.config import load_config
from chain_core.node.event_filter import EventFilter
from tests.integration.network import NAMES, Network, drawn_ports, lay_out
from tests.integration.test_process import PROGRAM, Started, launch

ORDER_TIMEOUT_MS = 4_000
"""So long that a busy machine deposes nobody."""
DELAY = 2
"""Blocks from a proposal's approval to its effect."""
PATIENCE_S = 120
FINAL_WITHIN_S = 40


def altered(fault: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.integration.altered_node", fault)


class Processes(Network):
    """Node processes by directory, those that run."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.running: dict[str, Started] = {}
        self.pages: dict[str, str] = {}
        for name, port in zip(NAMES, drawn_ports(len(NAMES)), strict=True):
            with (directory / name / "node.toml").open("a", encoding="utf-8") as file:
                file.write(f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n')
            self.read_config(name)

    def read_config(self, name: str) -> None:
        """After a change of a node's file, or for a directory of a test's own."""
        self.configs[name] = load_config(self.directory / name / "node.toml")
        self.pages[name] = f"http://{self.configs[name].metrics.listen}/metrics"

    async def begin(self, name: str, fault: str = "") -> None:
        self.running[name] = await launch(self.directory, name, altered(fault) if fault else PROGRAM)
        assert (await self.running[name].ready()).startswith("READY"), self.running[name].text

    async def votes(self, name: str) -> None:
        """Until it casts votes; its status is asked again and again."""
        while await self.metric(name, "dualchain_silent"):
            await self.obstacle(name)
        assert await self.metric(name, "dualchain_halted") == 0

    async def halted(self, name: str) -> bool:
        """Whether it stopped voting."""
        return bool(await self.metric(name, "dualchain_halted"))

    async def end(self, name: str) -> Started:
        node = self.running.pop(name)
        if node.process.returncode is None:
            node.process.terminate()
            node.process.send_signal(signal.SIGCONT)  # in case a test stopped it
        await node.ended()
        return node

    async def pay(self, to: bytes, amount: int = 1, *names: str) -> VerifiedReceipt:
        """A transfer that is final, whatever became of it; handed in at the first two nodes or the named ones."""
        client = self.client(*(names or NAMES[:2]))
        try:
            (settled,) = await client.submit_until_final(
                [self.wallets["alice"].transfer(to, amount)], within_s=FINAL_WITHIN_S
            )
        finally:
            await client.close()
        assert isinstance(settled, VerifiedReceipt), settled
        return settled

    async def obstacle(self, name: str) -> str:
        """Why it makes no progress, as ``node status`` prints it."""
        async with NodeClient(self.addresses(name)[0]) as node:
            return (await node.status()).not_progressing

    async def height_of(self, name: str) -> int:
        async with NodeClient(self.addresses(name)[0]) as node:
            return (await node.status()).height

    async def follow_to(self, name: str, height: int) -> None:
        """Until this node is final there: it says so by its event stream."""
        node = NodeClient(self.addresses(name)[0])
        async with node, asyncio.timeout(PATIENCE_S), aclosing(node.subscribe(EventFilter(), 1)) as blocks:
            async for block in blocks:
                if decode_header(block.header.header).height >= height:
                    return

    async def metric(self, name: str, which: str) -> float:
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(self.pages[name], timeout=20).read().decode())
        found = re.search(rf"^{re.escape(which)} (\S+)$", page, re.MULTILINE)
        assert found is not None, page
        return float(found[1])


@asynccontextmanager
async def processes(
    directory: Path,
    faults: Mapping[str, str] = MappingProxyType({}),
    *,
    start: bool = True,
    order_timeout_ms: int = ORDER_TIMEOUT_MS,
) -> AsyncIterator[Processes]:
    """A new chain; ``faults`` names the faulty build that a node is of. Whatever runs is ended at the end."""
    lay_out(
        directory,
        ("bob", "carol"),
        order_timeout_ms=order_timeout_ms,
        order_timeout_max_ms=4_000,
        governance_delay=DELAY,
    )
    net = Processes(directory)
    try:
        async with asyncio.timeout(PATIENCE_S):
            if start:
                await asyncio.gather(*(net.begin(name, faults.get(name, "")) for name in NAMES))
                await asyncio.gather(*map(net.votes, NAMES))
            yield net
    finally:
        for name in tuple(net.running):
            await net.end(name)


def signers(settled: VerifiedReceipt) -> set[int]:
    """Who signed the certificate of its block."""
    return {index for index, _ in decode_certificate(settled.certified.certificate).signatures}
