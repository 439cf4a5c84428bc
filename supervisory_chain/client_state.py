"""What ``clients`` keeps of each followed chain: keys, readings, the newest headers (docs/spec/registration.md §2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import Position, client_at, decode_followed, decode_position, encode_position
from crosschain.light_client import MAX_AGE_MS, ClientState
from crosschain.packets import CLIENTS
from supervisory_chain.cases import open_case
from supervisory_chain.chains import admitted_ms, followed_record

KEPT_HEADERS = 1_000
"""Headers kept of one chain; packets of older or skipped ones come with their header (docs/spec/packets.md §4)."""

Read = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """Heights ``start`` .. ``height`` whose branch the regulator chose: by the history of the header at ``height``."""

    start: int
    height: int
    header_hash: bytes
    history_root: bytes
    history_count: int


def followed_chain(ctx: CallContext, read: Read, chain: bytes) -> tuple[Position, ClientState] | None:
    """Where an admitted chain is followed, None for any other; ``read`` reads the keys of ``clients``."""
    first = followed_record(ctx, chain)
    if first is None:
        return None
    position = decode_position(read(b"c" + chain))
    client = client_at(decode_followed(read(b"v" + chain) or first), position)
    return position, replace(client, trusted_ms=admitted_ms(ctx, chain), max_age_ms=MAX_AGE_MS)


def client_of(ctx: CallContext, chain: bytes) -> ClientState | None:
    """The client of an admitted chain where it stands, for other contracts."""
    found = followed_chain(ctx, lambda key: ctx.read(CLIENTS, key), chain)
    return None if found is None else found[1]


def judge_of(ctx: CallContext, chain: bytes, client: ClientState, header_bytes: bytes) -> ClientState:
    """The client that judges a past header of ``client``'s chain, for other contracts."""
    return following.client_for(lambda key: ctx.read(CLIENTS, key), chain, client, header_bytes)


def header_key(chain: bytes, height: int) -> bytes:
    """A stored header's key inside ``clients``."""
    return b"h" + chain + height.to_bytes(8, "big")


def stored_header(ctx: CallContext, chain: bytes, height: int) -> bytes | None:
    """The 408 bytes of an accepted header, for other contracts."""
    return ctx.read(CLIENTS, header_key(chain, height))


def keep_header(space: Namespace, chain: bytes, count: int, kept: int, height: int, raw: bytes) -> None:
    """Stores the header of ``height`` in place of the one accepted ``kept`` before it; ``count`` were so far."""
    slot = b"o" + chain + (count % kept).to_bytes(4, "big")
    oldest = space.get(slot)
    if oldest is not None:
        space.delete(header_key(chain, cast(int, decode_value(oldest, "height"))))
    space.put(slot, encode_value(height))
    space.put(header_key(chain, height), raw)


def forget_headers(space: Namespace, chain: bytes, count: int, kept: int, start: int) -> None:
    """Removes the stored headers of ``start`` and above: those of a branch, whichever was chosen."""
    for number in range(min(count, kept)):
        slot = b"o" + chain + number.to_bytes(4, "big")
        raw = space.get(slot)
        if raw is not None and cast(int, decode_value(raw, "height")) >= start:
            space.delete(header_key(chain, cast(int, decode_value(raw, "height"))))
            space.delete(slot)


def freeze(ctx: CallContext, chain: bytes, position: Position, height: int, kind: str, facts: dict[str, Value]) -> None:
    """The client stops at what contradicts itself, and the regulator has a case."""
    ctx.put(b"c" + chain, encode_position(replace(position, frozen=height)))
    ctx.emit("frozen", chain=chain, height=height)
    open_case(ctx, chain, kind, facts)


def decisions(read: Read, chain: bytes) -> list[dict[str, Value]]:
    """All recoveries of the chain's client, the first one first."""
    raw = read(b"u" + chain)
    return [] if raw is None else cast(list[dict[str, Value]], decode_value(raw, "recoveries"))


def settled_at(read: Read, chain: bytes, height: int) -> Settled | None:
    """The recovery that settled ``height``, None of one that nobody had to decide on. The last one rules."""
    for row in reversed(decisions(read, chain)):
        if cast(int, row["from"]) <= height <= cast(int, row["height"]):
            return Settled(
                cast(int, row["from"]),
                cast(int, row["height"]),
                cast(bytes, row["header_hash"]),
                cast(bytes, row["history_root"]),
                cast(int, row["history_count"]),
            )
    return None
