"""The contract ``clients``: a light client for each admitted chain (docs/spec/registration.md §2, light-client.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.arguments import HASH, ListOf
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.block import Header
from chain_core.types.errors import MalformedBytes
from crosschain import following
from crosschain.following import (
    CERTIFIED_HEADER,
    Position,
    client_at,
    decode_followed,
    decode_position,
    encode_position,
)
from crosschain.light_client import ClientState, Finding, Verdict, is_fork, verify_next, verify_past
from crosschain.packets import CLIENTS
from supervisory_chain.chains import admitted_chain

MAX_HEADERS = 32
"""Headers of one operation."""
KEPT_HEADERS = 1_000
"""Headers kept of one chain; packets of older or skipped ones come with their header (docs/spec/packets.md §4)."""

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
        for row in cast(Sequence[Mapping[str, bytes]], args["headers"]):
            forked = self._fork_with_stored(ctx, chain, client, row)
            if forked is not None:
                self._freeze(ctx, chain, position, forked)
                return
            finding = verify_next(client, row["header"], row["certificate"], now_ms=ctx.block.time_ms)
            if finding.verdict is not Verdict.OK or finding.shown is None:
                following.refuse_header(ctx, finding)
            self._keep(ctx, chain, position, finding.shown.header, row["header"])
            position = position.at(finding.shown, position.count + 1)
            client = client.advanced(finding.shown)
        ctx.put(b"c" + chain, encode_position(position))
        ctx.emit("followed", chain=chain, height=position.height, headers=len(cast(Sequence[object], args["headers"])))

    def report_fork(self, ctx: CallContext, args: Arguments) -> None:
        """Two certified headers of one height, from anybody: the client freezes."""
        chain = cast(bytes, args["chain"])
        position, client = self._client(ctx, chain)
        findings: list[Finding] = []
        for row in cast(Sequence[Mapping[str, bytes]], args["headers"]):
            finding = verify_past(client, row["header"], row["certificate"], now_ms=ctx.block.time_ms)
            if finding.verdict is not Verdict.OK:
                following.refuse_header(ctx, finding)
            findings.append(finding)
        if not is_fork(*findings) or findings[0].shown is None:
            ctx.refuse("clients.no_fork")
        self._freeze(ctx, chain, position, findings[0].shown.header.height)

    @staticmethod
    def _client(ctx: CallContext, chain: bytes) -> tuple[Position, ClientState]:
        followed = admitted_chain(ctx, chain)
        if followed is None:
            ctx.refuse("clients.not_admitted", chain)
        position = decode_position(ctx.get(b"c" + chain))
        return position, client_at(decode_followed(followed), position)

    @staticmethod
    def _fork_with_stored(ctx: CallContext, chain: bytes, client: ClientState, row: Mapping[str, bytes]) -> int | None:
        """The height at which a certified header contradicts the stored one; None when it does not."""
        try:
            height = decode_header(row["header"]).height
        except MalformedBytes:
            return None  # ``verify_next`` refuses it, by the predicate's name
        stored = ctx.get(header_key(chain, height))
        if stored is None or stored == row["header"]:
            return None
        finding = verify_past(client, row["header"], row["certificate"], now_ms=ctx.block.time_ms)
        return height if finding.verdict is Verdict.OK else None

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
    return client_at(decode_followed(followed), decode_position(ctx.read(CLIENTS, b"c" + chain)))
