"""``dualchain supervisory desk``: notices, inspections, advisories, filings, the calendar (docs/spec/desk.md).

The commands of a machine are made from its table: a step that is added there is a command here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, cast

import typer

from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
from crosschain.packets import count_in
from supervisory_chain.desk.contract import Desk, arguments_of
from supervisory_chain.desk.machines import MACHINES, Step, Whose
from supervisory_chain.desk.records import matter_key, next_key
from supervisory_chain.regulating import desk_calendar_cli
from supervisory_chain.regulating.common import ACCOUNT, CHAIN, KEY, Acting, act, chain_of, clock, table, tell, values
from supervisory_chain.regulating.desk_filings_cli import common, compare
from supervisory_chain.regulating.desk_options import CHAINS_NAMED, option_of, read_option, shown_fields

app = typer.Typer(help="The desk 监管工作台: notices, inspections, advisories, filings.", no_args_is_help=True)
app.add_typer(desk_calendar_cli.app, name="calendar")

NUMBER = Annotated[int, typer.Argument(min=0, help="Number of the record 编号, as `list` shows it.")]
ONE_CHAIN = Annotated[str, typer.Option("--chain", help="One market's chain alone: region code or genesis hash.")]
LATE = Annotated[str, typer.Option("--late", help="The market that did not patch in time: region code or chain.")]
ONE_STATE = Annotated[str, typer.Option("--state", help="Records in this state alone.")]

TITLES = ("编号 no.", "状态 state", "事项 subject", "内容 fields", "最近办理 last step", "时间 time")
NEWEST = 32
"""Records among which a new one's number is looked for, since others may begin records at the same time."""
NAMES = {
    "notice": ("notices", "升级、迁移通知"),
    "inspection": ("inspections", "检查"),
    "advisory": ("advisories", "安全公告"),
    "patch": ("patches", "补丁记录"),
    "filing": ("filings", "模板备案"),
}
"""Command and Chinese name of each machine."""
MORE: dict[str, dict[str, Callable[..., None]]] = {"filing": {"common": common, "compare": compare}}
"""Commands of a machine besides its steps."""
_COMMON = {
    "account": ACCOUNT,
    "key": KEY,
    "node": NODES,
    "genesis": GENESIS,
    "passphrase": PASSPHRASE,
    "as_json": JSON,
}
_DEFAULTS: dict[str, object] = {"passphrase": "", "as_json": False}


def _machine(machine: str) -> None:
    command, chinese = NAMES[machine]
    part = typer.Typer(help=f"{command.capitalize()} {chinese}: list, show, and every step.", no_args_is_help=True)
    app.add_typer(part, name=command)
    part.command("list", help=f"All {command} 列表: numbers have no gaps, so the proven list is complete.")(
        _listing(machine)
    )
    for name, command_of_it in MORE.get(machine, {}).items():
        part.command(name)(command_of_it)
    part.command("show", help="One record with every step taken, proven.")(_showing(machine))
    for step in MACHINES[machine].values():
        part.command(step.name.replace("_", "-"), help=_help_of(step))(_taking(command, step))


def _help_of(step: Step) -> str:
    who = ", ".join(sorted(step.roles)) or "anybody"
    more = f", {step.whose.value}" if step.whose is not Whose.ANY else ""
    more += f" than took {step.other_than}" if step.whose is Whose.OTHER else ""
    begins = f"from {', '.join(step.sources)}" if step.sources else "a new record"
    return f"{begins[0].upper()}{begins[1:]} to {step.target}; by {who}{more}."


def _taking(command: str, step: Step) -> Callable[..., None]:
    kinds = arguments_of(step)

    def take(**given: Any) -> None:
        acting = Acting(*(given.pop(name) for name in ("account", "key", "passphrase", "node", "genesis", "as_json")))
        wanted: dict[str, Value] = {}
        for name, kind in kinds.items():
            read = read_option(name, kind, given[name])
            if read is not None:
                wanted[name] = read

        async def args(client: VerifyingClient) -> dict[str, Value]:
            return wanted | {name: await chain_of(client, given[name]) for name in CHAINS_NAMED if name in kinds}

        async def after(client: VerifyingClient) -> render.Row:
            if step.sources:
                (row,) = await read_matters(client, [given["number"]])
                return {"record": row["number"], "state": row["state"]}
            _, (raw,) = await client.state([next_key()])
            newest = await read_matters(client, range(max(0, count_in(raw) - NEWEST), count_in(raw)))
            own = [row["number"] for row in newest if row["filer"] == acting.account and row["state"] == step.target]
            return {"record": own[-1] if own else None, "state": step.target}

        act(Desk(), step.name, args, {"done": step.name}, acting, f"look at `supervisory desk {command} show`", after)

    annotated: dict[str, tuple[Any, object]] = {}
    for name, kind in kinds.items():
        fixed = {"number": (NUMBER, ...), "chain": (CHAIN, ...), "late": (LATE, ...)}
        annotated[name] = fixed.get(name) or option_of(name, kind)
    annotated |= {name: (hint, _DEFAULTS.get(name, ...)) for name, hint in _COMMON.items()}
    kind_of = inspect.Parameter
    signature = [
        kind_of(name, kind_of.KEYWORD_ONLY, annotation=hint, default=kind_of.empty if default is ... else default)
        for name, (hint, default) in annotated.items()
    ]
    take.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    take.__annotations__ = {name: hint for name, (hint, _) in annotated.items()}
    return take


def _listing(machine: str) -> Callable[..., None]:
    def list_records(
        node: NODES, genesis: GENESIS, chain: ONE_CHAIN = "", state: ONE_STATE = "", as_json: JSON = False
    ) -> None:
        async def ask(client: VerifyingClient) -> render.Row:
            wanted = (await chain_of(client, chain)).hex() if chain else ""
            header, (raw,) = await client.state([next_key()])
            rows = [
                row
                for row in await read_matters(client, range(count_in(raw)))
                if row["machine"] == machine and wanted in ("", row["chain"]) and state in ("", row["state"])
            ]
            return {"height": header.height, "records": rows}

        tell(genesis, node, ask, as_json, _lines)

    return list_records


def _showing(machine: str) -> Callable[..., None]:
    def show_record(number: NUMBER, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
        async def ask(client: VerifyingClient) -> render.Row:
            (row,) = await read_matters(client, [number])
            if row["machine"] != machine:
                raise _no_record(number, f"it is one of the {NAMES[row['machine']][0]}")
            return row

        tell(genesis, node, ask, as_json, render.lines)

    return show_record


async def read_matters(client: VerifyingClient, numbers: range | list[int]) -> list[dict[str, Any]]:
    """Records as they are shown: hashes in hexadecimal digits, times as clocks show them. Raises NotFound."""
    found = await values(client, [matter_key(number) for number in numbers])
    rows = []
    for number, matter in zip(numbers, found, strict=True):
        if matter is None:
            raise _no_record(number, "the desk has no such number")
        row = cast(dict[str, Any], render.plain(matter))
        steps = [{**step, "time": clock(step["time_ms"])} for step in row["steps"]]
        rows.append({"number": number, **row, "fields": shown_fields(row["fields"]), "steps": steps})
    return rows


def _no_record(number: int, why: str) -> NotFound:
    return NotFound(f"there is no record {number} here: {why}", where="NUMBER", next_step="use `list`")


def _lines(row: render.Row) -> list[str]:
    rows = [
        (
            one["number"],
            one["state"],
            one["subject"],
            "; ".join(f"{name} {_short(field)}" for name, field in one["fields"].items()),
            one["steps"][-1]["step"],
            one["steps"][-1]["time"],
        )
        for one in row["records"]
    ]
    return [*table(TITLES, rows, "没有记录 no records"), f"已验证 verified, height {row['height']}"]


def _short(field: Any) -> str:
    text = str(field)
    return text if len(text) <= 24 else text[:21] + "..."


for _name in MACHINES:
    _machine(_name)
