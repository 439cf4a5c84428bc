"""``dualchain supervisory risk``: indicators, alarms, thresholds (docs/spec/risk.md)."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.packets import chain_record_key, read_followed
from supervisory_chain.regulating.common import (
    ACCOUNT,
    CHAIN,
    KEY,
    KEYS_AT_ONCE,
    Acting,
    act,
    all_chains,
    chain_of,
    clock,
    table,
    tell,
)
from supervisory_chain.risk.contract import Risk, alarms_place, proposed_place, threshold_of, threshold_place
from supervisory_chain.risk.indicators import RISK, measure
from supervisory_chain.risk.thresholds import INDICATORS, Threshold

app = typer.Typer(help="Risk indicators 风险指标 of the markets: values, alarms, thresholds.", no_args_is_help=True)

INDICATOR = Annotated[str, typer.Argument(help=f"Which one: {', '.join(INDICATORS)}.")]
ONE = Annotated[str, typer.Argument(help="One market alone: region code or genesis hash; without it all.")]
RAISE_AT = Annotated[int, typer.Option("--raise-at", min=0, help="The alarm is raised at this value or above; 0: off.")]
CLEAR_AT = Annotated[int, typer.Option("--clear-at", min=0, help="It is cleared at this value or below.")]
SEVERITY = Annotated[int, typer.Option("--severity", min=1, max=3, help="Of its cases: 1 slight 轻微 to 3 grave 严重.")]

SEE = "look at `supervisory risk thresholds`"
KINDS = {"system": "系统 system", "data": "数据 data", "business": "业务 business"}
TITLES = ("市场 market", "类别 kind", "指标 indicator", "值 value", "报警值 raise at", "解除值 clear at", "报警 alarm")
THRESHOLD_TITLES = (
    "类别 kind",
    "指标 indicator",
    "报警值 raise at",
    "解除值 clear at",
    "级别 severity",
    "待确认 proposed",
)
MAX_ROUNDS = 8

_Known = dict[tuple[str, bytes], bytes | None]


@app.command("show")
def show_risk(node: NODES, genesis: GENESIS, chain: ONE = "", as_json: JSON = False) -> None:
    """Every indicator now, computed here from proven values, and which alarms stand since when."""

    async def ask(client: VerifyingClient) -> render.Row:
        chains = [(chain, await chain_of(client, chain))] if chain else await _followed(client)
        thresholds = await _thresholds(client)
        header = await client.header()
        markets = []
        for market, one in chains:
            found, height = await _measured(client, one, header.time_ms)
            _, (raw,) = await client.state([state_key(RISK, alarms_place(one))])
            alarms = {} if raw is None else cast(dict[str, Any], render.plain(decode_map(raw, "alarms")))
            rows = [_row(name, value, thresholds[name], alarms.get(name)) for name, value in found.items()]
            markets.append({"market": market, "chain": one.hex(), "height": height, "indicators": rows})
        return {"height": header.height, "time_ms": header.time_ms, "markets": markets}

    tell(genesis, node, ask, as_json, _lines)


@app.command("thresholds")
def show_thresholds(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """Every threshold in force 阈值, and those that wait for a second officer; proven."""

    async def ask(client: VerifyingClient) -> render.Row:
        found = await _thresholds(client)
        names = list(INDICATORS)
        header, waiting = await client.state([state_key(RISK, proposed_place(name)) for name in names])
        rows = []
        for name, raw in zip(names, waiting, strict=True):
            proposed = None if raw is None else render.plain(decode_map(raw, "proposed threshold"))
            row = {"indicator": name, "kind": INDICATORS[name].kind, **found[name].row(), "proposed": proposed}
            rows.append(row)
        return {"height": header.height, "thresholds": rows}

    tell(genesis, node, ask, as_json, _threshold_lines)


@app.command("set")
def set_threshold(
    indicator: INDICATOR,
    raise_at: RAISE_AT,
    clear_at: CLEAR_AT,
    severity: SEVERITY,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Propose a threshold, or confirm it: two officers name the same; role csrc."""
    if indicator not in INDICATORS:
        next_step = f"use {', '.join(INDICATORS)}"
        raise MalformedBytes(f"{indicator!r} is no indicator", where="INDICATOR", next_step=next_step)
    wanted: dict[str, Value] = {"indicator": indicator, **Threshold(raise_at, clear_at, severity).row()}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return wanted

    async def after(client: VerifyingClient) -> render.Row:
        _, (raw,) = await client.state([state_key(RISK, proposed_place(indicator))])
        return {"waits_for_another_officer": raw is not None}

    acting = Acting(account, key, passphrase, node, genesis, as_json)
    act(Risk(), "set_threshold", args, {"indicator": indicator}, acting, SEE, after)


@app.command()
def assess(
    chain: CHAIN,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Have the chain compute a market's indicators now 立即评估; anybody may."""

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain)}

    async def after(client: VerifyingClient) -> render.Row:
        _, (raw,) = await client.state([state_key(RISK, alarms_place(await chain_of(client, chain)))])
        return {"alarms": [] if raw is None else sorted(decode_map(raw, "alarms"))}

    acting = Acting(account, key, passphrase, node, genesis, as_json)
    act(Risk(), "assess", args, {"chain": chain}, acting, "look at `supervisory risk show`", after)


async def _followed(client: VerifyingClient) -> list[tuple[str, bytes]]:
    found = await all_chains(client)
    if not found:
        return []
    _, records = await client.state([chain_record_key(chain) for _, chain in found])
    return [one for one, record in zip(found, records, strict=True) if read_followed(record)]


async def _thresholds(client: VerifyingClient) -> dict[str, Threshold]:
    names = list(INDICATORS)
    _, found = await client.state([state_key(RISK, threshold_place(name)) for name in names])
    return {name: threshold_of(raw, name) for name, raw in zip(names, found, strict=True)}


async def _measured(client: VerifyingClient, chain: bytes, now_ms: int) -> tuple[dict[str, int], int]:
    """What the contract would compute, and the height of the last values; reads what it needs, in rounds."""
    _, (record,) = await client.state([chain_record_key(chain)])
    if not read_followed(record):
        raise MalformedBytes(
            "the chain is not followed", where=chain.hex(), next_step="see `supervisory admission show`"
        )
    known: _Known = {}
    height = 0
    for _ in range(MAX_ROUNDS):
        missing: list[tuple[str, bytes]] = []

        def read(contract: str, key: bytes, missing: list[tuple[str, bytes]] = missing) -> bytes | None:
            place = contract, key
            if place not in known:
                missing.append(place)
            return known.get(place)

        known.setdefault(("chains", b"r" + chain), record)
        found, _ = measure(read, chain, now_ms)
        if not missing:
            return found, height
        for start in range(0, len(missing), KEYS_AT_ONCE):
            part = missing[start : start + KEYS_AT_ONCE]
            header, raws = await client.state([state_key(contract, key) for contract, key in part])
            known.update(zip(part, raws, strict=True))
            height = header.height
    raise AssertionError("measure asks for keys of two rounds")


def _row(name: str, value: int, threshold: Threshold, alarm: Any) -> dict[str, Any]:
    kind = INDICATORS[name].kind
    return {"indicator": name, "kind": kind, "value": value, **threshold.row(), "alarm": alarm}


def _lines(row: render.Row) -> list[str]:
    rows = [
        (
            market["market"],
            KINDS[one["kind"]],
            one["indicator"],
            one["value"],
            one["raise_at"] or "-",
            one["clear_at"],
            "-" if one["alarm"] is None else f"报警 ALARM #{one['alarm']['case']} {clock(one['alarm']['since_ms'])}",
        )
        for market in row["markets"]
        for one in market["indicators"]
    ]
    return [*table(TITLES, rows, "没有被跟随的市场 no market is followed"), f"已验证 verified, height {row['height']}"]


def _threshold_lines(row: render.Row) -> list[str]:
    rows = [
        (
            KINDS[one["kind"]],
            one["indicator"],
            one["raise_at"] or "-",
            one["clear_at"],
            one["severity"],
            "-" if one["proposed"] is None else f"{one['proposed']['raise_at']}/{one['proposed']['clear_at']}",
        )
        for one in row["thresholds"]
    ]
    return [*table(THRESHOLD_TITLES, rows, ""), f"已验证 verified, height {row['height']}"]
