"""``dualchain local channel``: what a market's chain asked the supervisory one."""

from __future__ import annotations

from typing import Annotated

import typer

from chain_core.codec.genesis import genesis_hash
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, answer
from chain_core.node.verifying_client import VerifyingClient
from crosschain.channel_view import MAX_SHOWN, channel_row

SHOWN = Annotated[int, typer.Option("--last", min=1, max=MAX_SHOWN, help="How many of the newest requests to list.")]


def channel(node: NODES, genesis: GENESIS, last: SHOWN = 20, as_json: JSON = False) -> None:
    """What this market's chain asked the regulator 跨链服务请求: in flight, answered, refunded, its units."""

    async def ask(client: VerifyingClient) -> render.Row:
        above = client.view.genesis.supervisory_genesis
        if not above:
            what = f"{client.view.genesis.chain_id} is under no supervisory chain: it is no market's chain"
            raise NotFound(what, where="genesis", next_step="name a node and the genesis document of a market's chain")
        return await channel_row(client, client.view.genesis_hash, genesis_hash(above), last)

    answer(genesis, node, ask, as_json)
