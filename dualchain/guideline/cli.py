"""``dualchain guideline``: the articles asked of a running network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer
from rich.console import Console

from chain_core.types.errors import LocalFault

if TYPE_CHECKING:
    from dualchain.guideline.asking import Network
    from dualchain.guideline.examination import Finding

app = typer.Typer(help="The guideline's articles 区块链建设指引, asked of a running network.", no_args_is_help=True)


class NothingNamed(LocalFault):
    """Neither a file nor a demonstration's directory was named, or both."""

    code = "BAD_USAGE"


@app.callback()
def _group() -> None:
    """The guideline's articles, asked of a running network."""


@app.command()
def report(
    config: Annotated[Optional[Path], typer.Option("--config", help="TOML file that names the chains.")] = None,  # noqa: UP045
    demo: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--demo-dir", help="Work directory of a demonstration that was kept up."),
    ] = None,
    article: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option("--article", help="Only this article; repeat for several."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Each article with its verdict and live evidence. Exit codes: 0 all hold, 1 one fails or is unproven."""
    from dualchain.guideline.articles import ARTICLES
    from dualchain.guideline.config import FILE
    from dualchain.guideline.report import as_rows, proven, show

    if (config is None) == (demo is None):
        raise NothingNamed("name --config or --demo-dir, one of the two", next_step="dualchain guideline report --help")
    unknown = sorted(set(article or ()) - set(ARTICLES))
    if unknown:
        raise NothingNamed(f"article {unknown[0]} has no check", next_step=f"these have one: {sorted(ARTICLES)}")
    path = config if config is not None else (demo or Path()) / FILE
    network, findings = asyncio.run(_examined(path, article or ()))
    if as_json:
        typer.echo(json.dumps(as_rows(network, findings), ensure_ascii=False))
    else:
        show(Console(), findings)
    raise typer.Exit(0 if proven(findings) else 1)


async def _examined(path: Path, numbers: Sequence[int]) -> tuple[Network, list[Finding]]:
    """The network is opened inside of the loop that its connections belong to."""
    from dualchain.guideline.config import read_network
    from dualchain.guideline.report import examine_all

    network = read_network(path)
    try:
        return network, await examine_all(network, numbers)
    finally:
        await network.close()
