"""What a market's move to its successor makes of the state kept of the predecessor (docs/spec/successor.md §6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.roots import build_genesis_header
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.values import Value
from crosschain.channel_end import End
from crosschain.following import Position, decode_position, encode_position
from crosschain.packets import (
    CHAINS,
    CLIENTS,
    DIRECTIVES,
    INBOX,
    SUCCEEDED,
    UPWARD_CHANNELS,
    channel_key,
    count_in,
    read_channel,
    sent_key,
    supervision_key,
)
from supervisory_chain import chains, directives
from supervisory_chain.admission import taken_over
from supervisory_chain.client_state import header_key


@dataclass(frozen=True, slots=True)
class Carried:
    """Counters in the predecessor's last state: packets sent here by channel, directives carried out."""

    sent: Mapping[str, int]
    executed: int

    @classmethod
    def of(cls, values: Sequence[bytes | None]) -> Carried:
        """From the values of ``carried_keys``. Raises MalformedBytes."""
        *sent, supervision = values
        counts = {name: count_in(raw) for name, raw in zip(UPWARD_CHANNELS, sent, strict=True)}
        return cls(counts, decode_position(supervision).count)

    def payload(self) -> dict[str, Value]:
        """As kept with the proposal."""
        return {**self.sent, "executed": self.executed}


def read_carried(row: Mapping[str, int]) -> Carried:
    """The reverse of ``payload``."""
    return Carried({name: row[name] for name in UPWARD_CHANNELS}, row["executed"])


def carried_keys(supervisory: bytes) -> list[bytes]:
    """Full state keys of the local chain with those counters; ``supervisory``: the regulator's chain."""
    return [*(sent_key(supervisory, channel) for channel in UPWARD_CHANNELS), supervision_key()]


def differing_counter(ctx: CallContext, before: bytes, carried: Carried) -> tuple[str, int, int] | None:
    """A counter that cannot be of one chain with what is kept here: its name, its value, the one here."""
    for channel, sent in carried.sent.items():
        received, _ = read_channel(ctx.read(INBOX, channel_key(before, channel)))
        if received > sent:
            return channel, sent, received
    acknowledged = count_in(ctx.read(DIRECTIVES, b"a" + before))
    issued = count_in(ctx.read(DIRECTIVES, b"n" + before))
    if carried.executed < acknowledged:
        return "acknowledged", carried.executed, acknowledged
    return ("issued", carried.executed, issued) if carried.executed > issued else None


def in_flight(ctx: CallContext, before: bytes, carried: Carried) -> dict[str, int]:
    """Packets sent by the predecessor and not delivered, by channel; channels without any are left out."""
    found = {c: sent - read_channel(ctx.read(INBOX, channel_key(before, c)))[0] for c, sent in carried.sent.items()}
    return {channel: packets for channel, packets in found.items() if packets}


def hand_over(
    ctx: CallContext,
    before: bytes,
    chain: bytes,
    raw: bytes,
    genesis: Genesis,
    record: Mapping[str, Value],
    carried: Carried,
) -> int:
    """Puts ``chain`` in the place of ``before``; how many directives wait for it.

    Sequences of all channels go on where the predecessor stood. The client begins at height 0, in epoch 0.
    """
    _register(ctx, before, chain, raw, genesis, record)
    _follow(ctx, chain, genesis)
    inbox = ctx.within(INBOX)
    for channel, sent in carried.sent.items():
        inbox.put(channel_key(chain, channel), encode_value({"next": sent, "height": 0}))
    End.within(ctx, before).give_up()
    tally = inbox.get(b"r" + before)
    if tally is not None:
        inbox.put(b"r" + chain, tally)
    return directives.hand_over(ctx, before, chain, carried.executed)


def _register(
    ctx: CallContext, before: bytes, chain: bytes, raw: bytes, genesis: Genesis, record: Mapping[str, Value]
) -> None:
    register = ctx.within(CHAINS)
    chains.enter(register, chain, raw, chains.described_by(chain, genesis))
    old = decode_map(register.get(b"r" + before) or b"", "chain")
    register.put(b"r" + chain, encode_value({**record, **taken_over(ctx, old["status"])}))
    register.put(b"r" + before, encode_value({**old, "status": SUCCEEDED, "successor": chain}))


def _follow(ctx: CallContext, chain: bytes, genesis: Genesis) -> None:
    """The header of height 0, which the document gives completely: height 1 has to follow it."""
    past = cast(Predecessor, genesis.predecessor)
    first = build_genesis_header(genesis, chain, past.state_root, decode_header(past.header).seen_root)
    clients = ctx.within(CLIENTS)
    clients.put(header_key(chain, 0), first)
    clients.put(b"c" + chain, encode_position(Position(0, header_hash(first), genesis.time_ms)))
