"""``dualchain supervisory desk calendar``: the State Council's working days (docs/spec/desk.md §3)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from supervisory_chain.desk.contract import Desk
from supervisory_chain.desk.working_days import calendar, calendar_key, proposed_calendar_key
from supervisory_chain.regulating.common import ACCOUNT, KEY, Acting, act, tell
from supervisory_chain.regulating.desk_options import day_number, day_text

app = typer.Typer(help="The State Council's calendar 国务院工作日历.", no_args_is_help=True)

FILE = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        readable=True,
        help='JSON file {"holidays": ["2026-10-01", ...], "workdays": [make-up weekends, ...]}, ascending.',
    ),
]


@app.command("show")
def show_calendar(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """Holidays and make-up weekends in force, and those that wait for a second officer; proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        header, (raw, proposed) = await client.state([calendar_key(), proposed_calendar_key()])
        known = calendar(raw)
        row: render.Row = {"height": header.height, "version": 0 if raw is None else known.version}
        row |= {"holidays": [day_text(d) for d in known.holidays], "workdays": [day_text(d) for d in known.workdays]}
        if proposed is not None:
            waiting = decode_map(proposed, "proposed calendar")
            lists = decode_map(waiting["lists"], "proposed days")  # type: ignore[arg-type]
            row["proposed"] = {name: [day_text(d) for d in days] for name, days in lists.items()}  # type: ignore[union-attr,arg-type]
            row["proposed_by"] = waiting["by"].hex()  # type: ignore[union-attr]
        return row

    tell(genesis, node, ask, as_json, render.lines)


@app.command("set")
def set_days(
    file: FILE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose the days of a file, or confirm them: two officers name the same; role csrc. Days up to today stay."""
    lists = _read(file)

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return lists

    async def after(client: VerifyingClient) -> render.Row:
        _, (raw, proposed) = await client.state([calendar_key(), proposed_calendar_key()])
        waits = proposed is not None
        return {"version": 0 if raw is None else calendar(raw).version, "waits_for_another_officer": waits}

    acting = Acting(account, key, passphrase, node, genesis, as_json)
    act(
        Desk(),
        "set_calendar",
        args,
        {"done": "set_calendar"},
        acting,
        "look at `supervisory desk calendar show`",
        after,
    )


def _read(file: Path) -> dict[str, Value]:
    next_step = 'write {"holidays": ["2026-10-01"], "workdays": []}'
    try:
        given = json.loads(file.read_text("utf-8"))
        lists: dict[str, Value] = {}
        for name in ("holidays", "workdays"):
            lists[name] = [day_number(str(day), f"{file}, {name}") for day in given[name]]
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedBytes("the file is no calendar", where=str(file), next_step=next_step) from error
    return lists
