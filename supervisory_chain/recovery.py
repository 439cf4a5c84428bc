"""What the regulator decides: that a stale client goes on, or a frozen one (docs/spec/light-client.md §5-§6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Integer, Kind, Optional, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.values import Value
from crosschain import following
from crosschain.following import (
    ANY_HEADER,
    CERTIFICATE_BYTES,
    NEXT_SET,
    Position,
    decode_followed,
    encode_followed,
    encode_position,
)
from crosschain.light_client import Finding, Shown, Verdict, examine_next
from crosschain.packets import MAX_REFERENCE_BYTES
from crosschain.recovering import GIVEN_EPOCH, follow_choice, judge_of_choice
from supervisory_chain.client_state import KEPT_HEADERS, decisions, forget_headers, keep_header
from supervisory_chain.misbehaviour import client_in

STALE_ARGUMENTS: Mapping[str, Kind] = {"chain": HASH, "height": Integer(1), "header_hash": HASH}
PROPOSAL: Mapping[str, Kind] = {
    "chain": HASH,
    "header": ANY_HEADER,
    "certificate": CERTIFICATE_BYTES,
    "next_set": Optional(NEXT_SET),
    "since": Optional(Integer(1)),
    "epoch": GIVEN_EPOCH,
    "reference": Text(MAX_REFERENCE_BYTES),
}
CONFIRMATION: Mapping[str, Kind] = {"chain": HASH, "header_hash": HASH}

RULES: Mapping[str, RuleText] = {
    "clients.not_stale": RuleText("该链的跟随没有过期，无需确认", "this chain's client is not stale"),
    "clients.not_above": RuleText("高度 {0} 不高于已接受的 {1}", "height {0} is not above {1}, which was accepted"),
    "clients.not_frozen": RuleText("该链的跟随没有冻结", "this chain's client is not frozen"),
    "clients.below_fork": RuleText("高度 {0} 低于分叉高度 {1}", "height {0} is below the fork at {1}"),
    "clients.above_fork": RuleText("高度 {0} 高于分叉高度 {1}", "height {0} is above the fork at {1}"),
    "clients.bad_epoch": RuleText("所给纪元 {0} 不成立：{1}", "the epoch {0} cannot be as given: {1}"),
    "clients.no_recovery": RuleText("没有提出以该区块头恢复", "no recovery to this header is proposed"),
    "clients.own_recovery": RuleText(
        "不得确认自己提出的恢复（四眼原则）", "nobody confirms the recovery he proposed (four-eyes principle)"
    ),
}


# ---- stale


def confirm_stale(ctx: CallContext, args: Arguments) -> None:
    """Names the one header with which a stale client goes on: the first account proposes, another confirms."""
    chain = cast(bytes, args["chain"])
    _, client = client_in(ctx, chain)
    height, header_hash = cast(int, args["height"]), cast(bytes, args["header_hash"])
    if height <= client.height:
        ctx.refuse("clients.not_above", height, client.height)
    age_ms = ctx.block.time_ms - max(client.time_ms, client.trusted_ms)
    if client.max_age_ms is None or age_ms <= client.max_age_ms:
        ctx.refuse("clients.not_stale")
    note_confirmation(ctx, chain, height, header_hash)


def note_confirmation(ctx: CallContext, chain: bytes, height: int, header_hash: bytes) -> None:
    """The first account proposes this header, another one that names the same confirms."""
    raw = ctx.get(b"k" + chain)
    row = decode_map(raw, "confirmation") if raw is not None else {}
    agreed = (row.get("height"), row.get("header_hash")) == (height, header_hash)
    by = cast(bytes, row["by"]) if agreed else ctx.account
    confirmed_by = cast(bytes, row["confirmed_by"]) if agreed else b""
    confirmed_by = confirmed_by or (ctx.account if by != ctx.account else b"")
    kept: dict[str, Value] = {"height": height, "header_hash": header_hash, "by": by, "confirmed_by": confirmed_by}
    ctx.put(b"k" + chain, encode_value(kept))
    ctx.emit("stale_confirmed" if confirmed_by else "stale_proposed", chain=chain, height=height)


def confirmed_hash(ctx: CallContext, chain: bytes) -> bytes | None:
    """Hash of the header that two accounts have confirmed for a stale client."""
    raw = ctx.get(b"k" + chain)
    row = {} if raw is None else decode_map(raw, "confirmation")
    return cast(bytes, row["header_hash"]) if row.get("confirmed_by") else None


# ---- frozen


def propose(ctx: CallContext, args: Arguments) -> None:
    """The header to go on from: certified, at or above the fork. Nothing moves before another account confirms."""
    chain = cast(bytes, args["chain"])
    position, client = client_in(ctx, chain)
    if position.frozen < 0:
        ctx.refuse("clients.not_frozen")
    header_bytes = cast(bytes, args["header"])
    given = cast(Mapping[str, Value] | None, args.get("epoch"))
    judge = judge_of_choice(ctx, chain, client, header_bytes, given, "clients.bad_epoch")
    examined = examine_next(
        judge,
        header_bytes,
        cast(bytes, args["certificate"]),
        now_ms=ctx.block.time_ms,
        next_set=cast(bytes, args.get("next_set", b"")),
    )
    if isinstance(examined, Finding):
        following.refuse_header(ctx, examined)
    header = examined.shown.header
    if header.height < position.frozen:
        ctx.refuse("clients.below_fork", header.height, position.frozen)
    since = cast(int, args.get("since", 1))
    if since > position.frozen:
        ctx.refuse("clients.above_fork", since, position.frozen)
    (finding,) = following.verified(ctx, (examined,))
    if finding.verdict is not Verdict.OK:
        following.refuse_header(ctx, finding)
    row: dict[str, Value] = {
        "header": header_bytes,
        "next_set": cast(bytes, args.get("next_set", b"")),
        "followed": encode_followed(judge),
        "frozen": position.frozen,
        "since": since,
        "by": ctx.account,
        "reference": args["reference"],
    }
    ctx.put(b"y" + chain, encode_value(row))
    ctx.emit("recovery_proposed", chain=chain, height=header.height, header=examined.shown.hash)


def confirm(ctx: CallContext, args: Arguments) -> None:
    """The client stands at the header proposed; fork and decision stay on record."""
    chain, header_hash = cast(bytes, args["chain"]), cast(bytes, args["header_hash"])
    position, client = client_in(ctx, chain)
    raw = ctx.get(b"y" + chain)
    row = {} if raw is None else decode_map(raw, "recovery")
    if position.frozen < 0 or row.get("frozen") != position.frozen or sm3(cast(bytes, row["header"])) != header_hash:
        ctx.refuse("clients.no_recovery")
    if row["by"] == ctx.account:
        ctx.refuse("clients.own_recovery")
    header_bytes, start = cast(bytes, row["header"]), decode_followed(cast(bytes, row["followed"]))
    header = decode_header(header_bytes)
    # Only header and next set count for what follows; the certificate was verified when it was proposed.
    judged = Shown(header_bytes, header, header_hash, following.NO_CERTIFICATE, cast(bytes, row["next_set"]))
    after = start.advanced(judged)
    follow_choice(ctx, chain, client, start, after)
    forget_headers(ctx, chain, position.count, KEPT_HEADERS, cast(int, row["since"]))
    keep_header(ctx, chain, position.count, KEPT_HEADERS, header.height, header_bytes)
    ctx.put(b"c" + chain, encode_position(replace(position.at(after, position.count + 1), frozen=-1)))
    decided: dict[str, Value] = {
        "from": row["since"],
        "height": header.height,
        "header_hash": header_hash,
        "history_root": header.history_root,
        "history_count": header.history_count,
        "by": row["by"],
        "confirmed_by": ctx.account,
        "reference": row["reference"],
        "decided_height": ctx.block.height,
        "fork": position.frozen,
        "left": _left(position),
    }
    ctx.put(b"u" + chain, encode_value([*decisions(ctx.get, chain), decided]))
    ctx.delete(b"y" + chain)
    ctx.emit("recovered", chain=chain, fork=position.frozen, height=header.height, header=header_hash)


def _left(position: Position) -> dict[str, Value]:
    """Where the client stood when it froze: the branch that may have been given up."""
    return {"height": position.height, "header_hash": position.header_hash}
