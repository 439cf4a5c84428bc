"""``dualchain crypto``: the crypto providers of this machine. Commands parse, call and print (docs/spec/crypto.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from chain_core.crypto.providers import available_providers, choices, provider, provider_named, signing_provider
from chain_core.crypto.rates import Figures, machine, measure
from chain_core.node.command import JSON, show

app = typer.Typer(help="Crypto providers of this machine: which are used, what each can do.", no_args_is_help=True)

SECONDS = Annotated[float, typer.Option("--seconds", min=0.01, max=60, help="CPU time of each of a figure's turns.")]
ONLY = Annotated[list[str] | None, typer.Option("--provider", help="Measure this one; repeat for more. Default: all.")]


@app.command()
def providers(as_json: JSON = False) -> None:
    """Show which provider verifies and hashes here and why, why the others do not, and which one signs."""
    rows = choices()
    if as_json:
        chosen = next((row.name for row in rows if row.chosen), None)
        show({"chosen": chosen, "signs": "openssl", "providers": [asdict(row) for row in rows]}, True)
    else:
        for row in rows:
            typer.echo(f"{'*' if row.chosen else ' '} {row.name:<12} {row.why}")
        typer.echo("  signatures   openssl, always")
    provider()
    signing_provider()


@app.command()
def bench(seconds: SECONDS = 0.3, only: ONLY = None, as_json: JSON = False) -> None:
    """Measure each provider in one thread: signing, verification beside the library's own rate, hashing, sealing."""
    reasons = available_providers()
    for name in only or ():
        provider_named(name)
    figures: dict[str, Figures] = {}
    for name, reason in reasons.items():
        if not reason and name in (only or reasons):
            typer.echo(f"measuring {name}", err=True)
            figures[name] = measure(provider_named(name), seconds)
    unavailable = {name: reason for name, reason in reasons.items() if reason}
    if as_json:
        show(machine() | {"seconds": seconds, "providers": figures, "unavailable": unavailable}, True)
        return
    typer.echo("  ".join(f"{key}: {value}" for key, value in machine().items()))
    for name, row in figures.items():
        typer.echo(name)
        for figure, value in row.items():
            typer.echo(
                f"  {figure:<20} {value:>14,.3f}" if figure.endswith("ratio") else f"  {figure:<20} {value:>14,}"
            )
    for name, reason in unavailable.items():
        typer.echo(f"{name}: cannot run here: {reason}")
