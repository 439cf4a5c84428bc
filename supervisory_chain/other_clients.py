"""Chains of other technology, followed by their client type (docs/spec/client-types.md §3).

The same state and the same rules as for our own chains, with a type's judgement in the place of our predicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.values import Value
from crosschain import following
from crosschain.client_types import MAX_STATE_BYTES, OWN_TYPE, ClientType, HeaderFacts, Objection
from crosschain.following import Position, decode_position, encode_position
from crosschain.light_client import MAX_AGE_MS
from crosschain.light_client.predicates import MAX_FUTURE_MS
from crosschain.packets import CHAINS, CLIENTS, read_chain, read_followed
from supervisory_chain.chains import admitted_ms
from supervisory_chain.client_state import (
    KEPT_HEADERS,
    Read,
    decisions,
    forget_headers,
    header_key,
    keep_header,
    settled_at,
)
from supervisory_chain.misbehaviour import freeze_fork
from supervisory_chain.recovery import confirmed_hash, note_confirmation

Types = Mapping[str, ClientType]
_Row = Mapping[str, bytes]

RULES: Mapping[str, RuleText] = {
    "clients.other_type": RuleText(
        "链 {0} 的技术类型为 {1}，不支持此操作", "the chain {0} is of type {1}, for which there is no such operation"
    ),
}


@dataclass(frozen=True, slots=True)
class OtherClient:
    """An admitted chain of another technology, where it is followed."""

    kind: ClientType
    chain: bytes
    position: Position
    state: bytes
    trusted_ms: int

    @property
    def frozen(self) -> bool:
        """Whether nothing of the chain is taken until the regulator decides."""
        return self.position.frozen >= 0

    def read(self, ctx: CallContext, header: bytes) -> HeaderFacts:
        """What the header says of itself. Refuses ``header.format``."""
        facts = self.kind.read(header)
        if isinstance(facts, Objection):
            ctx.refuse("header.format", -1, _short(facts))
        return facts

    def require(self, ctx: CallContext, facts: HeaderFacts, header: bytes, certificate: bytes) -> None:
        """Refuses ``header.judged`` unless the header is final; at the price of one of the account's budget."""
        following.charge(ctx, 1)
        objection = self.kind.judge(self.state, header, certificate)
        if objection is not None:
            following.charge_rest(ctx)
            ctx.refuse("header.judged", facts.height, objection.predicate, _short(objection))

    def advanced(self, ctx: CallContext, facts: HeaderFacts, header: bytes, next_set: bytes) -> OtherClient:
        """The client above this header. Refuses ``header.next_set``."""
        state = self.kind.advance(self.state, header, next_set)
        if isinstance(state, Objection):
            ctx.refuse("header.next_set", facts.height, _short(state))
        if len(state) > MAX_STATE_BYTES:
            ctx.refuse("header.next_set", facts.height, f"a state of {len(state)} bytes, at most {MAX_STATE_BYTES}")
        count = self.position.count + 1
        moved = replace(self.position, height=facts.height, header_hash=facts.hash, time_ms=facts.time_ms, count=count)
        return replace(self, position=moved, state=state)


def other_client(ctx: CallContext, types: Types, chain: bytes) -> OtherClient | None:
    """The client of an admitted chain of another technology, for whichever contract; None for any other chain."""

    def read(key: bytes) -> bytes | None:
        return ctx.read(CLIENTS, key)

    record = ctx.read(CHAINS, b"r" + chain)
    if record is None or not read_followed(record):
        return None
    name = cast(str, read_chain(record)["client_type"])
    if name == OWN_TYPE:
        return None
    state = read(b"v" + chain) or ctx.read(CHAINS, b"v" + chain) or b""
    return OtherClient(types[name], chain, decode_position(read(b"c" + chain)), state, admitted_ms(ctx, chain))


def refuse_other(ctx: CallContext, types: Types, chain: bytes) -> None:
    """Refuses ``clients.other_type`` for what only our own consensus knows."""
    client = other_client(ctx, types, chain)
    if client is not None:
        ctx.refuse("clients.other_type", chain, client.kind.name)


# ---- following


def submit(ctx: CallContext, client: OtherClient, rows: Sequence[_Row]) -> None:
    """Headers in ascending order; one that contradicts an accepted one, if it is final too, freezes."""
    chain = client.chain
    confirmed = confirmed_hash(ctx, chain)
    # A stale client judges up to the confirmed header when that is among those brought.
    bridged = confirmed is not None and any(client.read(ctx, row["header"]).hash == confirmed for row in rows)
    for row in rows:
        header, certificate = row["header"], row["certificate"]
        facts = client.read(ctx, header)
        if client.frozen:
            ctx.refuse("header.frozen", facts.height, f"at height {client.position.frozen}")
        if facts.height <= client.position.height:
            _store(ctx, client)  # what came before it in this transaction stands, whatever it proves
            _contradict(ctx, client, facts, header, certificate)
            return
        _check_time(ctx, client, facts, bridged)
        client.require(ctx, facts, header, certificate)
        keep_header(ctx, chain, client.position.count, KEPT_HEADERS, facts.height, header)
        client = client.advanced(ctx, facts, header, row.get("next_set", b""))
        if bridged and facts.hash == confirmed:
            ctx.delete(b"k" + chain)
            bridged = False
    _store(ctx, client)
    ctx.emit("followed", chain=chain, height=client.position.height, headers=len(rows))


def _check_time(ctx: CallContext, client: OtherClient, facts: HeaderFacts, bridged: bool) -> None:
    position, now_ms = client.position, ctx.block.time_ms
    if not bridged and client_age_ms(ctx, client) > MAX_AGE_MS:
        ctx.refuse("header.stale", facts.height, f"the last accepted is {client_age_ms(ctx, client)} ms old")
    if facts.time_ms <= position.time_ms:
        ctx.refuse("header.time", facts.height, f"{facts.time_ms}, the last accepted is {position.time_ms}")
    if facts.time_ms > now_ms + MAX_FUTURE_MS:
        ctx.refuse("header.future", facts.height, f"{facts.time_ms}, at most {now_ms + MAX_FUTURE_MS}")


def client_age_ms(ctx: CallContext, client: OtherClient) -> int:
    """How long ago the last accepted header was made, or the chain was admitted."""
    return ctx.block.time_ms - max(client.position.time_ms, client.trusted_ms)


def _contradict(ctx: CallContext, client: OtherClient, facts: HeaderFacts, header: bytes, certificate: bytes) -> None:
    """A header at or below the last accepted one: two final ones of one height freeze, anything else is refused."""
    chain = client.chain
    stored = ctx.get(header_key(chain, facts.height))
    if stored is None or stored == header or settled_at(ctx.get, chain, facts.height) is not None:
        ctx.refuse("header.height", facts.height, f"the last accepted is {client.position.height}")
    client.require(ctx, facts, header, certificate)
    freeze_fork(ctx, chain, client.position, facts.height, client.read(ctx, stored).hash, facts.hash)


def report_fork(ctx: CallContext, client: OtherClient, rows: Sequence[_Row]) -> None:
    """Two final headers of one height, from anybody: the client freezes."""
    first, second = (client.read(ctx, row["header"]) for row in rows)
    if client.frozen:
        ctx.refuse("header.frozen", first.height, f"at height {client.position.frozen}")
    if first.height != second.height or first.hash == second.hash:
        ctx.refuse("clients.no_fork")
    if settled_at(ctx.get, client.chain, first.height) is not None:
        ctx.refuse("clients.settled", first.height)
    for facts, row in zip((first, second), rows, strict=True):
        client.require(ctx, facts, row["header"], row["certificate"])
    freeze_fork(ctx, client.chain, client.position, first.height, first.hash, second.hash)


# ---- what the regulator decides


def confirm_stale(ctx: CallContext, client: OtherClient, args: Arguments) -> None:
    """As for our own chains: two accounts name the header with which a stale client goes on."""
    height = cast(int, args["height"])
    if height <= client.position.height:
        ctx.refuse("clients.not_above", height, client.position.height)
    if client_age_ms(ctx, client) <= MAX_AGE_MS:
        ctx.refuse("clients.not_stale")
    note_confirmation(ctx, client.chain, height, cast(bytes, args["header_hash"]))


def propose_recovery(ctx: CallContext, client: OtherClient, args: Arguments) -> None:
    """The header to go on from: final, at or above the fork."""
    chain, position = client.chain, client.position
    if not client.frozen:
        ctx.refuse("clients.not_frozen")
    if "epoch" in args:
        ctx.refuse("clients.other_type", chain, client.kind.name)
    header, next_set = cast(bytes, args["header"]), cast(bytes, args.get("next_set", b""))
    facts, since = client.read(ctx, header), cast(int, args.get("since", 1))
    if facts.height < position.frozen:
        ctx.refuse("clients.below_fork", facts.height, position.frozen)
    if since > position.frozen:
        ctx.refuse("clients.above_fork", since, position.frozen)
    client.require(ctx, facts, header, cast(bytes, args["certificate"]))
    row: dict[str, Value] = {
        "header": header,
        "state": client.advanced(ctx, facts, header, next_set).state,
        "frozen": position.frozen,
        "since": since,
        "by": ctx.account,
        "reference": args["reference"],
    }
    ctx.put(b"y" + chain, encode_value(row))
    ctx.emit("recovery_proposed", chain=chain, height=facts.height, header=facts.hash)


def confirm_recovery(ctx: CallContext, client: OtherClient, args: Arguments) -> None:
    """Another account names the same header: the client stands there."""
    chain, position = client.chain, client.position
    raw = ctx.get(b"y" + chain)
    row = {} if raw is None else decode_map(raw, "recovery")
    if not client.frozen or row.get("frozen") != position.frozen:
        ctx.refuse("clients.no_recovery")
    header = cast(bytes, row["header"])
    facts = client.read(ctx, header)
    if facts.hash != args["header_hash"]:
        ctx.refuse("clients.no_recovery")
    if row["by"] == ctx.account:
        ctx.refuse("clients.own_recovery")
    since = cast(int, row["since"])
    forget_headers(ctx, chain, position.count, KEPT_HEADERS, since)
    keep_header(ctx, chain, position.count, KEPT_HEADERS, facts.height, header)
    after = Position(facts.height, facts.hash, facts.time_ms, position.count + 1)
    _store(ctx, replace(client, position=after, state=cast(bytes, row["state"])))
    decided: dict[str, Value] = {
        "from": since,
        "height": facts.height,
        "header_hash": facts.hash,
        "history_root": facts.hash,
        "history_count": 0,
        "by": row["by"],
        "confirmed_by": ctx.account,
        "reference": row["reference"],
        "decided_height": ctx.block.height,
        "fork": position.frozen,
        "left": {"height": position.height, "header_hash": position.header_hash},
    }
    ctx.put(b"u" + chain, encode_value([*decisions(ctx.get, chain), decided]))
    ctx.delete(b"y" + chain)
    ctx.emit("recovered", chain=chain, fork=position.frozen, height=facts.height, header=facts.hash)


def _store(ctx: CallContext, client: OtherClient) -> None:
    ctx.put(b"c" + client.chain, encode_position(client.position))
    ctx.put(b"v" + client.chain, client.state)


# ---- packets


def proven_header(ctx: CallContext, client: OtherClient, height: int, args: Arguments) -> bytes:
    """The header under which packets of ``height`` are proven: the stored one, or the one that came along and holds."""
    chain = client.chain

    def read(key: bytes) -> bytes | None:
        return ctx.read(CLIENTS, key)

    stored = read(header_key(chain, height))
    brought, certificate = cast(bytes | None, args.get("header")), cast(bytes | None, args.get("certificate"))
    if brought is None or certificate is None:
        if stored is None:
            ctx.refuse("inbox.no_header", height)
        return stored
    facts = client.read(ctx, brought)
    if facts.height != height:
        ctx.refuse("inbox.wrong_height", facts.height, height)
    if height > client.position.height:
        _check_time(ctx, client, facts, bridged=False)
    _check_settled(ctx, client, read, facts, brought, cast(bytes, args.get("history", b"")))
    client.require(ctx, facts, brought, certificate)
    if stored not in (None, brought):
        ctx.refuse("inbox.fork", height)
    return brought


def check_packet(ctx: CallContext, client: OtherClient, header: bytes, index: int, packet: bytes, proof: bytes) -> None:
    """Refuses ``inbox.proof`` unless the packet stands under the header."""
    objection = client.kind.proves(header, packet, proof)
    if objection is not None:
        ctx.refuse("inbox.proof", index, _short(objection))


def _check_settled(
    ctx: CallContext, client: OtherClient, read: Read, facts: HeaderFacts, header: bytes, history: bytes
) -> None:
    settled = settled_at(read, client.chain, facts.height)
    if settled is None or facts.hash == settled.header_hash:
        return
    chosen = read(header_key(client.chain, settled.height))
    if chosen is None:
        _discard(ctx, facts, "the chosen header is not kept any more")
    objection = client.kind.descends(chosen, header, history)
    if objection is not None:
        _discard(ctx, facts, _short(objection))


def _discard(ctx: CallContext, facts: HeaderFacts, why: str) -> NoReturn:
    ctx.refuse("inbox.discarded", facts.height, why)


def _short(objection: Objection) -> str:
    return objection.detail[: following.MAX_DETAIL_CHARACTERS]
