"""``dualchain lookup``: run the proven holder-roll look-up (股东名册查询) of one market."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from service_registry.config import LookupConfig, load

app = typer.Typer(help="The proven holder-roll look-up 股东名册查询 of one market.", no_args_is_help=True)


@app.command()
def run(config: Annotated[Path, typer.Option("--config", help="The look-up's TOML file.")]) -> None:
    """Run the look-up until SIGTERM or Ctrl-C. It prints READY once it takes calls."""
    from service_registry.serving import serve_lookup, set_up_log

    loaded = load(LookupConfig, config)
    set_up_log(loaded.log)
    asyncio.run(serve_lookup(loaded))


@app.command()
def definition(
    endpoint: Annotated[str, typer.Option("--endpoint", help="Where the look-up listens, host:port.")],
    security: Annotated[str, typer.Option("--security", help="A security of the market, 32 hexadecimal digits.")],
    price_fen: Annotated[int, typer.Option("--price-fen", min=0, help="Price of a call in fen.")] = 0,
) -> None:
    """Print the look-up's definition as JSON, for `dualchain registry draft --definition`."""
    from service_registry.lookup import roll_definition

    typer.echo(json.dumps(roll_definition(endpoint, security, price_fen), ensure_ascii=False, indent=2))
