"""A chain of four node processes makes five blocks, with whatever provider is forced: the portable reference too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.market_load import Market, new_holders, settle, start_market
from chain_core.node.client import NodeClient
from chain_core.types.transaction import Operation

BLOCKS = 5
PATIENT = {"order_timeout_ms": 15_000, "order_timeout_max_ms": 60_000}
"""The reference provider takes seconds a block, more on a busy machine: nobody is to depose a primary for that."""


async def one_account(market: Market, number: int, public: bytes) -> None:
    """A transaction of its own, final before the next one: a block of its own."""
    args = {"reference": f"H{number}", "entity": "E", "roles": [], "keys": {"transaction": [public]}}
    await settle(market, "registrar", [[Operation("accounts", "register", args)]])


async def story(directory: Path) -> None:
    market = await start_market(directory, 4, PATIENT)
    try:
        for number, holder in enumerate(new_holders(market, BLOCKS)):
            await one_account(market, number, holder.public)
        header = await market.client.header(BLOCKS)
        assert header.height == BLOCKS and header.transaction_count == 1
        nodes = [NodeClient(a, genesis_hash=market.view.genesis_hash) for a in market.addresses]
        headers = {(await n.header(BLOCKS - 1)).header for n in nodes}
        assert len(headers) == 1
        await asyncio.gather(*(n.close() for n in nodes))
    finally:
        await market.client.close()
        await market.group.stop()


def test_four_processes_make_five_blocks(tmp_path: Path) -> None:
    asyncio.run(story(tmp_path / "network"))
