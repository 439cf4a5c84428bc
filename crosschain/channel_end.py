"""The contract ``channel`` as far as both chains have it: what the two ends do (docs/spec/channels.md §2-§4).

``space`` is always the contract's own namespace, which on the supervisory chain the inbox and successors write in too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from chain_core.codec.proofs import check_state_proof, decode_state_proof, encode_packet, packet_hash
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import (
    ACCOUNT,
    HASH,
    Choice,
    Document,
    Integer,
    Kind,
    ListOf,
    Octets,
    Optional,
    Record,
    Text,
)
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER, ZERO_HASH
from chain_core.types.packet import Packet
from chain_core.types.values import Value
from crosschain import channel
from crosschain.channel import AckCode, ChannelRefused, Ending, Source
from crosschain.channel_services import MAX_SERVICE_NAME_BYTES, SERVICES, UNITS, Handler, service_of
from crosschain.channel_state import change_units, decode_source, encode_source, pair, record_place
from crosschain.following import MAX_DETAIL_CHARACTERS
from crosschain.packets import ACK_KIND, CHANNEL, REQUEST_KIND, SERVICE_CHANNEL, count_in, read_channel

WAITING, ANSWERED, REFUNDED = "waiting", "answered", "refunded"
MAX_PROOF_BYTES = 8_192
MAX_COUNTER_BYTES = 128

GRANT: Mapping[str, Kind] = {"account": ACCOUNT, "units": UNITS}
REQUEST: Mapping[str, Kind] = {
    "service": Text(MAX_SERVICE_NAME_BYTES),
    "arguments": Document(channel.MAX_ARGUMENT_BYTES, 3),
    "timeout_ms": Integer(),
}
_COUNTER: Mapping[str, Kind] = {"value": Octets(0, MAX_COUNTER_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)}
REFUND: Mapping[str, Kind] = {
    "sequences": ListOf(Integer(), channel.WINDOW, 1, distinct=True),
    "counter": Choice(frozenset((channel.RECEIVED, channel.SENT))),
    **_COUNTER,
    "received": Optional(Record(_COUNTER)),
    "height": Integer(1),
}
"""Argument kinds of the methods that both chains have; each adds how it comes by a header."""

RULES: Mapping[str, RuleText] = {
    "channel.no_service": RuleText("对方没有服务 {0}，或参数不符", "no service {0} there, or other arguments"),
    "channel.timeout": RuleText(
        "期限 {0} 应晚于区块时间 {1} 且不超过其后 {2} 毫秒",
        "the deadline {0} is not after block time {1} and within {2} ms of it",
    ),
    "channel.window_full": RuleText("已有 {0} 个请求待回执", "{0} requests wait for their acknowledgement already"),
    "channel.no_quota": RuleText("余额 {0} 不足，需要 {1}", "{0} units are left and {1} needed"),
    "channel.unknown_request": RuleText("没有序号为 {0} 的待回执请求", "no request {0} waits"),
    "channel.refunded": RuleText("请求 {0} 已退回", "the request {0} was refunded already"),
    "channel.not_due": RuleText(
        "请求 {0} 的期限为 {1}，区块头时间为 {2}", "the request {0} is due at {1}, the header is of {2}"
    ),
    "channel.received": RuleText(
        "请求 {0} 已被收取，对方下一个序号为 {1}", "the request {0} was taken, the destination expects {1}"
    ),
    "channel.not_received": RuleText(
        "请求 {0} 尚未证明已被收取，对方下一个序号为 {1}",
        "the request {0} is not proven taken, the destination expects {1}",
    ),
    "channel.underway": RuleText(
        "请求 {0}：对方已发 {1} 个报文，此处只收到 {2} 个",
        "request {0}: the destination has sent {1} packets, {2} were taken here",
    ),
    "channel.proof": RuleText("{0} 未获证明：{1}", "{0} is not proven: {1}"),
}

_ACK = Record(
    {
        "sequence": Integer(),
        "packet": HASH,
        "code": Integer(0, 65_535),
        "hash": HASH,
        "response": Octets(0, channel.MAX_RESPONSE_BYTES),
    }
)
_REQUEST = Record(
    {
        "service": Text(MAX_SERVICE_NAME_BYTES),
        "arguments": Octets(1, channel.MAX_ARGUMENT_BYTES),
        "timeout_ms": Integer(),
    }
)


@dataclass(frozen=True, slots=True)
class End:
    """One chain's end of its channel with ``peer``; ``own`` is this chain's hash, or that of one it succeeded."""

    ctx: CallContext
    space: Namespace
    own: bytes
    peer: bytes

    @classmethod
    def of(cls, ctx: CallContext, peer: bytes) -> End:
        """For the contract itself."""
        return cls(ctx, ctx, ctx.block.genesis_hash, peer)

    @classmethod
    def within(cls, ctx: CallContext, peer: bytes) -> End:
        """For another contract, which the assembly granted this one's state."""
        return cls(ctx, ctx.within(CHANNEL), ctx.block.genesis_hash, peer)

    @property
    def source(self) -> Source:
        """As it stands."""
        return decode_source(self.space.get(self._place))

    @property
    def _place(self) -> bytes:
        return b"w" + pair(self.own, self.peer)

    def request(self, offered_by: str, args: Mapping[str, Value]) -> None:
        """Sends a request and holds what it costs."""
        ctx, name, timeout_ms = self.ctx, cast(str, args["service"]), cast(int, args["timeout_ms"])
        service = service_of(name, offered_by, args["arguments"])
        arguments = encode_value(args["arguments"])
        if service is None or len(arguments) > channel.MAX_ARGUMENT_BYTES:
            ctx.refuse("channel.no_service", name)
        source, units = self.source, service.units
        try:
            channel.check_window(source, timeout_ms, ctx.block.time_ms)
        except ChannelRefused as refusal:
            ctx.refuse(refusal.rule, *refusal.parameters)
        left = count_in(ctx.get(b"a" + ctx.principal))
        if left < units:
            ctx.refuse("channel.no_quota", left, units)
        payload: dict[str, Value] = {"service": name, "arguments": arguments, "timeout_ms": timeout_ms}
        sequence, digest = self._send(payload)
        change_units(ctx, ctx.principal, lambda all_units: all_units.hold(units))
        row: dict[str, Value] = {
            "number": source.asked,
            "sequence": sequence,
            "account": ctx.principal,
            **payload,
            "units": units,
            "height": ctx.block.height,
            "status": WAITING,
            "code": -1,
            "hash": ZERO_HASH,
            "response": b"",
        }
        ctx.put(record_place(self.own, self.peer, source.asked), encode_value(row))
        ctx.put(self._place, encode_source(channel.ask(source, sequence, digest, timeout_ms, units)))
        ctx.emit("asked", peer=self.peer, sequence=sequence, service=name, timeout_ms=timeout_ms, packet=digest)

    def _send(self, payload: Mapping[str, Value]) -> tuple[int, bytes]:
        """The packet's sequence, and SM3 of its bytes."""
        here, to = self.ctx.block, self.peer
        sequence = self.ctx.send_packet(to, MAIN_LEDGER, SERVICE_CHANNEL, REQUEST_KIND, payload)
        packet = Packet(
            self.own, here.ledger, to, MAIN_LEDGER, SERVICE_CHANNEL, sequence, REQUEST_KIND, encode_value(payload)
        )
        return sequence, packet_hash(encode_packet(packet))

    def refund(self, header: Header, places: Mapping[str, bytes], taken: int, args: Mapping[str, Value]) -> None:
        """Gives units back by counters proven under the peer's header, whose signatures the caller verifies.

        ``places``: full keys of both counters in the peer's state; ``taken``: the next sequence expected from it here.
        """
        counter, sequences = cast(str, args["counter"]), sorted(cast(Sequence[int], args["sequences"]))
        source, endings = self.source, []
        found = _proven(self.ctx, header, counter, places, args)
        try:
            if counter == channel.RECEIVED:
                for sequence in sequences:
                    source, ending = channel.refund_unreceived(source, sequence, header.time_ms, found)
                    endings.append(ending)
            else:
                also = cast(Mapping[str, Value] | None, args.get("received"))
                received = 0 if also is None else _proven(self.ctx, header, channel.RECEIVED, places, also)
                for sequence in sequences:
                    source, ending = channel.refund_unanswered(source, sequence, header.time_ms, received, found, taken)
                    endings.append(ending)
        except ChannelRefused as refusal:
            self.ctx.refuse(refusal.rule, *refusal.parameters)
        self._end(source, endings)

    def give_up(self) -> int:
        """Closes all that waits, of a pair of chains between which no packet is taken any more; how many."""
        source = self.source
        if source.waiting:
            self._end(*channel.refund_all(source))
        return len(source.waiting)

    def take(
        self, packet: Packet, digest: bytes, emitted_ms: int, offers: str, handlers: Mapping[str, Handler]
    ) -> tuple[bool, list[Ending]]:
        """Carries out a proven packet of the channel: whether it could be read, and how its chain broke the rules."""
        if packet.kind == REQUEST_KIND:
            return serve(self.ctx, packet, digest, offers, handlers), []
        row = _read(packet.payload, _ACK) if packet.kind == ACK_KIND else None
        if row is None or not _whole(row):
            return False, []
        sequence, hashed, code = cast(int, row["sequence"]), cast(bytes, row["packet"]), cast(int, row["code"])
        ended = channel.acknowledged(self.source, sequence, hashed, code, emitted_ms)
        if ended is None:
            return False, []
        source, endings = ended
        if endings:
            self._end(source, endings, row)
        return True, [ending for ending in endings if ending.broken]

    def count_unreadable(self) -> None:
        """Where nobody else counts."""
        source = self.source
        self.space.put(self._place, encode_source(replace(source, unreadable=source.unreadable + 1)))

    def _end(self, source: Source, endings: Iterable[Ending], ack: Mapping[str, Value] | None = None) -> None:
        """Stores the end of the channel, the requests' records and their units. ``ack``: that of the last ending."""
        self.space.put(self._place, encode_source(source))
        for ending in endings:
            one, paid = ending.request, ending.paid
            place = record_place(self.own, self.peer, one.number)
            row = decode_map(self.space.get(place) or b"", "request")
            status = ANSWERED if paid else REFUNDED
            named = {"code": -1} if ack is None or ack["sequence"] != one.sequence else _told(ack)
            self.space.put(place, encode_value({**row, **named, "status": status}))
            if paid or ending.given_back:
                _settle(self.space, cast(bytes, row["account"]), one.units, paid)
                self.ctx.emit("ended", peer=self.peer, sequence=one.sequence, status=status, units=one.units)
            if ending.broken:
                self.ctx.emit("broken", peer=self.peer, sequence=one.sequence, kind=ending.broken)


def grant(ctx: CallContext, args: Mapping[str, Value]) -> None:
    """More units for an account."""
    account, units = cast(bytes, args["account"]), cast(int, args["units"])
    change_units(ctx, account, lambda all_units: all_units.grant(units))
    ctx.emit("granted", account=account, units=units)


def serve(ctx: CallContext, packet: Packet, digest: bytes, offers: str, handlers: Mapping[str, Handler]) -> bool:
    """Answers or skips a request and acknowledges it; False when it could not be read."""
    code, response = _answer(ctx, packet.payload, offers, handlers)
    ack: dict[str, Value] = {
        "sequence": packet.sequence,
        "packet": digest,
        "code": int(code),
        "hash": sm3(response) if code == AckCode.ANSWERED else ZERO_HASH,
        "response": response,
    }
    ctx.send_packet(packet.source_genesis, packet.source_ledger, SERVICE_CHANNEL, ACK_KIND, ack)
    ctx.emit("served", peer=packet.source_genesis, sequence=packet.sequence, packet=digest, code=int(code))
    return code != AckCode.UNREADABLE


def _answer(ctx: CallContext, payload: bytes, offers: str, handlers: Mapping[str, Handler]) -> tuple[AckCode, bytes]:
    """The deadline is looked at before anything is executed."""
    row = _read(payload, _REQUEST)
    if row is None:
        return AckCode.UNREADABLE, b""
    if channel.late(cast(int, row["timeout_ms"]), ctx.block.time_ms):
        return AckCode.SKIPPED, b""
    name = cast(str, row["service"])
    known = SERVICES.get(name)
    if known is None or known.offered_by != offers:
        return AckCode.UNKNOWN_SERVICE, b""
    try:
        arguments = decode_value(cast(bytes, row["arguments"]), "arguments")
    except MalformedBytes:
        return AckCode.UNREADABLE, b""
    if not known.arguments.admits(arguments):
        return AckCode.UNREADABLE, b""
    if name not in handlers:
        return AckCode.HALTED, b""
    response = encode_value(handlers[name](ctx, cast(Mapping[str, Value], arguments)))
    if len(response) > channel.MAX_RESPONSE_BYTES:
        return AckCode.REFUSED, b""
    return AckCode.ANSWERED, response


def _proven(
    ctx: CallContext, header: Header, counter: str, places: Mapping[str, bytes], shown: Mapping[str, Value]
) -> int:
    """The counter under the header's state root; an empty value stands for its absence."""
    value = cast(bytes, shown["value"]) or None
    try:
        check_state_proof(places[counter], value, decode_state_proof(cast(bytes, shown["proof"])), header.state_root)
        return read_channel(value)[0] if counter == channel.RECEIVED else count_in(value)
    except (InvalidProof, MalformedBytes) as error:
        ctx.refuse("channel.proof", counter, error.what[:MAX_DETAIL_CHARACTERS])


def _settle(space: Namespace, account: bytes, units: int, paid: bool) -> None:
    change_units(space, account, lambda escrow: escrow.pay(units) if paid else escrow.give_back(units))


def _told(ack: Mapping[str, Value]) -> dict[str, Value]:
    return {name: ack[name] for name in ("code", "hash", "response")}


def _whole(row: Mapping[str, Value]) -> bool:
    """Whether hash and response agree with each other and with the code."""
    response = cast(bytes, row["response"])
    if row["code"] != AckCode.ANSWERED:
        return not response and row["hash"] == ZERO_HASH
    return row["hash"] == sm3(response)


def _read(payload: bytes, kind: Kind) -> Mapping[str, Value] | None:
    try:
        row = decode_map(payload, "packet of a channel")
    except MalformedBytes:
        return None
    return row if kind.admits(cast(Value, row)) else None
