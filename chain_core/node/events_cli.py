"""``dualchain node events``: follow final transactions and their events, verified, one line each."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import from_environment
from chain_core.node.command import GENESIS, NODES, identifier
from chain_core.node.config import read_genesis
from chain_core.node.event_filter import EventFilter
from chain_core.node.event_stream import EventBlock
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.ids import HASH_SIZE

JSON_LINES = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def events(
    node: NODES,
    genesis: GENESIS,
    from_height: Annotated[int, typer.Option("--from", min=0, help="First height; 0: from the next block on.")] = 0,
    to_height: Annotated[int, typer.Option("--to", min=0, help="Stop after this height; 0: never.")] = 0,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Stop after so many transactions; 0: never.")] = 0,
    account: Annotated[list[str] | None, typer.Option("--account", help="Account, hexadecimal; repeat.")] = None,
    contract: Annotated[list[str] | None, typer.Option("--contract", help="Contract of an event; repeat.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="Name of an event; repeat.")] = None,
    transaction: Annotated[
        list[str] | None, typer.Option("--transaction", help="Transaction id, hexadecimal; repeat.")
    ] = None,
    as_json: JSON_LINES = False,
) -> None:
    """Follow final transactions with their events until Ctrl-C; each is verified against the genesis document."""
    wanted = EventFilter(
        frozenset(identifier(text, "--account") for text in account or ()),
        frozenset(contract or ()),
        frozenset(kind or ()),
        frozenset(identifier(text, "--transaction", HASH_SIZE) for text in transaction or ()),
    )

    async def follow() -> None:
        raw = read_genesis(Path(genesis))[1]
        client = VerifyingClient(ChainView(raw), node, from_environment(raw))
        printed = 0
        try:
            async with aclosing(client.events(wanted, from_height).blocks()) as blocks:
                async for block in blocks:
                    if to_height and block.header.height > to_height:
                        return
                    printed += _show(block, limit - printed if limit else None, as_json)
                    if (limit and printed >= limit) or (to_height and block.resume_height > to_height):
                        return
        finally:
            await client.close()

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _show(block: EventBlock, at_most: int | None, as_json: bool) -> int:
    rows = render.events(block)[:at_most]
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(render.lines(row)) + "\n")
    return len(rows)
