"""Sample records of a reopening: an order with two approvals, and four statements of which two and two agree."""

from __future__ import annotations

from dataclasses import replace

from chain_core.codec import signed
from chain_core.codec.block import encode_header, header_hash, header_message
from chain_core.codec.evidence import encode_equivocation, equivocation
from chain_core.codec.reopening import (
    approved,
    cast_of,
    encode_order_body,
    encode_reopening,
    encode_statement,
    new_order,
    order_message,
    statement_message,
)
from chain_core.codec.votes import encode_vote
from chain_core.types.block import HeaderVote, Phase, SignedVote, Vote
from chain_core.types.evidence import Statement
from chain_core.types.reopening import (
    Approval,
    AttemptStatement,
    Reopening,
    ReopenOrder,
    SignedOrder,
    SignedStatement,
)
from tests.vectors.keys import public_key
from tests.vectors.samples import Samples

OFFICERS = (8, 9)
"""Key numbers of the two who approve."""


def order(s: Samples) -> SignedOrder:
    """To reopen height 1."""
    made = new_order(ReopenOrder(0, 0, 1, 0, "two builds executed height 1 differently 两个版本执行结果不同"))
    for number in OFFICERS:
        signature = s.signatures.sign(number, order_message(s.chain, made.body))
        made = approved(made, Approval(bytes([number]) * 16, public_key(number), signature))
    return made


def _other_vote(s: Samples, signer: int) -> HeaderVote:
    """For a header that a faulty build leads to."""
    header = replace(s.header, state_root=bytes(32))
    raw = encode_header(header)
    digest = header_hash(raw)
    return HeaderVote(header, raw, digest, signer, s.signatures.sign(signer, header_message(s.chain, digest)))


def _skip(s: Samples, signer: int) -> SignedVote:
    vote = Vote(Phase.SKIP, 0, 0, 1, 1, 0, bytes(32), signer)
    body = encode_vote(vote)
    return SignedVote(vote, body, s.signatures.sign(signer, signed.message(signed.VOTE, s.chain, body)))


def statement(s: Samples, signer: int, evidence: HeaderVote | SignedVote | None) -> SignedStatement:
    """What a validator says it cast at height 1, attempt 0."""
    made = AttemptStatement(order(s).order_hash, 0, 0, 1, 0, signer, *cast_of(evidence))
    body = encode_statement(made)
    return SignedStatement(made, body, evidence, s.signatures.sign(signer, statement_message(s.chain, body)))


def statements(s: Samples) -> tuple[SignedStatement, ...]:
    """One of each validator: a header, another header, a SKIP, nothing."""
    cast = (s.header_votes[0], _other_vote(s, 1), _skip(s, 2), None)
    return tuple(statement(s, signer, evidence) for signer, evidence in enumerate(cast))


def reopening(s: Samples) -> bytes:
    """The whole record."""
    return encode_reopening(Reopening(order(s), statements(s)))


def denial(s: Samples) -> bytes:
    """Validator 3 states that it cast nothing, and signed a header."""
    denied, vote = statements(s)[3], _other_vote(s, 3)
    pairs = (denied.body, denied.signature), (vote.header_bytes, vote.signature)
    return encode_equivocation(equivocation(Statement.DENIAL, (0, 0, 3), *pairs))


def rewritten_order(made: SignedOrder) -> SignedOrder:
    """With its body encoded anew."""
    return replace(made, body=encode_order_body(made.order))


def rewritten(made: SignedStatement) -> SignedStatement:
    """With its body encoded anew."""
    return replace(made, body=encode_statement(made.statement))
