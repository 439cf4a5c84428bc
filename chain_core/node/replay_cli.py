"""``dualchain node replay``: run a flight recording again, and say whether everything came out the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node.command import JSON, show
from chain_core.node.replay import replay as run

DIRECTORY = Annotated[Path, typer.Argument(help="Directory of the recording, recording/ in the node's data directory.")]


def replay(directory: DIRECTORY, as_json: JSON = False) -> None:
    """Run a flight recording offline through this build's consensus core. Exit code 4: something differs."""
    told = run(directory)
    show({"same": not told.differences} | dataclasses.asdict(told), as_json)
    if told.differences:
        raise typer.Exit(4)
