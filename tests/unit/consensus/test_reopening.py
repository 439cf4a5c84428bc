"""Reopening: an order, the statements of all n, and the next attempt (docs/spec/reopening.md)."""

import pytest

from chain_core.codec.block import decode_header, encode_certificate, skip_digest
from chain_core.consensus import effects as fx
from chain_core.consensus.inputs import Finalised, Started, Timer
from chain_core.consensus.messages import FinalityNotice
from chain_core.consensus.reopening import counted
from chain_core.consensus.skipping import ENGINE_FAULT
from chain_core.types.block import HeaderVote, Phase, SignedVote, Vote
from chain_core.types.evidence import Statement
from chain_core.types.reopening import Cast, SignedOrder, SignedStatement
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
    new_view,
    of_kind,
    pre_prepare,
    prepare,
    reopen_order,
    signed_vote,
    statement,
    view_change,
)

A = batch(1, "a", "b")
RIGHT, FAULTY, THIRD = header_of(1, A), header_of(1, A, b"faulty"), header_of(1, A, b"third")
AGAIN = header_of(1, A, attempt=1)
ORDER = reopen_order()


def diverged(n: int = 4, me: int = 1, votes: dict[int, bytes] | None = None) -> Bench:
    """A replica that signed RIGHT and heard votes that leave no header a quorum: 2 and 2 of four."""
    bench = Bench(me, n)
    bench.hear(pre_prepare(A, n=n), *(prepare(i, A) for i in range(1, n) if i != me))
    bench.hear(*(commit(i, A) for i in range(n) if i != me))
    bench.hear(*(header_vote(i, header) for i, header in (votes or {0: RIGHT, 2: FAULTY, 3: FAULTY}).items()))
    return bench


def stated(signer: int, header: bytes | None, order: SignedOrder = ORDER) -> SignedStatement:
    return statement(signer, order, header_vote(signer, header) if header is not None else None)


def skip(signer: int, index: int = 1) -> SignedVote:
    digest = skip_digest(digest_of(A), ENGINE_FAULT)
    vote = Vote(Phase.SKIP, 0, 0, 1, index, 0, digest, signer)
    return signed_vote(vote)


OTHERS = [stated(0, RIGHT), stated(2, FAULTY), stated(3, FAULTY)]


def test_with_the_order_a_halted_replica_states_what_it_cast() -> None:
    bench = diverged()
    assert bench.core.state.halted
    effects = bench.ordered(ORDER)
    assert kinds(of_kind(effects, fx.CastStatement)) == ["CastStatement"]
    made = bench.memory.statement
    assert made is not None and made.statement.cast is Cast.HEADER
    assert isinstance(made.evidence, HeaderVote) and made.evidence.header_bytes == RIGHT
    assert not of_kind(bench.ordered(ORDER), fx.CastStatement), "once"


@pytest.mark.parametrize(
    ("votes", "states"),
    [
        ({0: RIGHT, 2: FAULTY}, False),
        ({2: FAULTY, 3: FAULTY}, False),
        ({2: FAULTY, 3: THIRD}, True),
        ({0: FAULTY, 2: FAULTY}, False),
        ({0: RIGHT, 2: FAULTY, 3: THIRD}, True),
        ({0: THIRD, 2: FAULTY, 3: FAULTY}, True),
    ],
    ids=["one silent", "a silent third", "1-1-1 and one silent", "the others may agree", "2-1-1", "1-2-1"],
)
def test_nobody_states_anything_while_a_header_may_be_certified(votes: dict[int, bytes], states: bool) -> None:
    bench = diverged(votes=votes)
    assert bool(of_kind(bench.ordered(ORDER), fx.CastStatement)) == states
    if not states:
        silent = next(i for i in (0, 2, 3) if i not in votes)
        last = bench.hear(header_vote(silent, header_of(1, A, b"fourth")))
        assert of_kind(last, fx.CastStatement) or bench.core.state.final_height == 1


@pytest.mark.parametrize(
    "order", [reopen_order(2), reopen_order(0), reopen_order(1, 1)], ids=["height above", "final", "attempt"]
)
def test_an_order_for_another_place_is_none(order: SignedOrder) -> None:
    bench = diverged()
    assert not bench.ordered(order) and bench.core.state.slot.order is None


def test_all_n_statements_open_the_next_attempt_with_the_same_batch() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    assert "Execute" not in kinds(bench.hear(*OTHERS[:2])), "q statements are not all"
    effects = bench.hear(OTHERS[2])
    order = ("StoreReopening", "Resume", "Execute", "CastHeaderVote")
    assert tuple(k for k in kinds(effects) if k in order) == order, "kept before a header of that attempt is signed"
    (run,) = of_kind(effects, fx.Execute)
    assert isinstance(run, fx.Execute) and (run.batch, run.attempt, run.skipped) == (A, 1, ())
    assert not bench.core.state.halted
    bench.hear(*(header_vote(i, AGAIN) for i in (0, 2)))
    assert bench.core.state.final_height == 1 and decode_header(bench.memory.final_header).attempt == 1


def test_with_seven_all_seven_are_needed() -> None:
    votes = {i: RIGHT if i < 4 else FAULTY for i in range(7) if i != 1}
    bench = diverged(7, votes=votes)
    bench.ordered(ORDER)
    for signer, header in votes.items():
        assert bench.core.state.slot.attempt == 0
        bench.hear(stated(signer, header))
    assert bench.core.state.slot.attempt == 1


def test_statements_for_another_order_do_not_count_until_they_are_made_anew() -> None:
    other = reopen_order(reason="another reason")
    bench = diverged()
    bench.ordered(ORDER)
    bench.hear(*(stated(made.statement.signer, None if i else RIGHT, other) for i, made in enumerate(OTHERS[:1])))
    bench.hear(*OTHERS[1:])
    assert bench.core.state.slot.attempt == 0 and len(counted(bench.core.state.slot)) == 3
    effects = bench.ordered(other)
    assert of_kind(effects, fx.CastStatement) and len(counted(bench.core.state.slot)) == 2
    bench.hear(stated(2, FAULTY, other), stated(3, FAULTY, other))
    assert bench.core.state.slot.attempt == 1


def test_votes_in_statements_complete_a_certificate_and_nothing_is_reopened() -> None:
    """Replica 3 sent FAULTY to this one, and RIGHT to the others: its statement names what makes the quorum."""
    bench = Bench(1)
    bench.hear(pre_prepare(A), prepare(2, A), prepare(3, A), *(commit(i, A) for i in (0, 2, 3)))
    bench.ordered(ORDER)
    effects = bench.hear(stated(0, RIGHT), stated(3, RIGHT))
    assert bench.core.state.final_height == 1 and not of_kind(effects, fx.StoreReopening)


def test_a_statement_that_a_vote_contradicts_proves_a_lie_and_does_not_count() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    effects = bench.hear(stated(0, RIGHT), stated(2, FAULTY), stated(3, None))
    (accused,) = of_kind(effects, fx.Accuse)
    assert isinstance(accused, fx.Accuse)
    assert (accused.proof.statement, accused.proof.signer) == (Statement.DENIAL, 3)
    assert bench.core.state.slot.attempt == 0 and not of_kind(effects, fx.StoreReopening)


def test_a_vote_after_the_statement_that_denies_it_proves_the_lie_as_well() -> None:
    bench = diverged(7, votes={0: RIGHT, 2: FAULTY, 3: FAULTY, 4: THIRD, 5: THIRD})
    bench.ordered(ORDER)
    assert bench.memory.statement is not None
    bench.hear(stated(6, None))
    effects = bench.hear(header_vote(6, RIGHT))
    assert "EQUIVOCATION" in alarms(effects) and 6 in bench.core.state.slot.liars


def test_who_holds_a_certificate_states_nothing_and_shows_it() -> None:
    bench = diverged()
    bench.core.state.slot.certificate = (RIGHT, certificate(RIGHT))
    assert not of_kind(bench.ordered(ORDER), fx.CastStatement)
    final = Bench(1)
    final.block_arrives(A)
    (shown,) = of_kind(final.hear(stated(3, FAULTY)), fx.SendTo)
    assert isinstance(shown, fx.SendTo) and shown.peer == 3 and isinstance(shown.message, FinalityNotice)


def test_who_stated_takes_a_certificate_all_the_same_and_votes_again() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    effects = bench.hear(FinalityNotice(RIGHT, certificate(RIGHT, (0, 1, 3))))
    assert bench.core.state.final_height == 1
    assert of_kind(effects, fx.Resume) and not bench.core.state.halted


def test_a_view_entered_while_halted_is_logged_before_it_votes_again() -> None:
    """Otherwise its signer, which knows the log only, refuses every vote of that view."""
    bench = diverged()
    bench.ordered(ORDER)
    entered = new_view(2, [view_change(signer, 2) for signer in (0, 2, 3)])
    assert not of_kind(bench.hear(entered), fx.StoreNewView), "nothing is cast in it"
    assert bench.core.state.view == 2
    effects = kinds(bench.hear(*OTHERS))
    assert effects.index("Resume") < effects.index("StoreNewView") < effects.index("CastHeaderVote")
    assert bench.memory.new_view == entered


def test_a_replica_that_missed_the_opening_votes_again_when_the_block_is_here() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    proof = certificate(AGAIN, (0, 2, 3))
    bench.memory.finalised(AGAIN, proof)
    bench.do(Finalised(AGAIN, encode_certificate(proof)))
    assert bench.core.state.final_height == 1 and not bench.core.state.halted


def test_skips_that_the_statements_show_end_the_attempt_as_ever() -> None:
    bench = diverged(votes={0: FAULTY})
    bench.ordered(ORDER)
    assert bench.memory.statement is None
    bench.poison = {1}
    odd = Bench(2)
    odd.poison = {1}
    odd.hear(pre_prepare(A), prepare(1, A), prepare(3, A), *(commit(i, A) for i in (0, 1, 3)))
    odd.hear(header_vote(0, RIGHT))
    odd.ordered(ORDER)
    odd.hear(statement(1, ORDER, skip(1)), statement(3, ORDER, skip(3)))
    assert odd.core.state.slot.attempt == 1 and odd.core.state.slot.skipped == (1,)


def test_a_restart_keeps_order_statement_and_reopening() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    again = bench.restart()
    again.do(Started())
    slot = again.core.state.slot
    assert slot.order == ORDER and again.core.state.own_statement(slot) == bench.memory.statement
    assert bench.memory.statement in again.sent, "it is sent again"
    again.hear(*OTHERS)
    assert again.core.state.slot.attempt == 1
    once_more = again.restart()
    effects = once_more.do(Started())
    assert once_more.core.state.slot.attempt == 1 and not of_kind(effects, fx.CastStatement)
    assert sum(isinstance(m, SignedStatement) for m in once_more.sent) == 3 * 4, "all statements, to who has not voted"


def test_who_stated_before_it_executed_casts_nothing_there_after_a_restart() -> None:
    bench = Bench(1)
    bench.hear(*(header_vote(i, header) for i, header in {0: RIGHT, 2: FAULTY, 3: THIRD}.items()))
    bench.ordered(ORDER)
    assert bench.memory.statement is not None and bench.memory.statement.statement.cast is Cast.NOTHING
    again = bench.restart()
    again.do(Started())
    effects = again.hear(pre_prepare(A), prepare(2, A), prepare(3, A), *(commit(i, A) for i in (0, 2, 3)))
    assert of_kind(effects, fx.Execute) and not of_kind(effects, fx.CastHeaderVote)


def test_a_second_divergence_takes_a_second_order() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    bench.hear(*OTHERS)
    odd = header_of(1, A, b"faulty", attempt=1)
    effects = bench.hear(header_vote(0, AGAIN), header_vote(2, odd), header_vote(3, odd))
    assert of_kind(effects, fx.Halt) and bench.core.state.halted
    second = reopen_order(attempt=1)
    bench.ordered(second)
    bench.hear(stated(0, AGAIN, second), stated(2, odd, second), stated(3, odd, second))
    assert bench.core.state.slot.attempt == 2 and not bench.core.state.halted


def test_an_observer_states_nothing() -> None:
    bench = diverged(me=1)
    watcher = Bench(None)
    watcher.memory = bench.memory
    watcher.hear(*(header_vote(i, h) for i, h in {0: RIGHT, 1: RIGHT, 2: FAULTY, 3: FAULTY}.items()))
    assert not of_kind(watcher.ordered(ORDER), fx.CastStatement)


def test_statements_go_out_with_each_re_sending_until_finality() -> None:
    bench = diverged()
    bench.ordered(ORDER)
    made = bench.memory.statement
    assert fx.Broadcast(made) in bench.fire(Timer.RESEND)  # type: ignore[arg-type]
