"""The signer's desk and its frames: votes and nothing else, of its chain, decoded strictly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chain_core.codec import signed
from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.crypto.hashing import sm3
from chain_core.crypto.private_key import PrivateKey
from chain_core.crypto.providers import signing_provider
from chain_core.ledger.errors import DiskFull
from chain_core.node.signer import protocol as p
from chain_core.node.signer.backend import FileKey
from chain_core.node.signer.record import Record, create_record
from chain_core.node.signer.service import Desk
from chain_core.types.block import NewView, Phase, SignedViewChange, SignedVote, ViewChange, Vote
from chain_core.types.errors import MalformedBytes
from tests.unit.consensus.bench import GENESIS_HASH, GENESIS_HEADER, batch, digest_of, header_of

KEY = FileKey(PrivateKey(sm3(b"a validator")))
VOTE = Vote(Phase.PREPARE, 0, 0, 1, 0, 0, digest_of(batch(1, "a")), 1)
CHANGE = ViewChange(0, 0, 1, 1, GENESIS_HEADER, None, ())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    create_record(tmp_path / "record", GENESIS_HASH)
    record = Record(tmp_path / "record", GENESIS_HASH)
    yield Desk(GENESIS_HASH, [KEY], record)
    record.close()


def ask(tag: bytes, *bodies: bytes, chain: bytes = GENESIS_HASH, key: bytes = KEY.public_key) -> p.SignRequest:
    return p.SignRequest(tag, chain, key, bodies)


def new_view(desk: Desk) -> bytes:
    """A NEW-VIEW with a PRE-PREPARE that the desk signed."""
    body = encode_vote(replace(VOTE, phase=Phase.PRE_PREPARE, view=1))
    answer = desk.answer(ask(signed.VOTE, body))
    assert isinstance(answer, p.Signatures)
    proposal = SignedVote(replace(VOTE, phase=Phase.PRE_PREPARE, view=1), body, answer.signatures[0])
    change = SignedViewChange(CHANGE, encode_view_change(CHANGE), bytes(64))
    return encode_new_view(NewView(0, 0, 1, 1, (change,), (proposal,)))


def test_it_says_which_keys_it_has(desk: Desk) -> None:
    assert desk.answer(p.HelloRequest(GENESIS_HASH)) == p.Welcome((KEY.public_key,))


def test_every_kind_of_vote_is_signed_over_its_message(desk: Desk) -> None:
    bodies = {
        signed.VOTE: encode_vote(VOTE),
        signed.HEADER: header_of(1),
        signed.VIEW_CHANGE: encode_view_change(CHANGE),
    }
    for tag, body in bodies.items():
        answer = desk.answer(ask(tag, body))
        assert isinstance(answer, p.Signatures), answer
        message = signed.message(tag, GENESIS_HASH, body)
        assert signing_provider().sm2_verify(KEY.public_key, message, answer.signatures[0])


def test_a_new_view_is_signed_with_its_own_proposals_only(desk: Desk) -> None:
    body = new_view(desk)
    answer = desk.answer(ask(signed.NEW_VIEW, body))
    assert isinstance(answer, p.Signatures)
    assert signing_provider().sm2_verify(
        KEY.public_key, signed.message(signed.NEW_VIEW, GENESIS_HASH, body), answer.signatures[0]
    )


NO_VOTES = {
    "a transaction": (signed.TX, b"body"),
    "a call": (signed.CALL, b"body"),
    "the tag that nothing signs": (signed.SKIP, encode_vote(VOTE)),
    "no tag": (bytes(32), encode_vote(VOTE)),
    "a vote under the header's tag": (signed.HEADER, encode_vote(VOTE)),
    "a header under the vote's tag": (signed.VOTE, header_of(1)),
    "a bare digest": (signed.VOTE, sm3(b"x")),
    "nothing": (signed.VOTE, b""),
    "a byte too many": (signed.VOTE, encode_vote(VOTE) + b"\0"),
    "a header of another chain": (
        signed.HEADER,
        encode_header(replace(decode_header(header_of(1)), genesis_hash=bytes(32))),
    ),
}


@pytest.mark.parametrize("name", NO_VOTES)
def test_what_is_no_vote_is_not_signed(desk: Desk, name: str) -> None:
    tag, body = NO_VOTES[name]
    answer = desk.answer(ask(tag, body))
    assert isinstance(answer, p.Refusal) and answer.code == p.NOT_A_VOTE
    answer = desk.answer(ask(tag, encode_vote(VOTE), body))
    assert isinstance(answer, p.Refusal), "nor with a vote beside it"


def test_other_chains_keys_and_ledgers(desk: Desk) -> None:
    body, other = encode_vote(VOTE), encode_vote(replace(VOTE, ledger=1))
    cases = {
        p.WRONG_CHAIN: [ask(signed.VOTE, body, chain=bytes(32)), p.HelloRequest(bytes(32))],
        p.UNKNOWN_KEY: [ask(signed.VOTE, body, key=bytes(64))],
        p.NOT_A_VOTE: [ask(signed.VOTE, body, other)],
    }
    for code, requests in cases.items():
        for request in requests:
            answer = desk.answer(request)
            assert isinstance(answer, p.Refusal) and answer.code == code


def test_a_contradiction_is_refused_and_the_same_again_is_not(desk: Desk) -> None:
    first = desk.answer(ask(signed.VOTE, encode_vote(VOTE)))
    second = desk.answer(ask(signed.VOTE, encode_vote(replace(VOTE, digest=digest_of(batch(1, "b"))))))
    assert isinstance(second, p.Refusal) and second.code == "SIGNING_REFUSED"
    other_signer = desk.answer(ask(signed.VOTE, encode_vote(replace(VOTE, signer=2))))
    assert isinstance(other_signer, p.Refusal), "under another index it is another body"
    assert desk.answer(ask(signed.VOTE, encode_vote(VOTE))) == first


def test_asked_for_nothing_it_only_shows_that_it_is_there(desk: Desk) -> None:
    assert desk.answer(ask(signed.VOTE)) == p.Signatures(())


def test_a_disk_that_fails_ends_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskFull("no room", where="disk", next_step="make room")

    monkeypatch.setattr(Record, "sign", full)
    answer = desk.answer(ask(signed.VOTE, encode_vote(VOTE)))
    assert isinstance(answer, p.Refusal) and answer.code == p.FAULT
    assert isinstance(desk.failed, DiskFull)


REQUESTS: list[p.Request] = [
    p.HelloRequest(GENESIS_HASH),
    ask(signed.VOTE),
    ask(signed.VOTE, b"", b"x", encode_vote(VOTE)),
]
ANSWERS: list[p.Answer] = [
    p.Welcome((bytes(64), b"x" * 64)),
    p.Signatures(()),
    p.Signatures((bytes(64), b"y" * 64)),
    p.Refusal("CODE", "what", "where 在"),
]


def test_frames_come_back_as_they_went() -> None:
    for request in REQUESTS:
        assert p.decode_request(p.encode_request(request)) == request
    for answer in ANSWERS:
        assert p.decode_answer(p.encode_answer(answer)) == answer
    assert p.frame_size(p.frame(b"abc")[:4]) == 3
    for size in (0, p.MAX_FRAME_BYTES + 1, 0xFFFFFFFF):
        with pytest.raises(MalformedBytes):
            p.frame_size(size.to_bytes(4, "big"))


@given(st.binary(max_size=400))
@example(b"")
@example(b"\x02" + bytes(128) + b"\xff\xff")
@example(b"\x01\x02" + bytes(32))
def test_whatever_the_bytes_a_value_or_a_refusal(data: bytes) -> None:
    for decode, encode in ((p.decode_request, p.encode_request), (p.decode_answer, p.encode_answer)):
        try:
            value = decode(data)
        except MalformedBytes:
            continue
        if not isinstance(value, p.Refusal):
            assert encode(value) == data  # type: ignore[operator]


@given(st.sampled_from([*REQUESTS]), st.data())
def test_a_frame_cut_short_or_longer_is_refused(request: p.Request, data: st.DataObject) -> None:
    whole = p.encode_request(request)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for wrong in (whole[:cut], whole + b"\0"):
        with pytest.raises(MalformedBytes):
            p.decode_request(wrong)
