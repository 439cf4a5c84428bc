"""What the regulator decides: that a stale client goes on, or a frozen one (docs/spec/light-client.md §5-§6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from chain_core.codec.block import decode_header
from chain_core.codec.validator_set import decode_validator_set, hash_of_encoded_set
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Integer, Kind, Octets, Optional, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, RuleText
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ZERO_HASH
from chain_core.types.validator_set import InvalidValidatorSet
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
    past_epoch_key,
)
from crosschain.light_client import ClientState, Finding, Shown, Verdict, examine_next
from crosschain.packets import MAX_REFERENCE_BYTES
from supervisory_chain.client_state import KEPT_HEADERS, decisions, forget_headers, keep_header
from supervisory_chain.misbehaviour import client_in

STALE_ARGUMENTS: Mapping[str, Kind] = {"chain": HASH, "height": Integer(1), "header_hash": HASH}
PROPOSAL: Mapping[str, Kind] = {
    "chain": HASH,
    "header": ANY_HEADER,
    "certificate": CERTIFICATE_BYTES,
    "next_set": Optional(NEXT_SET),
    "since": Optional(Integer(1)),
    "epoch": Optional(Record({"start": Integer(1), "set": Octets(1, NEXT_SET.high)})),
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
    judge = _judge(ctx, chain, client, args)
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
    position, _ = client_in(ctx, chain)
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
    _follow(ctx, chain, start, after)
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


def _judge(ctx: CallContext, chain: bytes, client: ClientState, args: Arguments) -> ClientState:
    """The client that judges the header, just below it: by the epoch's validators as followed, or as given."""
    header_bytes, given = cast(bytes, args["header"]), cast(Mapping[str, Value] | None, args.get("epoch"))
    judge = following.client_for(ctx.get, chain, client, header_bytes)
    try:
        header = decode_header(header_bytes)
    except MalformedBytes:
        return replace(judge, frozen=False)  # the predicate ``format`` says so
    if given is not None:
        judge = _given(ctx, chain, client, header.epoch, cast(int, given["start"]), cast(bytes, given["set"]))
    return replace(
        judge,
        frozen=False,
        end=None,
        max_age_ms=None,
        height=header.height - 1,
        header_hash=ZERO_HASH,
        time_ms=header.time_ms - 1,
    )


def _given(ctx: CallContext, chain: bytes, client: ClientState, epoch: int, start: int, encoded: bytes) -> ClientState:
    """An epoch as the regulator gives it; it follows the one before it as that one is kept."""
    if not 1 <= epoch <= client.epoch + 1:
        ctx.refuse("clients.bad_epoch", epoch, f"the client is in epoch {client.epoch}")
    before = client if epoch == client.epoch + 1 else _past(ctx, chain, epoch - 1)
    if start <= before.start:
        ctx.refuse("clients.bad_epoch", epoch, f"epoch {epoch - 1} begins at {before.start}")
    try:
        members = decode_validator_set(encoded)
    except (MalformedBytes, InvalidValidatorSet) as error:
        ctx.refuse("clients.bad_epoch", epoch, error.what[: following.MAX_DETAIL_CHARACTERS])
    return ClientState(chain, members, hash_of_encoded_set(encoded), 0, epoch=epoch, start=start)


def _past(ctx: CallContext, chain: bytes, epoch: int) -> ClientState:
    raw = ctx.get(past_epoch_key(chain, epoch))
    assert raw is not None, "every epoch below the client's is kept"
    return decode_followed(raw)


def _follow(ctx: CallContext, chain: bytes, start: ClientState, after: ClientState) -> None:
    """The epochs as they are on the branch chosen: ``start`` judged the header, ``after`` goes on above it."""
    followed = client_in(ctx, chain)[1]
    for epoch in range(start.epoch, followed.epoch):
        ctx.delete(past_epoch_key(chain, epoch))
    if start.epoch > 0:
        before = followed if start.epoch > followed.epoch else _past(ctx, chain, start.epoch - 1)
        closed = replace(before, frozen=False, max_age_ms=None).closed(start.start)
        ctx.put(past_epoch_key(chain, closed.epoch), encode_followed(closed))
    ctx.put(b"v" + chain, encode_followed(start))
    following.keep_epoch(ctx, chain, start, after)
