"""Views that this key may have asked for before its log was lost: it asks for none again, and nobody waits for it."""

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Started, Timer
from chain_core.consensus.messages import Heartbeat
from tests.unit.consensus.bench import Bench, Memory, batch, new_view, of_kind, pre_prepare, view_change

A = batch(1, "a")


def asked(effects: list[fx.Effect]) -> list[int]:
    return [e.message.new_view for e in effects if isinstance(e, fx.CastViewChange)]


def recovered(view: int, me: int = 1) -> Bench:
    bench = Bench(me)
    bench.do(Started(view))
    return bench


def test_a_view_that_forgotten_votes_name_is_waited_for_and_not_asked_for() -> None:
    """And nothing is cast below it: the signer would refuse."""
    bench = recovered(5)
    state = bench.core.state
    assert (state.view, state.view_changing) == (5, True)
    assert not of_kind(bench.hear(pre_prepare(A, view=4), pre_prepare(A)), fx.CastPrepare)
    assert bench.sent == [m for m in bench.sent if isinstance(m, Heartbeat)]
    bench.hear(new_view(5, [view_change(i, 5) for i in (0, 2, 3)]))
    assert (state.view, state.view_changing) == (5, False)


@pytest.mark.parametrize("view", [1, 4, 5])
def test_others_who_ask_for_a_forgotten_view_or_a_lower_one_are_helped_to_the_next(view: int) -> None:
    """With two of four they are short of one: it cannot ask for theirs, and would be waited for without end."""
    bench = recovered(5)
    assert not asked(bench.hear(view_change(0, view))) and not bench.core.state.order_timer_running
    assert not asked(bench.hear(view_change(2, view))) and bench.core.state.order_timer_running
    assert asked(bench.fire(Timer.ORDER)) == [6]


def test_others_who_ask_for_more_are_joined() -> None:
    bench = recovered(5)
    assert asked(bench.hear(view_change(0, 8), view_change(2, 7))) == [7]


def test_a_forgotten_view_is_not_led() -> None:
    """Not with the own VIEW-CHANGE either that somebody kept."""
    bench = recovered(5)
    effects = bench.hear(*(view_change(signer, 5) for signer in (0, 1, 2, 3)))
    assert not of_kind(effects, fx.CastNewView) and 1 not in bench.core.state.view_changes


def test_one_replica_moves_nobody_out_of_a_forgotten_view() -> None:
    bench = recovered(5)
    bench.hear(view_change(0, 4), view_change(0, 5), view_change(1, 5))
    assert not bench.core.state.order_timer_running


def test_a_view_above_the_forgotten_ones_stays() -> None:
    bench = Bench(1)
    bench.hear(new_view(6, [view_change(i, 6) for i in (0, 2, 3)]))
    bench.do(Started(5))
    assert (bench.core.state.view, bench.core.state.view_changing) == (6, False)


def test_a_forgotten_view_that_the_log_asks_for_is_not_led_either() -> None:
    """The disk is from after its VIEW-CHANGE and before the NEW-VIEW that it may have made of it."""
    bench = Bench(1, memory=Memory(view_change=view_change(1, 5)))
    bench.do(Started(5))
    assert bench.core.state.own_view_change is not None
    assert not of_kind(bench.hear(view_change(0, 5), view_change(2, 5)), fx.CastNewView)


def test_what_was_accepted_below_a_forgotten_view_is_not_taken_up_again() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A))
    again = bench.restart()
    assert again.core.state.slot.accepted is not None
    effects = again.do(Started(5))
    assert not of_kind(effects, fx.HoldBodies) and not of_kind(effects, fx.CastPrepare)
    assert not again.core.state.order_timer_running
