"""``dualchain registry testbed`` (docs/spec/publishing.md §4)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def keep_testbed(
    directory: Annotated[Path, typer.Argument(help="New directory for keys, chains and configuration files.")] = Path(
        "testbed"
    ),
) -> None:
    """A network to try services in, until Ctrl-C 试验网: four nodes, two admitted markets, gateway, tester."""
    from dualchain.testbed.bed import run

    asyncio.run(run(directory, typer.echo))
