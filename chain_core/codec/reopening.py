"""Orders, statements and reopenings: their one encoding, and what a signature in them is over (docs/spec/reopening.md).

Decoding verifies no signature; that a statement's evidence is of its place is part of its form.
"""

from __future__ import annotations

from dataclasses import replace

from chain_core.codec import signed
from chain_core.codec.votes import (
    MAX_MESSAGE_BYTES,
    decode_header_vote,
    decode_signed_vote,
    encode_header_vote,
    encode_signed_vote,
)
from chain_core.codec.wire import Layout, Reader, Writer, ascending
from chain_core.crypto.hashing import sm3
from chain_core.types.block import HeaderVote, Phase, SignedVote
from chain_core.types.ids import ACCOUNT_ID_SIZE, FORMAT_VERSION, PUBLIC_KEY_SIZE, SIGNATURE_SIZE, ZERO_HASH
from chain_core.types.reopening import (
    Approval,
    AttemptStatement,
    Cast,
    Reopening,
    ReopenOrder,
    SignedOrder,
    SignedStatement,
)
from chain_core.types.validator_set import MAX_VALIDATORS

APPROVALS = 2
MAX_ORDER_BYTES = 4_096
MAX_REASON_BYTES = 255
_STATEMENT = Layout("B32sIQQIHB32s")
STATEMENT_SIZE = _STATEMENT.size
_CASTS = frozenset(Cast)


def encode_order_body(order: ReopenOrder) -> bytes:
    """What the officers sign. ValueError for an empty or too long reason."""
    if not 0 < len(order.reason.encode()) <= MAX_REASON_BYTES:
        raise ValueError(f"a reason has 1 to {MAX_REASON_BYTES} bytes")
    w = Writer().u8(FORMAT_VERSION).u32(order.ledger).u64(order.epoch).u64(order.height).u32(order.attempt)
    return w.name(order.reason).take()


def decode_order_body(data: bytes) -> ReopenOrder:
    """An order's body from its one encoding."""
    r = Reader(data, "reopening order")
    r.version()
    order = ReopenOrder(r.u32(), r.u64(), r.u64(), r.u32(), r.name())
    r.end()
    if not order.reason:
        r.fail("no reason")
    return order


def new_order(order: ReopenOrder) -> SignedOrder:
    """An order that nobody has approved yet. ValueError for a reason that does not fit."""
    body = encode_order_body(order)
    return SignedOrder(order, body, signed.tagged_hash(signed.REOPEN, body), ())


def order_message(genesis_hash: bytes, body: bytes) -> bytes:
    """M of an approval."""
    return signed.message(signed.REOPEN, genesis_hash, body)


def approved(order: SignedOrder, approval: Approval) -> SignedOrder:
    """With one more approval; that of the same account is replaced. ValueError for a third account."""
    others = [other for other in order.approvals if other.account != approval.account]
    approvals = tuple(sorted((*others, approval), key=lambda one: one.account))
    if len(approvals) > APPROVALS:
        raise ValueError(f"{APPROVALS} accounts have approved it already")
    return replace(order, approvals=approvals)


def encode_order(order: SignedOrder) -> bytes:
    """An order with its approvals, as it is handed about."""
    w = Writer().u8(FORMAT_VERSION).blob(order.body).u8(len(order.approvals))
    for approval in order.approvals:
        w.fixed(approval.account, ACCOUNT_ID_SIZE).fixed(approval.public_key, PUBLIC_KEY_SIZE)
        w.fixed(approval.signature, SIGNATURE_SIZE)
    return w.take()


def decode_order(data: bytes) -> SignedOrder:
    """An order from its one encoding; approvals are strictly ascending by account."""
    r = Reader(data, "approved reopening order")
    r.version()
    body = r.blob(MAX_ORDER_BYTES)
    approvals = tuple(_approval(r) for _ in range(r.count(0, APPROVALS, r.u8())))
    r.end()
    if not ascending(approval.account for approval in approvals):
        r.fail("approvals are not strictly ascending by account")
    return SignedOrder(decode_order_body(body), body, signed.tagged_hash(signed.REOPEN, body), approvals)


def _approval(r: Reader) -> Approval:
    return Approval(r.fixed(ACCOUNT_ID_SIZE), r.fixed(PUBLIC_KEY_SIZE), r.fixed(SIGNATURE_SIZE))


def encode_statement(statement: AttemptStatement) -> bytes:
    """The 92 bytes that a validator signs."""
    s = statement
    place = s.ledger, s.epoch, s.height, s.attempt, s.signer
    return _STATEMENT.pack(FORMAT_VERSION, s.order, *place, s.cast, s.digest)


def decode_statement(data: bytes) -> AttemptStatement:
    """A statement's body from its one encoding."""
    r = Reader(data, "statement")
    version, order, ledger, epoch, height, attempt, signer, cast, digest = r.unpack(_STATEMENT)
    r.end()
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    if cast not in _CASTS or (cast == Cast.NOTHING) != (digest == ZERO_HASH):
        r.fail(f"cast {cast} with digest {digest.hex()}")
    return AttemptStatement(order, ledger, epoch, height, attempt, signer, Cast(cast), digest)


def statement_message(genesis_hash: bytes, body: bytes) -> bytes:
    """M of a statement."""
    return signed.message(signed.STATEMENT, genesis_hash, body)


def cast_of(evidence: HeaderVote | SignedVote | None) -> tuple[Cast, bytes]:
    """How a statement names what was cast."""
    if evidence is None:
        return Cast.NOTHING, ZERO_HASH
    if isinstance(evidence, HeaderVote):
        return Cast.HEADER, evidence.header_hash
    return Cast.SKIP, sm3(evidence.body)


def encode_signed_statement(made: SignedStatement) -> bytes:
    """Body, evidence and signature, as they travel and are logged."""
    evidence = made.evidence
    raw = b""
    if evidence is not None:
        raw = encode_header_vote(evidence) if isinstance(evidence, HeaderVote) else encode_signed_vote(evidence)
    return Writer().fixed(made.body, STATEMENT_SIZE).blob(raw).fixed(made.signature, SIGNATURE_SIZE).take()


def decode_signed_statement(data: bytes) -> SignedStatement:
    """A signed statement whose evidence is what it names, of its place and signer; no signature is verified."""
    r = Reader(data, "signed statement")
    body, raw, signature = r.fixed(STATEMENT_SIZE), r.blob(MAX_MESSAGE_BYTES), r.fixed(SIGNATURE_SIZE)
    r.end()
    statement = decode_statement(body)
    evidence: HeaderVote | SignedVote | None = None
    if statement.cast is Cast.HEADER:
        evidence = decode_header_vote(raw)
    elif statement.cast is Cast.SKIP:
        evidence = decode_signed_vote(raw)
    elif raw:
        r.fail("evidence of nothing")
    if cast_of(evidence) != (statement.cast, statement.digest) or not _of_its_place(statement, evidence):
        r.fail("its evidence is of something else")
    return SignedStatement(statement, body, evidence, signature)


def _of_its_place(statement: AttemptStatement, evidence: HeaderVote | SignedVote | None) -> bool:
    s = statement
    place = (s.ledger, s.epoch, s.height, s.attempt, s.signer)
    if isinstance(evidence, HeaderVote):
        h = evidence.header
        return (h.ledger, h.epoch, h.height, h.attempt, evidence.signer) == place
    if evidence is not None:
        v = evidence.vote
        return v.phase is Phase.SKIP and (v.ledger, v.epoch, v.height, v.attempt, v.signer) == place
    return True


def encode_reopening(reopening: Reopening) -> bytes:
    """The record that opened an attempt. ValueError unless signers are strictly ascending."""
    if not ascending(made.statement.signer for made in reopening.statements):
        raise ValueError("statements stand in strictly ascending order of signers")
    w = Writer().u8(FORMAT_VERSION).blob(encode_order(reopening.order)).u16(len(reopening.statements))
    for made in reopening.statements:
        w.blob(encode_signed_statement(made))
    return w.take()


def decode_reopening(data: bytes) -> Reopening:
    """A reopening from its one encoding: each statement is of its order, signers strictly ascending."""
    r = Reader(data, "reopening")
    r.version()
    order = decode_order(r.blob(MAX_ORDER_BYTES))
    count = r.count(1, MAX_VALIDATORS, r.u16())
    statements = tuple(decode_signed_statement(r.blob(MAX_MESSAGE_BYTES)) for _ in range(count))
    r.end()
    if not ascending(made.statement.signer for made in statements):
        r.fail("statements are not strictly ascending by signer")
    if any(not is_for(made.statement, order) for made in statements):
        r.fail("a statement for another order")
    return Reopening(order, statements)


def is_for(statement: AttemptStatement, order: SignedOrder) -> bool:
    """Whether the statement was made for this order, and is of its place."""
    s, o = statement, order.order
    place = (s.order, s.ledger, s.epoch, s.height, s.attempt)
    return place == (order.order_hash, o.ledger, o.epoch, o.height, o.attempt)


def denies(statement: AttemptStatement, body: bytes) -> bool:
    """Whether the statement does not name this header (408 bytes) or SKIP (68) of its own place and signer."""
    return statement.digest != sm3(body)
