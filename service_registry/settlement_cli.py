"""Commands of ``dualchain registry`` about usage and settlement (docs/spec/service-records.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chain_core.node.command import JSON, identifier, show
from service_registry.session import run


def add_to(app: typer.Typer) -> None:
    """Puts them among the others."""
    app.command()(usage)


def usage(
    service: Annotated[str, typer.Argument(help="Service id, 32 hexadecimal digits.")],
    config: Annotated[Path, typer.Option("--config", help="TOML file that says who you are and which nodes you ask.")],
    month: Annotated[
        int, typer.Option("--month", help="Only this month, yyyymm in UTC+8.", min=0, max=999_912, show_default=False)
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Usage statements for settlement: calls by code, amount and what disputes struck off, proven."""
    from service_registry.statements import statements

    identity = identifier(service, "SERVICE")
    show(run(config, lambda session: statements(session.chain, identity, month)), as_json)
