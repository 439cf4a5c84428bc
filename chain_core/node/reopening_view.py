"""A reopening for people: who stated what, who is missing, how many lies it could bear; in Chinese and English."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec.block import header_message
from chain_core.codec.certificates import vote_signature
from chain_core.codec.reopening import (
    decode_order,
    decode_reopening,
    decode_signed_statement,
    is_for,
    statement_message,
)
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.node.render import Row
from chain_core.types.block import HeaderVote
from chain_core.types.errors import InvalidProof
from chain_core.types.reopening import Cast, SignedOrder, SignedStatement
from chain_core.types.validator_set import ValidatorSet


def order_row(order: SignedOrder) -> Row:
    """What officers approve."""
    o = order.order
    return {
        "ledger": o.ledger,
        "epoch": o.epoch,
        "height": o.height,
        "attempt": o.attempt,
        "reason": o.reason,
        "order": order.order_hash.hex(),
        "approved_by": [approval.account.hex() for approval in order.approvals],
    }


def open_row(
    height: int, attempt: int, raw_order: bytes, raw_statements: Sequence[bytes], validators: ValidatorSet
) -> Row:
    """The open attempt at one node. Raises MalformedBytes."""
    order = decode_order(raw_order) if raw_order else None
    statements = list(map(decode_signed_statement, raw_statements))
    counted = [made for made in statements if order is not None and is_for(made.statement, order)]
    row: Row = {"height": height, "attempt": attempt, "ordered": order is not None}
    if order is not None:
        row["order"] = order_row(order)
    return row | tally(height, attempt, counted, validators)


def past_row(raw: bytes, validators: ValidatorSet) -> Row:
    """A past reopening. Raises MalformedBytes."""
    made = decode_reopening(raw)
    place = made.order.order.height, made.order.order.attempt
    return {"order": order_row(made.order)} | tally(*place, made.statements, validators)


def tally(height: int, attempt: int, statements: Sequence[SignedStatement], validators: ValidatorSet) -> Row:
    """Per digest who stated it, and the margin: so many false statements leave each digest without a quorum."""
    names = [validator.name for validator in validators.validators]
    stated: dict[tuple[Cast, bytes], list[str]] = {}
    for made in statements:
        s = made.statement
        same = b"" if s.cast is not Cast.SKIP else _skipped(made)
        stated.setdefault((s.cast, same or s.digest), []).append(names[s.signer])
    votes = [who for (cast, _), who in stated.items() if cast is not Cast.NOTHING]
    most, q = max(map(len, votes), default=0), validators.q
    missing = [name for i, name in enumerate(names) if all(made.statement.signer != i for made in statements)]
    margin = q - 1 - most
    gone = ", ".join(missing)
    return {
        "statements": [
            {"cast": cast.name.lower(), "digest": digest.hex(), "stated_by": who}
            for (cast, digest), who in sorted(stated.items())
        ],
        "missing": missing,
        "quorum": q,
        "margin": margin,
        "text_zh": (
            f"高度 {height} 第 {attempt} 次执行：{len(names)} 家验证方中 {len(statements)} 家已声明"
            + (f"，尚缺 {gone.replace(', ', '、')}" if missing else "")
            + f"；同一结果最多 {most} 票（法定 {q} 票），余量 {margin}：虚假声明不超过此数即安全"
        ),
        "text_en": (
            f"height {height}, attempt {attempt}: {len(statements)} of {len(names)} validators have stated"
            + (f", missing {gone}" if missing else "")
            + f"; at most {most} votes agree (a quorum is {q}), margin {margin}: safe while no more of them are false"
        ),
    }


def _skipped(made: SignedStatement) -> bytes:
    """SKIPs of one index agree, though each is signed by another."""
    evidence = made.evidence
    if evidence is None or isinstance(evidence, HeaderVote):
        return b""
    return evidence.vote.digest[:24] + evidence.vote.view.to_bytes(8, "big")


def check_statements(statements: Sequence[SignedStatement], validators: ValidatorSet, genesis_hash: bytes) -> None:
    """InvalidProof unless each statement, and the vote it names, is signed by its validator."""
    items: list[VerifyItem] = []
    for made in statements:
        signer, evidence = made.statement.signer, made.evidence
        if signer >= validators.n:
            raise InvalidProof(f"no validator {signer} in a set of {validators.n}", where="statement")
        key = validators.key(signer)
        items.append((key, statement_message(genesis_hash, made.body), made.signature))
        if isinstance(evidence, HeaderVote):
            items.append((key, header_message(genesis_hash, evidence.header_hash), evidence.signature))
        elif evidence is not None:
            items.append(vote_signature(evidence, validators, genesis_hash))
    if not all(provider().sm2_verify_many(items)):
        raise InvalidProof("a signature does not verify", where="statements", next_step="ask another node")
