"""``dualchain demo``: run the demonstration, verify its evidence, stop a network that was kept up."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from dualchain.demo.story import Story

app = typer.Typer(help="Three chains of real processes and a market's day, with evidence.", no_args_is_help=True)

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "market-day"


@app.command()
def run(
    inputs: Annotated[Path, typer.Option("--input", help="Directory with the input files (CSV).")] = EXAMPLE,
    work: Annotated[Path, typer.Option("--work-dir", help="New directory for all files.")] = Path("demo-work"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running until `demo stop`.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove what an earlier demonstration left in the work directory.")
    ] = False,
) -> None:
    """Run the demonstration, about a minute. Exit codes: 0 all verified, 1 refused (see stderr), 130 Ctrl-C."""
    from dualchain.demo.report import Report
    from dualchain.demo.story import prepare

    story = prepare(work, inputs, Report(Console()), replace=replace)
    raise typer.Exit(asyncio.run(_run(story, keep)))


@app.command()
def bureau(
    config: Annotated[Path, typer.Option("--config", help="The stand-in's TOML file 配置文件.")],
) -> None:
    """Run a stand-in for a region's data bureau 政务数据主管部门 until SIGTERM or Ctrl-C, for tests and trials."""
    from dualchain.demo.bureau import run

    asyncio.run(run(config))


async def _run(story: Story, keep: bool) -> int:
    from dualchain.demo import kept
    from dualchain.demo.story import close_clients, finish
    from dualchain.demo.story import run as tell

    telling = asyncio.create_task(tell(story))
    # Asked to stop once more while everything is being ended: there is nothing left to cancel.
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, telling.cancel)
    told = False
    try:
        await telling
        told = True
    except asyncio.CancelledError:
        story.report.fact("stopped on request; ending all processes")
        return STOPPED
    finally:
        if keep and told:
            await close_clients(story)
            kept.leave_running(story)
        else:
            await finish(story)
    if not keep:
        story.report.say("all processes have ended; with KEEP=1 (--keep) the network stays up to be asked")
    return 0


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(help="The evidence directory.")],
    genesis: Annotated[
        list[str],
        typer.Option("--genesis", help="Genesis hash as printed; repeat for each chain."),
    ],
    manifest: Annotated[str, typer.Option("--manifest", help="SM3 of manifest.json, as the run printed it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute every claim of the summary from the evidence, believing the given hashes alone."""
    from dualchain.demo.report import shown_articles
    from dualchain.demo.verify import verify as check

    found = check(directory, genesis, manifest)
    counts = {"files": found.files, "headers": found.headers, "receipts": found.receipts, "state_values": found.values}
    if as_json:
        typer.echo(json.dumps({"verified": True, **counts, "summary": found.summary}, ensure_ascii=False))
        return
    typer.echo("verified: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()))
    for market, row in found.summary["markets"].items():
        text = f"{row['orders_settled']} orders settled, {row['orders_refused']} refused, rolls and money reconciled"
        typer.echo(f"  {market}: {text}")
    typer.echo(f"  articles of the guideline shown 指引条款: {shown_articles(found.summary)}")


@app.command()
def stop(directory: Annotated[Path, typer.Argument(help="The run's --work-dir.")]) -> None:
    """Stop a network that `demo run --keep` left running, or that an aborted run left behind."""
    from dualchain.demo import kept

    typer.echo(f"stopped {kept.stop(directory)} processes")
