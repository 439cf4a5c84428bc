"""What the contract ``channel`` keeps, on both chains: keys and records (docs/spec/channels.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import ACCOUNT, HASH, Boolean, Integer, Kind, ListOf, Octets, Record, Text
from chain_core.execution.overlay import Namespace
from chain_core.types.errors import MalformedBytes
from chain_core.types.values import Value
from crosschain.channel import (
    KEPT_REQUESTS,
    MAX_ARGUMENT_BYTES,
    MAX_RESPONSE_BYTES,
    WINDOW,
    Source,
    Units,
    Waiting,
)
from crosschain.packets import CHANNEL, SERVICE_CHANNEL, channel_key, count_in

_COUNT = Integer()


class _Row:
    """What one waiting request is kept as: a list of its fields."""

    _KINDS: tuple[Kind, ...] = (_COUNT, _COUNT, _COUNT, _COUNT, Boolean(), HASH)

    def admits(self, value: Value) -> bool:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) != len(self._KINDS):
            return False
        return all(kind.admits(field) for kind, field in zip(self._KINDS, value, strict=True))


_SOURCE = Record(
    {
        "waiting": ListOf(_Row(), WINDOW),
        **dict.fromkeys(("asked", "answered", "refunded", "broken", "unreadable"), _COUNT),
    }
)
_UNITS = Record(dict.fromkeys(("granted", "available", "escrow", "paid"), _COUNT))
_REQUEST = Record(
    {
        "number": _COUNT,
        "sequence": _COUNT,
        "account": ACCOUNT,
        "service": Text(64),
        "arguments": Octets(0, MAX_ARGUMENT_BYTES),
        "timeout_ms": _COUNT,
        "units": _COUNT,
        "height": _COUNT,
        "status": Text(16),
        "code": Integer(-1, 255),
        "hash": HASH,
        "response": Octets(0, MAX_RESPONSE_BYTES),
    }
)

# ---- keys


def pair(own: bytes, peer: bytes) -> bytes:
    """Whose channel: both ends' hashes, so that a successor, whose state holds its predecessor's, begins anew."""
    return own + peer


def source_key(own: bytes, peer: bytes) -> bytes:
    """Full state key of the asking end of ``own`` towards ``peer``."""
    return state_key(CHANNEL, b"w" + pair(own, peer))


def request_key(own: bytes, peer: bytes, number: int) -> bytes:
    """Full state key of a request's record."""
    return state_key(CHANNEL, record_place(own, peer, number))


def local_received_key(own: bytes, peer: bytes) -> bytes:
    """Full state key of what a market's chain ``own`` took from ``peer``."""
    return state_key(CHANNEL, received_place(own, peer))


def received_place(own: bytes, peer: bytes) -> bytes:
    """The same inside the contract."""
    return channel_key(pair(own, peer), SERVICE_CHANNEL)


def totals_key() -> bytes:
    """Full state key of all units of the chain."""
    return state_key(CHANNEL, b"t")


def quota_key(account: bytes) -> bytes:
    """Full state key of an account's units."""
    return state_key(CHANNEL, b"a" + account)


def record_place(own: bytes, peer: bytes, number: int) -> bytes:
    """A request's record inside the contract; one of the newest ``KEPT_REQUESTS`` of the channel."""
    return b"q" + pair(own, peer) + (number % KEPT_REQUESTS).to_bytes(4, "big")


# ---- records


def decode_source(raw: bytes | None) -> Source:
    """The asking end from its record. Raises MalformedBytes."""
    if raw is None:
        return Source()
    row = _row(raw, _SOURCE, "channel")
    waiting = tuple(
        Waiting(sequence, number, timeout_ms, units, packet, refunded)
        for sequence, number, timeout_ms, units, refunded, packet in cast(
            Sequence[tuple[int, int, int, int, bool, bytes]], row["waiting"]
        )
    )
    counts = (cast(int, row[name]) for name in ("asked", "answered", "refunded", "broken", "unreadable"))
    return Source(waiting, *counts)


def encode_source(source: Source) -> bytes:
    """A canonical map."""
    waiting: list[Value] = [
        [one.sequence, one.number, one.timeout_ms, one.units, one.refunded, one.packet] for one in source.waiting
    ]
    return encode_value(
        {
            "waiting": waiting,
            "asked": source.asked,
            "answered": source.answered,
            "refunded": source.refunded,
            "broken": source.broken,
            "unreadable": source.unreadable,
        }
    )


def read_request(raw: bytes) -> Mapping[str, Value]:
    """The record of a request. Raises MalformedBytes: it may be another chain's, which is hostile until read."""
    return _row(raw, _REQUEST, "request")


def _row(raw: bytes, kind: Record, record: str) -> Mapping[str, Value]:
    row = decode_map(raw, record)
    if not kind.admits(row):
        raise MalformedBytes(f"{record}: a field is missing, unknown or out of bounds", where=record)
    return row


def decode_units(raw: bytes | None) -> Units:
    """All units of a chain. Raises MalformedBytes."""
    if raw is None:
        return Units()
    row = cast(Mapping[str, int], _row(raw, _UNITS, "units"))
    return Units(row["granted"], row["available"], row["escrow"], row["paid"])


def change_units(space: Namespace, account: bytes, change: Callable[[Units], Units]) -> None:
    """Of the whole chain, and of the account as far as they are available."""
    before = decode_units(space.get(b"t"))
    after = change(before)
    row: dict[str, Value] = {
        "granted": after.granted,
        "available": after.available,
        "escrow": after.escrow,
        "paid": after.paid,
    }
    space.put(b"t", encode_value(row))
    moved = after.available - before.available
    if moved:
        space.put(b"a" + account, encode_value(count_in(space.get(b"a" + account)) + moved))
