"""Ordering, PBFT §4.2: what is accepted, what is prepared, what is committed; timers and work."""

from dataclasses import replace

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import CommitProof, PrePrepare
from chain_core.consensus.ordering import order_timeout_ms
from chain_core.types.block import Batch, Phase, SignedVote
from chain_core.types.validator_set import quorum
from tests.unit.consensus.bench import (
    NOW_MS,
    Bench,
    alarms,
    batch,
    block_final,
    changed,
    commit,
    digest_of,
    header_of,
    header_vote,
    kinds,
    new_view,
    of_kind,
    pre_prepare,
    prepare,
    prepared,
    view_change,
    vote,
)

A = batch(1, "a")
B = batch(1, "b")


def commits_cast(effects: list[fx.Effect]) -> list[fx.Effect]:
    return of_kind(effects, fx.CastCommit)


# -- PRE-PREPARE


def moved(proposed: Batch, **fields: object) -> PrePrepare:
    """A PRE-PREPARE whose vote was changed."""
    good = pre_prepare(proposed)
    return PrePrepare(changed(good.vote, **fields), good.batch)


PROPOSALS: list[tuple[str, PrePrepare, bool, list[str]]] = [
    ("of the primary, for this height and view", pre_prepare(A), True, []),
    ("at the edge of the clock tolerance", pre_prepare(batch(1, "a", time_ms=NOW_MS + 5_000)), True, []),
    ("from the future", pre_prepare(batch(1, "a", time_ms=NOW_MS + 5_001)), False, ["CLOCK_SKEW"]),
    ("from the past", pre_prepare(batch(1, "a", time_ms=NOW_MS - 5_001)), False, ["CLOCK_SKEW"]),
    ("empty", pre_prepare(replace(A, envelope_ids=())), False, ["BAD_PROPOSAL"]),
    ("too long", pre_prepare(batch(1, *map(str, range(101)))), False, ["BAD_PROPOSAL"]),
    ("of a backup", PrePrepare(vote(Phase.PRE_PREPARE, 2, A), A), False, []),
    ("of an earlier height", pre_prepare(batch(0, "a")), False, []),
    ("of a later height", pre_prepare(batch(2, "a")), False, []),
    ("of a later view", pre_prepare(A, view=1), False, []),
    ("of another epoch", moved(A, epoch=1), False, []),
    ("of another ledger", moved(A, ledger=1), False, []),
    ("of another attempt", moved(A, attempt=1), False, []),
]


@pytest.mark.parametrize(("message", "accepted", "told"), [p[1:] for p in PROPOSALS], ids=[p[0] for p in PROPOSALS])
def test_a_backup_prepares_a_proposal(message: PrePrepare, accepted: bool, told: list[str]) -> None:
    bench = Bench(1)
    effects = bench.hear(message)
    assert kinds(effects).count("CastPrepare") == int(accepted)
    assert alarms(effects) == told


def test_it_prepares_one_proposal_a_view_and_reports_a_second() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A))
    assert bench.hear(pre_prepare(A)) == []
    effects = bench.hear(pre_prepare(B))
    assert alarms(effects) == ["EQUIVOCATION"] and "CastPrepare" not in kinds(effects)


def test_it_prepares_only_when_it_holds_every_body() -> None:
    bench = Bench(1)
    bench.lacks.add(digest_of(A))
    effects = bench.hear(pre_prepare(A), prepare(2, A), prepare(3, A))
    assert of_kind(effects, fx.HoldBodies) == [fx.HoldBodies(A, 0, digest_of(A), (0,), True)]
    assert "CastPrepare" not in kinds(effects) and "CastCommit" not in kinds(effects)
    assert kinds(bench.bodies_arrive(A)) == ["CastPrepare", "CastCommit"]


def test_the_primary_proposes_as_soon_as_there_is_work_and_sends_no_prepare() -> None:
    bench = Bench(0)
    effects = bench.work("a")
    assert kinds(effects) == ["BuildBatch", "CastPrePrepare", "SetTimer"]
    assert "BuildBatch" not in kinds(bench.work("b")), "one height is in flight"
    assert "CastPrepare" not in kinds(bench.hear(prepare(1, A), prepare(2, A)))


def test_a_batch_built_for_a_view_that_is_over_is_released() -> None:
    bench = Bench(0)
    bench.hear(view_change(1, 1), view_change(2, 1))
    assert bench.do(inp.BatchBuilt(1, 0, A)) == [fx.ReleaseBatch(A)]


# -- PREPARE

NOT_COUNTED: list[tuple[str, SignedVote]] = [
    ("of the primary itself", prepare(0, A)),
    ("for another batch", prepare(3, B)),
    ("of another view", prepare(3, A, view=1)),
    ("of another height", prepare(3, batch(2, "a"))),
    ("of another attempt", changed(prepare(3, A), attempt=7)),
    ("of another epoch", changed(prepare(3, A), epoch=1)),
    ("of another ledger", changed(prepare(3, A), ledger=1)),
    ("of the same replica again", prepare(2, A)),
    ("in the replica's own name from outside", prepare(1, A)),
]


@pytest.mark.parametrize("second", [p[1] for p in NOT_COUNTED], ids=[p[0] for p in NOT_COUNTED])
def test_prepared_takes_q_minus_1_prepares_none(second: SignedVote) -> None:
    bench = Bench(1, n=7)  # q = 5: own and three more
    bench.hear(pre_prepare(A, n=7), prepare(4, A), prepare(2, A))
    assert commits_cast(bench.hear(second)) == []
    cast = commits_cast(bench.hear(prepare(5, A)))
    assert len(cast) == 1
    proof = cast[0].prepared  # type: ignore[union-attr]
    assert [v.vote.signer for v in proof.prepares] == [1, 2, 4, 5], "exactly q-1, ascending"
    assert all(v.vote == replace(proof.prepares[0].vote, signer=v.vote.signer) for v in proof.prepares)


@pytest.mark.parametrize("n", [4, 5, 6, 7, 10])
def test_prepared_takes_a_quorum_with_the_primary(n: int) -> None:
    bench = Bench(0, n)
    bench.work("a")
    mine = bench.core.state.slot.accepted
    assert mine is not None
    for signer in range(1, quorum(n) - 1):
        assert commits_cast(bench.hear(prepare(signer, mine.batch))) == []
    assert len(commits_cast(bench.hear(prepare(quorum(n) - 1, mine.batch)))) == 1


def test_commit_is_cast_once_a_view() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A))
    assert commits_cast(bench.hear(prepare(3, A))) == []


def test_nothing_is_prepared_or_committed_in_a_view_that_is_being_left() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A))
    bench.fire(Timer.ORDER)
    effects = bench.hear(prepare(2, A), prepare(3, A), pre_prepare(A))
    assert "CastPrepare" not in kinds(effects) and "CastCommit" not in kinds(effects)


# -- COMMIT


def test_committed_takes_q_commits_of_one_view() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A))  # own COMMIT is one
    assert "Execute" not in kinds(bench.hear(commit(2, A)))
    assert "Execute" not in kinds(bench.hear(commit(3, A, view=1))), "views do not add up"
    assert "Execute" not in kinds(bench.hear(changed(commit(0, A), attempt=1)))
    effects = bench.hear(commit(0, A))
    assert kinds(effects)[:2] == ["CancelTimer", "Execute"]
    assert "Execute" not in kinds(bench.hear(commit(3, A))), "a height is executed once"


def test_commits_of_a_view_that_is_over_still_commit() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A))
    bench.fire(Timer.ORDER)
    assert "Execute" in kinds(bench.hear(commit(0, A), commit(2, A), commit(3, A)))


def test_a_committed_batch_without_bodies_is_fetched_from_those_who_committed_it() -> None:
    bench = Bench(1)
    bench.lacks.add(digest_of(A))
    bench.hear(pre_prepare(A))
    bench.fire(Timer.ORDER)
    bench.hear(new_view(1, [view_change(i, 1) for i in (0, 1, 2)]))
    bench.core.state.slot.prepared = prepared(A)
    effects = bench.hear(commit(0, A), commit(2, A), commit(3, A))
    assert of_kind(effects, fx.HoldBodies) == [fx.HoldBodies(A, 1, digest_of(A), (0, 2, 3), False)]
    assert "Execute" in kinds(bench.bodies_arrive(A))


def test_a_second_commit_of_a_replica_in_one_view_is_reported_and_not_counted() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), commit(0, A), commit(2, B))
    effects = bench.hear(commit(2, A))
    assert alarms(effects) == ["EQUIVOCATION"] and "Execute" not in kinds(effects)


# -- commit proof


def proof_of(proposed: Batch, view: int = 0) -> CommitProof:
    return CommitProof(proposed, tuple(commit(i, proposed, view) for i in (0, 1, 3)))


def test_a_commit_proof_commits_in_whatever_view() -> None:
    bench = Bench(2)
    bench.hear(view_change(0, 5), view_change(1, 5))
    assert bench.core.state.view_changing
    effects = bench.hear(proof_of(A))
    assert [k for k in kinds(effects) if k in ("Execute", "CastHeaderVote")] == ["Execute", "CastHeaderVote"]


@pytest.mark.parametrize(
    "proof",
    [proof_of(batch(2, "a")), proof_of(replace(A, epoch=1)), proof_of(replace(A, attempt=1, skipped=(0,)))],
    ids=["of another height", "of another epoch", "of another attempt"],
)
def test_a_commit_proof_of_something_else_is_dropped(proof: CommitProof) -> None:
    assert Bench(2).hear(proof) == []


def test_who_committed_shows_it_to_those_whose_header_vote_is_missing() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A), commit(0, A), commit(3, A), header_vote(3, header_of(1, A)))
    to = [e.peer for e in bench.fire(Timer.RESEND) if isinstance(e, fx.SendTo) and isinstance(e.message, CommitProof)]
    assert to == [0, 2]


# -- timers and work


def test_the_timer_runs_from_acceptance_to_commit() -> None:
    bench = Bench(1)
    assert fx.SetTimer(Timer.ORDER, 2_000) in bench.hear(pre_prepare(A))
    bench.hear(prepare(2, A), commit(0, A))
    assert fx.CancelTimer(Timer.ORDER) in bench.hear(commit(2, A))
    assert bench.fire(Timer.ORDER) == [], "a timer that was stopped may still have fired"
    assert "SetTimer" not in kinds(bench.work("b")), "finality is waited for without a timer"


def test_the_timer_runs_while_the_primary_has_work_and_proposes_nothing() -> None:
    bench = Bench(1)
    assert bench.work("a") == [fx.SetTimer(Timer.ORDER, 2_000)]
    assert bench.work("b") == [], "it runs already"
    assert bench.do(inp.WorkGone()) == [fx.CancelTimer(Timer.ORDER)]


def test_work_that_expired_does_not_stop_the_timer_of_a_proposal() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A))
    assert bench.do(inp.WorkGone()) == []


@pytest.mark.parametrize(
    ("failed", "expected"), [(0, 2_000), (1, 4_000), (2, 8_000), (3, 8_000), (60, 8_000), (10**6, 8_000)]
)
def test_the_timer_doubles_with_each_view_up_to_its_cap(failed: int, expected: int) -> None:
    bench = Bench(1)
    bench.core.state.failed_views = failed
    assert order_timeout_ms(bench.core.state) == expected


def test_a_request_that_is_overdue_deposes_a_primary_that_orders_other_things() -> None:
    bench = Bench(1)
    block_final(bench, A)
    assert kinds(bench.do(inp.RequestOverdue()))[0] == "CastViewChange"
    assert bench.do(inp.RequestOverdue()) == [], "the next view has its own time"
    assert Bench(0).do(inp.RequestOverdue()) == [], "a primary does not depose itself"


def test_an_observer_follows_and_casts_nothing() -> None:
    bench = Bench(None)
    proposed = pre_prepare(A)
    effects = bench.hear(proposed, *(prepare(i, A) for i in (1, 2, 3)), *(commit(i, A) for i in (0, 1, 2)))
    effects += bench.hear(*(header_vote(i, header_of(1, A)) for i in (0, 1, 2))) + bench.fire(Timer.ORDER)
    assert "Finalise" in kinds(effects) and not [k for k in kinds(effects) if k.startswith("Cast")]


# -- what comes early


def test_messages_of_the_next_height_wait_for_it_one_a_kind_and_sender() -> None:
    bench, second = Bench(1), batch(2, "b")
    for _ in range(3):
        bench.hear(pre_prepare(second), prepare(2, second), prepare(3, second), commit(0, second), commit(2, second))
    assert len(bench.core.state.stash) == 5
    block_final(bench, A)
    assert bench.core.state.slot.committed == digest_of(second) and not bench.core.state.stash


def test_messages_of_a_view_that_has_not_begun_wait_for_its_new_view() -> None:
    bench = Bench(2)
    fresh = pre_prepare(B, view=1)
    assert bench.hear(fresh, prepare(0, B, view=1), prepare(3, B, view=1)) == []
    effects = bench.hear(new_view(1, [view_change(i, 1) for i in (0, 1, 3)]))
    assert [k for k in kinds(effects) if k.startswith("Cast")] == ["CastPrepare", "CastCommit"]
