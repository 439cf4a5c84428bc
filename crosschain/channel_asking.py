"""Making a request between chains from a terminal: its arguments, and what became of it (docs/spec/channels.md §8)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final, cast

import typer

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Choice, Kind, Octets, Record
from chain_core.node import render
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.channel import MAX_TIMEOUT_MS, WINDOW
from crosschain.channel_end import WAITING
from crosschain.channel_services import SERVICES
from crosschain.channel_state import decode_source, decode_units, quota_key, request_key, source_key, totals_key
from crosschain.channel_view import MAX_SHOWN, ProvenState, request_row
from crosschain.packets import count_in

SERVICE = Annotated[str, typer.Argument(help="What is asked 服务: roll_head, party_status, investor_code.")]
ARGUMENTS = Annotated[list[str], typer.Argument(help="Its arguments as NAME=VALUE; bytes in hexadecimal.")]
WITHIN = Annotated[
    int,
    typer.Option("--within", min=1, max=MAX_TIMEOUT_MS // 1_000 - 60, help="Seconds until the deadline 期限."),
]
SHOWN = Annotated[int, typer.Option("--last", min=1, max=MAX_SHOWN, help="How many of the newest requests to list.")]
WAIT = Annotated[int, typer.Option("--wait", min=0, max=3_600, help="Seconds to wait for the answer, 0: do not.")]
GRANTEE = Annotated[str, typer.Argument(help="Whose units: account id on this chain, 32 hexadecimal digits.")]
UNITS = Annotated[int, typer.Argument(min=1, max=1_000_000_000, help="How many more.")]

_POLL_S: Final = 0.5
_CATCH_UP_S: Final = 10.0
"""A node asked may be behind the one that showed the transaction's receipt."""


def read_arguments(service: str, offered_by: str, texts: Sequence[str]) -> dict[str, Value]:
    """Arguments of a service at a chain of that kind, by the table's own kinds. Raises MalformedBytes."""
    offered = sorted(name for name, one in SERVICES.items() if one.offered_by == offered_by)
    if service not in offered:
        what = f"no {offered_by} chain offers {service!r}"
        raise MalformedBytes(what, where="SERVICE", next_step=f"ask for {', '.join(offered)}")
    kinds = cast(Record, SERVICES[service].arguments).fields
    expected = " ".join(f"{name}={_hint(kind)}" for name, kind in kinds.items())
    pairs = [text.partition("=") for text in texts]
    named = {name: value for name, _, value in pairs}
    if named.keys() != kinds.keys() or len(named) != len(pairs):
        raise MalformedBytes("other arguments than the service takes", where=service, next_step=f"write {expected}")
    found = {name: _read(name, kinds[name], text, expected) for name, text in named.items()}
    wrong = [name for name, kind in kinds.items() if not kind.admits(found[name])]
    if wrong:
        raise MalformedBytes(f"{named[wrong[0]]!r} does not fit", where=wrong[0], next_step=f"write {expected}")
    return found


def new_request(service: str, arguments: Mapping[str, Value], within_s: int) -> dict[str, Value]:
    """Arguments of ``channel.request`` with the deadline so many seconds from now."""
    timeout_ms = time.time_ns() // 1_000_000 + within_s * 1_000
    return {"service": service, "arguments": dict(arguments), "timeout_ms": timeout_ms}


async def became(
    chain: ProvenState, own: bytes, peer: bytes, account: bytes, asked: Mapping[str, Value], wait_s: float
) -> render.Row:
    """The proven record of the newest such request; an ended one if it ends within ``wait_s``. Empty: not found."""
    started = time.monotonic()
    row: render.Row = {}
    while True:
        row = await _find(chain, own, peer, account, asked) or row
        passed = time.monotonic() - started
        if passed >= (wait_s if row else max(wait_s, _CATCH_UP_S)) or (row and row["status"] != WAITING):
            return row
        await asyncio.sleep(_POLL_S)


async def units_row(chain: ProvenState, account: bytes) -> render.Row:
    """What an account may still spend, and the units of all accounts; proven."""
    _, (own, totals) = await chain.state([quota_key(account), totals_key()])
    return {"account": account.hex(), "available": count_in(own), "all_accounts": asdict(decode_units(totals))}


async def _find(
    chain: ProvenState, own: bytes, peer: bytes, account: bytes, asked: Mapping[str, Value]
) -> dict[str, Any] | None:
    _, (raw,) = await chain.state([source_key(own, peer)])
    count = decode_source(raw).asked
    numbers = range(count - 1, max(-1, count - 1 - WINDOW), -1)
    if not numbers:
        return None
    header, records = await chain.state([request_key(own, peer, number) for number in numbers])
    mine = {"account": account, **asked, "arguments": encode_value(asked["arguments"])}
    for record in records:
        row = {} if record is None else decode_map(record, "request")
        if record is not None and all(row[name] == value for name, value in mine.items()):
            return request_row(record, header.time_ms) | {"at_height": header.height}
    return None


def _hint(kind: Kind) -> str:
    if isinstance(kind, Choice):
        return "|".join(sorted(kind.texts))
    return f"<{2 * kind.low} hex digits>" if isinstance(kind, Octets) else "<text>"


def _read(name: str, kind: Kind, text: str, expected: str) -> Value:
    if not isinstance(kind, Octets):
        return text
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise MalformedBytes(f"{text!r} is no hexadecimal", where=name, next_step=f"write {expected}") from error
