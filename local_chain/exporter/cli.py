"""``dualchain local exporter``: data objects of a market's chain, from its events (docs/spec/exporter.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.command import JSON, show
from contracts.data_model.faults import SnapshotRefused, refuse
from contracts.data_model.json_text import Json, canonical, parse
from local_chain.exporter.config import Bench, load
from local_chain.exporter.core import Exporter
from local_chain.exporter.database import Database, Row, Status
from local_chain.exporter.errors import UnknownObject

app = typer.Typer(
    help="Data objects 数据对象 from the chain's events: seal, store, anchor 导出与存证.", no_args_is_help=True
)

CONFIG = Annotated[Path, typer.Option("--config", help="The TOML file of the exporter 配置文件.")]
OBJECT = Annotated[str, typer.Argument(help="Data object id 数据对象标识.")]
_STATUS_ZH = {
    Status.HELD: "暂扣",
    Status.WAITING: "等待",
    Status.READY: "待存储",
    Status.STORED: "已存储",
    Status.ANCHORED: "已存证",
    Status.SUPERSEDED: "已被重写",
}


def _with_database(
    config: Path, work: Callable[[Bench, Database], render.Row], as_json: bool, *, writing: bool = False
) -> None:
    bench = Bench(load(config))
    database = bench.database(writing=writing)
    try:
        show(work(bench, database), as_json)
    finally:
        database.close()


@app.command()
def run(config: CONFIG) -> None:
    """Follow the chain until SIGTERM or Ctrl-C 运行. It prints READY and the height from which it goes on."""
    from local_chain.exporter.process import run as run_process

    asyncio.run(run_process(Bench(load(config)), lambda line: print(line, flush=True)))


@app.command()
def status(config: CONFIG, as_json: JSON = False) -> None:
    """How far it is 进度: height taken, and snapshots in each state."""

    def work(_: Bench, database: Database) -> render.Row:
        counts = database.counts()
        row: render.Row = {"height": database.meta("height"), "batch_open": database.open_batch() is not None}
        return row | {
            name.value if as_json else f"{name.value} {_STATUS_ZH[name]}": counts[name.value] for name in Status
        }

    _with_database(config, work, as_json)


@app.command()
def held(config: CONFIG, as_json: JSON = False) -> None:
    """Snapshots that fail validation 暂扣快照, with each fault's place and rule; how many wait behind them."""

    def work(_: Bench, database: Database) -> render.Row:
        rows = {
            f"{row.object}/{row.version}": {
                "kind": row.kind,
                "operation": row.operation,
                "height": row.height,
                "faults": json.loads(row.faults),
            }
            for row in database.rows(Status.HELD)
        }
        counts = database.counts()
        return {"held": counts["held"], "waiting": counts["waiting"], "snapshots": rows}

    _with_database(config, work, as_json)


@app.command("show")
def show_object(object_: OBJECT, config: CONFIG, as_json: JSON = False) -> None:
    """One object: every snapshot that was written, with state and hash, and the body in force 当前内容."""

    def work(_: Bench, database: Database) -> render.Row:
        stored = database.object(object_)
        if stored is None:
            raise UnknownObject("没有该数据对象 / no such data object", where=object_, next_step="check the id")
        body = database.body(object_, stored.latest)
        rows = [_row(row) for row in database.rows_of(object_)]
        return {
            "object": object_,
            "kind": stored.kind,
            "latest": stored.latest,
            "snapshots": {str(place): row for place, row in enumerate(rows)},
            "body": body[0] if body else {},
        }

    _with_database(config, work, as_json)


def _row(row: Row) -> render.Row:
    return {
        "version": row.version,
        "operation": row.operation,
        "status": f"{row.status.value} {_STATUS_ZH[row.status]}",
        "height": row.height,
        "hash": row.hash.hex(),
    }


@app.command()
def correct(
    object_: OBJECT,
    config: CONFIG,
    version: Annotated[
        int | None, typer.Option("--version", min=0, help="Version to overwrite; absent: the first held one.")
    ] = None,
    patch: Annotated[
        Path | None, typer.Option("--patch", help="JSON merge patch on its body; absent: present attributes.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Overwrite a wrong version and all after it 重写; what waited for it follows. Stop `run` first."""

    def work(bench: Bench, database: Database) -> render.Row:
        attributes = bench.attributes()
        try:
            exporter = Exporter(database, attributes, bench.market(), bench.seal_key())
            rows = exporter.correct(object_, version, _read(patch) if patch else None)
        finally:
            attributes.close()
        return {
            "done": "已重写 overwritten",
            "object": object_,
            "versions": [row.version for row in rows],
            "next": "dualchain local exporter run",
        }

    _with_database(config, work, as_json, writing=True)


@app.command()
def attributes(
    file: Annotated[Path, typer.Argument(help="JSON Lines: {object, body} a line 私有属性.")],
    config: CONFIG,
    as_json: JSON = False,
) -> None:
    """Private attributes of objects, all lines or none; objects that exist get a new version with the next block."""
    rows = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            found = parse(line)
            if not isinstance(found.get("object"), str) or not isinstance(found.get("body"), dict):
                raise refuse("", "type", "a line is {object: text, body: object}")
            canonical(found["body"])
        except SnapshotRefused as refusal:
            raise UnknownObject(
                refusal.what, where=f"{file}, line {number}", next_step="mend the line, give the file again"
            ) from refusal
        rows.append((found["object"], found["body"]))
    store = Bench(load(config)).attributes()
    try:
        store.put(rows)
    finally:
        store.close()
    show({"done": "已登记 stored", "objects": len(rows)}, as_json)


def _read(path: Path) -> Json:
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise UnknownObject(f"cannot be read: {error.strerror}", where=str(path), next_step="name a file") from error
