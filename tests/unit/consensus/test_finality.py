"""Finality, PBFT §4.3: header votes, certificates from whomever, divergence, answers for final heights."""

from collections.abc import Sequence

import pytest

from chain_core.consensus import effects as fx
from chain_core.consensus.finality import DIVERGED
from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import FinalityNotice, Heartbeat
from tests.unit.consensus.bench import (
    Bench,
    alarms,
    batch,
    block_final,
    certificate,
    changed,
    commit,
    header_of,
    header_vote,
    kinds,
    of_kind,
    pre_prepare,
    prepare,
    view_change,
)

A = batch(1, "a")
HEADER = header_of(1, A)


def committed(me: int = 1, n: int = 4) -> Bench:
    """A replica that executed A and signed its header."""
    bench = Bench(me, n)
    q = bench.core.state.config.validators.q
    bench.hear(pre_prepare(A, n=n), *(prepare(i, A) for i in range(1, n) if i != me))
    bench.hear(*(commit(i, A) for i in range(q) if i != me))
    assert bench.core.state.slot.executed == HEADER
    return bench


def test_a_header_is_signed_after_execution_once() -> None:
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A))
    effects = bench.hear(commit(0, A), commit(2, A), commit(3, A))
    assert of_kind(effects, fx.CastHeaderVote) == [fx.CastHeaderVote(HEADER)]


def test_a_certificate_is_exactly_q_votes_over_one_header_signers_ascending() -> None:
    bench = committed(n=7)
    other = header_of(1, A, salt=b"another execution")
    assert "Finalise" not in kinds(bench.hear(header_vote(6, HEADER), header_vote(5, HEADER), header_vote(4, other)))
    assert "Finalise" not in kinds(bench.hear(header_vote(6, HEADER), header_vote(3, HEADER)))
    made = of_kind(bench.hear(header_vote(0, HEADER)), fx.Finalise)
    assert made == [fx.Finalise(HEADER, certificate(HEADER, (0, 1, 3, 5, 6)))]
    assert bench.core.state.final_height == 1 and bench.core.state.slot.height == 2


def test_a_replica_that_signs_two_headers_counts_once_and_is_reported() -> None:
    bench = committed()
    other = header_of(1, A, salt=b"x")
    effects = bench.hear(header_vote(2, other), header_vote(2, HEADER))
    assert alarms(effects) == ["EQUIVOCATION"] and "Finalise" not in kinds(effects)
    assert "Finalise" in kinds(bench.hear(header_vote(0, HEADER), header_vote(3, HEADER)))


@pytest.mark.parametrize("view_changing", [False, True])
@pytest.mark.parametrize("executed", [False, True])
def test_a_certificate_finalises_in_whatever_view_state(executed: bool, view_changing: bool) -> None:
    bench = committed() if executed else Bench(1)
    if view_changing:
        bench.hear(view_change(0, 9), view_change(2, 9))
    effects = bench.hear(FinalityNotice(HEADER, certificate(HEADER, (0, 2, 3))))
    if executed:
        assert "Finalise" in kinds(effects) and bench.core.state.final_height == 1
    else:
        assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 1, (0, 2, 3))]


def test_who_is_behind_fetches_and_orders_nothing_that_is_certified() -> None:
    """A Byzantine primary must not find replicas that prepare another batch where a certificate exists."""
    bench = Bench(2)
    last = header_of(3, batch(3, "c"))
    bench.hear(pre_prepare(A))
    effects = bench.hear(FinalityNotice(last, certificate(last, (0, 1, 3))))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 3, (0, 1, 3))]
    assert fx.CancelTimer(Timer.ORDER) in effects, "nobody is to blame for what is only being fetched"
    fresh = Bench(2)
    fresh.hear(FinalityNotice(last, certificate(last, (0, 1, 3))))
    assert fresh.hear(pre_prepare(A)) == [] and fresh.work("a") == []
    leader = Bench(0)
    leader.hear(FinalityNotice(last, certificate(last, (1, 2, 3))))
    assert leader.work("a") == []


def test_q_header_votes_for_a_batch_not_known_here_lead_to_fetching() -> None:
    effects = Bench(1).hear(*(header_vote(i, HEADER) for i in (0, 2, 3)))
    assert of_kind(effects, fx.FetchBlocks) == [fx.FetchBlocks(1, 1, (0, 2, 3))]


# -- divergence


def test_a_certificate_over_another_header_halts_and_names_the_fields() -> None:
    bench = committed()
    other = header_of(1, A, salt=b"x")
    (halt,) = of_kind(bench.hear(*(header_vote(i, other) for i in (0, 2, 3))), fx.Halt)
    assert isinstance(halt, fx.Halt) and halt.code == DIVERGED
    assert dict(halt.facts)["reason"] == "the certified header differs in state_root"
    assert not bench.core.state.may_vote


HEADERS = {"A": HEADER, "x": header_of(1, A, salt=b"x"), "y": header_of(1, A, salt=b"y")}


@pytest.mark.parametrize(
    ("n", "others", "halts"),
    [
        (4, "x", False),
        (4, "xx", False),
        (4, "xy", True),
        (4, "xA", False),
        (7, "xyA", False),
        (7, "xyxy", True),
        (7, "xxx", False),
        (7, "xyAA", False),
        (7, "xyAx", True),
    ],
)
def test_it_halts_when_no_header_can_reach_a_quorum_any_more(n: int, others: str, halts: bool) -> None:
    """Own vote A, then these: possible is what the largest group and all who are silent still make together."""
    bench = committed(me=1, n=n)
    senders: Sequence[int] = [i for i in range(n) if i != 1]
    effects = bench.hear(*(header_vote(i, HEADERS[h]) for i, h in zip(senders, others, strict=False)))
    assert ("Halt" in kinds(effects)) is halts
    assert "CastViewChange" not in kinds(effects + bench.fire(Timer.ORDER))


def test_another_result_than_the_one_signed_before_a_restart_halts() -> None:
    bench = committed().restart()
    bench.salt = b"a different build"
    effects = bench.hear(pre_prepare(A), commit(0, A), commit(2, A))
    assert of_kind(effects, fx.Halt) and "CastHeaderVote" not in kinds(effects)


# -- answers


def test_any_message_for_a_final_height_is_answered_with_the_certificate_once_a_period() -> None:
    bench = Bench(1)
    block_final(bench, A)
    notice = FinalityNotice(bench.core.state.final_header, bench.core.state.final_certificate)  # type: ignore[arg-type]
    for late in (prepare(3, A), commit(3, A), header_vote(3, HEADER), Heartbeat(3, 0, 0, 0, False)):
        bench.fire(Timer.RESEND)
        assert bench.hear(late) == [fx.SendTo(3, notice)], late
        assert bench.hear(late, commit(3, A)) == []


@pytest.mark.parametrize(
    "beat",
    [Heartbeat(3, 10**12, 0, 0, False), Heartbeat(3, 0, 1, 0, False), Heartbeat(1, 0, 0, 0, False)],
    ids=["a claim without a certificate", "another epoch", "in the replica's own name"],
)
def test_a_heartbeat_is_a_hint_that_costs_nothing(beat: Heartbeat) -> None:
    bench = Bench(1)
    block_final(bench, A)
    assert bench.hear(beat) == []


def test_header_votes_of_another_epoch_or_ledger_are_not_counted() -> None:
    bench = committed()
    assert changed(commit(0, A), epoch=1).vote.epoch == 1
    bench.hear(header_vote(1, header_of(1)))
    assert set(bench.core.state.slot.header_votes) == {1}


def test_header_votes_of_the_next_height_wait_for_it() -> None:
    bench, second = Bench(1), batch(2, "b")
    bench.hear(*(header_vote(i, header_of(2, second)) for i in (0, 2, 3)))
    block_final(bench, A)
    assert set(bench.core.state.slot.header_votes) == {0, 2, 3}
