"""``dualchain local resolver`` and ``dualchain supervisory resolver`` (docs/spec/identity.md §4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

_CONFIG = Annotated[Path, typer.Option("--config", help="The resolver's TOML file 配置文件.")]


def resolver_app(kind: Literal["local", "supervisory"]) -> typer.Typer:
    """The commands for a chain of this kind."""
    whose = "of this market" if kind == "local" else "of all markets, the global one"
    app = typer.Typer(help=f"DID resolver 身份解析 {whose} (JR/T 0325).", no_args_is_help=True)

    @app.command()
    def run(config: _CONFIG) -> None:
        """Answer over HTTP until SIGTERM or Ctrl-C 运行. It prints READY and its URL."""
        from service_registry.resolving import load
        from service_registry.resolving import run as run_process

        asyncio.run(run_process(load(config), kind, lambda line: print(line, flush=True)))

    @app.callback()
    def group() -> None:
        """Keep ``run`` a command of its own."""

    return app
