"""``dualchain relayer``: run the courier between a local chain and the supervisory one, and ask how far it is."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from chain_core.node import log as node_log
from chain_core.node import render
from crosschain.relayer.config import Assignment, RelayerConfig, assign, load_config

app = typer.Typer(
    help="Carry headers, packets and directives between a local chain and the supervisory one.", no_args_is_help=True
)

CONFIG = Annotated[Path, typer.Option("--config", help="The relayer's TOML file.")]


@app.command()
def run(config: CONFIG) -> None:
    """Run the relayer until SIGTERM or Ctrl-C. It prints READY once both chains have answered."""
    from crosschain.relayer.worker import serve

    loaded = load_config(config)
    assignment = assign(loaded)
    _set_up_log(loaded)
    asyncio.run(serve(assignment, lambda: _announce(assignment)))


@app.command()
def status(
    config: CONFIG, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
) -> None:
    """How far the two chains have followed each other, from their proven state."""
    from crosschain.relayer.status import read_status
    from crosschain.relayer.worker import Relayer

    async def ask(assignment: Assignment) -> dict[str, Any]:
        return await read_status(Relayer(assignment))

    row = asyncio.run(ask(assign(load_config(config))))
    typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(render.lines(row)))


def _set_up_log(config: RelayerConfig) -> None:
    """The relayer's lines go where a node's would."""
    node_log.set_up(config.log.level, config.log.format)
    own, engine = logging.getLogger("crosschain"), logging.getLogger(node_log.ROOT)
    own.handlers[:], own.propagate = engine.handlers, False
    own.setLevel(engine.level)


def _announce(assignment: Assignment) -> None:
    print(
        "READY",
        f"supervisory={assignment.supervisory.genesis_hash.hex()}",
        f"local={assignment.local.genesis_hash.hex()}",
        flush=True,
    )
