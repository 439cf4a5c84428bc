"""The contract ``channel`` of the supervisory chain: asks markets' chains, and answers them (docs/spec/channels.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.execution.arguments import HASH
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.packet import Packet
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain import channel, channel_end, following
from crosschain.channel_end import End
from crosschain.channel_services import INVESTOR_CODE, LOCAL, PARTY_STATUS, SUPERVISORY, Handler
from crosschain.channel_state import local_received_key
from crosschain.following import decode_position
from crosschain.light_client import ClientState
from crosschain.packets import (
    CHAINS,
    CHANNEL,
    CLIENTS,
    INBOX,
    SERVICE_CHANNEL,
    channel_key,
    read_chain,
    read_channel,
    sent_key,
)
from supervisory_chain import delivered, past_headers
from supervisory_chain.admission import CSRC
from supervisory_chain.cases import open_case
from supervisory_chain.client_state import client_of
from supervisory_chain.codes import allocate

MAX_ROWS = 16
"""Markets of one answer of ``party_status``."""

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    **past_headers.RULES,
    **delivered.RULES,
    **channel_end.RULES,
    "channel.not_admitted": RuleText("链 {0} 未准入", "the chain {0} is not admitted"),
}


class Channel(Contract):
    """Lane border; packets of the channel come through the inbox, which calls ``take``."""

    name = CHANNEL
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        self.methods = {
            "grant": Method(channel_end.grant, channel_end.GRANT, frozenset((CSRC,))),
            "request": Method(self.request, {"chain": HASH, **channel_end.REQUEST}),
            "refund": Method(self.refund, {"chain": HASH, **channel_end.REFUND, **past_headers.HEADER}),
        }

    def request(self, ctx: CallContext, args: Arguments) -> None:
        """Asks a market's chain."""
        chain = cast(bytes, args["chain"])
        _client(ctx, chain)
        End.of(ctx, chain).request(LOCAL, args)

    def refund(self, ctx: CallContext, args: Arguments) -> None:
        """Units back, by a counter in the market's state."""
        chain, own = cast(bytes, args["chain"]), ctx.block.genesis_hash
        header, unverified = past_headers.header_of(ctx, _client(ctx, chain), cast(int, args["height"]), args)
        places = {channel.RECEIVED: local_received_key(chain, own), channel.SENT: sent_key(own, SERVICE_CHANNEL)}
        taken, _ = read_channel(ctx.read(INBOX, channel_key(chain, SERVICE_CHANNEL)))
        End.of(ctx, chain).refund(header, places, taken, args)
        past_headers.verify(ctx, chain, unverified, args)


def take(ctx: CallContext, packet: Packet, digest: bytes, emitted_ms: int) -> bool:
    """Whether a proven packet could be read; for the inbox, which was granted this contract's state and cases."""
    end = End.within(ctx, packet.source_genesis)
    readable, broken = end.take(packet, digest, emitted_ms, SUPERVISORY, HANDLERS)
    for ending in broken:
        facts: dict[str, Value] = {"sequence": ending.request.sequence, "packet": ending.request.packet}
        open_case(ctx, packet.source_genesis, ending.broken, {**facts, "emitted_ms": emitted_ms})
    return readable


def party_status(ctx: CallContext, arguments: Mapping[str, Value]) -> dict[str, Value]:
    """Where a legal entity is registrant or validator, and whether a chain that it registered is frozen."""
    entity = same_entity(cast(str, arguments["entity"]))
    rows: list[Value] = []
    known, barred = 0, False
    for market in REGIONS:
        chain = ctx.read(CHAINS, b"m" + market.encode("ascii"))
        raw = None if chain is None else ctx.read(CHAINS, b"r" + chain)
        if chain is None or raw is None:
            continue
        record = read_chain(raw)
        validators = cast(Sequence[Mapping[str, str]], record["validators"])
        registrant = same_entity(cast(str, record["registrar_entity"])) == entity
        count = sum(1 for row in validators if same_entity(row["entity"]) == entity)
        if not registrant and not count:
            continue
        frozen = decode_position(ctx.read(CLIENTS, b"c" + chain)).frozen >= 0
        known, barred = known + 1, barred or (registrant and frozen)
        if known <= MAX_ROWS:
            rows.append([market, record["status"], registrant, count, frozen])
    return {"known": known, "barred": barred, "chains": rows}


HANDLERS: Mapping[str, Handler] = {PARTY_STATUS: party_status, INVESTOR_CODE: allocate}


def _client(ctx: CallContext, chain: bytes) -> ClientState:
    client = client_of(ctx, chain)
    if client is None:
        ctx.refuse("channel.not_admitted", chain)
    if client.frozen:
        ctx.refuse("header.frozen", -1, "")
    return client
