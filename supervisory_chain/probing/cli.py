"""``dualchain supervisory probe``: ask the markets' registered endpoints, see what is known (docs/spec/drift.md §2)."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.values import decode_map
from chain_core.node import render
from chain_core.node.command import GENESIS, JSON, NODES, show
from chain_core.node.verifying_client import VerifyingClient
from supervisory_chain.probes import probed_key
from supervisory_chain.regulating.common import CHAIN, chain_of, clock, table, tell

app = typer.Typer(help="Probing 接入点巡检: what the markets' registered endpoints answer.", no_args_is_help=True)

CONFIG = Annotated[Path, typer.Option("--config", help="The TOML file of the inspector 配置文件.")]
SEE = "see docs/spec/drift.md §2"
TITLES = ("节点 node", "地址 address", "状态 state", "高度 height", "落后 behind", "版本 version", "最近正常 last ok")


@app.command()
def run(config: CONFIG) -> None:
    """Ask and report until SIGTERM or Ctrl-C 运行."""
    from service_registry.config import load
    from supervisory_chain.probing.config import ProbeConfig
    from supervisory_chain.probing.process import run as run_process

    asyncio.run(run_process(load(ProbeConfig, config, SEE), lambda line: print(line, flush=True)))


@app.command()
def once(config: CONFIG, as_json: JSON = False) -> None:
    """One turn 巡检一次: every endpoint is asked and reported, and what was seen is printed."""
    from service_registry.config import load
    from supervisory_chain.probing.config import ProbeConfig
    from supervisory_chain.probing.process import once as one_turn

    seen = asyncio.run(one_turn(load(ProbeConfig, config, SEE)))
    rows: render.Row = {
        market: [{**asdict(one), "genesis_hash": one.genesis_hash.hex()} for one in found]
        for market, found in seen.items()
    }
    show(rows, as_json)


@app.command("show")
def show_endpoints(chain: CHAIN, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """What the chain has of a market's endpoints 接入点状态, proven: last answer, faults, versions."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        header, (raw,) = await client.state([probed_key(identity)])
        known = {"endpoints": [], "versions": []} if raw is None else decode_map(raw, "probes")
        return {"chain": identity.hex(), "height": header.height, **cast(dict[str, Any], render.plain(known))}

    tell(genesis, node, ask, as_json, _lines)


def _lines(row: render.Row) -> list[str]:
    rows = [
        (
            one["node"],
            one["address"],
            one["fault"] or "正常 ok",
            one["height"],
            one["behind"],
            one["version"],
            clock(one["ok_ms"]) if one["ok_ms"] else "-",
        )
        for one in row["endpoints"]
    ]
    return [*table(TITLES, rows, "尚未巡检 not probed yet"), f"已验证 verified, height {row['height']}"]
