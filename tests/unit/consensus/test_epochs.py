"""The last heights of an epoch: nothing of the next one is ordered here, and who is behind is helped to its end."""

from dataclasses import replace

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import BarrierSet, RequestOverdue, Timer
from chain_core.consensus.messages import FinalityNotice, Heartbeat, Message
from tests.unit.consensus.bench import (
    NOW_MS,
    PARAMETERS,
    Bench,
    batch,
    certificate,
    commit,
    header_of,
    header_vote,
    kinds,
    new_view,
    of_kind,
    pre_prepare,
    prepare,
    view_change,
)

WIDE = replace(PARAMETERS, window_heights=4, max_block_transactions=1, idle_block_ms=10_000)
BARRIER = 3
H = [batch(height, f"a{height}") for height in range(6)]


def ending(me: int | None, final: int = 0) -> Bench:
    """A replica that knows the barrier, final at some height."""
    bench = Bench(me, parameters=WIDE)
    bench.do(BarrierSet(BARRIER))
    for height in range(1, final + 1):
        bench.block_arrives(H[height])
    assert bench.core.state.final_height == final
    return bench


def test_nothing_from_the_barrier_on_is_proposed() -> None:
    bench = ending(0)
    effects = bench.work(*"abcdef")
    assert [e.vote.height for e in effects if isinstance(e, fx.CastPrePrepare)] == [1, 2]


@pytest.mark.parametrize("final", [0, 2], ids=["before it is reached", "when it is"])
def test_nothing_from_the_barrier_on_is_accepted_or_stashed(final: int) -> None:
    bench = ending(1, final)
    above = [H[3], H[4]]
    effects = bench.hear(*map(pre_prepare, above), *(prepare(2, b) for b in above), *(commit(2, b) for b in above))
    effects += bench.hear(*(header_vote(2, header_of(b.height, b)) for b in above))
    assert not effects and not bench.core.state.stash
    assert all(slot.accepted is None and not slot.commits for slot in bench.core.state.slots.values())


def test_an_instance_whose_epoch_is_over_runs_no_timer_and_asks_for_no_view() -> None:
    bench = ending(1, 2)
    bench.now_ms = NOW_MS + 60_000
    effects = bench.work("a") + bench.fire(Timer.ORDER) + bench.do(RequestOverdue())
    effects += bench.hear(new_view(1, [view_change(i, 1) for i in (0, 2, 3)]))
    assert kinds(effects) == [] and bench.core.state.view == 0
    leader = ending(0, 2)
    leader.now_ms = NOW_MS + 60_000
    assert leader.work("a") == [] and "CastPrePrepare" not in kinds(leader.fire(Timer.RESEND)), "no idle block either"


def test_the_timer_of_a_view_asked_for_ends_with_the_epoch() -> None:
    bench = ending(1, 1)
    bench.hear(view_change(0, 2), view_change(2, 2), view_change(3, 2))
    assert bench.core.state.order_timer_running
    bench.block_arrives(H[2])
    assert not bench.core.state.order_timer_running


@pytest.mark.parametrize(
    "late",
    [commit(3, H[2]), header_vote(3, header_of(2, H[2])), view_change(3, 1), Heartbeat(3, 1, 0, 0, False)],
    ids=["COMMIT", "header vote", "VIEW-CHANGE", "heartbeat"],
)
def test_it_goes_on_serving_the_last_height(late: Message) -> None:
    bench = ending(1, 2)
    (answer,) = bench.hear(late)
    assert isinstance(answer, fx.SendTo) and answer.peer == 3 and isinstance(answer.message, FinalityNotice)


def test_a_certificate_of_the_next_epoch_makes_it_fetch() -> None:
    bench = ending(1, 1)
    header = header_of(3, H[3])
    effects = bench.hear(FinalityNotice(header, certificate(header)))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(2, 3, (0, 2))]


def test_an_observer_of_an_earlier_epoch_fetches_what_later_ones_tell_of() -> None:
    bench = Bench(None)
    assert of_kind(bench.hear(Heartbeat(2, 9, 1, 0, False)), fx.FetchBlocks) == [fx.FetchBlocks(1, 9, (2,))]
    assert Bench(1).hear(Heartbeat(2, 9, 1, 0, False)) == [], "a validator is answered with what it can verify"
