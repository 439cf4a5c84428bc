"""The contract ``clients``: a light client for each admitted chain (docs/spec/registration.md §2, light-client.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.arguments import HASH, ListOf
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.block import Header
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import (
    CERTIFIED_HEADER,
    Position,
    client_at,
    decode_followed,
    decode_position,
    encode_position,
)
from crosschain.light_client import ClientState, Examined, Finding, Verdict, contradict, examine_next, examine_past
from crosschain.packets import CLIENTS
from supervisory_chain.chains import admitted_chain, registered_validators
from supervisory_chain.registration import differing_validators

MAX_HEADERS = 32
"""Headers of one operation."""
KEPT_HEADERS = 1_000
"""Headers kept of one chain; packets of older or skipped ones come with their header (docs/spec/packets.md §4)."""

_Row: TypeAlias = Mapping[str, bytes]

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    "clients.not_admitted": RuleText("链 {0} 未准入", "the chain {0} is not admitted"),
    "clients.no_fork": RuleText("两个区块头并不矛盾", "the two headers do not contradict each other"),
}


class Clients(Contract):
    """Follows admitted chains; whoever brings headers is believed nothing."""

    name = CLIENTS
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        self.methods = {
            "submit_headers": Method(
                self.submit_headers, {"chain": HASH, "headers": ListOf(CERTIFIED_HEADER, MAX_HEADERS, 1)}
            ),
            "report_fork": Method(self.report_fork, {"chain": HASH, "headers": ListOf(CERTIFIED_HEADER, 2, 2)}),
        }

    def submit_headers(self, ctx: CallContext, args: Arguments) -> None:
        """Verifies and stores headers in ascending order; a fork among them freezes the client."""
        chain = cast(bytes, args["chain"])
        position, client = self._client(ctx, chain)
        examined, contradiction = self._examine(ctx, chain, client, cast(Sequence[_Row], args["headers"]))
        findings = following.verified(ctx, examined)
        for place, (one, finding) in enumerate(zip(examined, findings, strict=True)):
            last = contradiction is not None and place == len(examined) - 1
            if finding.verdict is not Verdict.OK:
                following.refuse_header(ctx, contradiction if last and contradiction is not None else finding)
            if last:
                self._freeze(ctx, chain, position, one.shown.header.height)
                return
            self._keep(ctx, chain, position, one.shown.header, one.shown.header_bytes)
            after = one.client.advanced(one.shown)
            position = position.at(after, position.count + 1)
            if following.keep_epoch(ctx, chain, one.client, after):
                _compare(ctx, chain, after)
        ctx.put(b"c" + chain, encode_position(position))
        ctx.emit("followed", chain=chain, height=position.height, headers=len(cast(Sequence[object], args["headers"])))

    def report_fork(self, ctx: CallContext, args: Arguments) -> None:
        """Two certified headers of one height, from anybody: the client freezes."""
        chain = cast(bytes, args["chain"])
        position, client = self._client(ctx, chain)
        examined: list[Examined] = []
        for row in cast(Sequence[_Row], args["headers"]):
            judge = following.client_for(ctx.get, chain, client, row["header"])
            one = examine_past(judge, row["header"], row["certificate"], now_ms=ctx.block.time_ms)
            if isinstance(one, Finding):
                following.refuse_header(ctx, one)
            examined.append(one)
        first, second = examined
        if not contradict(first.shown, second.shown):
            ctx.refuse("clients.no_fork")
        for finding in following.verified(ctx, examined):
            if finding.verdict is not Verdict.OK:
                following.refuse_header(ctx, finding)
        self._freeze(ctx, chain, position, first.shown.header.height)

    @staticmethod
    def _client(ctx: CallContext, chain: bytes) -> tuple[Position, ClientState]:
        followed = admitted_chain(ctx, chain)
        if followed is None:
            ctx.refuse("clients.not_admitted", chain)
        position = decode_position(ctx.get(b"c" + chain))
        return position, client_at(decode_followed(ctx.get(b"v" + chain) or followed), position)

    @staticmethod
    def _examine(
        ctx: CallContext, chain: bytes, client: ClientState, rows: Sequence[_Row]
    ) -> tuple[list[Examined], Finding | None]:
        """All that the headers show before a signature is verified; refuses what fails a predicate.

        A header that contradicts an accepted one, if its signatures hold, is the last examined; the finding is its
        refusal if they do not.
        """
        examined: list[Examined] = []
        brought: dict[int, bytes] = {}
        left: dict[int, ClientState] = {}
        for row in rows:
            header, certificate, now_ms = row["header"], row["certificate"], ctx.block.time_ms
            next_set = row.get("next_set", b"")
            following_one = examine_next(client, header, certificate, now_ms=now_ms, next_set=next_set)
            if isinstance(following_one, Examined):
                examined.append(following_one)
                brought[following_one.shown.header.height] = header
                after = client.advanced(following_one.shown)
                if after.epoch != client.epoch:
                    left[client.epoch] = client.closed(after.start)
                client = after
                continue
            if following_one.shown is not None:
                height = following_one.shown.header.height
                accepted = brought.get(height) or ctx.get(header_key(chain, height))
                judge = left.get(following_one.shown.header.epoch)
                judge = judge or following.client_for(ctx.get, chain, client, header)
                past = examine_past(judge, header, certificate, now_ms=now_ms)
                if accepted is not None and accepted != header and isinstance(past, Examined):
                    return [*examined, past], following_one
            following.refuse_header(ctx, following_one)
        return examined, None

    @staticmethod
    def _freeze(ctx: CallContext, chain: bytes, position: Position, height: int) -> None:
        ctx.put(b"c" + chain, encode_position(replace(position, frozen=height)))
        ctx.emit("frozen", chain=chain, height=height)

    @staticmethod
    def _keep(ctx: CallContext, chain: bytes, position: Position, header: Header, raw: bytes) -> None:
        """Stores the header in the place of the one accepted ``KEPT_HEADERS`` headers before it."""
        slot = b"o" + chain + (position.count % KEPT_HEADERS).to_bytes(4, "big")
        oldest = ctx.get(slot)
        if oldest is not None:
            ctx.delete(header_key(chain, cast(int, decode_value(oldest, "height"))))
        ctx.put(slot, encode_value(header.height))
        ctx.put(header_key(chain, header.height), raw)


def header_key(chain: bytes, height: int) -> bytes:
    """A stored header's key inside ``clients``."""
    return b"h" + chain + height.to_bytes(8, "big")


def stored_header(ctx: CallContext, chain: bytes, height: int) -> bytes | None:
    """The 408 bytes of an accepted header, for other contracts."""
    return ctx.read(CLIENTS, header_key(chain, height))


def client_of(ctx: CallContext, chain: bytes) -> ClientState | None:
    """The client of an admitted chain where it stands, for other contracts."""
    followed = admitted_chain(ctx, chain)
    if followed is None:
        return None
    followed = ctx.read(CLIENTS, b"v" + chain) or followed
    return client_at(decode_followed(followed), decode_position(ctx.read(CLIENTS, b"c" + chain)))


def judge_of(ctx: CallContext, chain: bytes, client: ClientState, header_bytes: bytes) -> ClientState:
    """The client that judges a past header of ``client``'s chain, for other contracts."""
    return following.client_for(lambda key: ctx.read(CLIENTS, key), chain, client, header_bytes)


def _compare(ctx: CallContext, chain: bytes, client: ClientState) -> None:
    """A new epoch: what its headers say of the validators against what is registered (guideline art. 10, 16)."""
    differing = differing_validators(registered_validators(ctx, chain), client.validators)
    alarm: dict[str, Value] = {"epoch": client.epoch, "start": client.start, "height": ctx.block.height, **differing}
    ctx.put(b"w" + chain, encode_value(alarm))
    if any(differing.values()):
        ctx.emit("validators_differ", chain=chain, **alarm)
    else:
        ctx.emit("epoch_followed", chain=chain, epoch=client.epoch, start=client.start)
