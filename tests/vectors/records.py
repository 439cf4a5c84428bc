"""Every kind of record with its decoder, and how a decoded one is written again down to its last nested
part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.block import (
    decode_batch,
    decode_block,
    decode_certificate,
    decode_header,
    encode_batch,
    encode_block,
    encode_certificate,
    encode_header,
)
from chain_core.codec.evidence import decode_equivocation, encode_equivocation, equivocation
from chain_core.codec.genesis import decode_genesis, encode_genesis, lineage
from chain_core.codec.proofs import (
    decode_consistency,
    decode_inclusion,
    decode_packet,
    decode_state_proof,
    encode_consistency,
    encode_inclusion,
    encode_packet,
    encode_state_proof,
)
from chain_core.codec.reopening import (
    decode_order,
    decode_order_body,
    decode_reopening,
    decode_signed_statement,
    decode_statement,
    encode_order,
    encode_order_body,
    encode_reopening,
    encode_signed_statement,
    encode_statement,
)
from chain_core.codec.seen import decode_seen, encode_seen, seen_key, split_seen_key
from chain_core.codec.transaction import (
    decode_body,
    decode_envelope,
    decode_receipt,
    encode_body,
    encode_envelope,
    encode_receipt,
)
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.codec.votes import (
    decode_header_vote,
    decode_new_view,
    decode_prepared,
    decode_signed_new_view,
    decode_signed_view_change,
    decode_signed_vote,
    decode_view_change,
    decode_vote,
    encode_header_vote,
    encode_new_view,
    encode_prepared,
    encode_signed_new_view,
    encode_signed_view_change,
    encode_signed_vote,
    encode_view_change,
    encode_vote,
)
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree, consistency_path
from chain_core.types.block import HeaderVote, Phase, SignedNewView, SignedViewChange, SignedVote, ViewChange
from chain_core.types.evidence import Statement
from chain_core.types.genesis import Predecessor
from chain_core.types.packet import ConsistencyProof
from chain_core.types.reopening import Reopening, SignedOrder, SignedStatement
from chain_core.types.transaction import Envelope
from chain_core.types.values import Value
from tests.vectors import reopenings, service_packets
from tests.vectors.samples import TIME_MS, WITNESS, Samples


@dataclass(frozen=True)
class Kind:
    """One kind of record. ``rewrite`` encodes a decoded value anew, nested records included."""

    name: str
    decode: Callable[[bytes], Any]
    rewrite: Callable[[Any], bytes]
    samples: tuple[tuple[str, bytes], ...]


def _envelope(envelope: Envelope) -> bytes:
    return encode_envelope(encode_body(envelope.body), envelope.signers)


def _signed_vote(vote: SignedVote) -> bytes:
    return encode_signed_vote(SignedVote(vote.vote, encode_vote(vote.vote), vote.signature))


def _header_vote(vote: HeaderVote) -> bytes:
    again = HeaderVote(vote.header, encode_header(vote.header), vote.header_hash, vote.signer, vote.signature)
    return encode_header_vote(again)


def _view_change(message: ViewChange) -> bytes:
    for prepared in message.prepared:
        for vote in (prepared.pre_prepare, *prepared.prepares):
            assert encode_vote(vote.vote) == vote.body
    return encode_view_change(message)


def _signed_view_change(message: SignedViewChange) -> bytes:
    again = SignedViewChange(message.message, _view_change(message.message), message.signature)
    return encode_signed_view_change(again)


def _signed_new_view(message: SignedNewView) -> bytes:
    for change in message.message.view_changes:
        assert _view_change(change.message) == change.body
    again = SignedNewView(message.message, encode_new_view(message.message), message.signature)
    return encode_signed_new_view(again)


def _values(s: Samples) -> tuple[Kind, ...]:
    mixed = {"a": [None, False, True, 0, -1, 2**255 - 1], "b": b"\xff", "": "监管", 5: {}}
    every_kind = encode_value(cast(Value, mixed))
    nonce_key = seen_key(0, WITNESS, 0)
    return (
        Kind("value", decode_value, encode_value, (("of every kind", every_kind),)),
        Kind("map", decode_map, encode_value, (("two keys", encode_value({"ab": 1, "c": b""})),)),
        Kind("seen-key", split_seen_key, lambda fields: seen_key(*fields), (("nonce 0", nonce_key),)),
        Kind("seen-value", decode_seen, encode_seen, (("nonce 0", s.seen.values[nonce_key]),)),
        Kind(
            "genesis",
            decode_genesis,
            encode_genesis,
            (("local chain", s.genesis_bytes), ("successor", successor_bytes(s))),
        ),
    )


def _transactions(s: Samples) -> tuple[Kind, ...]:
    bodies = (("with a cosigner", s.body_bytes), ("plain", s.plain_envelope.body_bytes))
    envelopes = (("two signers", s.envelope.raw), ("one signer", s.plain_envelope.raw))
    receipts = (("success", s.receipt_bytes[0]), ("refused by a rule", s.receipt_bytes[1]))
    return (
        Kind("transaction-body", decode_body, encode_body, bodies),
        Kind("envelope", decode_envelope, _envelope, envelopes),
        Kind("receipt", decode_receipt, encode_receipt, receipts),
    )


def _blocks(s: Samples) -> tuple[Kind, ...]:
    certificate = encode_certificate(s.certificate)
    headers = (("height 0", s.genesis_header), ("height 1", s.header_bytes))
    again = encode_batch(replace(s.batch, attempt=1, skipped=(1,)))
    return (
        Kind("header", decode_header, encode_header, headers),
        Kind("certificate", decode_certificate, encode_certificate, (("of height 1", certificate),)),
        Kind(
            "batch", decode_batch, encode_batch, (("two envelopes", encode_batch(s.batch)), ("second attempt", again))
        ),
        Kind("block", decode_block, encode_block, (("height 1", encode_block(s.block)),)),
    )


def _votes(s: Samples) -> tuple[Kind, ...]:
    new_view, change, first = s.new_view, s.view_change(1), s.view_change(3, first=True)
    commit, pre_prepare = s.vote(Phase.COMMIT, 3), s.vote(Phase.PRE_PREPARE, 0)
    commits = tuple((f"COMMIT of {vote.vote.signer}", encode_signed_vote(vote)) for vote in s.commits)
    changes = (("height 2 prepared", change.body), ("nothing yet", first.body))
    signed_change = (("nothing yet", encode_signed_view_change(first)),)
    return (
        Kind("vote", decode_vote, encode_vote, (("COMMIT", commit.body), ("PRE-PREPARE", pre_prepare.body))),
        Kind("signed-vote", decode_signed_vote, _signed_vote, commits),
        Kind(
            "header-vote", decode_header_vote, _header_vote, (("of replica 0", encode_header_vote(s.header_votes[0])),)
        ),
        Kind("prepared-certificate", decode_prepared, encode_prepared, (("height 2", encode_prepared(s.prepared)),)),
        Kind("view-change", decode_view_change, _view_change, changes),
        Kind("signed-view-change", decode_signed_view_change, _signed_view_change, signed_change),
        Kind("new-view", decode_new_view, encode_new_view, (("view 1", new_view.body),)),
        Kind("equivocation", decode_equivocation, encode_equivocation, _equivocations(s)),
        Kind(
            "signed-new-view", decode_signed_new_view, _signed_new_view, (("view 1", encode_signed_new_view(new_view)),)
        ),
    )


def _equivocations(s: Samples) -> tuple[tuple[str, bytes], ...]:
    return (("two COMMITs", _equivocation(s)), ("a denial", reopenings.denial(s)))


def _equivocation(s: Samples) -> bytes:
    """Replica 3 commits to two batches in one view."""
    one = s.vote(Phase.COMMIT, 3)
    other = encode_vote(replace(one.vote, digest=bytes(32)))
    signature = s.signatures.sign(3, signed.message(signed.VOTE, s.chain, other))
    pairs = (one.body, one.signature), (other, signature)
    return encode_equivocation(equivocation(Statement.ORDERING, (0, 0, 3), *pairs))


def _proofs(s: Samples) -> tuple[Kind, ...]:
    directive = encode_packet(s.directive)
    asked = service_packets.request(s.above, s.chain, TIME_MS)
    services = (("request", encode_packet(asked)), ("answer", encode_packet(service_packets.skipped(asked))))
    packets = (("report", s.outbox[0]), ("directive", directive), ("acknowledgement", s.outbox[1]), *services)
    inclusion = encode_inclusion(s.inclusion(s.receipt_bytes, 1))
    headers = MerkleTree([b"header %d" % height for height in range(7)])
    history = encode_consistency(ConsistencyProof(3, 7, consistency_path(headers.subtree, 3, 7)))
    states = (
        ("presence", encode_state_proof(s.state.prove(next(iter(s.state.values))))),
        ("absence", encode_state_proof(s.state.prove(b"\x06kernelnothing"))),
    )
    return (
        Kind("packet", decode_packet, encode_packet, packets),
        Kind("inclusion-proof", decode_inclusion, encode_inclusion, (("receipt 1 of 2", inclusion),)),
        Kind("consistency-proof", decode_consistency, encode_consistency, (("3 of 7 headers", history),)),
        Kind("state-proof", decode_state_proof, encode_state_proof, states),
    )


def successor_bytes(s: Samples) -> bytes:
    """The document of a chain that goes on after the sample chain's header; its state root is made up."""
    before, last = decode_genesis(s.genesis_bytes), s.header_bytes
    past = Predecessor(last, lineage(before, last), sm3(b"state of the successor"))
    return encode_genesis(replace(before, time_ms=decode_header(last).time_ms + 1, predecessor=past))


def kinds(s: Samples) -> tuple[Kind, ...]:
    """All kinds, each with named sample records."""
    return (*_values(s), *_transactions(s), *_blocks(s), *_votes(s), *_reopenings(s), *_proofs(s))


def _reopenings(s: Samples) -> tuple[Kind, ...]:
    order, made = reopenings.order(s), reopenings.statements(s)
    names = ("a header", "another header", "a SKIP", "nothing")
    bodies = tuple((name, one.body) for name, one in zip(names, made, strict=True))
    whole = tuple((name, encode_signed_statement(one)) for name, one in zip(names, made, strict=True))
    return (
        Kind("reopening-order-body", decode_order_body, encode_order_body, (("height 1", order.body),)),
        Kind("reopening-order", decode_order, _order, (("two approvals", encode_order(order)),)),
        Kind("statement", decode_statement, encode_statement, bodies),
        Kind("signed-statement", decode_signed_statement, _statement, whole),
        Kind("reopening", decode_reopening, _reopening, (("four validators", reopenings.reopening(s)),)),
    )


def _order(made: SignedOrder) -> bytes:
    return encode_order(reopenings.rewritten_order(made))


def _statement(made: SignedStatement) -> bytes:
    return encode_signed_statement(reopenings.rewritten(made))


def _reopening(made: Reopening) -> bytes:
    statements = tuple(map(reopenings.rewritten, made.statements))
    return encode_reopening(Reopening(reopenings.rewritten_order(made.order), statements))
