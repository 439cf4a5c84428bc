"""The contract ``channel`` of a market's chain: asks the supervisory chain, and answers it (docs/spec/channels.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.proofs import MAX_PACKET_BYTES, check_inclusion, decode_inclusion, decode_packet, packet_hash
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import Integer, Kind, ListOf, Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.execution.line import earlier_chains
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.packet import InclusionProof, Packet
from chain_core.types.values import Value
from contracts.kernel.contract import OPERATOR
from contracts.kernel.records import KERNEL, SECURITY, decode_security
from contracts.kernel.roll import ROLL_HEAD, decode_head
from crosschain import channel, channel_end, channel_services, following
from crosschain.channel_end import End
from crosschain.channel_services import LOCAL, SUPERVISORY, Handler
from crosschain.channel_state import received_place
from crosschain.following import CERTIFICATE_BYTES, HEADER_BYTES, client_at, decode_followed, decode_position
from crosschain.light_client import Examined, Finding, Verdict, examine_past
from crosschain.packets import CHANNEL, SERVICE_CHANNEL, SUPERVISION, read_channel, received_key, sent_key
from local_chain import recovery, service_halts

MAX_PACKETS = 64
"""Packets of one operation: all of one block's outbox."""
PACKETS_A_BLOCK = 512
"""Taken in one block, as the supervisory chain takes from one market."""
MAX_PROOF_BYTES = 4_096
_PROVEN_PACKET = Record({"packet": Octets(1, MAX_PACKET_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})
_MAX_DETAIL = following.MAX_DETAIL_CHARACTERS

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    **channel_end.RULES,
    "supervision.given_up": recovery.RULES["supervision.given_up"],
    "channel.malformed": RuleText(
        "第 {0} 个报文或其证明编码不正确：{1}", "packet {0} or its proof is not in its one encoding: {1}"
    ),
    "channel.foreign_source": RuleText(
        "第 {0} 个报文来自另一条链（SM3 {1}）", "packet {0} was emitted by another chain or ledger ({1})"
    ),
    "channel.foreign_destination": RuleText(
        "第 {0} 个报文发往另一条链（SM3 {1}）", "packet {0} is addressed to another chain or ledger ({1})"
    ),
    "channel.unknown_channel": RuleText("没有通道 {0}", "nobody listens on channel {0}"),
    "channel.replayed": RuleText("报文 {0} 已收到，下一个是 {1}", "packet {0} was taken, the next is {1}"),
    "channel.out_of_order": RuleText("报文 {0} 不按顺序，下一个是 {1}", "packet {0} is out of order, the next is {1}"),
    "channel.rate": RuleText(
        "本区块已收报文 {0} 个，上限 {1}，请在以后的区块重试",
        "{0} packets were taken in this block, at most {1} may be: bring them in a later one",
    ),
    "channel.wrong_height": RuleText(
        "随附区块头的高度为 {0}，不是 {1}", "the header brought is of height {0}, not {1}"
    ),
    "channel.fork": RuleText(
        "随附区块头与已接受的高度 {0} 区块头不同，请用 supervision.update 上报",
        "the header brought differs from the one accepted at height {0}: show it with supervision.update",
    ),
    "channel.nothing_former": RuleText("前驱链没有待回执的请求", "nothing that an earlier chain asked waits"),
}

_HEADER: Mapping[str, Kind] = {
    "height": Integer(1),
    "header": HEADER_BYTES,
    "certificate": CERTIFICATE_BYTES,
    "history": Optional(Octets(1, MAX_PROOF_BYTES)),
}


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A packet as brought; nothing of it is proven yet."""

    raw: bytes
    packet: Packet
    proof: InclusionProof


class Channel(Contract):
    """Lane border. The peer is the supervisory chain of the genesis document, always."""

    name = CHANNEL
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        packets = ListOf(_PROVEN_PACKET, MAX_PACKETS, 1)
        self.methods = {
            "grant": Method(channel_end.grant, channel_end.GRANT, frozenset((OPERATOR,))),
            "request": Method(self.request, channel_end.REQUEST),
            "refund": Method(self.refund, {**channel_end.REFUND, **_HEADER}),
            "deliver": Method(self.deliver, {**_HEADER, "packets": packets}),
            "close_former": Method(self.close_former, {}),
        }

    def request(self, ctx: CallContext, args: Arguments) -> None:
        """Asks the supervisory chain."""
        if decode_position(ctx.read(SUPERVISION, b"s")).frozen >= 0:
            ctx.refuse("header.frozen", -1, "")
        End.of(ctx, _peer(ctx)).request(SUPERVISORY, args)

    def refund(self, ctx: CallContext, args: Arguments) -> None:
        """Units back, by a counter in the supervisory chain's state."""
        peer, own = _peer(ctx), ctx.block.genesis_hash
        header, unverified = _header(ctx, args)
        keys = received_key(own, SERVICE_CHANNEL), sent_key(own, SERVICE_CHANNEL)
        places = dict(zip((channel.RECEIVED, channel.SENT), keys, strict=True))
        taken, _ = read_channel(ctx.get(received_place(own, peer)))
        End.of(ctx, peer).refund(header, places, taken, args)
        _verify(ctx, unverified)

    def deliver(self, ctx: CallContext, args: Arguments) -> None:
        """Packets of one supervisory block, in the order of their sequences; all or none."""
        peer, place = _peer(ctx), received_place(ctx.block.genesis_hash, _peer(ctx))
        rows = cast(Sequence[Mapping[str, bytes]], args["packets"])
        arrived = [_read(ctx, index, row, peer) for index, row in enumerate(rows)]
        expected, _ = read_channel(ctx.get(place))
        for item in arrived:
            if item.packet.sequence != expected:
                late = item.packet.sequence < expected
                ctx.refuse("channel.replayed" if late else "channel.out_of_order", item.packet.sequence, expected)
            expected += 1
        _count_in_block(ctx, peer, len(arrived))
        header, unverified = _header(ctx, args)
        for index, item in enumerate(arrived):
            try:
                check_inclusion(item.raw, item.proof, header.outbox_count, header.outbox_root, "outbox")
            except InvalidProof as error:
                ctx.refuse("channel.proof", index, error.what[:_MAX_DETAIL])
        _verify(ctx, unverified)
        ctx.put(place, encode_value({"next": expected, "height": header.height}))
        end, halted = End.of(ctx, peer), service_halts.halted_by(lambda key: ctx.read(SUPERVISION, key))
        handlers = HANDLERS if halted is None else {}
        for item in arrived:
            digest = packet_hash(item.raw)
            ctx.emit("delivered", sequence=item.packet.sequence, kind=item.packet.kind, packet=digest)
            readable, _ = end.take(item.packet, digest, header.time_ms, LOCAL, handlers)
            if not readable:
                end.count_unreadable()
                ctx.emit("unreadable", sequence=item.packet.sequence, packet=digest)

    def close_former(self, ctx: CallContext, args: Arguments) -> None:
        """Units back for what this chain's predecessors asked: answers to them are taken by nobody."""
        peer = _peer(ctx)
        closed = sum(End(ctx, ctx, former, peer).give_up() for former in earlier_chains(ctx.anywhere))
        if not closed:
            ctx.refuse("channel.nothing_former")


def roll_head(ctx: CallContext, arguments: Mapping[str, Value]) -> dict[str, Value]:
    """The head of a security's holder roll, and its total, of the state in which it is asked for."""
    security = cast(bytes, arguments["security"])
    record, head = ctx.read(KERNEL, SECURITY + security), ctx.read(KERNEL, ROLL_HEAD + security)
    holders, chunks, digest = (0, 0, b"") if head is None else decode_head(head)
    return {
        "found": record is not None,
        "holders": holders,
        "chunks": chunks,
        "digest": digest,
        "total": 0 if record is None else decode_security(record).total,
        "height": ctx.block.height,
    }


HANDLERS: Mapping[str, Handler] = {channel_services.ROLL_HEAD: roll_head}


def _peer(ctx: CallContext) -> bytes:
    return decode_followed(ctx.read(SUPERVISION, b"v") or b"").genesis_hash


def _read(ctx: CallContext, index: int, row: Mapping[str, bytes], peer: bytes) -> _Arrived:
    try:
        packet, proof = decode_packet(row["packet"]), decode_inclusion(row["proof"])
    except MalformedBytes as error:
        ctx.refuse("channel.malformed", index, f"{error.what}, {error.where}"[:_MAX_DETAIL])
    if (packet.source_genesis, packet.source_ledger) != (peer, MAIN_LEDGER):
        ctx.refuse("channel.foreign_source", index, packet.source_genesis)
    if (packet.destination_genesis, packet.destination_ledger) != (ctx.block.genesis_hash, ctx.block.ledger):
        ctx.refuse("channel.foreign_destination", index, packet.destination_genesis)
    if packet.channel != SERVICE_CHANNEL:
        ctx.refuse("channel.unknown_channel", packet.channel)
    return _Arrived(row["packet"], packet, proof)


def _count_in_block(ctx: CallContext, peer: bytes, packets: int) -> None:
    raw = ctx.get(b"c" + peer)
    height, count = cast(Sequence[int], decode_value(raw, "count")) if raw else (0, 0)
    count = count if height == ctx.block.height else 0
    if count + packets > PACKETS_A_BLOCK:
        ctx.refuse("channel.rate", count, PACKETS_A_BLOCK)
    ctx.put(b"c" + peer, encode_value([ctx.block.height, count + packets]))


def _header(ctx: CallContext, args: Arguments) -> tuple[Header, Examined | None]:
    """The supervisory header that came along, whose signatures are left to be verified unless it was followed."""
    raw, height = cast(bytes, args["header"]), cast(int, args["height"])
    position = decode_position(ctx.read(SUPERVISION, b"s"))
    client = client_at(decode_followed(ctx.read(SUPERVISION, b"v") or b""), position)
    judge = following.client_for(lambda key: ctx.read(SUPERVISION, key), b"", client, raw)
    examined = examine_past(judge, raw, cast(bytes, args["certificate"]), now_ms=ctx.block.time_ms)
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    header = examined.shown.header
    if header.height != height:
        ctx.refuse("channel.wrong_height", header.height, height)
    if sm3(raw) == position.header_hash:
        return header, None
    recovery.check_past(ctx, examined.shown, cast(bytes | None, args.get("history")))
    return header, examined


def _verify(ctx: CallContext, examined: Examined | None) -> None:
    """Signatures last, when nothing else is left to refuse but a fork, which only certified headers make."""
    if examined is None:
        return
    (finding,) = following.verified(ctx, (examined,))
    if finding.verdict is not Verdict.OK:
        following.refuse_header(ctx, finding)
    position = decode_position(ctx.read(SUPERVISION, b"s"))
    if examined.shown.header.height == position.height:
        ctx.refuse("channel.fork", position.height)
