"""``dualchain demo``: run the demonstration, verify its evidence, stop a network that was kept up."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="Three chains of real processes and a market's day, with evidence.", no_args_is_help=True)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "market-day"


@app.command()
def run(
    inputs: Annotated[Path, typer.Option("--input", help="Directory with the input files (CSV).")] = EXAMPLE,
    work: Annotated[Path, typer.Option("--work-dir", help="New directory for all files.")] = Path("demo-work"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the network running afterwards.")] = False,
) -> None:
    """Run the story. Exit codes: 0 all steps verified, 1 refused (said on stderr), 130 Ctrl-C."""
    from dualchain.demo.report import Report
    from dualchain.demo.story import prepare

    story = prepare(work, inputs, Report(Console()))
    raise typer.Exit(asyncio.run(_run(story, keep)))


async def _run(story: object, keep: bool) -> int:
    from dualchain.demo import kept
    from dualchain.demo.story import Story, finish
    from dualchain.demo.story import run as tell

    assert isinstance(story, Story)
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    done = False
    try:
        await tell(story)
        done = True
    except asyncio.CancelledError:
        story.report.fact("stopped on request; ending all processes")
        return 130
    finally:
        if keep and done:
            await asyncio.gather(*(desk.client.close() for desk in story.desks.values()))
            kept.leave_running(story)
        else:
            await asyncio.shield(finish(story))
    return 0


@app.command()
def verify(
    directory: Annotated[Path, typer.Argument(help="The evidence directory.")],
    genesis: Annotated[list[str], typer.Option("--genesis", help="Genesis hash of a chain; once a chain.")],
    manifest: Annotated[str, typer.Option("--manifest", help="SM3 of manifest.json, as the run printed it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute every claim of the summary from the evidence, believing the given hashes alone."""
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


@app.command()
def stop(directory: Annotated[Path, typer.Argument(help="Work directory of a network that was kept up.")]) -> None:
    """Stop a network that was left running."""
    from dualchain.demo import kept

    typer.echo(f"stopped {kept.stop(directory)} processes")
