"""The contract ``inbox``: packets from admitted chains, exactly once and in order (docs/spec/packets.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.proofs import MAX_PACKET_BYTES, check_inclusion, decode_inclusion, decode_packet, packet_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import HASH, Integer, Kind, ListOf, Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.packet import InclusionProof, Packet
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import ANY_HEADER
from crosschain.light_client import ClientState
from crosschain.packets import (
    ACK_KIND,
    ANSWER_KIND,
    DIRECTIVE_CHANNEL,
    IDENTITY_CHANNEL,
    INBOX,
    REPORT_CHANNEL,
    REPORT_KIND,
    SERVICE_CHANNEL,
    UPWARD_CHANNELS,
    channel_key,
    read_acknowledgement,
    read_answer,
    read_channel,
    read_report,
)
from supervisory_chain import channel, delivered, identity_register, other_clients, past_headers
from supervisory_chain.client_state import client_of
from supervisory_chain.delivered import count_in_block, keep_digest, same_as_delivered
from supervisory_chain.demands import answered
from supervisory_chain.directives import acknowledge
from supervisory_chain.other_clients import OtherClient, Types
from supervisory_chain.past_headers import MAX_PROOF_BYTES, header_of, verify

MAX_PACKETS = 64
"""Packets of one operation: all of one block's outbox."""

_PROVEN_PACKET = Record({"packet": Octets(1, MAX_PACKET_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})
_MAX_DETAIL = following.MAX_DETAIL_CHARACTERS

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    "inbox.not_admitted": RuleText("链 {0} 未准入", "the chain {0} is not admitted"),
    "inbox.malformed": RuleText(
        "第 {0} 个报文或其证明编码不正确：{1}", "packet {0} or its proof is not in its one encoding: {1}"
    ),
    "inbox.foreign_source": RuleText(
        "第 {0} 个报文来自另一条链（SM3 {1}）", "packet {0} was emitted by another chain or ledger ({1})"
    ),
    "inbox.foreign_destination": RuleText(
        "第 {0} 个报文发往另一条链（SM3 {1}）", "packet {0} is addressed to another chain or ledger ({1})"
    ),
    "inbox.unknown_channel": RuleText("没有通道 {0}", "nobody listens on channel {0}"),
    "inbox.replayed": RuleText(
        "通道 {0} 的报文 {1} 已收到，下一个是 {2}", "packet {1} of channel {0} was delivered, the next is {2}"
    ),
    "inbox.out_of_order": RuleText(
        "通道 {0} 的报文 {1} 不按顺序，下一个是 {2}", "packet {1} of channel {0} is out of order, the next is {2}"
    ),
    **past_headers.RULES,
    **delivered.RULES,
    "inbox.proof": RuleText("第 {0} 个报文的证明不成立：{1}", "the proof of packet {0} does not hold: {1}"),
}


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A packet as brought, with its proof; nothing of it is proven yet. Of another technology, ``proof`` is opaque."""

    raw: bytes
    packet: Packet
    proof: InclusionProof | bytes


class Inbox(Contract):
    """Takes proven packets and does what they say; the courier is believed nothing."""

    name = INBOX
    lane = Lane.BORDER
    rules = RULES

    def __init__(self, types: Types | None = None) -> None:
        self.types = types or {}
        arguments: Mapping[str, Kind] = {
            "source": HASH,
            "height": Integer(1),
            "packets": ListOf(_PROVEN_PACKET, MAX_PACKETS, 1),
            **past_headers.HEADER,
            "header": Optional(ANY_HEADER),
        }
        self.methods = {"deliver": Method(self.deliver, arguments), "compare": Method(self.compare, arguments)}

    def deliver(self, ctx: CallContext, args: Arguments) -> None:
        """Packets of one block, in the order of their channels' sequences; all or none."""
        source, height = cast(bytes, args["source"]), cast(int, args["height"])
        client, arrived = self._read_all(ctx, args)
        sequences = self._next_sequences(ctx, source, arrived)
        count_in_block(ctx, source, len(arrived))
        emitted_ms = self._prove(ctx, client, arrived, args)
        for name, following_sequence in sequences.items():
            ctx.put(channel_key(source, name), encode_value({"next": following_sequence, "height": height}))
        for item in arrived:
            self._take(ctx, source, (height, emitted_ms), item)

    def compare(self, ctx: CallContext, args: Arguments) -> None:
        """Proven packets under sequences that were delivered: a case for each that is another one, and no execution."""
        source = cast(bytes, args["source"])
        client, arrived = self._read_all(ctx, args)
        for item in arrived:
            expected, _ = read_channel(ctx.get(channel_key(source, item.packet.channel)))
            if item.packet.sequence >= expected:
                ctx.refuse("inbox.not_delivered", item.packet.channel, item.packet.sequence, expected)
        self._prove(ctx, client, arrived, args)
        differing = [
            item.packet.sequence for item in arrived if not same_as_delivered(ctx, source, item.packet, item.raw)
        ]
        ctx.emit("compared", source=source, packets=len(arrived), differing=cast(list[Value], differing))

    def _read_all(self, ctx: CallContext, args: Arguments) -> tuple[ClientState | OtherClient, list[_Arrived]]:
        """The source's client, and the packets decoded; nothing of them is proven yet."""
        source = cast(bytes, args["source"])
        client = client_of(ctx, source) or other_clients.other_client(ctx, self.types, source)
        if client is None:
            ctx.refuse("inbox.not_admitted", source)
        if client.frozen:
            ctx.refuse("header.frozen", cast(int, args["height"]), "")
        rows = cast(Sequence[Mapping[str, bytes]], args["packets"])
        return client, [_read(ctx, index, row, source, client) for index, row in enumerate(rows)]

    def _prove(
        self, ctx: CallContext, client: ClientState | OtherClient, arrived: Sequence[_Arrived], args: Arguments
    ) -> int:
        """The time of the certified header of ``height``; refuses unless each packet stands under its outbox root."""
        source, height = cast(bytes, args["source"]), cast(int, args["height"])
        if isinstance(client, OtherClient):
            under = other_clients.proven_header(ctx, client, height, args)
            for index, item in enumerate(arrived):
                other_clients.check_packet(ctx, client, under, index, item.raw, cast(bytes, item.proof))
            return client.read(ctx, under).time_ms
        header, unverified = header_of(ctx, client, height, args)
        for index, item in enumerate(arrived):
            try:
                check_inclusion(
                    item.raw, cast(InclusionProof, item.proof), header.outbox_count, header.outbox_root, "outbox"
                )
            except InvalidProof as error:
                ctx.refuse("inbox.proof", index, error.what[:_MAX_DETAIL])
        verify(ctx, source, unverified, args)
        return header.time_ms

    @staticmethod
    def _next_sequences(ctx: CallContext, source: bytes, arrived: Sequence[_Arrived]) -> dict[str, int]:
        """The next sequence of each channel after these packets; refuses replays and gaps."""
        sequences: dict[str, int] = {}
        for item in arrived:
            channel, found = item.packet.channel, item.packet.sequence
            expected = sequences.get(channel)
            if expected is None:
                expected, _ = read_channel(ctx.get(channel_key(source, channel)))
            if found < expected:
                ctx.refuse("inbox.replayed", channel, found, expected)
            if found > expected:
                ctx.refuse("inbox.out_of_order", channel, found, expected)
            sequences[channel] = found + 1
        return sequences

    def _take(self, ctx: CallContext, source: bytes, block: tuple[int, int], item: _Arrived) -> None:
        """Does what a proven packet says; one that cannot be read is counted, so that its channel goes on."""
        packet, hashed = item.packet, packet_hash(item.raw)
        keep_digest(ctx, source, packet, hashed)
        ctx.emit(
            "delivered",
            source=source,
            channel=packet.channel,
            sequence=packet.sequence,
            kind=packet.kind,
            height=block[0],
            packet=hashed,
        )
        if not _carry_out(ctx, source, block, packet, hashed):
            tally = _tally(ctx, source)
            _store_tally(ctx, source, {**tally, "unreadable": cast(int, tally["unreadable"]) + 1})
            ctx.emit("unreadable", source=source, channel=packet.channel, sequence=packet.sequence, packet=hashed)


def _read(
    ctx: CallContext, index: int, row: Mapping[str, bytes], source: bytes, client: ClientState | OtherClient
) -> _Arrived:
    try:
        packet = decode_packet(row["packet"])
        proof = row["proof"] if isinstance(client, OtherClient) else decode_inclusion(row["proof"])
    except MalformedBytes as error:
        ctx.refuse("inbox.malformed", index, f"{error.what}, {error.where}"[:_MAX_DETAIL])
    if (packet.source_genesis, packet.source_ledger) != (source, MAIN_LEDGER):
        ctx.refuse("inbox.foreign_source", index, packet.source_genesis)
    if (packet.destination_genesis, packet.destination_ledger) != (ctx.block.genesis_hash, ctx.block.ledger):
        ctx.refuse("inbox.foreign_destination", index, packet.destination_genesis)
    if packet.channel not in UPWARD_CHANNELS:
        ctx.refuse("inbox.unknown_channel", packet.channel)
    return _Arrived(row["packet"], packet, proof)


def _carry_out(ctx: CallContext, source: bytes, block: tuple[int, int], packet: Packet, hashed: bytes) -> bool:
    """Whether the packet could be read and carried out; ``block``: height and time of the one that emitted it."""
    height, emitted_ms = block
    if packet.channel == SERVICE_CHANNEL:
        return channel.take(ctx, packet, hashed, emitted_ms)
    try:
        if (packet.channel, packet.kind) == (REPORT_CHANNEL, REPORT_KIND):
            report = read_report(packet.payload)
            if report.height != height:
                return False
            tally = _tally(ctx, source)
            _store_tally(
                ctx,
                source,
                {
                    "last": report.payload(),
                    "reports": cast(int, tally["reports"]) + 1,
                    "transactions": cast(int, tally["transactions"]) + report.transactions,
                    "refusals": cast(int, tally["refusals"]) + report.refusals,
                    "unreadable": tally["unreadable"],
                },
            )
            return True
        if (packet.channel, packet.kind) == (DIRECTIVE_CHANNEL, ACK_KIND):
            return acknowledge(ctx, source, height, read_acknowledgement(packet.payload))
        if (packet.channel, packet.kind) == (DIRECTIVE_CHANNEL, ANSWER_KIND):
            return answered(ctx, source, height, read_answer(packet.payload))
        if packet.channel == IDENTITY_CHANNEL:
            return identity_register.take(ctx, source, packet)
    except MalformedBytes:
        return False
    return False


def _tally(ctx: CallContext, source: bytes) -> Mapping[str, Value]:
    raw = ctx.get(b"r" + source)
    if raw is None:
        return {"last": None, "reports": 0, "transactions": 0, "refusals": 0, "unreadable": 0}
    return decode_map(raw, "reports")


def _store_tally(ctx: CallContext, source: bytes, tally: Mapping[str, Value]) -> None:
    ctx.put(b"r" + source, encode_value(tally))
