"""A light client's state as contracts keep it, and the texts of its refusals (docs/spec/light-client.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NoReturn, cast

from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import decode_map, encode_value
from chain_core.execution.arguments import Octets, Record
from chain_core.execution.context import CallContext
from chain_core.execution.contract import RuleText
from chain_core.types.genesis import Genesis
from chain_core.types.ids import ZERO_HASH
from chain_core.types.validator_set import MAX_VALIDATORS, Validator, ValidatorSet
from crosschain.light_client import ClientState, Examined, Finding, Shown, Verdict, conclude

HEADER_BYTES = Octets(1, 512)
"""Argument kind of a header: its exact size is the predicate ``format``."""
CERTIFICATE_BYTES = Octets(1, 64 + 66 * MAX_VALIDATORS)
CERTIFIED_HEADER = Record({"header": HEADER_BYTES, "certificate": CERTIFICATE_BYTES})

MAX_DETAIL_CHARACTERS = 120

HEADERS_A_BLOCK = 64
"""Headers whose signatures are verified for one account in one block, whatever becomes of its transactions."""
_BUDGET = "headers"

RULES: Mapping[str, RuleText] = {
    "header.frozen": RuleText(
        "该链在同一高度出现过两个经认证的区块头，已停止跟随：{1}", "the chain is followed no more: {1}"
    ),
    "header.format": RuleText("区块头或证书编码不正确：{1}", "header or certificate is not in its one encoding: {1}"),
    "header.genesis": RuleText("高度 {0} 的区块头属于另一条链：{1}", "header {0} is of another chain: {1}"),
    "header.ledger": RuleText("高度 {0} 的区块头属于另一账本：{1}", "header {0} is of another ledger: {1}"),
    "header.epoch": RuleText("高度 {0} 的区块头不属于当前纪元：{1}", "header {0} is not of the epoch followed: {1}"),
    "header.height": RuleText("高度 {0} 不高于已接受的高度：{1}", "height {0} is not above what was accepted: {1}"),
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

    ``frozen`` is the height of the fork, -1 while there is none.
    """

    height: int = 0
    header_hash: bytes = ZERO_HASH
    time_ms: int = 0
    count: int = 0
    frozen: int = -1

    def at(self, shown: Shown, count: int) -> Position:
        """After ``shown`` was accepted."""
        return replace(
            self, height=shown.header.height, header_hash=shown.hash, time_ms=shown.header.time_ms, count=count
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
        }
    )


def decode_position(raw: bytes | None) -> Position:
    """The reverse; a position at genesis when there is none yet. Raises MalformedBytes."""
    if raw is None:
        return Position()
    row = decode_map(raw, "position")
    return Position(
        cast(int, row["height"]),
        cast(bytes, row["header_hash"]),
        cast(int, row["time_ms"]),
        cast(int, row["count"]),
        cast(int, row["frozen"]),
    )


def encode_followed(genesis_hash: bytes, genesis: Genesis) -> bytes:
    """What a contract keeps of a genesis document to follow its chain: identity, time, validators with keys."""
    return encode_value(
        {
            "genesis_hash": genesis_hash,
            "time_ms": genesis.time_ms,
            "validators": [
                {
                    "name": v.name,
                    "entity": v.entity,
                    "consensus_key": v.consensus_key,
                    "transport_key": v.transport_key,
                }
                for v in genesis.validators.validators
            ],
        }
    )


@lru_cache(maxsize=64)
def decode_followed(raw: bytes) -> ClientState:
    """The client of that chain at its genesis; remembered by the record's bytes. Raises MalformedBytes."""
    row = decode_map(raw, "followed chain")
    rows = cast(Sequence[Mapping[str, object]], row["validators"])
    validators = ValidatorSet(
        tuple(
            Validator(
                cast(str, v["name"]),
                cast(str, v["entity"]),
                cast(bytes, v["consensus_key"]),
                cast(bytes, v["transport_key"]),
            )
            for v in rows
        )
    )
    return ClientState(
        cast(bytes, row["genesis_hash"]), validators, validator_set_hash(validators), cast(int, row["time_ms"])
    )


def client_at(start: ClientState, position: Position) -> ClientState:
    """The client of ``start``'s chain where it stands now."""
    frozen = position.frozen >= 0
    if position.height == 0:
        return replace(start, frozen=frozen)
    return replace(
        start, height=position.height, header_hash=position.header_hash, time_ms=position.time_ms, frozen=frozen
    )


def verified(ctx: CallContext, examined: Sequence[Examined]) -> list[Finding]:
    """The findings over headers of which only the signatures are left, verified in one batch at the account's cost.

    Anybody may bring headers and every node verifies them, so that an account has a budget a block. One signature that
    does not hold uses all of it up: whoever brings certificates has verified them before. Refuses ``header.budget``.
    """
    left = HEADERS_A_BLOCK - ctx.spent(_BUDGET)
    if len(examined) > left:
        ctx.refuse("header.budget", left, HEADERS_A_BLOCK, len(examined))
    findings = conclude(examined)
    holds = all(finding.verdict is Verdict.OK for finding in findings)
    ctx.spend(_BUDGET, len(examined) if holds else left)
    return findings


def refuse_header(ctx: CallContext, finding: Finding) -> NoReturn:
    """Ends the transaction with ``header.<predicate>``, the height and what disagrees."""
    height = finding.shown.header.height if finding.shown is not None else -1
    ctx.refuse(f"header.{finding.predicate}", height, finding.detail[:MAX_DETAIL_CHARACTERS])
