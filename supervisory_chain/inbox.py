"""The contract ``inbox``: packets from admitted chains, exactly once and in order (docs/spec/packets.md §4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import MAX_PACKET_BYTES, check_inclusion, decode_inclusion, decode_packet, packet_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Integer, Kind, ListOf, Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.packet import InclusionProof, Packet
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import ANY_HEADER, CERTIFICATE_BYTES
from crosschain.light_client import ClientState, Examined, Finding, Verdict, examine_past
from crosschain.packets import (
    ACK_KIND,
    ANSWER_KIND,
    DIRECTIVE_CHANNEL,
    INBOX,
    REPORT_CHANNEL,
    REPORT_KIND,
    UPWARD_CHANNELS,
    channel_key,
    read_acknowledgement,
    read_answer,
    read_channel,
    read_report,
)
from supervisory_chain import delivered, other_clients
from supervisory_chain.client_state import client_of, judge_of, stored_header
from supervisory_chain.delivered import check_settled, count_in_block, keep_digest, same_as_delivered
from supervisory_chain.demands import answered
from supervisory_chain.directives import acknowledge
from supervisory_chain.other_clients import OtherClient, Types

MAX_PACKETS = 64
"""Packets of one operation: all of one block's outbox."""
MAX_PROOF_BYTES = 4_096

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
    "inbox.no_header": RuleText(
        "高度 {0} 的区块头未存，请随附区块头和证书", "header {0} is not stored: bring it with its certificate"
    ),
    "inbox.wrong_height": RuleText("随附区块头的高度为 {0}，不是 {1}", "the header brought is of height {0}, not {1}"),
    "inbox.fork": RuleText(
        "随附区块头与已存的高度 {0} 区块头不同，请用 clients.report_fork 上报",
        "the header brought differs from the one stored at height {0}: report it with clients.report_fork",
    ),
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
            "header": Optional(ANY_HEADER),
            "certificate": Optional(CERTIFICATE_BYTES),
            "history": Optional(Octets(1, MAX_PROOF_BYTES)),
        }
        self.methods = {"deliver": Method(self.deliver, arguments), "compare": Method(self.compare, arguments)}

    def deliver(self, ctx: CallContext, args: Arguments) -> None:
        """Packets of one block, in the order of their channels' sequences; all or none."""
        source, height = cast(bytes, args["source"]), cast(int, args["height"])
        client, arrived = self._read_all(ctx, args)
        sequences = self._next_sequences(ctx, source, arrived)
        count_in_block(ctx, source, len(arrived))
        self._prove(ctx, client, arrived, args)
        for channel, following_sequence in sequences.items():
            ctx.put(channel_key(source, channel), encode_value({"next": following_sequence, "height": height}))
        for item in arrived:
            self._take(ctx, source, height, item)

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
    ) -> None:
        """Refuses unless each packet stands under the outbox root of the certified header of ``height``."""
        source, height = cast(bytes, args["source"]), cast(int, args["height"])
        if isinstance(client, OtherClient):
            under = other_clients.proven_header(ctx, client, height, args)
            for index, item in enumerate(arrived):
                other_clients.check_packet(ctx, client, under, index, item.raw, cast(bytes, item.proof))
            return
        header, unverified = self._header(ctx, client, source, height, args)
        for index, item in enumerate(arrived):
            try:
                check_inclusion(
                    item.raw, cast(InclusionProof, item.proof), header.outbox_count, header.outbox_root, "outbox"
                )
            except InvalidProof as error:
                ctx.refuse("inbox.proof", index, error.what[:_MAX_DETAIL])
        if unverified is not None:
            check_settled(ctx, source, unverified.shown, cast(bytes | None, args.get("history")))
            self._verify(ctx, source, unverified)

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

    @staticmethod
    def _header(
        ctx: CallContext, client: ClientState, source: bytes, height: int, args: Arguments
    ) -> tuple[Header, Examined | None]:
        """The stored header of ``height``, or the one that came along, whose signatures are left to be verified."""
        stored = stored_header(ctx, source, height)
        brought, certificate = cast(bytes | None, args.get("header")), cast(bytes | None, args.get("certificate"))
        if brought is None or certificate is None:
            if stored is None:
                ctx.refuse("inbox.no_header", height)
            return decode_header(stored), None
        below = stored_header(ctx, source, height - 1)
        examined = examine_past(
            judge_of(ctx, source, client, brought),
            brought,
            certificate,
            now_ms=ctx.block.time_ms,
            previous_hash=None if below is None else sm3(below),
        )
        if isinstance(examined, Finding):
            following.refuse_header(ctx, examined)
        header = examined.shown.header
        if header.height != height:
            ctx.refuse("inbox.wrong_height", header.height, height)
        return header, examined

    @staticmethod
    def _verify(ctx: CallContext, source: bytes, examined: Examined) -> None:
        """Signatures last, when nothing else is left to refuse but a fork, which only certified headers make."""
        (finding,) = following.verified(ctx, (examined,))
        if finding.verdict is not Verdict.OK:
            following.refuse_header(ctx, finding)
        height = examined.shown.header.height
        if stored_header(ctx, source, height) not in (None, examined.shown.header_bytes):
            ctx.refuse("inbox.fork", height)

    def _take(self, ctx: CallContext, source: bytes, height: int, item: _Arrived) -> None:
        """Does what a proven packet says; one that cannot be read is counted, so that its channel goes on."""
        packet, hashed = item.packet, packet_hash(item.raw)
        keep_digest(ctx, source, packet, hashed)
        ctx.emit(
            "delivered",
            source=source,
            channel=packet.channel,
            sequence=packet.sequence,
            kind=packet.kind,
            height=height,
            packet=hashed,
        )
        if not _carry_out(ctx, source, height, packet):
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


def _carry_out(ctx: CallContext, source: bytes, height: int, packet: Packet) -> bool:
    """Whether the packet could be read and carried out."""
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
