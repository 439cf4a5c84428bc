"""What signers, logs and views make of orders and statements (docs/spec/reopening.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec.evidence import check_equivocation, encode_equivocation, equivocation
from chain_core.codec.reopening import (
    decode_order,
    decode_reopening,
    decode_signed_statement,
    encode_order,
    encode_signed_statement,
)
from chain_core.crypto.providers import provider
from chain_core.network.message_signatures import signature_count, signature_triples
from chain_core.node import journal
from chain_core.node.reopening import denials
from chain_core.node.reopening_view import check_statements, tally
from chain_core.node.safe_signer import SafeSigner, SigningRefused
from chain_core.node.twin_guard import foreign_statement
from chain_core.types.block import Phase, Vote
from chain_core.types.errors import InvalidProof, MalformedBytes, PeerFault
from chain_core.types.evidence import Statement
from chain_core.types.reopening import Cast
from tests.one_epoch import OneEpoch
from tests.unit.consensus.bench import header_of, reopen_order, statement
from tests.unit.node.stage import open_ledger
from tests.vectors import reopenings
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

ME = 1
ORDER, HEADER = reopen_order(), header_of(1)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return Samples(Signatures(may_sign=False))


def signer() -> SafeSigner:
    return SafeSigner(lambda tag, bodies: [body[:1] * 64 for body in bodies], ME, bytes(32), 0)


def skip() -> Vote:
    return Vote(Phase.SKIP, 0, 0, 1, 0, 0, bytes(32), ME)


def test_a_statement_names_what_the_signer_holds_and_ends_the_attempt() -> None:
    key = signer()
    vote = key.header(HEADER)
    made = key.statement(ORDER)
    assert made.statement.cast is Cast.HEADER and made.evidence == vote and key.knows(made.body)
    assert key.statement(ORDER) is made and key.header(HEADER) is vote
    other = key.statement(reopen_order(reason="another"))
    assert (other.statement.digest, other.evidence) == (made.statement.digest, vote)
    assert not foreign_statement(made, key), "the same was said under the first order"
    key.header(header_of(1, attempt=1))


def test_after_a_statement_neither_header_nor_skip_is_signed_at_that_attempt() -> None:
    key = signer()
    assert key.statement(ORDER).statement.cast is Cast.NOTHING
    with pytest.raises(SigningRefused, match="made its statement"):
        key.header(HEADER)
    with pytest.raises(SigningRefused, match="made its statement"):
        key.skip(skip())
    skipped = signer()
    skipped.skip(skip())
    assert skipped.statement(ORDER).statement.cast is Cast.SKIP


@pytest.mark.parametrize("order", [reopen_order(0), replace(ORDER, order=replace(ORDER.order, epoch=3))])
def test_a_signer_states_nothing_on_a_final_height_or_in_another_epoch(order: object) -> None:
    with pytest.raises(SigningRefused):
        signer().statement(order)  # type: ignore[arg-type]


def test_the_log_gives_order_and_statement_back_and_the_signer_stays_bound(tmp_path: Path) -> None:
    store = open_ledger(tmp_path)
    made = signer().statement(ORDER)
    store.log_write([journal.order_record(ORDER), journal.statement_record(made)])
    store.close()
    store = open_ledger(tmp_path)
    log, key = journal.recover(store, ME, bytes(32), lambda tag, bodies: [bytes(64) for _ in bodies])
    assert key is not None and (log.slots[0].order, log.slots[0].own_statement) == (ORDER, made)
    with pytest.raises(SigningRefused, match="made its statement"):
        key.header(HEADER)
    assert foreign_statement(statement(ME, ORDER, None), key) == ""
    lost = statement(ME, reopen_order(2), None)
    assert foreign_statement(lost, key) == "statement on height 2, attempt 0"
    store.close()


def test_a_reopening_outlives_its_height(tmp_path: Path, samples: Samples) -> None:
    raw = reopenings.reopening(samples)
    with open_ledger(tmp_path) as store:
        store.reopenings.put(1, 0, raw)
        store.reopenings.put(9, 1, raw)
    with open_ledger(tmp_path) as store:
        assert store.reopenings.get(1, 0) == raw and store.reopenings.get(1, 1) is None
        assert len(store.reopenings.start_at(0)) == 2 and store.reopenings.start_at(2) == [raw]


def test_who_stated_something_else_is_convicted_by_a_header_and_nobody_else(samples: Samples) -> None:
    reopening = decode_reopening(reopenings.reopening(samples))
    honest = samples.header_votes[0]
    other = reopenings._other_vote(samples, 3)
    votes = [(vote.signer, vote.header_bytes, vote.signature) for vote in (honest, other)]
    (proof,) = denials(reopening, votes)
    assert (proof.statement, proof.signer) == (Statement.DENIAL, 3)
    raw = reopenings.denial(samples)
    assert check_equivocation(raw, samples.validators, samples.chain) == proof


def test_two_honest_bodies_are_no_denial(samples: Samples) -> None:
    made, vote = reopenings.statements(samples)[0], samples.header_votes[0]
    pairs = (made.body, made.signature), (vote.header_bytes, vote.signature)
    with pytest.raises(InvalidProof, match="no statement beside a vote that it denies"):
        check_equivocation(
            encode_equivocation(equivocation(Statement.DENIAL, (0, 0, 0), *pairs)), samples.validators, samples.chain
        )


def test_a_statement_with_evidence_of_something_else_is_no_statement(samples: Samples) -> None:
    first, second, third, nothing = reopenings.statements(samples)
    for odd in (
        replace(first, evidence=second.evidence),
        replace(first, evidence=third.evidence),
        replace(first, evidence=None),
        replace(nothing, evidence=first.evidence),
    ):
        with pytest.raises(MalformedBytes):
            decode_signed_statement(encode_signed_statement(odd))


def test_approvals_stand_in_one_order_and_once_each(samples: Samples) -> None:
    order = reopenings.order(samples)
    for approvals in (order.approvals[::-1], order.approvals[:1] * 2):
        with pytest.raises(MalformedBytes, match="ascending"):
            decode_order(encode_order(replace(order, approvals=approvals)))


def test_people_see_who_stated_what_and_how_many_lies_it_bears(samples: Samples) -> None:
    made = reopenings.statements(samples)
    check_statements(made, samples.validators, samples.chain)
    with pytest.raises(InvalidProof):
        check_statements([replace(made[0], signature=bytes(64))], samples.validators, samples.chain)
    row = tally(1, 0, made[:3], samples.validators)
    names = [validator.name for validator in samples.validators.validators]
    assert (row["missing"], row["margin"], row["quorum"]) == ([names[3]], 1, 3)
    assert [entry["cast"] for entry in row["statements"]] == ["header", "header", "skip"]
    assert names[3] in row["text_en"] and names[3] in row["text_zh"] and "余量 1" in row["text_zh"]


def test_a_statement_rests_on_its_own_signature_and_on_that_of_the_vote_it_names(samples: Samples) -> None:
    book = OneEpoch(samples.validators)
    for made, count in zip(reopenings.statements(samples), (2, 2, 2, 1), strict=True):
        items = signature_triples(made, book, samples.chain, samples.genesis_header)
        assert len(items) == signature_count(made) == count and all(provider().sm2_verify_many(items))
        forged = replace(made, signature=made.signature[:63] + bytes([made.signature[63] ^ 1]))
        assert not all(
            provider().sm2_verify_many(signature_triples(forged, book, samples.chain, samples.genesis_header))
        )
    first = reopenings.statements(samples)[0]
    borrowed = replace(first, evidence=replace(first.evidence, signature=bytes(64)))  # type: ignore[type-var]
    assert not all(provider().sm2_verify_many(signature_triples(borrowed, book, samples.chain, samples.genesis_header)))
    stranger = replace(first, statement=replace(first.statement, signer=9))
    with pytest.raises(PeerFault, match="no member"):
        signature_triples(stranger, book, samples.chain, samples.genesis_header)
