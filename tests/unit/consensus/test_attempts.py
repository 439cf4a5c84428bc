"""Attempts: a batch that breaks the engine is executed again without what breaks it; a quorum decides."""

import pytest

from chain_core.codec.block import decode_header, skip_digest
from chain_core.consensus import effects as fx
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.inputs import Started, Timer
from chain_core.consensus.messages import FinalityNotice
from chain_core.consensus.skipping import ENGINE_FAULT
from chain_core.types.block import Phase, SignedVote, Vote
from tests.unit.consensus.bench import (
    Bench,
    alarms,
    batch,
    certificate,
    commit,
    digest_of,
    header_of,
    header_vote,
    kinds,
    of_kind,
    pre_prepare,
    prepare,
    signed_vote,
)

A = batch(1, "a", "b", "c")
HEADER_0, HEADER_1 = header_of(1, A), header_of(1, A, attempt=1)


def skip(signer: int, index: int = 1, attempt: int = 0, height: int = 1, reason: int = ENGINE_FAULT) -> SignedVote:
    return signed_vote(Vote(Phase.SKIP, 0, 0, height, index, attempt, skip_digest(digest_of(A), reason), signer))


def ordered(*poison: int, n: int = 4, me: int = 1) -> Bench:
    """A replica at which A is committed, and breaks the engine at these indices."""
    bench = Bench(me, n)
    bench.poison = set(poison)
    bench.hear(pre_prepare(A, n=n), *(prepare(i, A) for i in range(1, n) if i != me))
    bench.hear(*(commit(i, A) for i in range(n) if i != me))
    assert bench.core.state.slot.committed == digest_of(A)
    return bench


def asked(effects: list[fx.Effect]) -> list[tuple[int, int]]:
    return [(e.vote.view, e.vote.attempt) for e in effects if isinstance(e, fx.CastSkip)]


def test_who_cannot_execute_signs_no_header_and_asks_to_skip() -> None:
    bench = ordered(1)
    assert [s.vote.view for s in bench.memory.skips] == [1] and not bench.memory.headers
    assert bench.core.state.slot.own_skips[0].vote.digest == skip_digest(digest_of(A), ENGINE_FAULT)


def test_q_skips_open_the_next_attempt_in_which_the_envelope_is_left_out() -> None:
    bench = ordered(1)
    assert "Execute" not in kinds(bench.hear(skip(0)))
    effects = bench.hear(skip(2))
    assert [k for k in kinds(effects) if k in ("StoreSkips", "Execute", "CastHeaderVote")] == [
        "StoreSkips",
        "Execute",
        "CastHeaderVote",
    ], "logged before a header of that attempt is signed"
    (run,) = of_kind(effects, fx.Execute)
    assert isinstance(run, fx.Execute) and (run.attempt, run.skipped) == (1, (1,))
    effects = bench.hear(*(header_vote(i, HEADER_1) for i in (0, 2)))
    assert "Finalise" in kinds(effects) and bench.core.state.final_height == 1


def test_two_poisons_take_two_attempts() -> None:
    bench = ordered(0, 2)
    effects = bench.hear(skip(0, 0), skip(2, 0))
    assert asked(effects) == [(2, 1)] and "CastHeaderVote" not in kinds(effects)
    effects = bench.hear(skip(0, 2, 1), skip(2, 2, 1))
    (header,) = of_kind(effects, fx.CastHeaderVote)
    assert isinstance(header, fx.CastHeaderVote) and decode_header(header.header_bytes).attempt == 2
    assert bench.core.state.slot.skipped == (0, 2)


def test_who_signed_a_header_signs_no_skip_but_follows_the_quorum() -> None:
    bench = ordered()
    effects = bench.hear(skip(0), skip(2), skip(3))
    assert asked(effects) == [] and "CastHeaderVote" in kinds(effects), "at the next attempt"
    assert "Finalise" in kinds(bench.hear(header_vote(0, HEADER_1), header_vote(2, HEADER_1)))


NOT_COUNTED = [
    ("for another index", skip(2, 2)),
    ("beyond the batch", skip(2, 3)),
    ("at another attempt", skip(2, attempt=1)),
    ("of another height", skip(2, height=2)),
    ("for another reason", skip(2, reason=9)),
    ("of the same replica again", skip(0)),
    ("in the replica's own name", skip(1)),
]


@pytest.mark.parametrize("second", [s for _, s in NOT_COUNTED], ids=[name for name, _ in NOT_COUNTED])
def test_a_skip_is_not_counted(second: SignedVote) -> None:
    bench = ordered(1)
    assert "Execute" not in kinds(bench.hear(skip(0), second))


def test_another_skip_of_one_sender_at_one_attempt_is_told() -> None:
    assert alarms(ordered(1).hear(skip(0), skip(0, 2))) == ["EQUIVOCATION"]


@pytest.mark.parametrize(
    ("n", "headers", "skips", "halts"),
    [(4, 1, 1, False), (4, 2, 1, True), (4, 1, 2, False), (7, 3, 2, True), (7, 2, 2, False)],
)
def test_it_halts_when_neither_a_header_nor_a_skip_can_reach_a_quorum(
    n: int, headers: int, skips: int, halts: bool
) -> None:
    """Beside the own SKIP; at 7 the quorum is 5."""
    bench = ordered(1, n=n)
    others = [i for i in range(n) if i != 1]
    effects = bench.hear(*(header_vote(i, HEADER_0) for i in others[:headers]))
    effects += bench.hear(*(skip(i) for i in others[headers : headers + skips]))
    found = [e.code for e in effects if isinstance(e, fx.Halt)]
    assert found == ([DIVERGED] if halts else [])
    assert "CastViewChange" not in kinds(effects + bench.fire(Timer.ORDER))


@pytest.mark.parametrize("poison", [(), (1,)], ids=["executed", "poisoned"])
def test_a_certificate_of_a_later_attempt_makes_it_fetch(poison: tuple[int, ...]) -> None:
    effects = ordered(*poison).hear(FinalityNotice(HEADER_1, certificate(HEADER_1, (0, 2, 3))))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 1, (0, 2, 3))] and "Halt" not in kinds(effects)


def test_header_votes_of_the_next_attempt_are_kept_until_it_opens() -> None:
    bench = ordered(1)
    bench.hear(header_vote(0, HEADER_1), header_vote(2, HEADER_1))
    assert "Finalise" in kinds(bench.hear(skip(0), skip(2)))


def test_a_quorum_of_others_at_the_next_attempt_makes_it_fetch() -> None:
    effects = ordered(1).hear(*(header_vote(i, HEADER_1) for i in (0, 2, 3)))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 1, (0, 2, 3))]


def test_the_skips_that_ended_an_attempt_are_sent_again_also_those_of_others() -> None:
    """Their signers may be gone, and who lacks one would wait at the attempt before."""
    bench = ordered(1)
    bench.hear(skip(0), skip(2))
    again = {e.message for e in bench.fire(Timer.RESEND) if isinstance(e, fx.Broadcast)}
    assert {skip(0), skip(1), skip(2)} <= again


def test_after_a_restart_it_stands_at_the_same_attempt_and_signs_nothing_new() -> None:
    before = ordered(1)
    before.hear(skip(0), skip(2))
    after = before.restart()
    after.poison = {1}
    effects = after.do(Started()) + after.hear(commit(0, A), commit(3, A))
    (run,) = of_kind(effects, fx.Execute)
    assert isinstance(run, fx.Execute) and (run.attempt, run.skipped) == (1, (1,))
    assert not [k for k in kinds(effects) if k.startswith("Cast")]
    assert "Finalise" in kinds(after.hear(header_vote(0, HEADER_1), header_vote(2, HEADER_1)))


def test_a_skip_that_was_signed_forbids_the_header_after_a_restart() -> None:
    """The poison was this machine's trouble: it passes, the promise does not."""
    after = ordered(1).restart()
    effects = after.do(Started()) + after.hear(commit(0, A), commit(3, A))
    assert "Execute" in kinds(effects) and "CastHeaderVote" not in kinds(effects)


@pytest.mark.parametrize("poison", [(), (1,)], ids=["executed", "poisoned"])
def test_skips_heard_before_the_batch_is_committed_again_count(poison: tuple[int, ...]) -> None:
    """Its own one is in the log and asked for no more: nothing else would look at them again."""
    after = ordered(1).restart()
    after.poison = set(poison)
    assert "Execute" not in kinds(after.do(Started()) + after.hear(skip(2), skip(3)))
    effects = after.hear(commit(0, A), commit(3, A))
    assert [(run.attempt, run.skipped) for run in effects if isinstance(run, fx.Execute)] == [(0, ()), (1, (1,))]
    assert "Finalise" in kinds(after.hear(header_vote(0, HEADER_1), header_vote(2, HEADER_1)))
