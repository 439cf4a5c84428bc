"""View change, PBFT §4.4: when it is asked for, who joins, what the new primary owes, what everybody enters."""

from dataclasses import replace

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import Heartbeat, PrePrepare
from chain_core.consensus.view_change import new_view_fault, obligations
from chain_core.types.block import NewView, PreparedCertificate, SignedViewChange
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
    sign_new_view,
    validators,
    view_change,
)

A, B = batch(1, "a"), batch(1, "b")
FAR = 1 << 40


def asked(effects: list[fx.Effect]) -> list[int]:
    return [e.message.new_view for e in effects if isinstance(e, fx.CastViewChange)]


# -- asking and joining


def test_a_primary_that_does_not_propose_is_left() -> None:
    bench = Bench(1)
    bench.work("a")
    effects = bench.fire(Timer.ORDER)
    assert asked(effects) == [1] and bench.core.state.view_changing


def test_view_change_carries_the_last_certificate_and_what_was_prepared_above_it() -> None:
    bench = Bench(1)
    block_final(bench, A)
    second = batch(2, "b")
    bench.hear(pre_prepare(second), prepare(2, second))
    (cast,) = of_kind(bench.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange)
    assert cast.message.final_header == header_of(1, A) and cast.message.final_certificate is not None
    assert [p.batch for p in cast.message.prepared] == [second]


def test_what_was_prepared_is_shown_again_until_it_is_final_or_prepared_later() -> None:
    """Two view changes in a row: the view between prepared nothing; what an earlier one committed is not lost."""
    bench = Bench(2)
    bench.hear(pre_prepare(A), prepare(1, A), prepare(3, A))
    bench.fire(Timer.ORDER)
    bench.lacks.add(digest_of(A))  # nothing comes of the view between
    bench.hear(new_view(1, [view_change(0, 1), view_change(1, 1, prepared(A)), view_change(3, 1)], A))
    (cast,) = of_kind(bench.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange)
    assert cast.message.new_view == 2 and cast.message.prepared == (bench.memory.prepared[1],)


JOINS: list[tuple[str, int, list[tuple[int, int]], int]] = [
    ("one sender, however high", 4, [(0, FAR)], 0),
    ("one sender, again and again", 4, [(0, 1), (0, 2), (0, FAR)], 0),
    ("f+1 for one view", 4, [(0, 1), (2, 1)], 1),
    ("f+1 for different views: the smallest", 4, [(0, 5), (2, 3)], 3),
    ("one Byzantine far ahead and one correct", 4, [(0, FAR), (2, 2)], 2),
    ("f of seven", 7, [(0, 4), (2, 4)], 0),
    ("f+1 of seven, spread", 7, [(0, 9), (2, 4), (3, 6)], 4),
    ("a view that is over counts for nothing", 4, [(0, 0), (2, 1)], 0),
]


@pytest.mark.parametrize(("n", "heard", "view"), [j[1:] for j in JOINS], ids=[j[0] for j in JOINS])
def test_f_plus_1_for_any_higher_views_make_it_join_the_smallest(
    n: int, heard: list[tuple[int, int]], view: int
) -> None:
    bench = Bench(1, n)
    effects = bench.hear(*(view_change(signer, new) for signer, new in heard))
    assert bench.core.state.view == view
    assert asked(effects) == ([view] if view else [])


def test_a_lower_view_change_does_not_replace_a_higher_one_of_its_sender() -> None:
    bench = Bench(1)
    bench.hear(view_change(0, 7), view_change(0, 2))
    assert bench.core.state.view_changes[0].message.new_view == 7


def test_the_timer_of_the_view_asked_for_starts_with_q_of_them() -> None:
    bench = Bench(3)
    bench.work("a")
    assert "SetTimer" not in kinds(bench.fire(Timer.ORDER)), "alone it waits for others, however long"
    effects = bench.hear(view_change(0, 1), view_change(2, 4))
    assert of_kind(effects, fx.SetTimer) == [fx.SetTimer(Timer.ORDER, 4_000)], "higher ones count too"
    assert asked(bench.fire(Timer.ORDER)) == [2]


def test_a_committed_replica_joins_but_never_asks() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A), commit(0, A), commit(2, A))
    assert asked(bench.fire(Timer.ORDER)) == []
    assert asked(bench.hear(view_change(2, 1), view_change(3, 1))) == [1]


def test_a_halted_replica_asks_for_nothing_and_leads_nothing() -> None:
    bench = Bench(1)
    bench.work("a")
    bench.core.state.halted = True
    effects = bench.fire(Timer.ORDER) + bench.hear(*(view_change(i, 1) for i in (0, 2, 3)))
    assert not [k for k in kinds(effects) if k.startswith("Cast")]


# -- NEW-VIEW of the primary


def test_the_primary_leads_with_exactly_q_view_changes_its_own_among_them() -> None:
    bench = Bench(1, n=7)
    bench.hear(*(view_change(i, 1) for i in (6, 5, 4)))
    effects = bench.hear(view_change(3, 1), view_change(2, 1))
    casts = of_kind(effects, fx.CastNewView)
    assert len(casts) == 1 and isinstance(casts[0], fx.CastNewView)
    signers = [m.message.signer for m in casts[0].message.view_changes]
    assert signers == [1, 3, 4, 5, 6], "q = 5, ascending, once"


def test_view_changes_for_other_views_do_not_make_a_new_view() -> None:
    bench = Bench(1)
    effects = bench.hear(view_change(0, 1), view_change(2, 1), view_change(3, 9))
    assert len(of_kind(effects, fx.CastNewView)) == 1
    spread = Bench(1)
    assert of_kind(spread.hear(view_change(0, 1), view_change(3, 9)), fx.CastNewView) == []


FINAL_1 = header_of(1, A)
OBLIGED: list[tuple[str, list[SignedViewChange], list[PreparedCertificate]]] = [
    ("nothing prepared", [view_change(i, 5) for i in (0, 1, 2)], []),
    ("one prepared", [view_change(0, 5), view_change(1, 5, prepared(A)), view_change(2, 5)], [prepared(A)]),
    (
        "the highest view wins",
        [view_change(0, 5, prepared(A, 3)), view_change(1, 5, prepared(B, 4)), view_change(2, 5, prepared(A, 0))],
        [prepared(B, 4)],
    ),
    (
        "what is certified by then is left out",
        [view_change(0, 5, prepared(A, 2)), view_change(1, 5, final=FINAL_1), view_change(2, 5)],
        [],
    ),
    (
        "above the highest certificate",
        [view_change(0, 5, prepared(B, 4)), view_change(1, 5, prepared(batch(2, "c"), 1), final=FINAL_1)],
        [prepared(batch(2, "c"), 1)],
    ),
]


@pytest.mark.parametrize(("changes", "due"), [o[1:] for o in OBLIGED], ids=[o[0] for o in OBLIGED])
def test_a_new_view_re_proposes(changes: list[SignedViewChange], due: list[PreparedCertificate]) -> None:
    assert [p for _, p in obligations(0, 0, tuple(changes))] == due


CHANGES = [view_change(0, 1), view_change(1, 1, prepared(A)), view_change(3, 1)]
GOOD = new_view(1, CHANGES, A).message


def odd_vote(**fields: object) -> NewView:
    return replace(GOOD, pre_prepares=(changed(GOOD.pre_prepares[0], **fields),))


FAULTS: list[tuple[str, NewView]] = [
    ("of another replica", replace(GOOD, signer=2)),
    ("too few VIEW-CHANGEs", replace(GOOD, view_changes=GOOD.view_changes[:2])),
    ("too many", new_view(1, [*CHANGES[:2], view_change(2, 1), CHANGES[2]], A).message),
    ("one for another view", replace(GOOD, view_changes=(*GOOD.view_changes[:2], view_change(3, 2)))),
    ("prepared in this very view", new_view(1, [*CHANGES[:2], view_change(3, 1, prepared(B, 1))], B).message),
    ("nothing re-proposed", replace(GOOD, pre_prepares=())),
    ("another batch", new_view(1, CHANGES, B).message),
    ("something beside it", new_view(1, CHANGES, A, batch(2, "c")).message),
    ("something where nothing was prepared", new_view(1, [view_change(i, 1) for i in (0, 1, 3)], A).message),
    ("at another attempt", odd_vote(attempt=1)),
    ("in another view", odd_vote(view=2)),
    ("signed by another", odd_vote(signer=3)),
    ("of another epoch", odd_vote(epoch=1)),
]


def test_a_new_view_that_does_what_it_owes_has_no_fault() -> None:
    assert new_view_fault(GOOD, validators(4)) == ""


@pytest.mark.parametrize("message", [f[1] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_new_view_is_refused(message: NewView) -> None:
    assert new_view_fault(message, validators(4))
    bench = Bench(3)
    assert alarms(bench.hear(sign_new_view(message))) == ["BAD_NEW_VIEW"]
    assert bench.core.state.view == 0


# -- entering


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_view_is_entered_logged_first_then_its_batch_prepared_whatever_the_clock_says(asked_before: bool) -> None:
    """FISCO #4123, Indy #1488: a re-proposed batch judged by the clock stalls the chain for good."""
    bench = Bench(3)
    if asked_before:
        bench.work("a")
        bench.fire(Timer.ORDER)
    bench.now_ms = NOW_MS + 3_600_000
    effects = bench.hear(new_view(1, CHANGES, A))
    ordered = [k for k in kinds(effects) if k in ("StoreNewView", "HoldBodies", "CastPrepare")]
    assert ordered == ["StoreNewView", "HoldBodies", "CastPrepare"]
    (hold,) = of_kind(effects, fx.HoldBodies)
    assert isinstance(hold, fx.HoldBodies) and hold.sources == (0, 1, 2), "the signers of its prepared certificate"


def test_the_new_primary_takes_up_its_own_re_proposal() -> None:
    bench = Bench(1)
    bench.hear(view_change(0, 1, prepared(A)), view_change(2, 1), view_change(3, 1))
    assert bench.core.state.slot.accepted == PrePrepare(new_view(1, CHANGES, A).message.pre_prepares[0], A)
    effects = bench.hear(prepare(0, A, 1), prepare(2, A, 1))
    assert len(of_kind(effects, fx.CastCommit)) == 1


def test_whoever_becomes_primary_looks_into_its_own_pool() -> None:
    """The bodies came from peers and were forwarded to the old primary by others: nothing here counted them."""
    bench = Bench(1)
    bench.pool = ["a"]
    effects = bench.hear(*(view_change(i, 1) for i in (0, 2, 3)))
    assert "CastPrePrepare" in kinds(effects)


def test_a_second_proposal_beside_the_re_proposed_one_is_equivocation() -> None:
    bench = Bench(3)
    bench.hear(new_view(1, CHANGES, A))
    assert alarms(bench.hear(pre_prepare(B, view=1))) == ["EQUIVOCATION"]


def test_a_view_that_begins_above_what_is_final_here_is_entered_and_the_rest_fetched() -> None:
    bench = Bench(3)
    changes = [view_change(0, 1), view_change(1, 1, final=header_of(4, B)), view_change(2, 1)]
    effects = bench.hear(new_view(1, changes))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 4, (0, 1, 2))]
    assert bench.hear(pre_prepare(A, view=1)) == [], "what lies below the view's base is certified"


def test_a_replica_behind_takes_up_the_re_proposal_when_it_reaches_its_height() -> None:
    bench, second = Bench(3), batch(2, "b")
    changes = [view_change(i, 1, prepared(second), final=header_of(1, A)) for i in (0, 1, 2)]
    bench.hear(new_view(1, changes, second))
    assert bench.core.state.slot.accepted is None
    bench.hear(pre_prepare(batch(2, "x"), view=1))  # the primary's other story, first to arrive
    bench.block_arrives(A)
    accepted = bench.core.state.slot.accepted
    assert accepted is not None and accepted.batch == second


def test_a_new_view_that_re_proposes_a_final_height_is_entered_all_the_same() -> None:
    bench = Bench(3)
    block_final(bench, A)
    effects = bench.hear(new_view(1, CHANGES, A))
    assert bench.core.state.view == 1 and "StoreNewView" in kinds(effects) and "CastPrepare" not in kinds(effects)


def test_a_lost_proposal_is_released_and_a_re_proposed_one_is_not() -> None:
    bench = Bench(2)
    bench.hear(pre_prepare(B))
    assert fx.ReleaseBatch(B) in bench.hear(new_view(1, CHANGES, A))
    same = Bench(2)
    same.hear(pre_prepare(A))
    assert "ReleaseBatch" not in kinds(same.hear(new_view(1, CHANGES, A)))


def test_a_proposal_that_another_block_overtook_is_released() -> None:
    bench = Bench(0)
    bench.work("mine")
    mine = bench.core.state.slot.accepted
    assert mine is not None
    bench.hear(view_change(1, 1), view_change(2, 1))
    effects = bench.block_arrives(A)
    assert fx.ReleaseBatch(mine.batch) in effects


def test_the_timer_of_the_view_asked_for_survives_commit_and_finality() -> None:
    bench = Bench(3)
    bench.hear(pre_prepare(A), prepare(1, A), prepare(2, A))
    bench.hear(view_change(0, 1), view_change(1, 1), view_change(2, 1))
    assert bench.core.state.order_timer_running
    bench.hear(commit(0, A), commit(1, A), commit(2, A))
    assert bench.core.state.slot.committed == digest_of(A) and bench.core.state.order_timer_running
    bench.hear(*(header_vote(i, header_of(1, A)) for i in (0, 1, 2)))
    assert bench.core.state.final_height == 1 and bench.core.state.order_timer_running
    assert asked(bench.fire(Timer.ORDER)) == [2]


# -- serving and re-sending


@pytest.mark.parametrize(
    ("beat", "served"),
    [
        (Heartbeat(2, 0, 0, 0, False), True),
        (Heartbeat(2, 0, 0, 1, True), True),
        (Heartbeat(2, 0, 0, 1, False), False),
        (Heartbeat(2, 0, 0, 2, True), False),
    ],
    ids=["in an earlier view", "asking for this view", "in this view", "asking for a later one"],
)
def test_the_new_view_is_served_to_whoever_is_behind_once_a_period(beat: Heartbeat, served: bool) -> None:
    bench = Bench(3)
    message = new_view(1, CHANGES, A)
    bench.hear(message)
    bench.fire(Timer.RESEND)
    expected = [fx.SendTo(2, message)] if served else []
    assert bench.hear(beat) == expected
    assert bench.hear(beat) == []


def test_a_view_change_for_a_view_that_is_on_is_answered_with_it() -> None:
    bench = Bench(3)
    message = new_view(1, CHANGES, A)
    bench.hear(message)
    assert bench.hear(view_change(2, 1)) == [fx.SendTo(2, message)]


def test_the_own_view_change_is_sent_again_until_its_view_begins() -> None:
    bench = Bench(3)
    bench.work("a")
    bench.fire(Timer.ORDER)
    bench.sent.clear()
    bench.fire(Timer.RESEND)
    assert bench.memory.view_change in bench.sent
    bench.hear(new_view(1, CHANGES, A))
    bench.sent.clear()
    bench.fire(Timer.RESEND)
    assert bench.memory.view_change not in bench.sent


def test_who_asks_for_a_view_gives_what_it_waits_for_to_everybody() -> None:
    """Also what stands in a proposal of its own that nobody heard: the others have no reason to move otherwise."""
    bench = Bench(0)
    bench.work("a")
    bench.hear(view_change(1, 1), view_change(2, 1))
    assert fx.ForwardPool((1, 2, 3)) in bench.fire(Timer.RESEND)


def test_huge_views_of_one_sender_take_one_slot() -> None:
    bench = Bench(1)
    for view in range(FAR, FAR + 50):
        bench.hear(view_change(3, view))
    assert len(bench.core.state.view_changes) == 1 and bench.core.state.view == 0


def test_bodies_held_for_an_earlier_view_are_asked_for_again_before_a_vote() -> None:
    """They came while the view was being left, so no PREPARE logged them; another batch took their place since."""
    bench = Bench(3)
    bench.lacks.add(digest_of(A))
    bench.hear(pre_prepare(A))
    bench.fire(Timer.ORDER)
    bench.bodies_arrive(A)
    bench.hear(new_view(1, [view_change(i, 1) for i in (0, 1, 3)]), pre_prepare(B, view=1))
    bench.lacks.add(digest_of(A))
    changes = [view_change(0, 2, prepared(A)), view_change(1, 2), view_change(2, 2)]
    effects = bench.hear(new_view(2, changes, A), prepare(0, A, view=2), prepare(1, A, view=2))
    assert "HoldBodies" in kinds(effects) and "CastCommit" not in kinds(effects)
    assert "CastCommit" in kinds(bench.bodies_arrive(A))
