"""A chain's requests to another one, in proven state, for people (docs/spec/channels.md §8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from chain_core.codec.values import decode_value
from chain_core.node import render
from chain_core.types.block import Header
from chain_core.types.errors import MalformedBytes
from crosschain.channel import KEPT_REQUESTS, AckCode
from crosschain.channel_state import decode_source, decode_units, read_request, request_key, source_key, totals_key
from crosschain.packets import SERVICE_CHANNEL, count_in, sent_key

MAX_SHOWN = 50


class ProvenState(Protocol):
    """Verified values of full state keys, all under one header."""

    async def state(self, keys: Sequence[bytes]) -> tuple[Header, list[bytes | None]]:
        """In the order of the keys."""
        ...


async def channel_row(chain: ProvenState, own: bytes, peer: bytes, shown: int) -> render.Row:
    """What ``own`` asked ``peer``: counters, units of all accounts, and the newest requests, the last one first."""
    header, (raw, totals, sent) = await chain.state(
        [source_key(own, peer), totals_key(), sent_key(peer, SERVICE_CHANNEL)]
    )
    source, units = decode_source(raw), decode_units(totals)
    first = max(0, source.asked - min(shown, MAX_SHOWN, KEPT_REQUESTS))
    numbers = range(source.asked - 1, first - 1, -1)
    rows: list[Any] = []
    if numbers:
        _, records = await chain.state([request_key(own, peer, number) for number in numbers])
        rows = [request_row(record, header.time_ms) for record in records if record is not None]
    return {
        "height": header.height,
        "time_ms": header.time_ms,
        "peer": peer.hex(),
        "packets_sent": count_in(sent),
        "asked": source.asked,
        "in_flight": sum(1 for one in source.waiting if not one.refunded),
        "refunded_unacknowledged": sum(1 for one in source.waiting if one.refunded),
        "answered": source.answered,
        "refunded": source.refunded,
        "broken": source.broken,
        "units": {
            "granted": units.granted,
            "available": units.available,
            "escrow": units.escrow,
            "paid": units.paid,
        },
        "requests": rows,
    }


def request_row(raw: bytes, now_ms: int) -> dict[str, Any]:
    """One request; ``due``: it waits although its deadline has passed on this chain's own clock."""
    row = read_request(raw)
    code = cast(int, row["code"])
    names = {int(one): one.name.lower() for one in AckCode}
    return {
        **{name: render.plain(row[name]) for name in ("number", "sequence", "account", "service")},
        "arguments": _plain(cast(bytes, row["arguments"])),
        **{name: row[name] for name in ("timeout_ms", "units", "height", "status")},
        "due": row["status"] == "waiting" and cast(int, row["timeout_ms"]) <= now_ms,
        "acknowledged": None if code < 0 else names.get(code, str(code)),
        "answer": _plain(cast(bytes, row["response"])),
    }


def _plain(raw: bytes) -> Any:
    """An encoded map as it is shown; bytes that are none, in hexadecimal; nothing for none."""
    if not raw:
        return None
    try:
        return render.plain(decode_value(raw))
    except MalformedBytes:
        return raw.hex()
