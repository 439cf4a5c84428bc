"""What a replica is waiting for, in words: the first thing that stands between the height in flight and finality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain_core.consensus.state import ReplicaState, Slot

NO_WORK = "no work"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the core's state does not hold: bodies that proposals lack, by height, and transactions in the pool."""

    missing_bodies: dict[int, int]
    pooled: int


def activity(state: ReplicaState, waiting: Waiting, names: Sequence[str]) -> str:
    """One sentence; NO_WORK when there is nothing to make a block of."""
    if state.view_changing:
        return _view_change(state, names)
    slot, primary = state.slot, names[state.config.validators.primary(state.view)]
    if slot.executed is not None:
        return f"height {slot.height} is executed: {_of_quorum(state, 'header votes', slot.header_votes, names)}"
    missing = waiting.missing_bodies.get(slot.height, 0)
    if missing:
        return f"waiting for {missing} bodies of height {slot.height}"
    if slot.committed is not None:
        return f"height {slot.height} is ordered and being executed"
    if slot.accepted is None:
        if waiting.pooled:
            return f"{waiting.pooled} transactions wait, {primary} has proposed nothing for height {slot.height}"
        return NO_WORK
    return _ordering(state, slot, names)


def _ordering(state: ReplicaState, slot: Slot, names: Sequence[str]) -> str:
    assert slot.accepted is not None
    digest, view = slot.accepted.vote.vote.digest, state.view
    if slot.prepared is None or slot.prepared.pre_prepare.vote.view < view:
        agreed = {v.vote.signer for v in slot.prepares.values() if v.vote.digest == digest}
        prepares = _of_quorum(state, "PREPAREs", agreed | {state.config.validators.primary(view)}, names)
        return f"height {slot.height} is proposed: {prepares}"
    agreed = {v.vote.signer for v in slot.commits.values() if (v.vote.view, v.vote.digest) == (view, digest)}
    return f"height {slot.height} is prepared: {_of_quorum(state, 'COMMITs', agreed, names)}"


def _view_change(state: ReplicaState, names: Sequence[str]) -> str:
    validators = state.config.validators
    asked = {signer for signer, m in state.view_changes.items() if m.message.new_view >= state.view}
    told = _of_quorum(state, "VIEW-CHANGEs", asked, names)
    text = f"changing to view {state.view}: {told}"
    if len(asked) >= validators.q:
        text += f"; waiting for {names[validators.primary(state.view)]} to begin it"
    return text


def _of_quorum(state: ReplicaState, what: str, signers: Iterable[int], names: Sequence[str]) -> str:
    present = sorted(signers)
    who = ", ".join(names[i] for i in present) or "nobody"
    return f"{len(present)} of {state.config.validators.q} {what} ({who})"
