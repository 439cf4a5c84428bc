"""A chain of four node processes makes five blocks, with whatever provider is forced: the portable reference too."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from benchmarks.market_load import Market, new_holders, settle, start_market
from chain_core.node.client import NodeClient
from chain_core.node.event_filter import EventFilter
from chain_core.types.transaction import Operation

BLOCKS = 5
CATCHES_UP_S = 120
PATIENT = {"order_timeout_ms": 60_000, "order_timeout_max_ms": 240_000, "idle_block_ms": 0}
"""The reference provider takes seconds a block, more on a busy machine: nobody is to depose a primary for that, and
no idle block to come in between."""


async def one_account(market: Market, number: int, public: bytes) -> None:
    """A transaction of its own, final before the next one: a block of its own."""
    args = {"reference": f"H{number}", "entity": "E", "roles": [], "keys": {"transaction": [public]}}
    await settle(market, "registrar", [[Operation("accounts", "register", args)]])


async def header_everywhere(market: Market, height: int) -> set[bytes]:
    """The headers of ``height`` on all nodes, each asked when it has come so far: one may still be catching up."""
    headers = set()
    for address in market.addresses:
        async with NodeClient(address, genesis_hash=market.view.genesis_hash) as node:
            async with asyncio.timeout(CATCHES_UP_S), aclosing(node.subscribe(EventFilter(), height)) as blocks:
                await anext(blocks)
            headers.add((await node.header(height)).header)
    return headers


async def story(directory: Path) -> None:
    market = await start_market(directory, 4, PATIENT)
    try:
        for number, holder in enumerate(new_holders(market, BLOCKS)):
            await one_account(market, number, holder.public)
        header = await market.client.header(BLOCKS)
        assert header.height == BLOCKS and header.transaction_count == 1
        assert len(await header_everywhere(market, BLOCKS)) == 1
    finally:
        await market.client.close()
        await market.group.stop()


def test_four_processes_make_five_blocks(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path / "network"))
