"""``dualchain local adapter``: business systems and their books (docs/spec/adapter.md)."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chain_core.node import render
from chain_core.node.command import JSON, show
from chain_core.node.config import ConfigRefused
from local_chain.adapter.chain import AdapterChain
from local_chain.adapter.config import Desk, load
from local_chain.adapter.importer import Importer
from local_chain.adapter.journal import Journal
from local_chain.adapter.outbox import Outbox, carry
from local_chain.adapter.reconcile import Report
from local_chain.adapter.reconcile import reconcile as compare
from local_chain.adapter.roll_files import read_roll

app = typer.Typer(
    help="Business systems 业务系统适配: back-fill, outbox, reconciliation 补录、对账.", no_args_is_help=True
)

CONFIG = Annotated[Path, typer.Option("--config", help="The TOML file of the adapter 配置文件.")]
SECURITIES = Annotated[Path, typer.Option("--securities", help="CSV of registers 证券, one a line.")]
HOLDINGS = Annotated[Path, typer.Option("--holdings", help="CSV of holdings 持有人名册, one a line.")]
_STAGES = {"accounts": "账户 accounts", "holdings": "名册 holdings", "registers": "对账 registers"}

Work = Callable[[Desk, AdapterChain, Journal], Awaitable[render.Row]]
Bar = Callable[[str, int, int], None]


def _run(config: Path, work: Work, as_json: bool) -> render.Row:
    desk = Desk(load(config))

    async def main() -> render.Row:
        chain, journal = desk.chain(), desk.journal()
        try:
            return await work(desk, chain, journal)
        finally:
            await chain.close()
            journal.close()

    row = asyncio.run(main())
    show(row, as_json)
    return row


@contextmanager
def _bar(as_json: bool) -> Iterator[Bar]:
    """A progress bar on standard error, where a person looks."""
    console = Console(file=sys.stderr)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=as_json or not console.is_terminal) as bar:
        tasks = {name: bar.add_task(text, total=None, visible=False) for name, text in _STAGES.items()}
        yield lambda stage, done, total: bar.update(tasks[stage], completed=done, total=total, visible=True)


@app.command("import")
def import_roll(
    config: CONFIG,
    securities: SECURITIES,
    holdings: HOLDINGS,
    accounts: Annotated[
        Path | None, typer.Option("--accounts", help="CSV of parties to register first 账户; absent: they are there.")
    ] = None,
    as_json: JSON = False,
) -> None:
    """Bring a legacy book onto the chain 存量补录. Interrupted, give the same files again: nothing is sent twice."""
    roll = read_roll(securities, holdings, accounts)

    async def work(desk: Desk, chain: AdapterChain, journal: Journal) -> render.Row:
        with _bar(as_json) as progress:
            importer = Importer(
                desk.naming(chain),
                desk.operator(chain, journal),
                desk.registrar(chain, journal),
                four_eyes=desk.config.cosigner is not None,
                progress=progress,
            )
            done = await importer.run(roll)
        return {
            "done": "已补录 imported",
            "accounts": done.accounts,
            "securities": done.securities,
            "holdings": done.holdings,
            "earlier": done.earlier,
            "next": "dualchain local adapter reconcile",
        }

    _run(config, work, as_json)


@app.command()
def reconcile(
    config: CONFIG,
    securities: SECURITIES,
    holdings: HOLDINGS,
    out: Annotated[Path | None, typer.Option("--out", help="CSV file for every listed difference 差异清单.")] = None,
    as_json: JSON = False,
) -> None:
    """Hold a book against the chain 日终对账, each register proven complete. Exit code 2 when they differ."""
    roll = read_roll(securities, holdings)
    found: list[Report] = []

    async def work(desk: Desk, chain: AdapterChain, _: Journal) -> render.Row:
        with _bar(as_json) as progress:
            report = await compare(
                roll, desk.naming(chain), chain, lambda done, total: progress("registers", done, total)
            )
        found.append(report)
        return _report(report)

    _run(config, work, as_json)
    (report,) = found
    if out is not None:
        _write(out, report)
    if not report.equal:
        raise typer.Exit(2)


@app.command()
def outbox(
    config: CONFIG,
    create: Annotated[bool, typer.Option("--create", help="Make the table first, where it is missing 建表.")] = False,
    as_json: JSON = False,
) -> None:
    """Hand in what is new in the business system's table 发件箱, and write the results back; run it from a timer."""

    async def work(desk: Desk, chain: AdapterChain, journal: Journal) -> render.Row:
        section = desk.config.outbox
        if section is None:
            raise ConfigRefused("needed for this command", where="outbox", next_step="see docs/spec/adapter.md §6")
        table = Outbox(section.url, section.table)
        try:
            if create:
                table.create()
            done, not_done, submitter = 0, 0, desk.operator(chain, journal)
            while sum(carried := await carry(table, submitter, section.batch)):
                done, not_done = done + carried[0], not_done + carried[1]
        finally:
            table.close()
        return {"done": done, "refused": not_done}

    _run(config, work, as_json)


def _report(report: Report) -> render.Row:
    return {
        "result": "相符 equal" if report.equal else "不符 different",
        "equal": report.equal,
        "securities": report.securities,
        "holdings": report.holdings,
        "units_in_book": report.units_in_book,
        "units_on_chain": report.units_on_chain,
        "heights": [report.lowest_height, report.highest_height],
        "differences": report.count,
        "first": {str(place): one.row() for place, one in enumerate(report.differences[:20])},
        "verified": True,
    }


def _write(path: Path, report: Report) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("kind", "security", "holder", "line", "in_book", "on_chain"))
        writer.writerows(one.row().values() for one in report.differences)
