"""The intake: what is pushed, forwarded and served, and what a primary may be blamed for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.execution.executor import Executor
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.network.frames import EnvelopesFrame, WantEnvelopes
from chain_core.node.block_pace import FIRST, LEAST
from chain_core.node.intake import Intake, chunks
from chain_core.node.ports import Admission, Origin
from chain_core.types.block import Batch
from chain_core.types.transaction import Envelope
from chain_core.types.verified import Verified
from tests.simulation.chain import START_MS, Tally
from tests.unit.node.stage import CHAIN, RecordingTransport, batch_over, envelopes, open_ledger

NOW = START_MS
EMPTY = Batch(0, 0, 1, 0, NOW, ())


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    store = open_ledger(tmp_path / "ledger")
    executor = Executor((Tally(),))
    pool = TransactionPool(PoolLimits.from_parameters(executor.parameters(store)))
    yield Intake(store, executor, pool, RecordingTransport(), (1, 2, 3))
    store.close()


def sent(intake: Intake) -> list[object]:
    transport = intake._transport
    assert isinstance(transport, RecordingTransport)
    events, transport.events = transport.events, []
    return events


def admit(intake: Intake, bodies: list[Envelope], origin: Origin = Origin.CLIENT) -> list[Admission]:
    return intake.admit([Verified(body) for body in bodies], origin, NOW).answers


def frame(*bodies: Envelope) -> EnvelopesFrame:
    return EnvelopesFrame(tuple(body.raw for body in bodies))


def test_a_clients_bodies_are_pushed_to_all_once(intake: Intake) -> None:
    bodies = envelopes(3)
    assert admit(intake, bodies) == [Admission.ACCEPTED] * 3
    assert sent(intake) == [(None, frame(*bodies))]
    assert admit(intake, bodies) == [Admission.ACCEPTED] * 3
    assert sent(intake) == [] and intake.forwarding.any_given


def test_a_peers_bodies_are_pooled_and_not_pushed(intake: Intake) -> None:
    admit(intake, envelopes(1), Origin.PEER)
    assert sent(intake) == [] and intake.proposable and not intake.forwarding.any_given


def test_bodies_are_given_to_those_named_and_count_from_then_on(intake: Intake) -> None:
    (one,) = bodies = envelopes(1)
    admit(intake, bodies, Origin.PEER)
    intake.forward([one.envelope_id, bytes(32)], (0, 2), NOW)
    assert sent(intake) == [(0, frame(one)), (2, frame(one))] and intake.forwarding.any_given


def test_a_body_that_a_proposal_lacked_is_held_outside_the_pool(intake: Intake) -> None:
    """Its window and account were not judged: whether a proposal is valid is stateless."""
    one, two = envelopes(2)
    wanted = intake.hold(batch_over(1, [one, two]), 0, b"digest", (2,))
    assert sent(intake) == [(2, WantEnvelopes(tuple(sorted((one.envelope_id, two.envelope_id)))))]
    assert admit(intake, [one, two], Origin.PEER) == [Admission.ACCEPTED] * 2
    assert not wanted.missing and len(intake.pool) == 0 and intake.bodies.of(wanted.batch) == (one, two)


def test_missing_bodies_are_asked_of_the_sources_then_of_everybody_in_turn(intake: Intake) -> None:
    intake.hold(batch_over(1, envelopes(1)), 0, b"digest", (2,))
    for _ in range(3):
        intake.ask()
    assert [peer for peer, _ in sent(intake)] == [2, 1, 3, 2]  # type: ignore[misc]


def test_a_proposal_takes_what_fits_and_gives_it_back_when_it_is_lost(intake: Intake) -> None:
    bodies = envelopes(2)
    admit(intake, bodies)
    batch = intake.build(EMPTY, 0)
    assert batch is not None and batch.envelope_ids == tuple(b.envelope_id for b in bodies)
    assert intake.build(EMPTY, 0) is None and not intake.proposable
    intake.release(batch)
    assert intake.build(EMPTY, 0) == batch


def test_expired_bodies_leave(intake: Intake) -> None:
    admit(intake, envelopes(2))
    intake.drop_expired(NOW + 500_001)
    assert len(intake.pool) == len(intake.forwarding) == len(intake.bodies.pooled) == 0


@pytest.mark.parametrize(
    ("valid_ms", "late"),
    [(300_000, True), (5_001, True), (5_000, False), (1, False), (595_000, True), (595_001, False)],
)
def test_a_primary_is_late_only_with_what_no_clock_can_refuse(intake: Intake, valid_ms: int, late: bool) -> None:
    admit(intake, [CHAIN.transaction(0, 1, NOW + valid_ms)])
    assert intake.primary_is_late(NOW) is late


def test_a_primary_is_not_late_with_what_it_was_not_given(intake: Intake) -> None:
    admit(intake, envelopes(1), Origin.PEER)
    assert not intake.primary_is_late(NOW)


@pytest.mark.parametrize("reason", ["nonce used", "key unknown"])
def test_what_the_final_state_refuses_by_now_is_dropped_and_blames_nobody(
    intake: Intake, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = envelopes(2)
    admit(intake, bodies)
    if reason == "nonce used":
        monkeypatch.setattr(type(intake._store), "seen", lambda store, key: b"used")
    else:
        monkeypatch.setattr(intake._executor, "known_account", lambda store, account, key: False)
    assert not intake.primary_is_late(NOW)
    assert len(intake.pool) == len(intake.forwarding) == len(intake.bodies.pooled) == 0


def test_bodies_are_served_in_frames_of_about_the_limit(intake: Intake) -> None:
    one, two = envelopes(2)
    admit(intake, [one, two])
    sent(intake)
    intake.serve(3, [one.envelope_id, bytes(32), two.envelope_id])
    assert sent(intake) == [(3, frame(one, two))]
    assert chunks([b"aaa", b"bb", b"cccc", b"d"], 5) == [[b"aaa", b"bb"], [b"cccc", b"d"]]
    assert chunks([b"a" * 9], 5) == [[b"a" * 9]]


def test_a_primary_proposes_no_more_than_the_chain_lately_finalised_in_time(intake: Intake) -> None:
    admit(intake, envelopes(LEAST + 1))
    intake.pace.proposed(1, NOW)
    intake.finalised(1, (bytes(32),) * FIRST, NOW + 60_000)
    batch = intake.build(EMPTY, 0)
    assert batch is not None and len(batch.envelope_ids) == LEAST
