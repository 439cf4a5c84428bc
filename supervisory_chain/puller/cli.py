"""``dualchain supervisory puller``: pull markets' chains, see what came of it (docs/spec/node-interface.md §6)."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.command import JSON, show

app = typer.Typer(help="The puller 数据拉取: markets' chains by JR/T 0314, verified, logged.", no_args_is_help=True)

CONFIG = Annotated[Path, typer.Option("--config", help="The TOML file of the puller 配置文件.")]


@app.command()
def run(config: CONFIG) -> None:
    """Pull until SIGTERM or Ctrl-C 运行. It prints READY and where its log is asked."""
    from supervisory_chain.puller.config import load
    from supervisory_chain.puller.process import run as run_process

    asyncio.run(run_process(load(config), lambda line: print(line, flush=True)))


@app.command()
def status(config: CONFIG, as_json: JSON = False) -> None:
    """How far each chain is verified 进度, what stops it 报警, and how many snapshots were taken or rejected."""
    from supervisory_chain.puller.config import load
    from supervisory_chain.puller.log import Book

    found = load(config)
    book = Book(found.path(found.database), writing=False)
    rows: render.Row = {}
    for one in found.chain:
        cursor, alarm = book.cursor(one.network_id), book.alarm(one.network_id)
        rows[one.network_id] = {
            "height": cursor.height,
            "hash": cursor.hash.hex(),
            "timestamp": cursor.timestamp,
            "alarm": alarm[0] if alarm else None,
            "what": alarm[1] if alarm else None,
            **book.counts(one.network_id),
        }
    book.close()
    show(rows, as_json)


@app.command("log")
def show_log(
    config: CONFIG,
    network: Annotated[str, typer.Option("--network", help="Of this network; absent: of all.")] = "",
    object_: Annotated[str, typer.Option("--object", help="Of this data object 数据对象.")] = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="Rejected snapshots only 未通过.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Entries behind this number.")] = 0,
    as_json: JSON = False,
) -> None:
    """Entries of the cross-chain log 跨链日志, at most 1,000."""
    from supervisory_chain.puller.config import load
    from supervisory_chain.puller.log import Book

    found = load(config)
    book = Book(found.path(found.database), writing=False)
    entries = book.entries(network, object_, after=after, rejected=rejected)
    book.close()
    rows: render.Row = {str(one.number): {**asdict(one), "faults": [dict(f) for f in one.faults]} for one in entries}
    show(rows, as_json)
