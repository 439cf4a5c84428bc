"""``dualchain supervisory cases``: what the regulator has to look at, without gaps (docs/spec/registration.md §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
from crosschain.channel import AFTER_REFUND, CONFLICTING, EARLY, LATE, PASSED_OVER
from crosschain.packets import count_in
from supervisory_chain.cases import OPEN, RISK_ALARM, Cases, case_key, count_key
from supervisory_chain.regulating.common import (
    ACCOUNT,
    CHAIN,
    KEY,
    REFERENCE,
    Acting,
    act,
    all_chains,
    chain_of,
    clock,
    line_of,
    table,
    tell,
    values,
)

app = typer.Typer(
    help="Cases 案件: forks, equivocations, what is overdue; the regulator closes them.", no_args_is_help=True
)

NUMBER = Annotated[int, typer.Argument(min=0, help="Number of the case 案件编号.")]
ONE_CHAIN = Annotated[str, typer.Option("--chain", help="One market's chain alone: region code or genesis hash.")]
ONLY_OPEN = Annotated[bool, typer.Option("--open", help="Only those that are not closed.")]

TITLES = ("市场 market", "编号 no.", "类别 kind", "时间 time", "状态 status", "事实 facts")
KINDS = {
    "fork": "分叉 fork",
    "equivocation": "双签 equivocation",
    "equivocators": "多方双签 equivocators",
    "conflicting_packet": "报文冲突 conflicting_packet",
    "overdue_directive": "指令逾期 overdue_directive",
    "overdue_rectification": "整改逾期 overdue_rectification",
    "endpoint_drift": "接入点异常 endpoint_drift",
    "overdue_patch": "补丁逾期 overdue_patch",
    RISK_ALARM: "风险报警 risk_alarm",
    "unannounced_change": "未通知的变更 unannounced_change",
    CONFLICTING: "请求冲突 conflicting_request",
    PASSED_OVER: "跳过请求 passed_over",
    LATE: "逾期答复 answered_late",
    EARLY: "提前跳过 skipped_early",
    AFTER_REFUND: "退回后答复 answered_after_refund",
}
STATUS = {"open": "未结 open", "closed": "已结 closed"}


@app.command("list")
def list_cases(
    node: NODES, genesis: GENESIS, chain: ONE_CHAIN = "", only_open: ONLY_OPEN = False, as_json: JSON = False
) -> None:
    """All cases of all markets, or of one: numbers have no gaps, so the proven list is complete."""

    async def ask(client: VerifyingClient) -> render.Row:
        chains = [(chain, one) for one in await line_of(client, await chain_of(client, chain))] if chain else None
        rows: list[dict[str, Any]] = []
        for market, one in chains or await all_chains(client):
            _, (raw,) = await client.state([count_key(one)])
            rows += [{"market": market, **case} for case in await read_cases(client, one, range(count_in(raw)))]
        header = await client.header()
        return {"height": header.height, "cases": [row for row in rows if not only_open or row["status"] == OPEN]}

    tell(genesis, node, ask, as_json, _lines)


@app.command("show")
def show_case(chain: CHAIN, number: NUMBER, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """One case with all its facts, proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        (case,) = await read_cases(client, await chain_of(client, chain), [number])
        return case

    tell(genesis, node, ask, as_json, render.lines)


@app.command()
def close(
    chain: CHAIN,
    number: NUMBER,
    reference: REFERENCE,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Close a case 结案, as the regulator; the document named says what was decided."""

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), "number": number, "reference": reference}

    act(
        Cases(),
        "close",
        args,
        {"chain": chain, "case": number, "status": "closed"},
        Acting(account, key, passphrase, node, genesis, as_json),
        "look at `supervisory cases list`",
    )


async def read_cases(client: VerifyingClient, chain: bytes, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Cases as they are shown. Raises NotFound."""
    found = await values(client, [case_key(chain, number) for number in numbers])
    for number, case in zip(numbers, found, strict=True):
        if case is None:
            what = f"the chain has no case {number}"
            raise NotFound(what, where=chain.hex(), next_step="list them: `supervisory cases list`")
    return [
        {"chain": chain.hex(), "case": number, **cast(dict[str, Any], render.plain(case))}
        for number, case in zip(numbers, found, strict=True)
    ]


def _lines(row: render.Row) -> list[str]:
    rows = [
        (
            one["market"] if len(one["market"]) < 8 else one["market"][:8],
            one["case"],
            KINDS.get(one["kind"], one["kind"]),
            clock(one["time_ms"]),
            STATUS.get(one["status"], one["status"]),
            "; ".join(f"{name} {_short(fact)}" for name, fact in one["facts"].items()),
        )
        for one in row["cases"]
    ]
    return [*table(TITLES, rows, "没有案件 no cases"), f"已验证 verified, height {row['height']}"]


def _short(fact: Any) -> str:
    text = ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
    return text if len(text) <= 40 else text[:37] + "..."
