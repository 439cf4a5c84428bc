"""The safe signer: for each place one value for ever, nothing below or outside the view it stands in."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from chain_core.codec.votes import encode_vote
from chain_core.node.safe_signer import SafeSigner, SigningRefused
from chain_core.node.vote_keys import signing_messages
from chain_core.types.block import NewView, Phase, ViewChange, Vote
from tests.unit.consensus.bench import GENESIS_HASH, GENESIS_HEADER, batch, digest_of, header_of

A, B = digest_of(batch(1, "a")), digest_of(batch(1, "b"))
PREPARE, COMMIT, PRE_PREPARE = Phase.PREPARE, Phase.COMMIT, Phase.PRE_PREPARE


class CountingKey:
    """Signs with a number, so that two signatures differ as SM2's do."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, message: bytes) -> bytes:
        self.count += 1
        return self.count.to_bytes(64, "big")


def signer(**fields: int) -> SafeSigner:
    return SafeSigner(signing_messages(GENESIS_HASH, CountingKey()), 1, GENESIS_HASH, **{"final_height": 0, **fields})  # type: ignore[arg-type]


def vote(phase: Phase, digest: bytes = A, height: int = 1, view: int = 0, me: int = 1, attempt: int = 0) -> Vote:
    return Vote(phase, 0, 0, height, view, attempt, digest, me)


def asks(view: int, me: int = 1) -> ViewChange:
    return ViewChange(0, 0, view, me, GENESIS_HEADER, None, ())


def starts(view: int, me: int = 1) -> NewView:
    return NewView(0, 0, view, me, (), ())


Step = Callable[[SafeSigner], object]


def votes(phase: Phase, digest: bytes = A, height: int = 1, view: int = 0) -> Step:
    return lambda s: s.vote(vote(phase, digest, height, view))


def enters(view: int) -> Step:
    return lambda s: s.entered(view)


def changes(view: int) -> Step:
    return lambda s: s.change(asks(view))


def signs(header: bytes) -> Step:
    return lambda s: s.header(header)


HISTORIES: list[tuple[str, list[Step], Step, bool]] = [
    ("a first vote", [], votes(PREPARE), True),
    ("the same again", [votes(PREPARE)], votes(PREPARE), True),
    ("another digest in the same place", [votes(PREPARE)], votes(PREPARE, B), False),
    ("another digest in the next phase", [votes(PREPARE)], votes(COMMIT, B), True),
    ("another attempt in the same place", [votes(PREPARE)], lambda s: s.vote(vote(PREPARE, attempt=1)), False),
    ("another height", [votes(PREPARE)], votes(PREPARE, B, height=2), True),
    ("another digest in a view that was entered", [votes(PREPARE), enters(1)], votes(PREPARE, B, view=1), True),
    ("a vote in a view that was not entered", [], votes(PREPARE, view=1), False),
    ("a vote in the view asked for", [changes(1)], votes(PREPARE, view=1), False),
    ("a vote below the view asked for", [changes(1)], votes(COMMIT), False),
    ("the bytes of a vote given before, below", [votes(COMMIT), changes(1)], votes(COMMIT), True),
    ("a vote below the view entered", [enters(3)], votes(COMMIT, view=2), False),
    ("a vote in the view asked for and entered", [changes(1), enters(1)], votes(COMMIT, view=1), True),
    ("a vote for a final height", [lambda s: s.prune(4)], votes(PREPARE, height=4), False),
    ("a vote above it", [lambda s: s.prune(4)], votes(PREPARE, height=5), True),
    ("another replica's vote", [], lambda s: s.vote(vote(PREPARE, me=2)), False),
    ("a header", [], signs(header_of(1)), True),
    ("another header of the height", [signs(header_of(1))], signs(header_of(1, salt=b"x")), False),
    ("a header, whatever the view", [changes(1)], signs(header_of(1)), True),
    ("a header of a final height", [lambda s: s.prune(1)], signs(header_of(1)), False),
    ("a view above", [], changes(9), True),
    ("the same view again", [changes(9)], changes(9), True),
    ("a view below the one asked for", [changes(9)], changes(8), False),
    ("a view that was entered", [enters(2)], changes(2), False),
    ("another replica's view change", [], lambda s: s.change(asks(1, me=2)), False),
    ("a NEW-VIEW", [changes(5)], lambda s: s.lead(starts(5), ()), True),
    ("a NEW-VIEW below", [changes(5)], lambda s: s.lead(starts(1), ()), False),
    ("a NEW-VIEW of a forgotten view", [lambda s: s.not_below(5)], lambda s: s.lead(starts(5), ()), False),
    ("a VIEW-CHANGE for a forgotten view", [lambda s: s.not_below(5)], changes(5), False),
    ("a NEW-VIEW above a forgotten one", [lambda s: s.not_below(5)], lambda s: s.lead(starts(6), ()), True),
    ("another replica's NEW-VIEW", [], lambda s: s.lead(starts(5, me=2), ()), False),
]  # fmt: skip


@pytest.mark.parametrize(("before", "step", "allowed"), [h[1:] for h in HISTORIES], ids=[h[0] for h in HISTORIES])
def test_after_what_it_signed_it_signs(before: list[Step], step: Step, allowed: bool) -> None:
    one = signer()
    for earlier in before:
        earlier(one)
    if allowed:
        step(one)
        return
    with pytest.raises(SigningRefused) as refused:
        step(one)
    assert refused.value.next_step


@pytest.mark.parametrize(
    "step",
    [
        votes(COMMIT),
        signs(header_of(1)),
        changes(1),
        lambda s: s.lead(starts(1), (vote(PRE_PREPARE, view=1),)),
    ],
    ids=["vote", "header", "view change", "new view"],
)
def test_a_message_is_signed_once_and_its_bytes_given_again(step: Step) -> None:
    one, key = signer(), CountingKey()
    one.sign = signing_messages(GENESIS_HASH, key)
    first = step(one)
    count = key.count
    assert step(one) is first and key.count == count


def test_a_new_view_signs_its_re_proposals_and_remembers_them() -> None:
    one = signer()
    made = one.lead(starts(1), (vote(PRE_PREPARE, view=1),))
    (proposal,) = made.message.pre_prepares
    assert proposal.body == encode_vote(vote(PRE_PREPARE, view=1))
    with pytest.raises(SigningRefused):
        one.vote(vote(PRE_PREPARE, B, view=1))
    assert one.knows(proposal.body) and one.knows(made.body)


def test_a_re_proposal_of_a_height_that_is_final_here_may_be_signed() -> None:
    """The q VIEW-CHANGEs oblige to it, and it is the very batch that is final."""
    one = signer(final_height=1)
    (proposal,) = one.lead(starts(1), (vote(PRE_PREPARE, view=1),)).message.pre_prepares
    assert proposal.vote == vote(PRE_PREPARE, view=1)


def test_pruning_forgets_final_heights_only() -> None:
    one = signer()
    one.vote(vote(PREPARE)), one.vote(vote(PREPARE, height=2)), one.header(header_of(1)), one.header(header_of(2))
    one.prune(1)
    assert {height for height, _, _ in one.votes} == {2} and {height for height, _ in one.headers} == {2}
    one.prune(0)
    assert one.final_height == 1


def test_it_knows_what_it_signed() -> None:
    one = signer()
    made = one.vote(vote(COMMIT))
    assert one.knows(made.body) and not one.knows(encode_vote(replace(made.vote, digest=B)))


# -- epochs


def test_nothing_of_another_epoch_is_signed() -> None:
    here = signer(epoch=1)
    for attempt in (
        lambda: here.vote(vote(PREPARE)),
        lambda: here.header(header_of(1)),
        lambda: here.change(asks(1)),
        lambda: here.lead(starts(1), ()),
    ):
        with pytest.raises(SigningRefused, match="epoch 0 in epoch 1"):
            attempt()


def test_a_new_epoch_starts_at_view_0_under_its_own_index_and_nothing_of_the_old_one_is_signed_again() -> None:
    here = signer()
    here.change(asks(5))
    here.prune(1)
    here.begin_epoch(1, 3)
    made = here.vote(Vote(PREPARE, 0, 1, 2, 0, 0, A, 3))
    assert made.vote.view == 0 and (here.highest_view, here.view_change) == (0, None)
    with pytest.raises(SigningRefused):
        here.vote(vote(PREPARE, height=2, view=5))
    for again in (0, 1):
        with pytest.raises(SigningRefused, match="after epoch 1"):
            here.begin_epoch(again, 1)


# -- SKIP


def skips(index: int = 1, attempt: int = 0, height: int = 1) -> Vote:
    return Vote(Phase.SKIP, 0, 0, height, index, attempt, A, 1)


def test_one_skip_an_attempt_whatever_the_view() -> None:
    here = signer()
    here.change(asks(5))
    assert here.skip(skips()) is here.skip(skips())
    with pytest.raises(SigningRefused, match="another SKIP"):
        here.skip(skips(2))
    assert here.skip(skips(2, attempt=1)).vote.attempt == 1
    with pytest.raises(SigningRefused):
        here.skip(skips(height=0))


def test_a_header_and_a_skip_exclude_each_other_at_one_attempt() -> None:
    first, other = signer(), signer()
    first.header(header_of(1))
    with pytest.raises(SigningRefused, match="beside a header vote"):
        first.skip(skips())
    other.skip(skips())
    with pytest.raises(SigningRefused, match="asked to skip"):
        other.header(header_of(1))
    assert other.header(header_of(1, attempt=1)).header.attempt == 1
