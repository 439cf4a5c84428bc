"""What a signer asks before it votes: who must answer, what an answer means, when the silence ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain_core.codec.votes import decode_vote, encode_vote
from chain_core.network.frames import HeldVotes, WantVotes
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.signer_questions import Lost, SignerQuestions, place_of
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import Phase, SignedVote
from tests.unit.node.stage import RecordingTransport
from tests.vectors.keys import Signatures
from tests.vectors.samples import Samples

S = Samples(Signatures(may_sign=True))
HEIGHT = S.header.height
NEXT = HEIGHT + 1
W = 2


def nonces() -> list[bytes]:
    return [bytes([number]) * 16 for number in range(3)]


def questions() -> SignerQuestions:
    drawn = iter(nonces())
    return SignerQuestions((0, 2, 3), 2, lambda count: next(drawn))


def signer(final_height: int = HEIGHT) -> SafeSigner:
    return SafeSigner(signing_messages(S.chain, lambda message: bytes(64)), 1, S.chain, final_height)


def answer(place: int, **changes: object) -> HeldVotes:
    empty = HeldVotes(nonces()[place], b"", None, (), (), None)
    return replace(empty, **changes)  # type: ignore[arg-type]


def test_everybody_is_asked_until_enough_have_answered() -> None:
    asked, transport = questions(), RecordingTransport()
    asked.ask(transport)
    assert transport.events == [(0, WantVotes(nonces()[0])), (2, WantVotes(nonces()[1])), (3, WantVotes(nonces()[2]))]
    asked.take(2, answer(1), signer(), W)
    transport.events.clear()
    asked.ask(transport)
    assert [event[0] for event in transport.events if isinstance(event, tuple)] == [0, 3]
    assert "1 of 2" in asked.words(HEIGHT, W) and not asked.done(HEIGHT, W)
    asked.take(3, answer(2), signer(), W)
    assert asked.done(HEIGHT, W) and not asked.words(HEIGHT, W)
    transport.events.clear()
    asked.ask(transport)
    assert not transport.events


def test_an_answer_counts_once_and_only_from_who_was_asked_with_its_nonce() -> None:
    asked = questions()
    for peer, place in ((2, 0), (1, 1), (0, 1)):
        assert not asked.awaits(peer, nonces()[place])
        asked.take(peer, answer(place), signer(), W)
    assert not asked.answered
    for _ in range(2):
        asked.take(2, answer(1), signer(), W)
    assert asked.answered == {2} and not asked.done(HEIGHT, W)


LOST = {
    "vote": answer(1, votes=(S.vote(Phase.COMMIT, 1),)),
    "view change": answer(1, view_change=S.view_change(1)),
    "header vote": answer(1, header_votes=(S.header_votes[1],)),
    "certificate": answer(1, final_header=S.header_bytes, certificate=S.certificate),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_vote_silences_until_the_chain_is_final_beyond_it(name: str) -> None:
    asked = questions()
    own = signer(HEIGHT - 1)
    lost = asked.take(2, LOST[name], own, W)
    assert lost is not None and asked.first_lost == lost.what
    asked.take(0, answer(0), own, W)
    assert asked.horizon == (NEXT if name in ("vote", "view change") else HEIGHT)
    for height in range(asked.horizon + W + 1):
        assert not asked.done(height, W) and "old disk" in asked.words(height, W)
    assert asked.done(asked.horizon + W + 1, W)


@pytest.mark.parametrize("name", ["vote", "view change", "header vote"])
def test_an_answer_with_votes_of_another_epoch_counts_when_that_epoch_is_reached(name: str) -> None:
    """Peers are in the next epoch and hold votes of its first height: counted now, they would pass for no votes."""
    asked, own = questions(), signer(HEIGHT - 1)
    own.epoch = 7
    assert asked.take(2, LOST[name], own, W) is None and not asked.answered and not asked.first_lost
    asked.take(0, answer(0), own, W)
    assert not asked.done(HEIGHT + 9, W)
    own.epoch = 0
    assert asked.take(2, LOST[name], own, W) is not None and asked.answered == {0, 2}


def test_a_lost_view_change_at_the_genesis_waits_for_the_first_blocks() -> None:
    asked = questions()
    assert asked.saw(Lost("VIEW-CHANGE for view 3", 0, 3))
    for place, peer in ((1, 2), (0, 0)):
        asked.take(peer, answer(place), signer(0), W)
    assert not asked.done(W, W) and asked.done(W + 1, W) and asked.view == 3


def test_a_skip_names_no_view() -> None:
    """Its view is the index of the envelope that is left out."""
    body = encode_vote(replace(S.vote(Phase.COMMIT, 1).vote, phase=Phase.SKIP, view=1_999))
    assert place_of(SignedVote(decode_vote(body), body, bytes(64))) == (NEXT, 0)


def test_what_stands_in_the_log_is_not_lost() -> None:
    own, asked = signer(), questions()
    vote = S.vote(Phase.COMMIT, 1)
    for logged in (vote, S.vote(Phase.PREPARE, 1)):  # the VIEW-CHANGE carries the PREPARE
        own.votes[(logged.vote.height, logged.vote.view, logged.vote.phase)] = logged
    own.view_change = S.view_change(1)
    own.highest_view = own.view_change.message.new_view
    told = answer(1, votes=(vote,), header_votes=(S.header_votes[1],), view_change=own.view_change)
    assert asked.take(2, told, own, W) is None
    asked.take(0, answer(0), own, W)
    assert asked.done(HEIGHT, W)


def test_who_is_behind_fetches_before_it_votes() -> None:
    asked, own = questions(), signer(HEIGHT - 3)
    others = replace(S.certificate, signatures=tuple((i + 2, s) for i, s in S.certificate.signatures))
    asked.take(2, answer(1, final_header=S.header_bytes, certificate=others), own, W)
    asked.take(0, answer(0), own, W)
    assert not asked.done(HEIGHT - 1, W) and f"up to {HEIGHT}" in asked.words(HEIGHT - 1, W)
    assert asked.done(HEIGHT, W)


def test_a_vote_far_beyond_what_was_forgotten_is_somebody_elses() -> None:
    asked, own = questions(), signer()
    assert asked.saw(Lost("COMMIT", NEXT + 50)), "nobody has answered: it may still be an old one"
    asked = questions()
    asked.take(2, answer(1, votes=(S.vote(Phase.COMMIT, 1),)), own, W)
    asked.take(0, answer(0), own, W)
    assert asked.saw(Lost("COMMIT", NEXT + W)) and asked.horizon == NEXT + W
    assert not asked.saw(Lost("COMMIT", NEXT + W + 1)), "the limit stays where the answers put it"


def test_how_far_messages_reach() -> None:
    assert place_of(S.vote(Phase.COMMIT, 1)) == (NEXT, 0)
    assert place_of(S.header_votes[0]) == (HEIGHT, 0)
    assert place_of(S.view_change(1)) == (NEXT, S.view_change(1).message.new_view)
    assert place_of(S.new_view) == (NEXT, S.new_view.message.view)
