"""Several heights in flight: the window (PBFT §4.2), its order and timers, null batches (§4.4), idle blocks."""

from dataclasses import replace

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Started, Timer
from chain_core.consensus.messages import FinalityNotice
from chain_core.consensus.view_change import null_batch, obligations
from chain_core.types.block import Batch, SignedViewChange
from tests.unit.consensus.bench import (
    NOW_MS,
    PARAMETERS,
    Bench,
    alarms,
    batch,
    block_final,
    certificate,
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
)

W = 4
WIDE = replace(PARAMETERS, window_heights=W, max_block_transactions=2)
H = [batch(height, f"a{height}") for height in range(10)]
"""One batch a height."""


def wide(me: int | None, n: int = 4) -> Bench:
    return Bench(me, n, parameters=WIDE)


def order(bench: Bench, *heights: int, view: int = 0) -> list[fx.Effect]:
    """The others order these heights with this backup; nobody signs headers."""
    out: list[fx.Effect] = []
    for height in heights:
        others = [i for i in range(4) if i != bench.me]
        backups = [i for i in others if i != view % 4]
        out += bench.hear(pre_prepare(H[height], view), *(prepare(i, H[height], view) for i in backups))
        out += bench.hear(*(commit(i, H[height], view) for i in others))
    return out


def heights(effects: list[fx.Effect], kind: type[fx.CastPrepare] | type[fx.CastCommit]) -> list[int]:
    return [e.vote.height for e in effects if isinstance(e, kind)]


def executed(effects: list[fx.Effect]) -> list[int]:
    return [e.batch.height for e in effects if isinstance(e, fx.Execute)]


# -- proposing


def test_the_primary_fills_the_window_with_full_batches_and_keeps_the_rest_for_the_next_turn() -> None:
    bench = wide(0)
    effects = bench.work(*"abcdefghijk")
    assert [e.vote.height for e in effects if isinstance(e, fx.CastPrePrepare)] == [1, 2, 3, 4]
    assert bench.pool == ["i", "j", "k"]
    assert bench.work() == [], "nothing beyond the window"


def test_a_part_of_a_batch_is_proposed_alone_or_waits() -> None:
    """A height costs its votes and synced writes, however little is in it."""
    bench = wide(0)
    bench.work("a")
    assert "CastPrePrepare" not in kinds(bench.work("b"))
    assert bench.core.state.work, "it is still waiting"
    assert "CastPrePrepare" in kinds(bench.work("c"))


def test_a_primary_that_fetches_blocks_proposes_nothing() -> None:
    bench = wide(0)
    last = header_of(2, H[2])
    bench.hear(FinalityNotice(last, certificate(last, (1, 2, 3))))
    assert bench.work("a") == []


def test_a_new_primary_that_has_to_fetch_first_does_not_propose_above_what_it_lacks() -> None:
    """What lies in the blocks that it lacks is still in its pool."""
    bench = wide(1)
    bench.pool = ["x", "y"]
    changes = [view_change(i, 1, final=header_of(2, H[2])) for i in (0, 2, 3)]
    assert "CastPrePrepare" not in kinds(bench.hear(*changes))
    assert "CastPrePrepare" not in kinds(bench.block_arrives(H[1]) + bench.work())
    effects = bench.block_arrives(H[2]) + bench.work()
    assert [e.vote.height for e in effects if isinstance(e, fx.CastPrePrepare)] == [3]


def test_the_new_primary_proposes_above_what_it_re_proposes() -> None:
    bench = wide(1)
    bench.pool = ["x", "y"]
    changes = [view_change(0, 1, prepared(H[1]), prepared(H[2])), view_change(2, 1), view_change(3, 1)]
    effects = bench.hear(*changes)
    assert [e.vote.height for e in effects if isinstance(e, fx.CastPrePrepare)] == [3]


# -- ordering and execution


def test_heights_are_ordered_side_by_side_and_executed_in_order() -> None:
    bench = wide(1)
    assert executed(order(bench, 3, 2)) == []
    assert executed(order(bench, 1)) == [1], "height 2 waits for the finality of 1"
    effects = bench.hear(*(header_vote(i, header_of(1, H[1])) for i in (0, 2)))
    assert executed(effects) == [2]
    effects = bench.hear(*(header_vote(i, header_of(2, H[2])) for i in (0, 2)))
    assert executed(effects) == [3] and bench.core.state.final_height == 2


def test_it_votes_for_each_height_by_itself() -> None:
    bench = wide(1)
    effects = bench.hear(pre_prepare(H[2]), prepare(2, H[2]), pre_prepare(H[1]))
    assert heights(effects, fx.CastPrepare) == [2, 1] and heights(effects, fx.CastCommit) == [2]


def test_nothing_above_the_window_is_voted_for_and_the_lowest_of_it_is_kept() -> None:
    bench = wide(1)
    assert bench.hear(pre_prepare(H[6]), pre_prepare(H[5]), pre_prepare(H[7])) == []
    assert len(bench.core.state.stash) == 1
    block_final(bench, H[1])
    accepted = bench.core.state.slots[5].accepted
    assert accepted is not None and accepted.batch == H[5]


@pytest.mark.parametrize("early", [True, False])
def test_header_votes_of_a_height_ahead_are_kept_until_it_is_executed_here(early: bool) -> None:
    bench = wide(1)
    order(bench, 1, 2)
    ahead = [header_vote(i, header_of(2, H[2])) for i in (0, 2, 3)]
    if early:
        assert of_kind(bench.hear(*ahead), fx.FetchBlocks) == [], "all is ordered here: nothing has to be fetched"
    bench.hear(*(header_vote(i, header_of(1, H[1])) for i in (0, 2)))
    if not early:
        bench.hear(*ahead)
    assert bench.core.state.final_height == 2


def test_a_certificate_of_a_height_ahead_makes_who_lacks_one_below_fetch() -> None:
    bench = wide(1)
    order(bench, 2)
    effects = bench.hear(*(header_vote(i, header_of(2, H[2])) for i in (0, 2, 3)))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 2, (0, 2, 3))]


# -- the size of the window


def test_who_executed_but_missed_the_header_votes_fetches_when_a_peer_shows_a_height_above() -> None:
    """All is ordered here, and the peers, final further up, sign nothing for the height below any more."""
    bench = wide(1)
    order(bench, 1, 2)
    above = header_of(2, H[2])
    effects = bench.hear(FinalityNotice(above, certificate(above, (0, 2, 3))))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 2, (0, 2, 3))]


def test_a_window_that_shrinks_keeps_what_was_opened_and_opens_no_more() -> None:
    bench = wide(1)
    bench.hear(pre_prepare(H[4]), prepare(2, H[4]))
    bench.core.set_parameters(replace(WIDE, window_heights=1))
    assert "CastPrepare" not in kinds(bench.hear(pre_prepare(H[3])))
    (cast,) = of_kind(bench.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange) and [p.batch for p in cast.message.prepared] == [H[4]]


def test_a_window_that_grows_takes_up_what_waited() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(H[3]))
    bench.core.set_parameters(WIDE)
    block_final(bench, H[1])
    assert bench.core.state.slots[3].accepted is not None


@pytest.mark.parametrize(
    ("n", "transactions", "expected"), [(4, 2_000, 64), (10, 2_000, 34), (10, 100, 64), (4, 65_536, 2)]
)
def test_the_window_is_no_wider_than_a_new_view_fits_into_a_frame(n: int, transactions: int, expected: int) -> None:
    bench = Bench(1, n, parameters=replace(PARAMETERS, window_heights=64, max_block_transactions=transactions))
    assert bench.core.state.window_end == expected


# -- timers


def test_heights_above_have_their_turn_when_the_one_below_is_final() -> None:
    bench = wide(1)
    bench.hear(pre_prepare(H[2]))
    assert bench.core.state.order_timer_running, "the primary leaves out height 1"
    order(bench, 1)
    assert not bench.core.state.order_timer_running and bench.core.state.slots[2].committed is None
    effects = bench.hear(*(header_vote(i, header_of(1, H[1])) for i in (0, 2)))
    assert fx.SetTimer(Timer.ORDER, 2_000) in effects, "height 2 has a whole timeout of its own"


def test_the_commit_of_a_height_above_does_not_stop_the_timer_of_the_one_below() -> None:
    bench = wide(1)
    bench.hear(pre_prepare(H[1]))
    order(bench, 2)
    assert bench.core.state.order_timer_running
    assert "CastViewChange" in kinds(bench.fire(Timer.ORDER))


# -- view change


def test_a_view_change_shows_what_was_prepared_at_every_height_in_flight() -> None:
    bench = wide(1)
    for height in (3, 1):
        bench.hear(pre_prepare(H[height]), prepare(2, H[height]))
    (cast,) = of_kind(bench.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange) and [p.batch for p in cast.message.prepared] == [H[1], H[3]]


FINAL_1 = header_of(1, H[1])
OBLIGED: list[tuple[str, list[SignedViewChange], list[Batch]]] = [
    ("a gap is filled with a null batch", [view_change(0, 5, prepared(H[3]))],
     [null_batch(0, 0, 1), null_batch(0, 0, 2), H[3]]),
    ("each height by its own highest view",
     [view_change(0, 5, prepared(H[1], 1), prepared(H[2], 3)), view_change(1, 5, prepared(batch(2, "x"), 4))],
     [H[1], batch(2, "x")]),
    ("only above the highest certificate",
     [view_change(0, 5, prepared(H[1]), prepared(H[3])), view_change(1, 5, final=FINAL_1)],
     [null_batch(0, 0, 2), H[3]]),
    ("nothing above the certificate", [view_change(0, 5, prepared(H[1])), view_change(1, 5, final=FINAL_1)], []),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "due"), [o[1:] for o in OBLIGED], ids=[o[0] for o in OBLIGED])
def test_a_new_view_re_proposes_every_height_up_to_the_highest_prepared_one(
    changes: list[SignedViewChange], due: list[Batch]
) -> None:
    assert [proposed for proposed, _ in obligations(0, 0, tuple(changes))] == due


CHANGES = [view_change(0, 1), view_change(1, 1, prepared(H[2])), view_change(3, 1)]
NULL_1 = null_batch(0, 0, 1)


def test_a_null_batch_is_prepared_executed_and_final_like_any_other() -> None:
    bench = wide(2)
    effects = bench.hear(new_view(1, CHANGES, NULL_1, H[2]))
    assert heights(effects, fx.CastPrepare) == [1, 2]
    for proposed in (NULL_1, H[2]):
        bench.hear(prepare(0, proposed, 1), prepare(3, proposed, 1))
        bench.hear(commit(0, proposed, 1), commit(1, proposed, 1))
        bench.hear(*(header_vote(i, header_of(proposed.height, proposed)) for i in (0, 1)))
    assert bench.core.state.final_height == 2


def test_a_new_view_without_the_null_batch_is_refused() -> None:
    assert alarms(wide(2).hear(new_view(1, CHANGES, H[2]))) == ["BAD_NEW_VIEW"]
    filled = new_view(1, CHANGES, batch(1, "something of its own"), H[2])
    assert alarms(wide(2).hear(filled)) == ["BAD_NEW_VIEW"]


def test_nobody_proposes_a_null_batch_afresh() -> None:
    bench = wide(1)
    bench.now_ms = 1_000  # a clock that stands where null batches stand
    assert "CastPrepare" not in kinds(bench.hear(pre_prepare(NULL_1)))


def test_a_re_proposal_beyond_the_window_is_taken_up_when_the_window_reaches_it() -> None:
    bench = Bench(2)  # here the window is one height wide
    bench.hear(new_view(1, CHANGES, NULL_1, H[2]))
    assert sorted(bench.core.state.slots) == [1]
    bench.block_arrives(NULL_1)
    accepted = bench.core.state.slots[2].accepted
    assert accepted is not None and accepted.batch == H[2]


def test_lost_proposals_are_released_and_what_is_proposed_again_is_not() -> None:
    bench = wide(2)
    bench.hear(pre_prepare(H[1]), pre_prepare(H[2]), pre_prepare(H[3]))
    effects = bench.hear(new_view(1, CHANGES, NULL_1, H[2]))
    assert [e.batch for e in effects if isinstance(e, fx.ReleaseBatch)] == [H[1], H[3]]


def test_a_batch_committed_before_the_view_changed_is_executed_in_its_turn() -> None:
    bench = wide(2)
    order(bench, 2)
    bench.lacks.add(digest_of(H[2]))  # the driver is not asked for its bodies again
    bench.hear(new_view(1, CHANGES, NULL_1, H[2]))
    bench.hear(prepare(0, NULL_1, 1), prepare(3, NULL_1, 1), commit(0, NULL_1, 1), commit(1, NULL_1, 1))
    effects = bench.hear(*(header_vote(i, header_of(1, NULL_1)) for i in (0, 1)))
    assert executed(effects) == [2]


# -- restart


def test_all_heights_of_the_window_come_back_from_the_log() -> None:
    before = wide(2)
    before.hear(pre_prepare(H[1]), pre_prepare(H[2]), prepare(1, H[2]), pre_prepare(H[3]))
    after = before.restart()
    effects = after.do(Started())
    assert not [k for k in kinds(effects) if k.startswith("Cast")]
    assert {h: s.accepted.batch for h, s in after.core.state.slots.items() if s.accepted} == {
        h: H[h] for h in (1, 2, 3)
    }
    (cast,) = of_kind(after.fire(Timer.ORDER), fx.CastViewChange)
    assert isinstance(cast, fx.CastViewChange) and [p.batch for p in cast.message.prepared] == [H[2]]


def test_a_primary_goes_on_above_its_own_proposals_after_a_restart() -> None:
    before = wide(0)
    before.work(*"abcd")
    after = before.restart()
    after.do(Started())
    effects = after.work("x", "y")
    assert [e.vote.height for e in effects if isinstance(e, fx.CastPrePrepare)] == [3]


def test_a_proposal_is_sent_again_to_those_only_who_have_not_prepared_it() -> None:
    bench = wide(0)
    bench.work(*"abcd")
    proposed = bench.core.state.slots[1].accepted
    assert proposed is not None
    bench.hear(prepare(2, proposed.batch))
    effects = bench.fire(Timer.RESEND)
    assert [e.peer for e in effects if isinstance(e, fx.SendTo) and e.message == proposed] == [1, 3]


# -- idle blocks

IDLE = replace(PARAMETERS, idle_block_ms=10_000)
DUE_MS = NOW_MS + 10_000
"""The header of the bench's genesis is of NOW_MS."""


def empty(time_ms: int, height: int = 1) -> Batch:
    return Batch(0, 0, height, 0, time_ms, ())


@pytest.mark.parametrize(("at_ms", "proposes"), [(DUE_MS - 1, False), (DUE_MS, True)])
def test_the_primary_of_an_idle_chain_proposes_an_empty_block_in_time(at_ms: int, proposes: bool) -> None:
    bench = Bench(0, parameters=IDLE)
    bench.now_ms = at_ms
    effects = bench.fire(Timer.RESEND)
    expected = [empty(at_ms)] if proposes else []
    assert [e.batch for e in effects if isinstance(e, fx.CastPrePrepare)] == expected
    assert "CastPrePrepare" not in kinds(bench.fire(Timer.RESEND)), "one at a time"


def test_idle_blocks_can_be_switched_off() -> None:
    bench = Bench(0)
    bench.now_ms = DUE_MS * 2
    assert "CastPrePrepare" not in kinds(bench.fire(Timer.RESEND))


@pytest.mark.parametrize(
    ("parameters", "time_ms", "prepared_here"),
    [(IDLE, DUE_MS, True), (IDLE, DUE_MS - 1, False), (PARAMETERS, DUE_MS, False)],
    ids=["in time", "too soon", "switched off"],
)
def test_a_backup_takes_an_empty_block_when_it_is_due(parameters: object, time_ms: int, prepared_here: bool) -> None:
    bench = Bench(1, parameters=parameters)  # type: ignore[arg-type]
    bench.now_ms = time_ms
    effects = bench.hear(pre_prepare(empty(time_ms)))
    assert ("CastPrepare" in kinds(effects)) is prepared_here
    assert alarms(effects) == ([] if prepared_here else ["BAD_PROPOSAL"])


def test_an_idle_primary_that_is_silent_is_reported_once_and_not_deposed() -> None:
    bench = Bench(1, parameters=IDLE)
    bench.now_ms = DUE_MS + 13_000
    assert alarms(bench.fire(Timer.RESEND)) == []
    bench.now_ms += 1
    effects = bench.fire(Timer.RESEND)
    assert alarms(effects) == ["IDLE_PRIMARY_SILENT"] and "CastViewChange" not in kinds(effects)
    assert alarms(bench.fire(Timer.RESEND)) == []
