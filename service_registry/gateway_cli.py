"""``dualchain gateway``: run the gateway through which services are called."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node.command import JSON, show
from service_registry.config import GatewayConfig, load

app = typer.Typer(help="The gateway through which services are called.", no_args_is_help=True)
app.callback()(lambda: None)


@app.command()
def run(config: Annotated[Path, typer.Option("--config", help="The gateway's TOML file.")]) -> None:
    """Run the gateway until SIGTERM or Ctrl-C. It prints READY once it takes calls."""
    from service_registry.serving import serve_gateway, set_up_log

    loaded = load(GatewayConfig, config)
    set_up_log(loaded.log)
    asyncio.run(serve_gateway(loaded))


@app.command()
def answer(
    config: Annotated[Path, typer.Option("--config", help="The gateway's TOML file; the gateway runs.")],
    promise: Annotated[str, typer.Option("--promise", help="The promise, hexadecimal, as `registry claims` shows it.")],
    as_json: JSON = False,
) -> None:
    """Answer a claim: show the chain the record in its batch."""
    from service_registry.serving import answer_claim

    show(asyncio.run(answer_claim(load(GatewayConfig, config), promise)), as_json)
