"""Giving the primary what it may lack, and seeing whether it is late with what it was given (PBFT §4.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chain_core.consensus import inputs as inp
from chain_core.consensus.state import ReplicaState
from chain_core.node.intake import Intake

REQUEST_PATIENCE = 8
"""A body given to the primary and not final after so many of the longest ordering timeouts deposes it."""


def has_work(state: ReplicaState, intake: Intake) -> bool:
    """The primary proposes whatever is pooled; a backup's timer counts only what the primary was given."""
    return intake.proposable if state.is_primary else intake.forwarding.any_given


def watch_primary(state: ReplicaState, intake: Intake, peers: Sequence[int], now_ms: int) -> Iterator[inp.Input]:
    """Once a re-sending period: what the core is to be told."""
    forwarding, parameters = intake.forwarding, state.config.parameters
    if state.is_primary and not state.view_changing:
        if intake.proposable and not state.work:
            yield inp.WorkAvailable()
        return
    due = forwarding.due(now_ms, parameters.order_timeout_ms if forwarding.any_given else 0)
    intake.forward(due, peers if state.view_changing else (state.config.validators.primary(state.view),), now_ms)
    if forwarding.any_given != state.work:
        yield inp.WorkAvailable() if forwarding.any_given else inp.WorkGone()
    patience_ms = REQUEST_PATIENCE * parameters.order_timeout_max_ms
    if forwarding.overdue(state.view, now_ms, patience_ms) and intake.primary_is_late(now_ms):
        yield inp.RequestOverdue()
