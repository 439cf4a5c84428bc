"""``dualchain node submit``: hand in signed envelopes from files to one node, and say how far they came."""

from __future__ import annotations

import asyncio
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.genesis import genesis_hash
from chain_core.codec.transaction import decode_envelope
from chain_core.node import render
from chain_core.node.client import NodeClient
from chain_core.node.client_security import from_environment
from chain_core.node.command import JSON
from chain_core.node.config import read_genesis

NODE = Annotated[str, typer.Option("--node", help="Client port of the node, host:port.")]
GENESIS = Annotated[Path, typer.Option("--genesis", help="Genesis document of the chain that the envelopes are for.")]


class Until(StrEnum):
    """How far to wait."""

    ACCEPTED = "accepted"
    REPLICATED = "replicated"
    FINAL = "final"


def submit(
    files: Annotated[list[Path], typer.Argument(help="One encoded envelope a file.")],
    node: NODE,
    genesis: GENESIS,
    wait: Annotated[Until, typer.Option("--wait", help="What to wait for.")] = Until.FINAL,
    within_s: Annotated[float, typer.Option("--within", min=0.001, max=60.0, help="At most so many seconds.")] = 30.0,
    as_json: JSON = False,
) -> None:
    """Hand in signed envelopes. What one node says is not verified: `receipt --genesis` proves what became final."""
    raws = [path.read_bytes() for path in files]
    names = [decode_envelope(raw).transaction_id.hex() for raw in raws]

    async def call() -> list[render.Row]:
        raw = read_genesis(genesis)[1]
        async with NodeClient(node, genesis_hash=genesis_hash(raw), security=from_environment(raw)) as client:
            answer = await client.submit(
                raws,
                final_within_s=within_s if wait is Until.FINAL else 0.0,
                replicated_within_s=within_s if wait is Until.REPLICATED else 0.0,
            )
        return [
            {
                "transaction_id": name,
                "status": item.status.value,
                "refusal": str(item.refusal) if item.refusal else "",
                "height": item.receipt.height if item.receipt else 0,
            }
            for name, item in zip(names, answer.items, strict=True)
        ]

    row: render.Row = {"items": asyncio.run(call())}
    typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(render.lines(row)))
