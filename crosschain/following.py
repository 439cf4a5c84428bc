"""A light client's state as contracts keep it, and the texts of its refusals (docs/spec/light-client.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NoReturn, cast

from chain_core.codec.block import decode_header
from chain_core.codec.validator_set import (
    MAX_SET_BYTES,
    decode_validator_set,
    encode_validator_set,
    hash_of_encoded_set,
)
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Integer, Octets, Optional, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.execution.overlay import Namespace
from chain_core.types.block import Certificate
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import HASH_SIZE, ZERO_HASH
from chain_core.types.validator_set import MAX_VALIDATORS
from crosschain.client_types import MAX_HEADER_BYTES
from crosschain.light_client import ClientState, Examined, Finding, Verdict, conclude

HEADER_BYTES = Octets(1, 512)
"""Argument kind of a header: its exact size is the predicate ``format``."""
ANY_HEADER = Octets(1, MAX_HEADER_BYTES)
"""Argument kind of a header of a chain of whatever technology (docs/spec/client-types.md)."""
CERTIFICATE_BYTES = Octets(1, 64 + 66 * MAX_VALIDATORS)
NEXT_SET = Octets(1, MAX_SET_BYTES)
"""Argument kind of the next epoch's encoded validators, which come with the last header of an epoch."""
CERTIFIED_HEADER = Record({"header": ANY_HEADER, "certificate": CERTIFICATE_BYTES, "next_set": Optional(NEXT_SET)})

MAX_DETAIL_CHARACTERS = 120

NO_CERTIFICATE = Certificate(ZERO_HASH, ())
"""In the place of one that was verified before and is not kept."""

HEADERS_A_BLOCK = 64
"""Headers whose signatures are verified for one account in one block, whatever becomes of its transactions."""
_BUDGET = "headers"

RULES: Mapping[str, RuleText] = {
    "header.frozen": RuleText(
        "该链验证者自相矛盾，已停止跟随，待监管决定：{1}",
        "the chain is followed no more, until the regulator decides: {1}",
    ),
    "header.format": RuleText("区块头或证书编码不正确：{1}", "header or certificate is not in its one encoding: {1}"),
    "header.genesis": RuleText("高度 {0} 的区块头属于另一条链：{1}", "header {0} is of another chain: {1}"),
    "header.ledger": RuleText("高度 {0} 的区块头属于另一账本：{1}", "header {0} is of another ledger: {1}"),
    "header.epoch": RuleText("高度 {0} 的区块头不属于当前纪元：{1}", "header {0} is not of the epoch followed: {1}"),
    "header.height": RuleText("高度 {0} 不高于已接受的高度：{1}", "height {0} is not above what was accepted: {1}"),
    "header.reach": RuleText(
        "高度 {0} 不在该纪元的高度范围内：{1}", "height {0} is not one that the epoch's validators certify: {1}"
    ),
    "header.stale": RuleText(
        "高度 {0}：该链久未跟随，须监管确认后继续：{1}", "header {0} waits for the regulator's confirmation: {1}"
    ),
    "header.time": RuleText("高度 {0} 的时间不晚于已接受的区块头：{1}", "the time of header {0} does not advance: {1}"),
    "header.future": RuleText("高度 {0} 的时间在未来：{1}", "the time of header {0} lies in the future: {1}"),
    "header.previous": RuleText(
        "高度 {0} 与已存的前一区块头不相连：{1}", "header {0} does not follow the stored one: {1}"
    ),
    "header.validators": RuleText("高度 {0} 的验证者集合不符：{1}", "header {0} names another validator set: {1}"),
    "header.certified": RuleText(
        "高度 {0} 的证书属于另一区块头：{1}", "the certificate of {0} is another header's: {1}"
    ),
    "header.quorum": RuleText("高度 {0} 的证书签名数不符：{1}", "wrong number of signatures at height {0}: {1}"),
    "header.signers": RuleText("高度 {0} 的签名者未严格升序：{1}", "signers at height {0} are out of order: {1}"),
    "header.members": RuleText("高度 {0} 的签名者不是验证者：{1}", "a signer at height {0} is no validator: {1}"),
    "header.next_set": RuleText(
        "高度 {0} 附带的下一纪元验证者集合不符：{1}", "the next epoch's validators with header {0} do not fit: {1}"
    ),
    "header.judged": RuleText(
        "高度 {0} 的区块头未通过该链技术的验证（{1}）：{2}", "header {0} does not pass its technology's check {1}: {2}"
    ),
    "header.signatures": RuleText("高度 {0} 的签名无效：{1}", "a signature at height {0} is not valid: {1}"),
    "header.budget": RuleText(
        "本区块内该账户的区块头验签额度不足（剩余 {0}，上限 {1}，需要 {2}），请在以后的区块重试",
        "this account may have {0} more headers verified in this block (of {1}), {2} are needed: try in a later block",
    ),
}
"""Texts of ``header.<predicate>``: parameters are the height (-1 when it cannot be read) and the detail."""


@dataclass(frozen=True, slots=True)
class Position:
    """How far a chain is followed. ``count``: headers stored (upward) or directives executed (downward).

    ``frozen`` is the height of the fork, -1 while there is none. ``epoch``: the one whose headers are taken next.
    """

    height: int = 0
    header_hash: bytes = ZERO_HASH
    time_ms: int = 0
    count: int = 0
    frozen: int = -1
    epoch: int = 0

    def at(self, client: ClientState, count: int) -> Position:
        """Where ``client`` stands."""
        return replace(
            self,
            height=client.height,
            header_hash=client.header_hash,
            time_ms=client.time_ms,
            count=count,
            epoch=client.epoch,
        )


def encode_position(position: Position) -> bytes:
    """Canonical map."""
    return encode_value(
        {
            "height": position.height,
            "header_hash": position.header_hash,
            "time_ms": position.time_ms,
            "count": position.count,
            "frozen": position.frozen,
            "epoch": position.epoch,
        }
    )


_POSITION = Record(
    {
        "height": Integer(),
        "header_hash": Octets(HASH_SIZE),
        "time_ms": Integer(-1),
        "count": Integer(),
        "frozen": Integer(-1),
        "epoch": Integer(),
    }
)


def decode_position(raw: bytes | None) -> Position:
    """The reverse, of this chain or proven of another one; a position at genesis when there is none yet.

    Raises MalformedBytes.
    """
    if raw is None:
        return Position()
    row = decode_map(raw, "position")
    if not _POSITION.admits(row):
        raise MalformedBytes("position: a field is missing, unknown or out of bounds", where="position")
    return Position(
        cast(int, row["height"]),
        cast(bytes, row["header_hash"]),
        cast(int, row["time_ms"]),
        cast(int, row["count"]),
        cast(int, row["frozen"]),
        cast(int, row["epoch"]),
    )


def encode_followed(client: ClientState) -> bytes:
    """What a contract keeps to follow a chain through one epoch: identity, the epoch's heights, its validators.

    ``end`` is -1 for the epoch followed, the first height after it for one of the past.
    """
    return encode_value(
        {
            "genesis_hash": client.genesis_hash,
            "time_ms": client.time_ms,
            "epoch": client.epoch,
            "start": client.start,
            "end": -1 if client.end is None else client.end,
            "set": encode_validator_set(client.validators),
        }
    )


@lru_cache(maxsize=64)
def decode_followed(raw: bytes) -> ClientState:
    """The client where that epoch begins; remembered by the record's bytes. Raises MalformedBytes."""
    row = decode_map(raw, "followed chain")
    encoded, end = cast(bytes, row["set"]), cast(int, row["end"])
    return ClientState(
        cast(bytes, row["genesis_hash"]),
        decode_validator_set(encoded),
        hash_of_encoded_set(encoded),
        cast(int, row["time_ms"]),
        epoch=cast(int, row["epoch"]),
        start=cast(int, row["start"]),
        end=None if end < 0 else end,
    )


def past_epoch_key(suffix: bytes, epoch: int) -> bytes:
    """Where a contract keeps an epoch of the past: ``e``, the followed chain where it follows several, u64."""
    return b"e" + suffix + epoch.to_bytes(8, "big")


def keep_epoch(space: Namespace, suffix: bytes, before: ClientState, after: ClientState) -> bool:
    """Whether ``after`` left the epoch of ``before``: the old one is kept for past headers, the new one followed."""
    if after.epoch == before.epoch:
        return False
    space.put(past_epoch_key(suffix, before.epoch), encode_followed(before.closed(after.start)))
    space.put(b"v" + suffix, encode_followed(after))
    return True


def client_for(
    read: Callable[[bytes], bytes | None], suffix: bytes, client: ClientState, header_bytes: bytes
) -> ClientState:
    """The client that judges a past header: of its epoch, when that is one of the past that ``read`` knows."""
    try:
        epoch = decode_header(header_bytes).epoch
    except MalformedBytes:
        return client  # the predicate ``format`` says so
    raw = read(past_epoch_key(suffix, epoch)) if epoch < client.epoch else None
    return client if raw is None else replace(decode_followed(raw), frozen=client.frozen)


def client_at(start: ClientState, position: Position) -> ClientState:
    """The client of ``start``'s chain where it stands now."""
    frozen = position.frozen >= 0
    if position.height == 0:
        return replace(start, header_hash=position.header_hash, frozen=frozen)
    return replace(
        start, height=position.height, header_hash=position.header_hash, time_ms=position.time_ms, frozen=frozen
    )


def verified(ctx: CallContext, examined: Sequence[Examined]) -> list[Finding]:
    """The findings over headers of which only the signatures are left, verified in one batch at the account's cost.

    Anybody may bring headers and every node verifies them, so that an account has a budget a block. One signature that
    does not hold uses all of it up: whoever brings certificates has verified them before. Refuses ``header.budget``.
    """
    charge(ctx, len(examined))
    findings = conclude(examined)
    if not all(finding.verdict is Verdict.OK for finding in findings):
        charge_rest(ctx)
    return findings


def charge(ctx: CallContext, headers: int) -> None:
    """Takes so many headers from the account's budget of the block. Refuses ``header.budget``."""
    left = HEADERS_A_BLOCK - ctx.spent(_BUDGET)
    if headers > left:
        ctx.refuse("header.budget", left, HEADERS_A_BLOCK, headers)
    ctx.spend(_BUDGET, headers)


def charge_rest(ctx: CallContext) -> None:
    """Takes all that is left: of whoever brought a signature that does not hold."""
    ctx.spend(_BUDGET, max(0, HEADERS_A_BLOCK - ctx.spent(_BUDGET)))


def refuse_header(ctx: CallContext, finding: Finding) -> NoReturn:
    """Ends the transaction with ``header.<predicate>``, the height and what disagrees."""
    height = finding.shown.header.height if finding.shown is not None else -1
    ctx.refuse(f"header.{finding.predicate}", height, finding.detail[:MAX_DETAIL_CHARACTERS])
