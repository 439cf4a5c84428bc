"""A frozen follower of the supervisory chain goes on by a decision of both sides (docs/spec/light-client.md §7).

An officer of the regulator proposes, governors of the market's institutions confirm: neither can do it alone, and what
they choose is proven, not believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import check_inclusion, decode_inclusion, packet_hash
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Integer, Kind, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.execution.registry import GOVERNOR
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.validator_set import same_entity
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import (
    CERTIFICATE_BYTES,
    HEADER_BYTES,
    client_at,
    decode_followed,
    decode_position,
    encode_followed,
    encode_position,
)
from crosschain.light_client import Finding, Shown, Verdict, examine_past
from crosschain.packets import ACK_KIND, DIRECTIVE_CHANNEL, MAX_REFERENCE_BYTES, SUPERVISION, Acknowledgement
from crosschain.recovering import GIVEN_EPOCH, follow_choice, judge_of_choice
from local_chain.enforcement import carry_out, demand_key
from local_chain.genesis import REGULATOR

CONFIRMING = GOVERNOR
PROPOSING = REGULATOR
PROPOSAL: Mapping[str, Kind] = {
    "header": HEADER_BYTES,
    "certificate": CERTIFICATE_BYTES,
    "epoch": GIVEN_EPOCH,
    "since": Integer(),
    "document": HASH,
    "reference": Text(MAX_REFERENCE_BYTES),
}
CONFIRMATION: Mapping[str, Kind] = {"header_hash": HASH, "since": Integer(), "document": HASH}
_PROPOSED, _DECIDED, _CHOSEN, _BRANCH = b"y", b"u", b"w", b"b"

RULES: Mapping[str, RuleText] = {
    "supervision.not_frozen": RuleText(
        "对监管链的跟随没有冻结", "the supervisory chain is followed, nothing is frozen"
    ),
    "supervision.below_fork": RuleText("高度 {0} 低于分叉高度 {1}", "height {0} is below the fork at {1}"),
    "supervision.bad_since": RuleText("序号 {0} 高于已执行的 {1}", "sequence {0} is above the {1} carried out"),
    "supervision.bad_epoch": RuleText("所给纪元 {0} 不成立：{1}", "the epoch {0} cannot be as given: {1}"),
    "supervision.no_recovery": RuleText("没有提出这样的恢复", "no such recovery is proposed"),
    "supervision.same_entity": RuleText("机构“{0}”已表示同意", "the entity {0} has agreed already"),
    "supervision.given_up": RuleText(
        "高度 {0} 的区块头不在选定的分支上：{1}", "header {0} is not on the branch that was chosen: {1}"
    ),
}


def propose(ctx: CallContext, args: Arguments) -> None:
    """The header to go on from: certified, at or above the fork. Nothing moves before the institutions confirm."""
    position = decode_position(ctx.get(b"s"))
    if position.frozen < 0:
        ctx.refuse("supervision.not_frozen")
    client = client_at(decode_followed(ctx.get(b"v") or b""), position)
    header_bytes, since = cast(bytes, args["header"]), cast(int, args["since"])
    given = cast(Mapping[str, Value] | None, args.get("epoch"))
    judge = judge_of_choice(ctx, b"", client, header_bytes, given, "supervision.bad_epoch")
    examined = examine_past(judge, header_bytes, cast(bytes, args["certificate"]), now_ms=ctx.block.time_ms)
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    height = examined.shown.header.height
    if height < position.frozen:
        ctx.refuse("supervision.below_fork", height, position.frozen)
    if since > position.count:
        ctx.refuse("supervision.bad_since", since, position.count)
    (finding,) = following.verified(ctx, (examined,))
    if finding.verdict is not Verdict.OK:
        following.refuse_header(ctx, finding)
    row: dict[str, Value] = {
        "header": header_bytes,
        "followed": encode_followed(judge),
        "frozen": position.frozen,
        "since": since,
        "document": args["document"],
        "reference": args["reference"],
        "by": ctx.account,
        "entity": ctx.entity,
        "confirmed_by": [],
        "entities": [],
    }
    ctx.put(_PROPOSED, encode_value(row))
    ctx.emit("recovery_proposed", height=height, header=examined.shown.hash, since=since)


def confirm(ctx: CallContext, args: Arguments) -> None:
    """An institution agrees; with as many as ``governance`` asks for, each of another entity, the follower goes on."""
    position = decode_position(ctx.get(b"s"))
    raw = ctx.get(_PROPOSED)
    row = {} if raw is None else dict(decode_map(raw, "recovery"))
    if position.frozen < 0 or row.get("frozen") != position.frozen:
        ctx.refuse("supervision.no_recovery")
    named = (sm3(cast(bytes, row["header"])), row["since"], row["document"])
    if named != (args["header_hash"], args["since"], args["document"]):
        ctx.refuse("supervision.no_recovery")
    entities = [*cast(Sequence[str], row["entities"])]
    if same_entity(ctx.entity) in map(same_entity, (cast(str, row["entity"]), *entities)):
        ctx.refuse("supervision.same_entity", ctx.entity)
    row["entities"] = cast(list[Value], [*entities, ctx.entity])
    row["confirmed_by"] = [*cast(Sequence[Value], row["confirmed_by"]), ctx.account]
    ctx.put(_PROPOSED, encode_value(row))
    ctx.emit("recovery_confirmed", account=ctx.account, confirmations=len(entities) + 1)
    # As with a proposal of the market's own: one who brings it up and the approvals, here all of them governors.
    if len(entities) + 1 > ctx.parameters["governance_approvals"]:
        _go_on(ctx, row)


def _go_on(ctx: CallContext, row: Mapping[str, Value]) -> None:
    """The follower stands just below the header chosen: what comes next has to be it, or to follow it."""
    position = decode_position(ctx.get(b"s"))
    client = client_at(decode_followed(ctx.get(b"v") or b""), position)
    header_bytes, judge = cast(bytes, row["header"]), decode_followed(cast(bytes, row["followed"]))
    header = decode_header(header_bytes)
    follow_choice(ctx, b"", client, judge, judge)
    after = replace(
        position,
        height=header.height - 1,
        header_hash=header.prev_hash,
        time_ms=header.time_ms - 1,
        count=cast(int, row["since"]),
        frozen=-1,
        epoch=header.epoch,
    )
    ctx.put(b"s", encode_position(after))
    ctx.put(_CHOSEN, header_bytes)
    ctx.put(_BRANCH, header_bytes)
    left: dict[str, Value] = {
        "height": position.height,
        "header_hash": position.header_hash,
        "executed": position.count,
    }
    kept = {name: row[name] for name in ("since", "document", "reference", "by", "confirmed_by")}
    decided: dict[str, Value] = {
        **kept,
        "height": header.height,
        "header_hash": sm3(header_bytes),
        "decided_height": ctx.block.height,
        "fork": position.frozen,
        "left": left,
    }
    raw = ctx.get(_DECIDED)
    before = [] if raw is None else cast(list[Value], decode_value(raw, "recoveries"))
    ctx.put(_DECIDED, encode_value([*before, decided]))
    ctx.delete(_PROPOSED)
    ctx.emit("recovered", fork=position.frozen, height=header.height, header=sm3(header_bytes))


def is_entering(ctx: CallContext) -> bool:
    """Whether a branch was chosen and no header of it was stored since."""
    return ctx.get(_CHOSEN) is not None


def check_branch(ctx: CallContext, shown: Shown, history: bytes | None) -> None:
    """Refuses ``supervision.given_up`` a header that is neither the one chosen nor proven to come after it."""
    chosen = ctx.get(_CHOSEN)
    if chosen is None or shown.header_bytes == chosen:
        return
    at = decode_header(chosen).height
    if history is None or shown.header.height <= at:
        ctx.refuse("supervision.given_up", shown.header.height, "no proof" if history is None else f"{at} was chosen")
    _check_history(ctx, shown.header.height, (at, chosen), shown.header, history)


def check_past(ctx: CallContext, shown: Shown, history: bytes | None) -> None:
    """For other contracts: refuses ``supervision.given_up`` a header up to the one chosen last, unless that one's
    history holds it; and one above it as ``check_branch`` does, until a header of the branch is stored.
    """
    chosen = ctx.read(SUPERVISION, _BRANCH)
    if chosen is None or shown.header_bytes == chosen:
        return
    header, top = shown.header, decode_header(chosen)
    if header.height > top.height and ctx.read(SUPERVISION, _CHOSEN) is None:
        return
    if history is None or header.height == top.height:
        ctx.refuse("supervision.given_up", header.height, "no proof" if history is None else "another one was chosen")
    if header.height < top.height:
        _check_history(ctx, header.height, (header.height, shown.header_bytes), top, history)
    else:
        _check_history(ctx, header.height, (top.height, chosen), header, history)


def _check_history(ctx: CallContext, height: int, leaf: tuple[int, bytes], under: Header, history: bytes) -> None:
    """``leaf``: height and bytes of the header that has to be in the history of ``under``."""
    try:
        proof = decode_inclusion(history)
        if proof.index != leaf[0]:
            ctx.refuse("supervision.given_up", height, f"the proof is for height {proof.index}, not {leaf[0]}")
        check_inclusion(leaf[1], proof, under.history_count, under.history_root, "history")
    except (InvalidProof, MalformedBytes) as error:
        ctx.refuse("supervision.given_up", height, error.what[: following.MAX_DETAIL_CHARACTERS])


def entered(ctx: CallContext) -> None:
    """A header of the branch chosen is stored: from here on its validators' certificates say what follows."""
    ctx.delete(_CHOSEN)


def take(ctx: CallContext, source: bytes, sequence: int, packet: bytes) -> Mapping[str, Value]:
    """Carries a directive out; one whose sequence was carried out before the fork was decided is compared first.

    The same one is acknowledged again and nothing else: no directive binds twice. Another one replaces it.
    """
    raw = ctx.get(b"d" + sequence.to_bytes(8, "big"))
    if raw is None:
        return carry_out(ctx, source, sequence, packet)
    row, digest = decode_map(raw, "directive"), packet_hash(packet)
    if row["packet"] != digest:
        ctx.delete(demand_key(sequence))
        ctx.emit("directive_replaced", sequence=sequence, before=row["packet"], packet=digest)
        return {**carry_out(ctx, source, sequence, packet), "replaced": row["packet"]}
    ack = Acknowledgement(sequence, digest, cast(int, row["code"]))
    ctx.send_packet(source, MAIN_LEDGER, DIRECTIVE_CHANNEL, ACK_KIND, ack.payload())
    ctx.emit("directive_compared", sequence=sequence, packet=digest)
    return row
