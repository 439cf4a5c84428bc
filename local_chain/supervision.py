"""The contract ``supervision``: follows the supervisory chain, carries out its directives (docs/spec/directives.md §3).

A supervisory header becomes state only together with every directive issued up to it, all proven; nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn, cast

from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.proofs import MAX_PACKET_BYTES, check_state_proof, decode_state_proof
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.execution.arguments import HASH, Integer, ListOf, Octets, Optional, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER
from contracts.kernel.contract import OPERATOR
from crosschain import following
from crosschain.following import (
    CERTIFICATE_BYTES,
    HEADER_BYTES,
    NEXT_SET,
    Position,
    client_at,
    decode_followed,
    decode_position,
    encode_followed,
    encode_position,
)
from crosschain.light_client import ClientState, Finding, Verdict, examine_next, examine_past
from crosschain.packets import (
    ANSWER_KIND,
    DIRECTIVE_CHANNEL,
    MAX_DIRECTIVES,
    MAX_REFERENCE_BYTES,
    SUPERVISION,
    Answer,
    count_in,
    directive_key,
    directive_next_key,
)
from local_chain import recovery, service_halts
from local_chain.enforcement import demand_key

MAX_PROOF_BYTES = 8_192
MAX_NEXT_BYTES = 16

_PROVEN_NEXT = Record({"value": Octets(0, MAX_NEXT_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})
_PROVEN_DIRECTIVE = Record({"packet": Octets(1, MAX_PACKET_BYTES), "proof": Octets(1, MAX_PROOF_BYTES)})
_HISTORY = Optional(Octets(1, MAX_PROOF_BYTES))
_MAX_DETAIL = following.MAX_DETAIL_CHARACTERS

RULES: Mapping[str, RuleText] = {
    **following.RULES,
    **recovery.RULES,
    **service_halts.RULES,
    "supervision.next_proof": RuleText("指令序号未获证明：{0}", "the number of directives issued is not proven: {0}"),
    "supervision.rolled_back": RuleText(
        "指令序号 {0} 低于已执行的 {1}", "{0} directives issued, but {1} were carried out here"
    ),
    "supervision.missing_directives": RuleText(
        "附带指令 {0} 条，应为 {1} 条（从序号 {2} 起，不得缺漏）",
        "{0} directives brought where {1} are needed, from sequence {2}: none may be left out",
    ),
    "supervision.no_demand": RuleText("没有序号为 {0} 的待答复要求", "no demand {0} waits for an answer"),
    "supervision.answered": RuleText("要求 {0} 已答复", "the demand {0} was answered already"),
    "supervision.directive_proof": RuleText("指令 {0} 未获证明：{1}", "directive {0} is not proven at its place: {1}"),
}


class Supervision(Contract):
    """Lane border: what a directive forbids is forbidden to all business of its block."""

    name = SUPERVISION
    lane = Lane.BORDER
    rules = RULES

    def __init__(self) -> None:
        self.methods = {
            "answer": Method(
                self.answer,
                {"sequence": Integer(), "document": HASH, "reference": Text(MAX_REFERENCE_BYTES)},
                frozenset((OPERATOR,)),
            ),
            "follow_epoch": Method(
                self.follow_epoch,
                {"header": HEADER_BYTES, "certificate": CERTIFICATE_BYTES, "next_set": NEXT_SET, "history": _HISTORY},
            ),
            "propose_recovery": Method(recovery.propose, recovery.PROPOSAL, frozenset((recovery.PROPOSING,))),
            "confirm_recovery": Method(recovery.confirm, recovery.CONFIRMATION, frozenset((recovery.CONFIRMING,))),
            "update": Method(
                self.update,
                {
                    "header": HEADER_BYTES,
                    "certificate": CERTIFICATE_BYTES,
                    "next_set": Optional(NEXT_SET),
                    "next": _PROVEN_NEXT,
                    "directives": ListOf(_PROVEN_DIRECTIVE, MAX_DIRECTIVES),
                    "history": _HISTORY,
                },
            ),
        }

    def genesis(self, genesis: Genesis, writer: CallContext) -> None:
        """Validators and identity of the supervisory chain, from the document embedded in this chain's own."""
        raw = genesis.supervisory_genesis
        writer.put(b"v", encode_followed(ClientState.at_genesis(genesis_hash(raw), decode_genesis(raw))))
        writer.put(b"s", encode_position(Position()))

    def update(self, ctx: CallContext, args: Arguments) -> None:
        """A supervisory header with all directives up to it: everything holds, or nothing happens."""
        position = decode_position(ctx.get(b"s"))
        client = client_at(decode_followed(ctx.get(b"v") or b""), position)
        header_bytes, certificate = cast(bytes, args["header"]), cast(bytes, args["certificate"])
        next_set = cast(bytes, args.get("next_set", b""))
        examined = examine_next(client, header_bytes, certificate, now_ms=ctx.block.time_ms, next_set=next_set)
        if isinstance(examined, Finding):
            self._freeze_or_refuse(ctx, position, client, examined, args)
            return
        header = examined.shown.header
        recovery.check_branch(ctx, examined.shown, cast(bytes | None, args.get("history")))
        issued = _proven_next(ctx, header, cast(Mapping[str, bytes], args["next"]))
        packets = _proven_directives(ctx, header, position.count, issued, args)
        # Signatures last: proofs are hashes, these cost every node.
        (finding,) = following.verified(ctx, (examined,))
        if finding.verdict is not Verdict.OK:
            following.refuse_header(ctx, finding)
        executed = position.count + len(packets)
        for sequence, packet in enumerate(packets, position.count):
            record = recovery.take(ctx, client.genesis_hash, sequence, packet)
            ctx.put(
                b"d" + sequence.to_bytes(8, "big"),
                encode_value({"height": ctx.block.height, "supervisory_height": header.height, **record}),
            )
        if executed < issued:
            # More than one update may bring: these bind already, the header waits for the last of them.
            position = replace(position, count=executed)
        else:
            after = client.advanced(examined.shown)
            following.keep_epoch(ctx, b"", client, after)
            position = position.at(after, executed)
            recovery.entered(ctx)
        ctx.put(b"s", encode_position(position))
        ctx.emit("followed", height=position.height, executed=executed, issued=issued)

    def follow_epoch(self, ctx: CallContext, args: Arguments) -> None:
        """The supervisory chain's next validators, by the last header of an epoch that is long past at its nodes.

        Proofs exist under the latest header only. So this header brings no directives, and is therefore not taken as
        seen: the position stays where it is, and the next ``update`` brings every directive as it always does.
        """
        position = decode_position(ctx.get(b"s"))
        client = client_at(decode_followed(ctx.get(b"v") or b""), position)
        header, certificate = cast(bytes, args["header"]), cast(bytes, args["certificate"])
        next_set = cast(bytes, args["next_set"])
        examined = examine_next(client, header, certificate, now_ms=ctx.block.time_ms, next_set=next_set)
        if isinstance(examined, Finding):
            following.refuse_header(ctx, examined)
        recovery.check_branch(ctx, examined.shown, cast(bytes | None, args.get("history")))
        (finding,) = following.verified(ctx, (examined,))
        if finding.verdict is not Verdict.OK:
            following.refuse_header(ctx, finding)
        after = client.advanced(examined.shown)
        following.keep_epoch(ctx, b"", client, after)
        ctx.put(b"s", encode_position(replace(position, epoch=after.epoch)))
        ctx.emit("epoch_followed", epoch=after.epoch, start=after.start)

    def answer(self, ctx: CallContext, args: Arguments) -> None:
        """The market answers a demand: SM3 of the document and its name go to the regulator as a packet."""
        sequence, document = cast(int, args["sequence"]), cast(bytes, args["document"])
        key = demand_key(sequence)
        answered = ctx.get(key)
        if answered is None:
            ctx.refuse("supervision.no_demand", sequence)
        if decode_value(answered, "demand"):
            ctx.refuse("supervision.answered", sequence)
        ctx.put(key, encode_value(document))
        record = decode_map(ctx.get(b"d" + sequence.to_bytes(8, "big")) or b"", "directive")
        answer = Answer(sequence, cast(bytes, record["packet"]), document, cast(str, args["reference"]))
        source = decode_followed(ctx.get(b"v") or b"").genesis_hash
        ctx.send_packet(source, MAIN_LEDGER, DIRECTIVE_CHANNEL, ANSWER_KIND, answer.payload())
        ctx.emit("answered", sequence=sequence, document=document)

    @staticmethod
    def _freeze_or_refuse(
        ctx: CallContext, position: Position, client: ClientState, finding: Finding, args: Arguments
    ) -> None:
        """A refused header is refused, unless it is certified and contradicts the one seen last at its height."""
        shown = finding.shown
        seen = shown is not None and shown.header.height == position.height and not recovery.is_entering(ctx)
        if seen and shown is not None and shown.hash != position.header_hash:
            judge = following.client_for(ctx.get, b"", client, cast(bytes, args["header"]))
            past = examine_past(
                judge, cast(bytes, args["header"]), cast(bytes, args["certificate"]), now_ms=ctx.block.time_ms
            )
            if not isinstance(past, Finding) and following.verified(ctx, (past,))[0].verdict is Verdict.OK:
                ctx.put(b"s", encode_position(replace(position, frozen=position.height)))
                ctx.emit("frozen", height=position.height)
                return
        following.refuse_header(ctx, finding)


def _proven_next(ctx: CallContext, header: Header, row: Mapping[str, bytes]) -> int:
    """``directive_next[this chain]`` under the header's state root; an empty value stands for its absence."""
    value = row["value"] or None
    try:
        proof = decode_state_proof(row["proof"])
        check_state_proof(directive_next_key(ctx.block.genesis_hash), value, proof, header.state_root)
        return count_in(value)
    except (InvalidProof, MalformedBytes) as error:
        _refuse_proof(ctx, error, "supervision.next_proof")


def _proven_directives(ctx: CallContext, header: Header, executed: int, issued: int, args: Arguments) -> list[bytes]:
    """The packets of the directives to carry out now: exactly those that follow, each proven at its own key."""
    if issued < executed:
        ctx.refuse("supervision.rolled_back", issued, executed)
    rows = cast(Sequence[Mapping[str, bytes]], args["directives"])
    needed = min(issued - executed, MAX_DIRECTIVES)
    if len(rows) != needed:
        ctx.refuse("supervision.missing_directives", len(rows), needed, executed)
    for sequence, row in enumerate(rows, executed):
        try:
            proof = decode_state_proof(row["proof"])
            check_state_proof(directive_key(ctx.block.genesis_hash, sequence), row["packet"], proof, header.state_root)
        except (InvalidProof, MalformedBytes) as error:
            _refuse_proof(ctx, error, "supervision.directive_proof", sequence)
    return [row["packet"] for row in rows]


def _refuse_proof(ctx: CallContext, error: InvalidProof | MalformedBytes, rule: str, *params: int) -> NoReturn:
    ctx.refuse(rule, *params, error.what[:_MAX_DETAIL])
