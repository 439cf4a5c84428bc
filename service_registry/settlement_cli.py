"""Commands of ``dualchain registry`` about usage and settlement (docs/spec/service-records.md)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from chain_core.node import render
from chain_core.node.command import JSON, identifier, show
from service_registry.session import Session, run


def add_to(app: typer.Typer) -> None:
    """Puts them among the others."""
    for command in (usage, dispute, claim, claims):
        app.command()(command)


SERVICE = Annotated[str, typer.Argument(help="Service id, 32 hexadecimal digits.")]
CONFIG = Annotated[Path, typer.Option("--config", help="TOML file that says who you are and which nodes you ask.")]


class Step(StrEnum):
    """What is done about a promise."""

    CLAIM = "claim"
    WITHDRAW = "withdraw"
    LAPSE = "lapse"


_STEPS = {Step.CLAIM: "claim_record", Step.WITHDRAW: "withdraw_claim", Step.LAPSE: "lapse_claim"}


def usage(
    service: SERVICE,
    config: CONFIG,
    month: Annotated[
        int, typer.Option("--month", help="Only this month, yyyymm in UTC+8.", min=0, max=999_912, show_default=False)
    ] = 0,
    as_json: JSON = False,
) -> None:
    """Usage statements for settlement: calls by code, amount and what disputes struck off, proven."""
    from service_registry.statements import statements

    identity = identifier(service, "SERVICE")
    show(run(config, lambda session: statements(session.chain, identity, month)), as_json)


def dispute(
    service: SERVICE,
    call_id: Annotated[int, typer.Option("--call-id", help="Which call.", min=1)],
    config: CONFIG,
    consumer: Annotated[
        str, typer.Option("--consumer", help="Whose call; without it your own.", show_default=False)
    ] = "",
    as_json: JSON = False,
) -> None:
    """Let the chain rule on the record of a call, as the gateway shows it; what is struck off leaves the statement."""
    from service_registry.settlement import dispute as settle

    identity = identifier(service, "SERVICE")
    named = identifier(consumer, "--consumer") if consumer else b""

    async def work(session: Session) -> render.Row:
        who = named or bytes.fromhex(session.actor.account)
        return await settle(session, identity, who, call_id)

    show(run(config, work), as_json)


def claim(
    step: Annotated[Step, typer.Argument(help="claim: there is no record; withdraw: it came; lapse: no answer came.")],
    promise: Annotated[str, typer.Option("--promise", help="The promise, hexadecimal, as call printed it.")],
    config: CONFIG,
    signature: Annotated[
        str, typer.Option("--signature", help="The gateway's, for claim; hexadecimal.", show_default=False)
    ] = "",
    as_json: JSON = False,
) -> None:
    """Hold a gateway to its promise that a call would be recorded."""
    from service_registry.settlement import claim as settle

    show(run(config, lambda session: settle(session, _STEPS[step], promise, signature)), as_json)


def claims(config: CONFIG, as_json: JSON = False) -> None:
    """Promises that are said to be unkept, and what became of them."""
    from service_registry.settlement import claims as listed

    show(run(config, listed), as_json)
