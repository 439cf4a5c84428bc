"""``dualchain supervisory directives``: issue, confirm, follow (docs/spec/directives.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, identifier
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.packets import (
    ALL_SERVICES,
    DEMANDS,
    DIRECTIVE_KINDS,
    DIRECTIVES,
    SUBJECTS,
    count_in,
    directive_next_key,
)
from supervisory_chain.directives import EXECUTED, ISSUED, Directives, record_key
from supervisory_chain.regulating.common import (
    ACCOUNT,
    CHAIN,
    KEY,
    REFERENCE,
    Acting,
    act,
    chain_of,
    clock,
    line_of,
    moment,
    table,
    tell,
    value,
    values,
)

app = typer.Typer(
    help="Directives 监管指令 to markets: two officers issue one, proofs follow it.", no_args_is_help=True
)

KIND = Annotated[str, typer.Argument(help=f"What it orders: {', '.join(sorted(DIRECTIVE_KINDS))}.")]
NUMBER = Annotated[int, typer.Argument(min=1, help="Number of the proposed directive, as `issue` and `list` show it.")]
SEQUENCE = Annotated[int, typer.Argument(min=0, help="Sequence of the directive, as `list` shows it.")]
DEADLINE = Annotated[str, typer.Option("--deadline", help="By when 期限, for example 2026-12-31T17:00 (UTC+8).")]
HOLDER = Annotated[str, typer.Option("--holder", help="Whom it is about: account id on the market's chain.")]
SECURITY = Annotated[str, typer.Option("--security", help="Which instrument: its id on the market's chain.")]
TEMPLATE = Annotated[str, typer.Option("--template", help="Which contract template: its name.")]
SERVICE = Annotated[str, typer.Option("--service", help="Which service: its id, or `all` of the market's.")]
LIFTS = Annotated[int, typer.Option("--lifts", help="Sequence of the one directive it ends; else all of the subject.")]

SEE = "look at `supervisory directives list`"
TITLES = (
    "序号 seq.",
    "指令 kind",
    "对象 subject",
    "期限 deadline (UTC+8)",
    "状态 status",
    "答复 answer",
    "依据 reference",
)
STATUS = {
    "issued": "待执行 issued",
    "executed": "已执行 executed",
    "not_executed": "未能执行 not_executed",
    "ack_lost": "回执已放弃 ack_lost",
    "proposed": "待确认 proposed",
}
OVERDUE, ON_TIME, LATE = "逾期 OVERDUE", "按期 on time", "迟延 late"


@app.command()
def issue(
    chain: CHAIN,
    kind: KIND,
    deadline: DEADLINE,
    reference: REFERENCE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    holder: HOLDER = "",
    security: SECURITY = "",
    template: TEMPLATE = "",
    service: SERVICE = "",
    lifts: LIFTS = -1,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose a directive; nothing binds until another officer confirms its number."""
    if kind not in DIRECTIVE_KINDS:
        next_step = f"use {', '.join(sorted(DIRECTIVE_KINDS))}"
        raise MalformedBytes(f"{kind!r} is no directive", where="KIND", next_step=next_step)
    wanted: dict[str, Value] = {"kind": kind, "deadline_ms": moment(deadline, "--deadline"), "reference": reference}
    wanted |= {"account": identifier(holder, "--holder")} if holder else {}
    wanted |= {"security": identifier(security, "--security")} if security else {}
    wanted |= {"template": template} if template else {}
    if service:
        wanted["service"] = ALL_SERVICES if service == "all" else identifier(service, "--service")
    wanted |= {"lifts": lifts} if lifts >= 0 else {}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), **wanted}

    async def after(client: VerifyingClient) -> render.Row:
        mine = {**await args(client), "issuer": identifier(account, "--account")}
        numbers = [number for number, row in await _proposed(client) if row == mine]
        return {
            "number": max(numbers, default=None),
            "next": "another officer: `directives confirm NUMBER`",
        }

    act(
        Directives(),
        "issue",
        args,
        {"chain": chain, "kind": kind, "status": "proposed"},
        Acting(account, key, passphrase, node, genesis, as_json),
        SEE,
        after,
    )


@app.command()
def confirm(
    number: NUMBER,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Confirm a proposed directive of another officer: from now on it binds the market."""
    _decide("confirm", number, account, key, passphrase, node, genesis, as_json)


@app.command()
def withdraw(
    number: NUMBER,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """End a proposed directive; a confirmed one is lifted by its opposite."""
    _decide("withdraw", number, account, key, passphrase, node, genesis, as_json)


@app.command("list")
def list_directives(
    chain: CHAIN,
    node: NODES,
    genesis: GENESIS,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only those that are overdue.")] = False,
    as_json: JSON = False,
) -> None:
    """All directives to a market, complete by construction: proposed ones first, then by sequence."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        header, (raw,) = await client.state([directive_next_key(identity)])
        rows = await _find(client, identity, range(count_in(raw)), header.time_ms)
        waiting = [
            {"number": number, "status": "proposed", **cast(dict[str, Any], render.plain(row)), "overdue": False}
            for number, row in await _proposed(client)
            if row["chain"] == identity
        ]
        chosen = [row for row in (*waiting, *rows) if row["overdue"] or not overdue]
        return {"height": header.height, "time_ms": header.time_ms, "directives": chosen}

    tell(genesis, node, ask, as_json, _lines)


@app.command("show")
def show_directive(chain: CHAIN, sequence: SEQUENCE, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """One directive: who issued and confirmed it, its acknowledgement, its answer, its case."""

    async def ask(client: VerifyingClient) -> render.Row:
        header = await client.header()
        (row,) = await _find(client, await chain_of(client, chain), [sequence], header.time_ms)
        return row

    tell(genesis, node, ask, as_json, render.lines)


def _decide(
    method: str,
    number: int,
    account: str,
    key: Any,
    passphrase: str,
    node: list[str],
    genesis: Any,
    as_json: bool,
) -> None:
    shown: render.Row = {"number": number, "done": method}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        proposed = dict(await _proposed(client)).get(number)
        if proposed is not None:  # what is confirmed is said, and who proposed it
            shown.update(cast(dict[str, Any], render.plain(proposed)))
        return {"number": number}

    async def after(client: VerifyingClient) -> render.Row:
        return shown

    act(
        Directives(),
        method,
        args,
        {},
        Acting(account, key, passphrase, node, genesis, as_json),
        SEE,
        after,
    )


async def _proposed(client: VerifyingClient) -> list[tuple[int, dict[str, Value]]]:
    """All proposed directives with their numbers."""
    _, queue = await value(client, state_key(DIRECTIVES, b"q"))
    numbers = [] if queue is None else cast(list[int], queue["open"])
    rows = await values(client, [_proposed_key(number) for number in numbers])
    return [(number, row) for number, row in zip(numbers, rows, strict=True) if row is not None]


def _proposed_key(number: int) -> bytes:
    return state_key(DIRECTIVES, b"p" + number.to_bytes(8, "big"))


async def _find(client: VerifyingClient, chain: bytes, sequences: Sequence[int], now_ms: int) -> list[dict[str, Any]]:
    """Directives' records, each at the chain or at the one of its line that carried it out. Raises NotFound."""
    found: dict[int, dict[str, Any]] = {}
    for one in await line_of(client, chain):
        missing = [sequence for sequence in sequences if sequence not in found]
        records = await values(client, [record_key(one, sequence) for sequence in missing])
        for sequence, record in zip(missing, records, strict=True):
            if record is not None:
                row = cast(dict[str, Any], render.plain(record))
                overdue = is_overdue(row, now_ms)
                found[sequence] = {"chain": one.hex(), "sequence": sequence, **row, "overdue": overdue}
    for sequence in sequences:
        if sequence not in found:
            raise NotFound(f"there is no directive {sequence}", where=chain.hex(), next_step=SEE)
    return [found[sequence] for sequence in sequences]


def is_overdue(row: dict[str, Any], now_ms: int) -> bool:
    """Past its deadline, and not carried out or, of a demand, not answered."""
    waits = row["kind"] in DEMANDS and row["status"] == EXECUTED and row.get("answer") is None
    return int(row["deadline_ms"]) < now_ms and (row["status"] == ISSUED or waits)


def _lines(row: render.Row) -> list[str]:
    rows = [
        (
            one["sequence"] if "sequence" in one else f"#{one['number']}",
            one["kind"],
            _subject(one),
            clock(one["deadline_ms"]),
            OVERDUE if one["overdue"] else STATUS.get(one["status"], one["status"]),
            _answered(one),
            one["reference"],
        )
        for one in row["directives"]
    ]
    known = f"已验证 verified, height {row['height']}, {clock(row['time_ms'])}"
    return [*table(TITLES, rows, "没有指令 no directives"), known]


def _subject(row: dict[str, Any]) -> str:
    name = SUBJECTS.get(row["kind"], "")
    found = str(row.get(name, "-")) if name else "-"
    return "全部服务 all services" if found == ALL_SERVICES.hex() else found


def _answered(row: dict[str, Any]) -> str:
    answer = row.get("answer") or (row.get("ack") if row["kind"] not in DEMANDS else None)
    return "-" if answer is None else ON_TIME if answer["on_time"] else LATE
