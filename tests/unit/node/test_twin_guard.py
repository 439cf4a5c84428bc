"""One's own signature on what one never signed is noticed, wherever it stands; old messages say nothing."""

import pytest

from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.twin_guard import foreign_vote
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import NewView, Phase, ViewChange, Vote
from tests.unit.consensus.bench import (
    GENESIS_HASH,
    GENESIS_HEADER,
    batch,
    certificate,
    commit,
    digest_of,
    header_of,
    header_vote,
    new_view,
    pre_prepare,
    prepare,
    prepared,
    signed_vote,
    view_change,
)

ME, FINAL, VIEW = 1, 4, 3
A, B = batch(5, "a"), batch(5, "b")
OLD, NEXT = batch(FINAL, "old"), batch(6, "next")


def signer() -> SafeSigner:
    """Final height 4, view 3; it prepared A in view 2 and asked for view 3."""
    one = SafeSigner(signing_messages(GENESIS_HASH, lambda message: message[:64]), ME, GENESIS_HASH, FINAL, 2)
    one.vote(Vote(Phase.PREPARE, 0, 0, 5, 2, 0, digest_of(A), ME))
    one.header(header_of(5, A))
    one.change(ViewChange(0, 0, VIEW, ME, GENESIS_HEADER, None, ()))
    return one


def own_view_change() -> Message:
    made = signer().view_change
    assert made is not None
    return made


CASES: list[tuple[str, Message, bool]] = [
    ("another replica's vote", prepare(2, B, 2), False),
    ("the vote it signed", prepare(ME, A, 2), False),
    ("a vote for another batch", prepare(ME, B, 2), True),
    ("a vote of an old view that it never gave", commit(ME, A, 0), True),
    ("a vote at a height it has not reached", prepare(ME, NEXT, 0), True),
    ("an old vote at a final height", prepare(ME, OLD, 9), False),
    ("a proposal of a view it led", PrePrepare(signed_vote(pre_prepare(A, view=1).vote.vote), A), True),
    ("a proposal of another", pre_prepare(A, view=2), False),
    ("a COMMIT in a commit proof", CommitProof(A, (commit(0, A, 2), commit(ME, A, 2), commit(2, A, 2))), True),
    ("a commit proof without it", CommitProof(A, (commit(0, A, 2), commit(2, A, 2), commit(3, A, 2))), False),
    ("the header it signed", header_vote(ME, header_of(5, A)), False),
    ("another header", header_vote(ME, header_of(5, B)), True),
    ("a header of a final height", header_vote(ME, header_of(4, B)), False),
    ("a certificate it is behind of", FinalityNotice(header_of(9), certificate(header_of(9))), True),
    ("a certificate of others", FinalityNotice(header_of(9), certificate(header_of(9), (0, 2, 3))), False),
    ("the certificate over what it signed", FinalityNotice(header_of(5, A), certificate(header_of(5, A))), False),
    ("its own VIEW-CHANGE", own_view_change(), False),
    ("another VIEW-CHANGE for that view", view_change(ME, VIEW, prepared(A)), True),
    ("a VIEW-CHANGE for a later view", view_change(ME, VIEW + 1), True),
    ("a VIEW-CHANGE for an earlier view", view_change(ME, VIEW - 1), False),
    ("its PREPARE in another's VIEW-CHANGE", view_change(2, 9, prepared(A, 2)), False),
    ("a foreign PREPARE in another's VIEW-CHANGE", view_change(2, 9, prepared(B, 2)), True),
    ("a foreign certificate in another's VIEW-CHANGE", view_change(2, 9, final=header_of(8)), True),
    ("a NEW-VIEW of its own that it never made", new_view(5, [view_change(0, 5)]), True),
    ("an old NEW-VIEW of its own", new_view(1, [view_change(0, 1)]), False),
    ("its foreign VIEW-CHANGE in a NEW-VIEW", new_view(6, [view_change(ME, 6), view_change(2, 6)]), True),
    ("others' NEW-VIEW", new_view(6, [view_change(0, 6), view_change(2, 6)], A), False),
    ("a heartbeat", Heartbeat(ME, 10**9, 0, 10**9, False), False),
]


@pytest.mark.parametrize(("message", "foreign"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_own_signatures(message: Message, foreign: bool) -> None:
    assert bool(foreign_vote(message, signer())) is foreign


def test_a_new_view_in_the_highest_view_counts_when_it_was_not_made_here() -> None:
    one = signer()
    one.change(ViewChange(0, 0, 5, ME, GENESIS_HEADER, None, ()))
    twin = new_view(5, [view_change(0, 5), view_change(2, 5)])
    assert foreign_vote(twin, one)
    made = one.lead(NewView(0, 0, 5, ME, twin.message.view_changes, ()), ())
    assert not foreign_vote(made, one)


def test_what_somebody_signed_under_this_index_in_another_epoch_is_not_its_own() -> None:
    other = signer()
    other.epoch = 1
    for message in (prepare(ME, B, 2), header_vote(ME, header_of(5, B)), view_change(ME, VIEW + 1)):
        assert foreign_vote(message, signer()) and not foreign_vote(message, other)


FORGOTTEN = 6
LOST: list[tuple[str, Message, bool]] = [
    ("its lost VIEW-CHANGE", view_change(ME, FORGOTTEN), False),
    ("its lost VIEW-CHANGE in the NEW-VIEW in force", new_view(6, [view_change(ME, 6), view_change(2, 6)]), False),
    ("its lost NEW-VIEW", new_view(5, [view_change(0, 5)]), False),
    ("a foreign PREPARE in its lost VIEW-CHANGE", view_change(ME, FORGOTTEN, prepared(B, 2)), True),
    ("a VIEW-CHANGE beyond them", view_change(ME, FORGOTTEN + 1), True),
    ("a NEW-VIEW beyond them", new_view(9, [view_change(0, 9)]), True),
]


@pytest.mark.parametrize(("message", "foreign"), [c[1:] for c in LOST], ids=[c[0] for c in LOST])
def test_what_forgotten_views_hold_is_known_to_be_lost(message: Message, foreign: bool) -> None:
    one = signer()
    one.not_below(FORGOTTEN)
    assert bool(foreign_vote(message, one)) is foreign
