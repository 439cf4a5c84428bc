"""``dualchain supervisory clients``: how far markets are followed, and what two officers decide of it
(docs/spec/light-client.md §5-§6).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.answers import CertifiedHeader
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.client_security import from_environment
from chain_core.node.command import GENESIS, JSON, NODES, PASSPHRASE, identifier
from chain_core.node.config import read_genesis
from chain_core.node.epoch_following import closing_header, through_epochs
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.values import Value
from crosschain.following import decode_position
from crosschain.light_client import MAX_AGE_MS
from crosschain.packets import CLIENTS, client_key, count_in
from supervisory_chain.cases import OPEN, count_key
from supervisory_chain.clients import Clients
from supervisory_chain.regulating.cases_cli import read_cases
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
    table,
    tell,
)

app = typer.Typer(help="Clients 轻客户端 of the markets' chains: lag, forks, recovery.", no_args_is_help=True)
recover = typer.Typer(help="Recovery 恢复 of a frozen client: two officers choose.", no_args_is_help=True)
app.add_typer(recover, name="recover")

HASH = Annotated[str, typer.Option("--hash", help="SM3 of the header, 64 hexadecimal digits.")]
HEIGHT = Annotated[int, typer.Option("--height", min=1, help="Height of the header on the market's chain.")]
MARKET_NODE = Annotated[str, typer.Option("--market-node", help="Node of the market, on the branch chosen: host:port.")]
MARKET_GENESIS = Annotated[Path, typer.Option("--market-genesis", help="Genesis document of the market's chain.")]
SINCE = Annotated[int, typer.Option("--since", min=0, help="Below this height both branches are one; without it, 1.")]
EPOCH_START = Annotated[int, typer.Option("--epoch-start", min=0, help="First height of an epoch not followed here.")]
EPOCH_SET = Annotated[Path | None, typer.Option("--epoch-set", help="File with its validators, encoded.")]

SEE = "look at `supervisory clients show`"
TITLES = ("市场 market", "高度 height", "时间 time", "滞后 lag", "状态 status", "未结案件 open cases")
FOLLOWED, FROZEN, STALE, NOT_YET = "正常 followed", "冻结 FROZEN", "过期 STALE", "未开始 not begun"


@app.command("list")
def list_clients(node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """Every market's chain: how far it is followed, and whether anything waits for a decision."""

    async def ask(client: VerifyingClient) -> render.Row:
        rows = [{"market": code, **await _state(client, chain)} for code, chain in await all_chains(client)]
        return {"clients": rows}

    def lines(row: render.Row) -> list[str]:
        rows = [
            (
                one["market"],
                one["followed_height"],
                clock(one["followed_time_ms"]) if one["followed_height"] else "-",
                "-" if one["lag_ms"] is None else f"{one['lag_ms'] // 1_000} s",
                _status(one),
                ", ".join(str(number) for number in one["open_cases"]) or "-",
            )
            for one in row["clients"]
        ]
        return [*table(TITLES, rows, "没有已登记的链 no chains"), "已验证 verified"]

    tell(genesis, node, ask, as_json, lines)


@app.command("show")
def show_client(chain: CHAIN, node: NODES, genesis: GENESIS, as_json: JSON = False) -> None:
    """One client: position, what waits for a second officer, all recoveries decided so far."""

    async def ask(client: VerifyingClient) -> render.Row:
        identity = await chain_of(client, chain)
        row = await _state(client, identity)
        keys = [state_key(CLIENTS, prefix + identity) for prefix in (b"k", b"y", b"u")]
        _, (stale, proposed, decided) = await client.state(keys)
        return row | {
            "status": _status(row),
            "stale_confirmation": None if stale is None else render.plain(decode_map(stale)),
            "proposed_recovery": None if proposed is None else _proposal(decode_map(proposed)),
            "recoveries": [] if decided is None else render.plain(decode_value(decided)),
        }

    tell(genesis, node, ask, as_json, render.lines)


@app.command()
def confirm(
    chain: CHAIN,
    height: HEIGHT,
    hash_: HASH,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Confirm the header with which a stale client 过期 goes on; two officers say the same, in any order."""
    named: dict[str, Value] = {"height": height, "header_hash": identifier(hash_, "--hash", 32)}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), **named}

    async def after(client: VerifyingClient) -> render.Row:
        _, (raw,) = await client.state([state_key(CLIENTS, b"k" + await chain_of(client, chain))])
        both = raw is not None and bool(decode_map(raw)["confirmed_by"])
        return {"confirmed_by_two": both, "next": "the relayer brings it" if both else "another officer says the same"}

    where = Acting(account, key, passphrase, node, genesis, as_json)
    act(Clients(), "confirm_stale", args, {"chain": chain}, where, SEE, after)


@recover.command("propose")
def propose_recovery(
    chain: CHAIN,
    height: HEIGHT,
    reference: REFERENCE,
    market_node: MARKET_NODE,
    market_genesis: MARKET_GENESIS,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    since: SINCE = 0,
    epoch_start: EPOCH_START = 0,
    epoch_set: EPOCH_SET = None,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Name the header to go on from, as a node of the branch chosen has it; nothing moves before `confirm`."""
    shown: render.Row = {"chain": chain}

    async def args(client: VerifyingClient) -> dict[str, Value]:
        certified, next_set = await _header_of(market_genesis, market_node, height)
        shown.update(height_to_go_on_from=height, header_hash=header_hash(certified.header).hex())
        made: dict[str, Value] = {"chain": await chain_of(client, chain), "reference": reference}
        made |= {"header": certified.header, "certificate": certified.certificate}
        made |= {"next_set": next_set} if next_set else {}
        made |= {"since": since} if since else {}
        if epoch_set is not None:
            made["epoch"] = {"start": epoch_start, "set": epoch_set.read_bytes()}
        return made

    async def after(client: VerifyingClient) -> render.Row:
        return shown | {"next": "another officer: `supervisory clients recover confirm --hash HEADER_HASH`"}

    where = Acting(account, key, passphrase, node, genesis, as_json)
    act(Clients(), "propose_recovery", args, {}, where, SEE, after)


@recover.command("confirm")
def confirm_recovery(
    chain: CHAIN,
    hash_: HASH,
    account: ACCOUNT,
    key: KEY,
    node: NODES,
    genesis: GENESIS,
    passphrase: PASSPHRASE = "",
    as_json: JSON = False,
) -> None:
    """Confirm another officer's choice: the client goes on there, and packets that were held are delivered."""
    chosen = identifier(hash_, "--hash", 32)

    async def args(client: VerifyingClient) -> dict[str, Value]:
        return {"chain": await chain_of(client, chain), "header_hash": chosen}

    async def after(client: VerifyingClient) -> render.Row:
        row = await _state(client, await chain_of(client, chain))
        return {"followed_height": row["followed_height"], "frozen": row["frozen"], "open_cases": row["open_cases"]}

    where = Acting(account, key, passphrase, node, genesis, as_json)
    act(Clients(), "confirm_recovery", args, {"chain": chain}, where, SEE, after)


async def _state(client: VerifyingClient, chain: bytes) -> dict[str, Any]:
    header, (raw, count) = await client.state([client_key(chain), count_key(chain)])
    found = decode_position(raw)
    cases = await read_cases(client, chain, range(count_in(count)))
    lag_ms = header.time_ms - found.time_ms if found.height else None
    return {
        "chain": chain.hex(),
        "height": header.height,
        "followed_height": found.height,
        "followed_header": found.header_hash.hex(),
        "followed_time_ms": found.time_ms,
        "epoch": found.epoch,
        "lag_ms": lag_ms,
        "stale": lag_ms is not None and lag_ms > MAX_AGE_MS,
        "frozen": found.frozen >= 0,
        "fork_height": found.frozen if found.frozen >= 0 else None,
        "open_cases": [case["case"] for case in cases if case["status"] == OPEN],
    }


def _status(row: dict[str, Any]) -> str:
    if row["frozen"]:
        return f"{FROZEN} ({row['fork_height']})"
    return STALE if row["stale"] else FOLLOWED if row["followed_height"] else NOT_YET


def _proposal(row: dict[str, Value]) -> render.Row:
    raw = cast(bytes, row["header"])
    shown = {name: render.plain(row[name]) for name in ("frozen", "since", "by", "reference")}
    return {"header_hash": sm3(raw).hex(), "height": decode_header(raw).height, **shown}


async def _header_of(genesis: Path, address: str, height: int) -> tuple[CertifiedHeader, bytes]:
    """A certified header of the market with, of the last of its epoch, the next validators. Raises InvalidProof."""
    raw = read_genesis(genesis)[1]
    view = ChainView(raw)
    node = NodeClient(address, genesis_hash=view.genesis_hash, security=from_environment(raw))

    async def ask(one: NodeClient) -> CertifiedHeader:
        certified = await one.header(height)
        view.check_header(certified)
        return certified

    try:
        certified = await through_epochs(view, node, ask)
        header = decode_header(certified.header)
        if header.height != height:
            raise NotFound(f"the node gave height {header.height}", where=address, next_step="ask another node")
        if header.next_validator_set_hash == header.validator_set_hash:
            return certified, b""
        closing = await closing_header(node, header.epoch)
        if closing is None or closing[0].header != certified.header:
            raise NotFound("the node does not tell the next validators", where=address, next_step="ask another node")
        return certified, closing[1]
    finally:
        await node.close()
