"""The contract ``clients``: a light client for each admitted chain (docs/spec/registration.md §2, light-client.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, ListOf, Octets
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import CERTIFIED_HEADER, encode_position
from crosschain.light_client import MAX_AGE_MS, ClientState, Examined, Finding, Verdict, examine_next, examine_past
from crosschain.packets import CLIENTS
from supervisory_chain import drift, misbehaviour, other_clients, recovery
from supervisory_chain.admission import CSRC
from supervisory_chain.chains import registered_validators
from supervisory_chain.client_state import KEPT_HEADERS, header_key, keep_header, settled_at
from supervisory_chain.misbehaviour import client_in, freeze_fork
from supervisory_chain.other_clients import Types
from supervisory_chain.recovery import confirmed_hash
from supervisory_chain.registration import differing_validators

MAX_HEADERS = 32
"""Headers of one operation."""
HEADERS_A_CHAIN = 256
"""Headers of one chain stored in one block: no market floods the supervisory chain."""

_Row: TypeAlias = Mapping[str, bytes]

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    "clients.not_admitted": RuleText("链 {0} 未准入", "the chain {0} is not admitted"),
    **misbehaviour.RULES,
    **recovery.RULES,
    **other_clients.RULES,
    "clients.rate": RuleText(
        "本区块已为该链存入 {0} 个区块头，上限 {1}，请在以后的区块重试",
        "{0} headers of this chain were stored in this block, at most {1} may be: bring them in a later one",
    ),
}


class Clients(Contract):
    """Follows admitted chains; whoever brings headers is believed nothing."""

    name = CLIENTS
    lane = Lane.BORDER
    rules = RULES

    def __init__(self, types: Types | None = None) -> None:
        csrc = frozenset((CSRC,))
        self.types = types or {}
        self.methods = {
            "submit_headers": Method(
                self.submit_headers, {"chain": HASH, "headers": ListOf(CERTIFIED_HEADER, MAX_HEADERS, 1)}
            ),
            "report_fork": Method(self.report_fork, {"chain": HASH, "headers": ListOf(CERTIFIED_HEADER, 2, 2)}),
            "report_equivocation": Method(
                self.report_equivocation, {"chain": HASH, "proof": Octets(1, misbehaviour.MAX_PROOF_BYTES)}
            ),
            "confirm_stale": Method(self.confirm_stale, recovery.STALE_ARGUMENTS, csrc),
            "propose_recovery": Method(self.propose_recovery, recovery.PROPOSAL, csrc),
            "confirm_recovery": Method(self.confirm_recovery, recovery.CONFIRMATION, csrc),
        }

    def submit_headers(self, ctx: CallContext, args: Arguments) -> None:
        """Verifies and stores headers in ascending order; a fork among them freezes the client."""
        chain, rows = cast(bytes, args["chain"]), cast(Sequence[_Row], args["headers"])
        other = self._other(ctx, args)
        if other is not None:
            _count_in_block(ctx, chain, len(rows))
            other_clients.submit(ctx, other, rows)
            return
        position, client = client_in(ctx, chain)
        examined, contradiction = self._examine(ctx, chain, client, rows)
        _count_in_block(ctx, chain, len(examined))
        findings = following.verified(ctx, examined)
        for place, (one, finding) in enumerate(zip(examined, findings, strict=True)):
            last = contradiction is not None and place == len(examined) - 1
            if finding.verdict is not Verdict.OK:
                following.refuse_header(ctx, contradiction[0] if last and contradiction is not None else finding)
            if last and contradiction is not None:
                freeze_fork(ctx, chain, position, one.shown.header.height, one.shown.hash, contradiction[1])
                return
            keep_header(ctx, chain, position.count, KEPT_HEADERS, one.shown.header.height, one.shown.header_bytes)
            after = one.client.advanced(one.shown)
            position = position.at(after, position.count + 1)
            if following.keep_epoch(ctx, chain, one.client, after):
                _compare(ctx, chain, after)
        drift.watch(ctx, chain, [(one.shown.header, one.client.validators) for one in examined])
        ctx.put(b"c" + chain, encode_position(position))
        ctx.emit("followed", chain=chain, height=position.height, headers=len(rows))

    def report_fork(self, ctx: CallContext, args: Arguments) -> None:
        """Two certified headers of one height freeze the client."""
        other = self._other(ctx, args)
        if other is None:
            misbehaviour.report_fork(ctx, args)
        else:
            other_clients.report_fork(ctx, other, cast(Sequence[_Row], args["headers"]))

    def report_equivocation(self, ctx: CallContext, args: Arguments) -> None:
        """A proof against a validator of our consensus opens a case."""
        other_clients.refuse_other(ctx, self.types, cast(bytes, args["chain"]))
        misbehaviour.report_equivocation(ctx, args)

    def confirm_stale(self, ctx: CallContext, args: Arguments) -> None:
        """With which header a stale client goes on."""
        other = self._other(ctx, args)
        if other is None:
            recovery.confirm_stale(ctx, args)
        else:
            other_clients.confirm_stale(ctx, other, args)

    def propose_recovery(self, ctx: CallContext, args: Arguments) -> None:
        """From which header a frozen client might go on."""
        other = self._other(ctx, args)
        if other is None:
            recovery.propose(ctx, args)
        else:
            other_clients.propose_recovery(ctx, other, args)

    def confirm_recovery(self, ctx: CallContext, args: Arguments) -> None:
        """A frozen client goes on."""
        other = self._other(ctx, args)
        if other is None:
            recovery.confirm(ctx, args)
        else:
            other_clients.confirm_recovery(ctx, other, args)

    def _other(self, ctx: CallContext, args: Arguments) -> other_clients.OtherClient | None:
        """The client, when the chain is of another technology (docs/spec/client-types.md)."""
        return other_clients.other_client(ctx, self.types, cast(bytes, args["chain"]))

    @staticmethod
    def _examine(
        ctx: CallContext, chain: bytes, client: ClientState, rows: Sequence[_Row]
    ) -> tuple[list[Examined], tuple[Finding, bytes] | None]:
        """All that the headers show before a signature is verified; refuses what fails a predicate.

        A header that contradicts an accepted one, if its signatures hold, is the last examined; beside it stand its
        refusal if they do not, and the hash of the accepted one.
        """
        client = _confirmed(ctx, chain, client, rows)
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
                after = _aged(ctx, chain, client.advanced(following_one.shown))
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
                open_to_doubt = settled_at(ctx.get, chain, height) is None
                if accepted is not None and accepted != header and isinstance(past, Examined) and open_to_doubt:
                    return [*examined, past], (following_one, sm3(accepted))
            following.refuse_header(ctx, following_one)
        return examined, None


def _confirmed(ctx: CallContext, chain: bytes, client: ClientState, rows: Sequence[_Row]) -> ClientState:
    """A stale client judges the headers up to the one that the regulator confirmed, where that is brought."""
    confirmed = confirmed_hash(ctx, chain)
    brought = confirmed is not None and any(sm3(row["header"]) == confirmed for row in rows)
    return replace(client, max_age_ms=None) if brought else client


def _aged(ctx: CallContext, chain: bytes, client: ClientState) -> ClientState:
    """The client once more with a limit to its age, when it reached the header that was confirmed."""
    if client.max_age_ms is None and client.header_hash == confirmed_hash(ctx, chain):
        ctx.delete(b"k" + chain)
        return replace(client, max_age_ms=MAX_AGE_MS)
    return client


def _count_in_block(ctx: CallContext, chain: bytes, headers: int) -> None:
    raw = ctx.get(b"t" + chain)
    height, count = cast(Sequence[int], decode_value(raw, "count")) if raw else (0, 0)
    count = count if height == ctx.block.height else 0
    if count + headers > HEADERS_A_CHAIN:
        ctx.refuse("clients.rate", count, HEADERS_A_CHAIN)
    ctx.put(b"t" + chain, encode_value([ctx.block.height, count + headers]))


def _compare(ctx: CallContext, chain: bytes, client: ClientState) -> None:
    """A new epoch: what its headers say of the validators against what is registered (guideline art. 10, 16)."""
    differing = differing_validators(registered_validators(ctx, chain), client.validators)
    alarm: dict[str, Value] = {"epoch": client.epoch, "start": client.start, "height": ctx.block.height, **differing}
    ctx.put(b"w" + chain, encode_value(alarm))
    if any(differing.values()):
        ctx.emit("validators_differ", chain=chain, **alarm)
    else:
        ctx.emit("epoch_followed", chain=chain, epoch=client.epoch, start=client.start)
