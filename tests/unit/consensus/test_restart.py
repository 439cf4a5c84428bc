"""Restart: a core over the same log stands where it stood, says again what it said, and says nothing else."""

from collections.abc import Callable

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Started, Timer
from chain_core.consensus.messages import Heartbeat, Message
from tests.unit.consensus.bench import (
    Bench,
    batch,
    commit,
    header_of,
    header_vote,
    kinds,
    new_view,
    of_kind,
    pre_prepare,
    prepare,
    prepared,
    view_change,
)

A, B = batch(1, "a"), batch(1, "b")
CHANGES = [view_change(0, 1), view_change(1, 1, prepared(A)), view_change(3, 1)]


def accepted() -> Bench:
    bench = Bench(2)
    bench.hear(pre_prepare(A))
    return bench


def committing() -> Bench:
    bench = accepted()
    bench.hear(prepare(1, A), prepare(3, A))
    return bench


def executed() -> Bench:
    bench = committing()
    bench.hear(commit(0, A), commit(1, A))
    return bench


def proposing() -> Bench:
    bench = Bench(0)
    bench.work("a")
    return bench


def asking() -> Bench:
    bench = committing()
    bench.fire(Timer.ORDER)
    return bench


def entered() -> Bench:
    bench = Bench(2)
    bench.lacks.add(pre_prepare(A).vote.vote.digest)  # it dies before it prepares
    bench.hear(new_view(1, CHANGES, A))
    return bench


def leading() -> Bench:
    bench = Bench(1)
    bench.hear(view_change(0, 1, prepared(A)), view_change(2, 1), view_change(3, 1))
    return bench


PLACES = [accepted, committing, executed, proposing, asking, entered, leading]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.__name__)
def test_it_says_what_it_said_and_nothing_else(place: Callable[[], Bench]) -> None:
    before = place()
    said: set[Message] = {m for m in before.sent if not isinstance(m, Heartbeat)}
    after = before.restart()
    after.lacks = before.lacks
    effects = after.do(Started()) + after.fire(Timer.RESEND)
    again = {m for m in after.sent if not isinstance(m, Heartbeat)}
    assert not [k for k in kinds(effects) if k.startswith("Cast")]
    assert again <= said | {m for m in again if after.core.state.slot.accepted == m}
    assert (after.core.state.view, after.core.state.view_changing) == (
        before.core.state.view,
        before.core.state.view_changing,
    )
    votes = [v for v in before.memory.votes if v.vote.view == before.core.state.view or v.vote.phase.name == "COMMIT"]
    assert {v for v in votes if not (before.core.state.view_changing and v.vote.phase.name == "PREPARE")} <= again


def test_it_will_not_prepare_another_batch_in_the_view_it_prepared_in() -> None:
    after = accepted().restart()
    after.do(Started())
    assert "CastPrepare" not in kinds(after.hear(pre_prepare(B)))


def test_a_fresh_commit_quorum_commits_what_was_prepared() -> None:
    after = executed().restart()
    after.do(Started())
    effects = after.hear(commit(0, A), commit(3, A))
    assert "Execute" in kinds(effects) and "CastHeaderVote" not in kinds(effects), "it has signed that header"
    assert "Finalise" in kinds(after.hear(header_vote(0, header_of(1, A)), header_vote(3, header_of(1, A))))


def test_who_asked_for_a_view_orders_nothing_until_it_begins() -> None:
    after = asking().restart()
    after.do(Started())
    effects = after.hear(pre_prepare(A), prepare(1, A), prepare(3, A))
    assert not [k for k in kinds(effects) if k.startswith("Cast")]
    assert "Execute" in kinds(after.hear(commit(0, A), commit(1, A))), "but a commit quorum counts"


def test_a_view_change_after_a_restart_carries_what_was_committed_to() -> None:
    after = committing().restart()
    after.do(Started())
    (cast,) = of_kind(after.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange) and [p.batch for p in cast.message.prepared] == [A]


@pytest.mark.parametrize("place", [entered, leading], ids=lambda place: place.__name__)
def test_the_re_proposal_is_derived_anew_from_the_logged_new_view(place: Callable[[], Bench]) -> None:
    after = place().restart()
    effects = after.do(Started())
    slot = after.core.state.slot
    assert slot.accepted is not None and slot.accepted.batch == A and slot.accepted.vote.vote.view == 1
    assert ("CastPrepare" in kinds(effects)) is (place is entered)


def test_a_view_that_began_above_its_height_still_does_after_a_restart() -> None:
    bench = Bench(2)
    bench.hear(new_view(1, [view_change(0, 1), view_change(1, 1, final=header_of(4, B)), view_change(3, 1)]))
    after = bench.restart()
    assert of_kind(after.do(Started()), fx.FetchBlocks) == [fx.FetchBlocks(1, 4, (0, 1, 3))]
    assert "CastPrepare" not in kinds(after.hear(pre_prepare(A, view=1)))


def test_the_timer_runs_again_for_what_was_accepted() -> None:
    assert fx.SetTimer(Timer.ORDER, 2_000) in accepted().restart().do(Started())
    assert fx.SetTimer(Timer.ORDER, 2_000) not in Bench(2).do(Started())
