"""What the regulator's commands share: who acts, proven reads, tables for people, one transaction at a time."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.execution.contract import Contract
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.node.chain_view import ChainView
from chain_core.node.client_security import from_environment
from chain_core.node.command import answer, identifier
from chain_core.node.config import read_genesis
from chain_core.node.key_protection import open_key
from chain_core.node.validators_cli import submit_one
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.block import Header
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain.packets import CHAINS, chain_record_key

CHAIN = Annotated[str, typer.Argument(help="The market's chain 链: region code such as BJ, or genesis hash (64 hex).")]
ACCOUNT = Annotated[str, typer.Option("--account", help="Your account id on the supervisory chain, 32 hex digits.")]
KEY = Annotated[Path, typer.Option("--key", help="Its transaction key: SM2 PKCS#8 PEM, mode 0600.")]
REFERENCE = Annotated[str, typer.Option("--reference", help="The document behind it 依据文件: 1 to 128 bytes.")]

CHINA = timezone(timedelta(hours=8))
KEYS_AT_ONCE = 256
"""As many as a node proves in one answer."""
Lines = Callable[[render.Row], list[str]]
Ask = Callable[[VerifyingClient], Awaitable[render.Row]]


def tell(genesis: Path, nodes: Sequence[str], ask: Ask, as_json: bool, lines: Lines) -> None:
    """Asks, verifies, prints: ``lines`` for people, one JSON object for programs."""

    async def call() -> render.Row:
        raw = read_genesis(genesis)[1]
        client = VerifyingClient(ChainView(raw), nodes, from_environment(raw))
        try:
            return await ask(client) | {"verified": True}
        finally:
            await client.close()

    row = asyncio.run(call())
    typer.echo(json.dumps(row, ensure_ascii=False) if as_json else "\n".join(lines(row)))


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, on which nodes, as the options say."""

    account: str
    key: Path
    passphrase: str
    node: list[str]
    genesis: Path
    as_json: bool


def act(
    contract: Contract,
    method: str,
    args: Callable[[VerifyingClient], Awaitable[Mapping[str, Value]]],
    row: render.Row,
    acting: Acting,
    next_step: str,
    after: Ask | None = None,
) -> None:
    """One operation in a transaction of the regulator's; final, or refused in the contract's own words. ``args`` may
    look things up first, ``after`` says what came of it.
    """
    private = open_key(acting.key, acting.passphrase)

    async def ask(client: VerifyingClient) -> render.Row:
        operation = Operation(contract.name, method, dict(await args(client)))
        done = await submit_one(client, acting.account, private, operation, contracts=(contract,), next_step=next_step)
        return row | done | (await after(client) if after is not None else {})

    answer(acting.genesis, acting.node, ask, acting.as_json)


async def value(client: VerifyingClient, key: bytes) -> tuple[Header, Any]:
    """A proven, decoded value, None when it is absent."""
    header, (raw,) = await client.state([key])
    return header, None if raw is None else decode_value(raw)


async def values(client: VerifyingClient, keys: Sequence[bytes]) -> list[Any]:
    """Proven, decoded values in the order of the keys, None for absent ones; asked for in pages, each of one header."""
    found: list[bytes | None] = []
    for start in range(0, len(keys), KEYS_AT_ONCE):
        found += (await client.state(keys[start : start + KEYS_AT_ONCE]))[1]
    return [None if raw is None else decode_value(raw) for raw in found]


async def chain_of(client: VerifyingClient, text: str) -> bytes:
    """The chain of a market by region code, or by genesis hash as it is. Raises NotFound, MalformedBytes."""
    if text not in REGIONS:
        return identifier(text, "CHAIN", 32)
    _, (found,) = await client.state([market_key(text)])
    if found is None:
        raise NotFound(
            f"market {text} has no chain", where="CHAIN", next_step="it registers first: `supervisory market`"
        )
    return found


async def line_of(client: VerifyingClient, chain: bytes) -> list[bytes]:
    """A chain and those that it succeeded, the latest first."""
    line: list[bytes] = []
    while chain and chain not in line:
        line.append(chain)
        _, (raw,) = await client.state([chain_record_key(chain)])
        chain = b"" if raw is None else cast(bytes, decode_map(raw).get("predecessor", b""))
    return line


async def all_chains(client: VerifyingClient) -> list[tuple[str, bytes]]:
    """(region code, genesis hash) of every market's chains, predecessors included; complete, as regions are known."""
    codes = list(REGIONS)
    _, found = await client.state([market_key(code) for code in codes])
    rows = [(code, chain) for code, chain in zip(codes, found, strict=True) if chain is not None]
    return [(code, each) for code, chain in rows for each in await line_of(client, chain)]


def market_key(code: str) -> bytes:
    """Full state key of the genesis hash of a market's chain."""
    return state_key(CHAINS, b"m" + code.encode("ascii"))


# ---- for people


def clock(time_ms: int) -> str:
    """A block time as clocks in China show it."""
    return datetime.fromtimestamp(time_ms / 1_000, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str, where: str) -> int:
    """Milliseconds of ``2026-12-31T17:00`` (UTC+8 unless it says otherwise). Raises MalformedBytes."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedBytes(f"{text!r} is no time", where=where, next_step="write 2026-12-31T17:00") from error
    read = read if read.tzinfo is not None else read.replace(tzinfo=CHINA)
    return int(read.timestamp() * 1_000)


def table(titles: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> list[str]:
    """Columns under each other; Chinese characters are two places wide."""
    if not rows:
        return [empty]
    cells = [list(titles), *([str(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(titles))]
    return ["  ".join(c + " " * (widths[i] - _width(c)) for i, c in enumerate(row)).rstrip() for row in cells]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
