"""What to send next, from proven state of both chains alone; pure (docs/spec/packets.md §5).

Each plan is the operations of one transaction, within its limits; after it is final the next is planned anew. So a
relayer needs no memory: whatever happened in between, the two chains say where things stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value
from chain_core.node.answers import CertifiedHeader, ProvenPacket, StateItem
from chain_core.types.ids import MAX_U64
from chain_core.types.packet import Packet
from chain_core.types.transaction import MAX_OPERATIONS, Operation
from chain_core.types.values import Value
from crosschain.following import Position, decode_position
from crosschain.packets import (
    CLIENTS,
    INBOX,
    MAX_DIRECTIVES,
    SUPERVISION,
    UPWARD_CHANNELS,
    chain_record_key,
    client_key,
    count_in,
    directive_key,
    directive_next_key,
    read_channel,
    read_followed,
    received_key,
    sent_key,
)

HEADERS_AN_OPERATION = 32
"""What ``clients.submit_headers`` takes."""
MAX_HEADERS = 62
"""Heights of one transaction: a delivery each and two operations for their headers fill its 64 operations, and no more
headers are verified for one account in a block (``following.HEADERS_A_BLOCK``).
"""
MAX_PACKETS = 64
"""Packets of one transaction: each may be a request, whose acknowledgement is a packet of that transaction."""
MAX_BLOCK_PACKETS = 64
"""Packets of one ``inbox.deliver``."""
MAX_BYTES = 180_000
"""Of headers, certificates, packets and proofs; an envelope has at most 262,144."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the supervisory chain has taken from the local one. ``channels``: next sequence and height of the last.

    ``confirmed``: height of the header with which the regulator lets a stale client go on, 0 without. ``settled``: the
    heights, first and last, whose branch the regulator chose last; headers of them come with their history proof.
    """

    admitted: bool
    client: Position
    channels: Mapping[str, tuple[int, int]]
    confirmed: int = 0
    settled: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The local chain at a final header: how many packets it has sent on each channel."""

    latest: CertifiedHeader
    height: int
    time_ms: int
    sent: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Emitted:
    """A final local block with its outbox, verified; ``history`` proves a header of a settled height."""

    height: int
    certified: CertifiedHeader
    packets: Sequence[tuple[Packet, ProvenPacket]]
    history: bytes = b""


@dataclass(frozen=True, slots=True)
class Closing:
    """The last header of the epoch that the other chain follows this one in, with the next epoch's encoded set."""

    certified: CertifiedHeader
    next_set: bytes


@dataclass(frozen=True, slots=True)
class Issued:
    """The supervisory chain at a final header: how many directives there are, and the next ones, with their proofs."""

    certified: CertifiedHeader
    height: int
    time_ms: int
    next: StateItem
    directives: Sequence[StateItem]


# ---- which state to read


def arrived_keys(local: bytes) -> list[bytes]:
    """Supervisory state that says what arrived from the local chain."""
    return [
        chain_record_key(local),
        client_key(local),
        state_key(CLIENTS, b"k" + local),
        state_key(CLIENTS, b"u" + local),
        *(received_key(local, channel) for channel in UPWARD_CHANNELS),
    ]


def read_arrived(values: Sequence[bytes | None]) -> Arrived:
    """From the values of ``arrived_keys``."""
    record, client, confirmation, recoveries, *channels = values
    received = {name: read_channel(raw) for name, raw in zip(UPWARD_CHANNELS, channels, strict=True)}
    named = {} if confirmation is None else decode_map(confirmation, "confirmation")
    confirmed = cast(int, named["height"]) if named.get("confirmed_by") else 0
    rows = [] if recoveries is None else cast(list[dict[str, int]], decode_value(recoveries, "recoveries"))
    settled = (rows[-1]["from"], rows[-1]["height"]) if rows else None
    return Arrived(read_followed(record), decode_position(client), received, confirmed, settled)


def sent_keys(supervisory: bytes) -> list[bytes]:
    """Local state that says what was sent to the supervisory chain."""
    return [sent_key(supervisory, channel) for channel in UPWARD_CHANNELS]


def read_sent(values: Sequence[bytes | None]) -> dict[str, int]:
    """From the values of ``sent_keys``."""
    return {name: count_in(raw) for name, raw in zip(UPWARD_CHANNELS, values, strict=True)}


def issued_keys(local: bytes, executed: int) -> list[bytes]:
    """Supervisory state that an ``update`` proves: the number of directives, and those that may come next."""
    return [directive_next_key(local), *(directive_key(local, executed + i) for i in range(MAX_DIRECTIVES))]


# ---- up


def pending(arrived: Arrived, source: Source) -> dict[str, int]:
    """Packets sent and not yet arrived, by channel; channels without any are left out."""
    gaps = {channel: source.sent[channel] - arrived.channels[channel][0] for channel in UPWARD_CHANNELS}
    return {channel: gap for channel, gap in gaps.items() if gap > 0}


def scan_start(arrived: Arrived, source: Source, quiet_through: int) -> int | None:
    """The lowest height that may hold a pending packet, None when nothing is pending.

    Packets of a channel that arrived came from no later height than the next one does, unless they came from a branch
    that was given up; up to ``quiet_through`` the caller has seen nothing pending.
    """
    channels = pending(arrived, source)
    if not channels:
        return None
    lowest = min(max(arrived.channels[channel][1], 1) for channel in channels)
    if arrived.settled is not None:
        lowest = min(lowest, max(arrived.settled[0], 1))
    return max(lowest, quiet_through + 1)


def settled_below(arrived: Arrived, height: int) -> int | None:
    """How many headers the history has that proves the header of a settled ``height``; None when it needs no proof."""
    if arrived.settled is None or not arrived.settled[0] <= height < arrived.settled[1]:
        return None
    return arrived.settled[1]


def plan_confirmed(local: bytes, closings: Sequence[Closing], certified: CertifiedHeader) -> Plan:
    """The header that the regulator confirmed for a stale client, and what closes the epochs before it, together."""
    rows: list[Value] = [{**_row(closing.certified), "next_set": closing.next_set} for closing in closings]
    return (Operation(CLIENTS, "submit_headers", {"chain": local, "headers": [*rows, _row(certified)]}),)


def contradicts(arrived: Arrived, header_bytes: bytes) -> bool:
    """Whether the client accepted another header than the chain's own of its height: a fork not shown yet."""
    return arrived.client.height > 0 and header_hash(header_bytes) != arrived.client.header_hash


def plan_contradiction(local: bytes, certified: CertifiedHeader) -> Plan:
    """Shows the chain's own header of the height at which the client accepted another one: the client freezes."""
    return (Operation(CLIENTS, "submit_headers", {"chain": local, "headers": [_row(certified)]}),)


def plan_compare(local: bytes, block: Emitted) -> Plan:
    """Shows packets of the branch chosen, under sequences that were delivered from the one that was given up."""
    operation = _delivery(local, block, [proven for _, proven in block.packets], with_header=True)
    return (Operation(INBOX, "compare", operation.args),)


def plan_epoch_up(local: bytes, arrived: Arrived, closing: Closing) -> Plan:
    """The last header of the epoch that the client follows: it takes no header of the next one before."""
    if not arrived.admitted or arrived.client.frozen >= 0:
        return ()
    row = {**_row(closing.certified), "next_set": closing.next_set}
    return (Operation(CLIENTS, "submit_headers", {"chain": local, "headers": [row]}),)


def plan_epoch_down(position: Position, closing: Closing) -> Plan:
    """The same towards the local chain; directives come with the next ``update``."""
    if position.frozen >= 0:
        return ()
    return (Operation(SUPERVISION, "follow_epoch", {**_row(closing.certified), "next_set": closing.next_set}),)


def plan_up(local: bytes, arrived: Arrived, source: Source, emitted: Sequence[Emitted], heartbeat_ms: int) -> Plan:
    """Pending packets of ``emitted`` (ascending heights) with their headers; else the latest header when it is time."""
    if not arrived.admitted or arrived.client.frozen >= 0:
        return ()
    rows: list[Value] = []
    deliveries: list[Operation] = []
    room = _Room()
    expected = {channel: following for channel, (following, _) in arrived.channels.items()}
    for block in emitted:
        wanted = [row for row in block.packets if row[0].sequence >= expected.get(row[0].channel, MAX_U64)]
        while wanted and room.takes(block):
            chosen = wanted[: room.packets_of(wanted)]
            wanted = wanted[len(chosen) :]
            fresh = block.height > arrived.client.height
            if fresh and not inside(block.certified, arrived.client.epoch):
                return _joined(local, rows, deliveries)
            if fresh and not room.holds_header(block):
                rows.append(_row(block.certified))
            deliveries.append(_delivery(local, block, [proven for _, proven in chosen], with_header=not fresh))
            room.add(block, [proven for _, proven in chosen])
            expected |= {packet.channel: packet.sequence + 1 for packet, _ in chosen}
        if wanted:
            break
    if not deliveries and not pending(arrived, source):
        aged = source.time_ms - arrived.client.time_ms >= heartbeat_ms
        if aged and inside(source.latest, arrived.client.epoch) and source.height > arrived.client.height:
            rows.append(_row(source.latest))
    return _joined(local, rows, deliveries)


def _joined(local: bytes, rows: list[Value], deliveries: list[Operation]) -> Plan:
    parts = (rows[place : place + HEADERS_AN_OPERATION] for place in range(0, len(rows), HEADERS_AN_OPERATION))
    headers = [Operation(CLIENTS, "submit_headers", {"chain": local, "headers": part}) for part in parts]
    return (*headers, *deliveries)


def inside(certified: CertifiedHeader, epoch: int) -> bool:
    """Whether the header is of this epoch and not its last one, which goes with the next set (``plan_epoch_up``)."""
    header = decode_header(certified.header)
    return header.epoch == epoch and header.next_validator_set_hash == header.validator_set_hash


Plan = tuple[Operation, ...]
"""The operations of the next transaction; empty when there is nothing to do."""


class _Room:
    """What still fits into the transaction."""

    def __init__(self) -> None:
        self.bytes = MAX_BYTES
        self.packets = MAX_PACKETS
        self.operations = MAX_OPERATIONS - 2  # two are for the headers
        self.heights: list[int] = []

    def takes(self, block: Emitted) -> bool:
        """Whether a delivery of this block may be added at all."""
        if not self.heights:
            return True
        new = self.heights[-1] != block.height
        full = new and len(self.heights) == MAX_HEADERS
        return not full and self.operations > 0 and self.packets > 0 and self.bytes > _size(block)

    def packets_of(self, wanted: Sequence[tuple[Packet, ProvenPacket]]) -> int:
        """How many of them fit; at least one, which alone fits into an envelope by the packet's own limit."""
        count, left = 0, self.bytes
        for _, proven in wanted[: min(self.packets, MAX_BLOCK_PACKETS)]:
            left -= len(proven.packet) + len(proven.proof)
            if left < 0:
                break
            count += 1
        return max(count, 1)

    def holds_header(self, block: Emitted) -> bool:
        """Whether the block's header is in the transaction already."""
        return bool(self.heights) and self.heights[-1] == block.height

    def add(self, block: Emitted, packets: Sequence[ProvenPacket]) -> None:
        """Takes the room."""
        if not self.holds_header(block):
            self.heights.append(block.height)
        self.bytes -= _size(block) + sum(len(item.packet) + len(item.proof) for item in packets)
        self.packets -= len(packets)
        self.operations -= 1


def _size(block: Emitted) -> int:
    return len(block.certified.header) + len(block.certified.certificate) + 200


def _row(certified: CertifiedHeader) -> dict[str, Value]:
    return {"header": certified.header, "certificate": certified.certificate}


def _delivery(local: bytes, block: Emitted, packets: Sequence[ProvenPacket], *, with_header: bool) -> Operation:
    """Packets of one block; a block below the client's height may not be stored, so its header comes along."""
    args: dict[str, Value] = {
        "source": local,
        "height": block.height,
        "packets": [{"packet": item.packet, "proof": item.proof} for item in packets],
    }
    if with_header:
        args |= {"header": block.certified.header, "certificate": block.certified.certificate}
        if block.history:
            args["history"] = block.history
    return Operation(INBOX, "deliver", args)


# ---- down


def plan_down(position: Position, issued: Issued, heartbeat_ms: int) -> Plan:
    """An ``update`` when directives wait, or when the last supervisory header seen here is old."""
    if position.frozen >= 0 or issued.height <= position.height or not inside(issued.certified, position.epoch):
        return ()
    waiting = count_in(issued.next.value) - position.count
    if waiting <= 0 and issued.time_ms - position.time_ms < heartbeat_ms:
        return ()
    brought: list[Value] = [
        {"packet": item.value, "proof": item.proof}
        for item in issued.directives[: max(0, min(waiting, MAX_DIRECTIVES))]
    ]
    args: dict[str, Value] = {
        "header": issued.certified.header,
        "certificate": issued.certified.certificate,
        "next": {"value": issued.next.value or b"", "proof": issued.next.proof},
        "directives": brought,
    }
    return (Operation(SUPERVISION, "update", args),)


def with_history(plan: Plan, history: bytes) -> Plan:
    """The plan with the proof that its header comes after the one that a decision on a fork chose."""
    return tuple(Operation(one.contract, one.method, {**one.args, "history": history}) for one in plan)
