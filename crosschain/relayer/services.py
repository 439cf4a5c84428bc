"""Requests and answers between two chains: what to bring down, which refunds are due; pure (docs/spec/channels.md §8).

Upward packets of the channel go with all others (``planner.plan_up``). Everything is planned from proven state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec.block import decode_header
from chain_core.crypto.hashing import sm3
from chain_core.node.answers import CertifiedHeader, ProvenPacket, StateItem
from chain_core.types.packet import Packet
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.channel import RECEIVED, SENT, Source
from crosschain.channel_state import decode_source, local_received_key, source_key
from crosschain.following import Position, decode_position
from crosschain.packets import (
    CHANNEL,
    SERVICE_CHANNEL,
    chain_record_key,
    client_key,
    count_in,
    read_channel,
    read_followed,
    received_key,
    sent_key,
    supervision_key,
)
from crosschain.relayer.planner import Emitted, Plan

MAX_BLOCKS = 16
"""Blocks of one transaction: each brings a header whose signatures are verified."""
MAX_PACKETS = 64
"""Packets of one transaction: each request makes its acknowledgement, and a transaction sends no more."""
MAX_BYTES = 180_000


@dataclass(frozen=True, slots=True)
class Side:
    """One chain under one final header: what it asked the other, took from it and sent to it, on the channel.

    ``taken``: the next sequence expected, and the height of the block that brought the last; ``position``: how far it
    follows the other. ``received`` and ``counted`` are the counters that a refund on the other chain proves.
    """

    certified: CertifiedHeader
    height: int
    time_ms: int
    position: Position
    admits: bool
    asked: Source
    taken: tuple[int, int]
    sent: int
    received: StateItem
    counted: StateItem

    @property
    def open(self) -> bool:
        """Whether it takes anything of the other chain."""
        return self.admits and self.position.frozen < 0


def local_keys(local: bytes, supervisory: bytes) -> list[bytes]:
    """State of the local chain that says how the channel stands there."""
    ends = [local_received_key(local, supervisory), sent_key(supervisory, SERVICE_CHANNEL)]
    return [*ends, source_key(local, supervisory), supervision_key()]


def supervisory_keys(local: bytes, supervisory: bytes) -> list[bytes]:
    """The same of the supervisory chain."""
    ends = [received_key(local, SERVICE_CHANNEL), sent_key(local, SERVICE_CHANNEL)]
    return [*ends, source_key(supervisory, local), client_key(local), chain_record_key(local)]


def read_side(certified: CertifiedHeader, items: Sequence[StateItem]) -> Side:
    """From what the keys of one chain hold, all proven under ``certified``."""
    received, counted, asked, position, *record = items
    header = decode_header(certified.header)
    return Side(
        certified,
        header.height,
        header.time_ms,
        decode_position(position.value),
        not record or read_followed(record[0].value),
        decode_source(asked.value),
        read_channel(received.value),
        count_in(counted.value),
        received,
        counted,
    )


# ---- down


def scan_start(above: Side, below: Side, quiet_through: int) -> int | None:
    """The lowest supervisory height that may hold a packet for the local chain, None when none is under way."""
    if above.sent <= below.taken[0]:
        return None
    return max(below.taken[1], 1, quiet_through + 1)


def plan_down(below: Side, emitted: Sequence[Emitted]) -> Plan:
    """Packets of supervisory blocks (ascending heights), each block with its header."""
    if not below.open:
        return ()
    operations: list[Operation] = []
    expected, packets, room = below.taken[0], MAX_PACKETS, MAX_BYTES
    for block in emitted:
        certified = block.certified
        if decode_header(certified.header).epoch > below.position.epoch or len(operations) == MAX_BLOCKS:
            break
        room -= len(certified.header) + len(certified.certificate)
        wanted = [row for row in block.packets if ours(row[0]) and row[0].sequence >= expected]
        chosen: list[ProvenPacket] = []
        for _, proven in wanted[:packets]:
            room -= len(proven.packet) + len(proven.proof)
            if room < 0 and (chosen or operations):
                break
            chosen.append(proven)
        if chosen:
            operations.append(_delivery(block, chosen))
            expected, packets = expected + len(chosen), packets - len(chosen)
        if len(chosen) < len(wanted):
            break
    return tuple(operations)


def history_needed(below: Side, chosen: bytes, entering: bool, header_bytes: bytes) -> tuple[int, int] | None:
    """Which height has to be proven in a history of how many headers, so that the market takes what stands under this
    header after a decision on a fork (light-client.md §7); None when nothing has to.
    """
    if header_bytes == chosen or sm3(header_bytes) == below.position.header_hash:
        return None
    header, top = decode_header(header_bytes), decode_header(chosen)
    if header.height < top.height:
        return header.height, top.history_count
    return (top.height, header.history_count) if entering else None


def ours(packet: Packet) -> bool:
    """Whether it is one of this channel."""
    return packet.channel == SERVICE_CHANNEL


def _delivery(block: Emitted, packets: Sequence[ProvenPacket]) -> Operation:
    rows: list[Value] = [{"packet": item.packet, "proof": item.proof} for item in packets]
    args: dict[str, Value] = {"height": block.height, "packets": rows, **_header(block.certified)}
    return Operation(CHANNEL, "deliver", args)


def _header(certified: CertifiedHeader) -> dict[str, Value]:
    return {"header": certified.header, "certificate": certified.certificate}


# ---- refunds


def plan_refund_above(local: bytes, above: Side, below: Side) -> Plan:
    """Refunds on the supervisory chain, of what it asked the local one."""
    return _refund(above, below, {"chain": local})


def plan_refund_below(above: Side, below: Side) -> Plan:
    """Refunds on the local chain, of what it asked the supervisory one."""
    return _refund(below, above, {})


def _refund(asking: Side, asked: Side, args: dict[str, Value]) -> Plan:
    """Everything due under the latest header of the chain that was asked, by the proof that fits."""
    if not asking.open or decode_header(asked.certified.header).epoch > asking.position.epoch:
        return ()
    due = [one for one in asking.asked.waiting if one.timeout_ms <= asked.time_ms]
    unreceived = [one.sequence for one in due if one.sequence >= asked.taken[0] and not one.refunded]
    silent = [one.sequence for one in due if one.sequence < asked.taken[0]]
    if unreceived:
        counter, item, sequences = RECEIVED, asked.received, unreceived
    elif silent and asked.sent <= asking.taken[0]:
        counter, item, sequences = SENT, asked.counted, silent
    else:
        return ()
    row: dict[str, Value] = {
        **args,
        "sequences": list[Value](sequences),
        "counter": counter,
        **_counter(item),
        "height": asked.height,
    }
    if counter == SENT:
        row["received"] = _counter(asked.received)
    return (Operation(CHANNEL, "refund", row | _header(asked.certified)),)


def _counter(item: StateItem) -> dict[str, Value]:
    return {"value": item.value or b"", "proof": item.proof}
