"""Giving the primary again what may have been lost: a backup does it, and an observer, whose clients wait as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.consensus import inputs as inp
from chain_core.consensus.effects import SetTimer
from chain_core.consensus.pbft import Pbft
from chain_core.consensus.state import ConsensusParameters, RecoveredLog, ReplicaConfig
from chain_core.execution.executor import Executor
from chain_core.execution.pool import PoolLimits, TransactionPool
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import EnvelopesFrame
from chain_core.node.intake import Intake
from chain_core.node.ports import Origin
from chain_core.node.primary_watch import REQUEST_PATIENCE, watch_primary
from chain_core.types.verified import Verified
from tests.simulation.chain import START_MS, Tally
from tests.unit.node.stage import CHAIN, RecordingTransport, envelopes, open_ledger

PRIMARY = 0
BACKUP, OBSERVER = 2, None


class Stage:
    """A replica's core and intake, one client's body in its pool, which was pushed to all."""

    def __init__(self, store: LedgerStore, me: int | None) -> None:
        executor = Executor((Tally(),))
        chosen = executor.parameters(store)
        self.parameters = ConsensusParameters.from_chain(chosen)
        config = ReplicaConfig(CHAIN.genesis.validators, me, 0, 0, CHAIN.genesis_hash, self.parameters)
        self.core = Pbft(config, RecoveredLog(store.header(0) or b"", None))
        self.transport, self.peers = RecordingTransport(), tuple(peer for peer in range(4) if peer != me)
        self.intake = Intake(
            store, executor, TransactionPool(PoolLimits.from_parameters(chosen)), self.transport, self.peers
        )
        (self.body,) = envelopes(1)
        self.intake.admit([Verified(self.body)], Origin.CLIENT, START_MS)
        self.transport.events.clear()

    def watch(self, after_ms: int) -> list[inp.Input]:
        """One re-sending period's look, so long after the push."""
        return list(watch_primary(self.core.state, self.intake, self.peers, START_MS + after_ms))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LedgerStore]:
    opened = open_ledger(tmp_path / "ledger")
    yield opened
    opened.close()


@pytest.mark.parametrize("me", [BACKUP, OBSERVER])
def test_a_body_that_waits_is_given_to_the_primary_again(store: LedgerStore, me: int | None) -> None:
    stage = Stage(store, me)
    period = stage.parameters.order_timeout_ms
    stage.watch(period - 1)
    assert not stage.transport.events
    for round_number in (1, 2):
        stage.watch(round_number * period)
        assert stage.transport.events == [(PRIMARY, EnvelopesFrame((stage.body.raw,)))] * round_number


def test_in_a_view_change_everybody_is_given_it(store: LedgerStore) -> None:
    stage = Stage(store, BACKUP)
    stage.core.state.view_changing = True
    stage.watch(stage.parameters.order_timeout_ms)
    assert stage.transport.events == [(peer, EnvelopesFrame((stage.body.raw,))) for peer in stage.peers]


def test_the_primary_gives_nothing_and_proposes(store: LedgerStore) -> None:
    stage = Stage(store, PRIMARY)
    assert stage.watch(stage.parameters.order_timeout_ms) == [inp.WorkAvailable()]
    assert not stage.transport.events


def test_a_primary_that_leaves_a_body_out_for_long_is_late(store: LedgerStore) -> None:
    stage = Stage(store, BACKUP)
    patience = REQUEST_PATIENCE * stage.parameters.order_timeout_max_ms
    assert stage.watch(patience - 1) == [inp.WorkAvailable()]
    assert stage.watch(patience) == [inp.WorkAvailable(), inp.RequestOverdue()]


@pytest.mark.parametrize("me", [BACKUP, OBSERVER])
def test_the_re_sending_period_never_ends(store: LedgerStore, me: int | None) -> None:
    """It is what gives bodies again."""
    stage = Stage(store, me)
    armed = SetTimer(inp.Timer.RESEND, stage.parameters.resend_ms)
    assert armed in stage.core.step(inp.Started(), START_MS)
    for _ in range(2):
        assert armed in stage.core.step(inp.TimerFired(inp.Timer.RESEND), START_MS)
