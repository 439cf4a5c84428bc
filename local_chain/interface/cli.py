"""``dualchain local interface``: the node interface of JR/T 0314 over HTTPS (docs/spec/node-interface.md §5)."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Annotated

import typer

from chain_core.crypto.hashing import sm3
from chain_core.node.command import JSON, show

app = typer.Typer(help="Node interface 节点接口 of JR/T 0314 over HTTPS, beside a node.", no_args_is_help=True)


@app.command()
def run(config: Annotated[Path, typer.Option("--config", help="The TOML file of the interface 配置文件.")]) -> None:
    """Answer over HTTPS until SIGTERM or Ctrl-C 运行. It prints READY and its URL."""
    from local_chain.interface.config import Desk, load
    from local_chain.interface.process import run as run_process

    asyncio.run(run_process(Desk(load(config)), lambda line: print(line, flush=True)))


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose token it is, without spaces.")],
    roles: Annotated[str, typer.Option("--roles", help="Roles with commas.")] = "client,regulator",
    as_json: JSON = False,
) -> None:
    """Draw a bearer token: it is shown once; the line goes into the file `tokens`, mode 0600 令牌."""
    drawn = secrets.token_urlsafe(32)
    show({"token": drawn, "line": f"{sm3(drawn.encode()).hex()} {name} {roles}"}, as_json)
