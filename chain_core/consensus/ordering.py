"""Ordering of one height: PRE-PREPARE, PREPARE, COMMIT (PBFT §4.2)."""

from __future__ import annotations

from chain_core.codec.block import batch_digest, encode_batch
from chain_core.consensus.effects import (
    Alarm,
    BuildBatch,
    CancelTimer,
    CastCommit,
    CastPrepare,
    CastPrePrepare,
    Effect,
    Execute,
    HoldBodies,
    ReleaseBatch,
    SetTimer,
)
from chain_core.consensus.inputs import BatchBuilt, BodiesHeld, Timer
from chain_core.consensus.messages import CommitProof, PrePrepare
from chain_core.consensus.state import ATTEMPT, ReplicaState, batch_of
from chain_core.types.block import Batch, Phase, PreparedCertificate, SignedVote, Vote


def order_timeout_ms(state: ReplicaState) -> int:
    """The ordering timer: doubled with each failed view, capped (an uncapped one spreads replicas over views)."""
    p = state.config.parameters
    return min(p.order_timeout_ms << min(state.failed_views, 16), p.order_timeout_max_ms)


def start_order_timer(state: ReplicaState, out: list[Effect]) -> None:
    """Run the ordering timer unless it runs already; whoever fetches a certified block has no primary to blame."""
    if state.order_timer_running or not state.may_order or not state.may_vote:
        return
    state.order_timer_running = True
    out.append(SetTimer(Timer.ORDER, order_timeout_ms(state)))


def end_ordering(state: ReplicaState, out: list[Effect]) -> None:
    """Commit and finality stop the timer of a view that is on; that of a view asked for goes on: its primary may be
    dead, whatever became of the height in flight.
    """
    if not state.view_changing:
        stop_order_timer(state, out)


def stop_order_timer(state: ReplicaState, out: list[Effect]) -> None:
    """A view change, entering a view and halting stop it."""
    if state.order_timer_running:
        state.order_timer_running = False
        out.append(CancelTimer(Timer.ORDER))


def on_work(state: ReplicaState, out: list[Effect]) -> None:
    """The pool holds bodies: the primary proposes, a backup watches that it does."""
    state.work = True
    if state.view_changing:
        return
    if state.is_primary:
        propose(state, out)
    else:
        start_order_timer(state, out)


def on_work_gone(state: ReplicaState, out: list[Effect]) -> None:
    """What was waiting expired: without a proposal either, nobody is to be replaced for it."""
    state.work = False
    if state.slot.accepted is None:
        end_ordering(state, out)


def propose(state: ReplicaState, out: list[Effect]) -> None:
    """Ask for a batch as soon as one may be proposed: no batch timer."""
    slot = state.slot
    if not state.may_vote or not state.is_primary or state.view_changing:
        return
    if slot.accepted is not None or slot.building or not state.may_order:
        return
    slot.building = True
    out.append(BuildBatch(slot.height, state.view, ATTEMPT))


def on_batch_built(state: ReplicaState, event: BatchBuilt, out: list[Effect]) -> None:
    """Sign the PRE-PREPARE for the batch, unless height or view moved on meanwhile."""
    slot = state.slot
    current = event.height == slot.height and event.view == state.view and not state.view_changing
    if event.batch is None:
        if current:
            slot.building = state.work = False
        return
    if not current or slot.accepted is not None or not state.may_order or not state.may_vote:
        out.append(ReleaseBatch(event.batch))
        return
    digest = batch_digest(encode_batch(event.batch))
    out.append(CastPrePrepare(_vote(state, Phase.PRE_PREPARE, digest), event.batch))


def _vote(state: ReplicaState, phase: Phase, digest: bytes) -> Vote:
    config = state.config
    assert config.me is not None
    return Vote(phase, config.ledger, config.epoch, state.slot.height, state.view, ATTEMPT, digest, config.me)


def on_own_pre_prepare(state: ReplicaState, message: PrePrepare, out: list[Effect]) -> None:
    """The own proposal is out: its bodies were held before it was built."""
    if message.vote.vote.view != state.view or message.vote.vote.height != state.slot.height:
        return
    state.slot.accepted = message
    state.slot.held.add(message.vote.vote.digest)
    start_order_timer(state, out)
    check_prepared(state, out)


def acceptable(state: ReplicaState, message: PrePrepare, now_ms: int, out: list[Effect]) -> bool:
    """Whether a fresh PRE-PREPARE may be accepted. Only here the clock is looked at, never for a re-proposal."""
    vote, batch, p = message.vote.vote, message.batch, state.config.parameters
    if vote.signer != state.config.validators.primary(state.view):
        return False
    if not 1 <= len(batch.envelope_ids) <= p.max_block_transactions:
        out.append(Alarm("BAD_PROPOSAL", (("primary", vote.signer), ("transactions", len(batch.envelope_ids)))))
        return False
    if abs(batch.time_ms - now_ms) > p.clock_tolerance_ms:
        facts = (("primary", vote.signer), ("time_ms", batch.time_ms), ("now_ms", now_ms))
        out.append(Alarm("CLOCK_SKEW", facts))
        return False
    return True


def on_pre_prepare(state: ReplicaState, message: PrePrepare, now_ms: int, out: list[Effect]) -> None:
    """A primary's proposal for the height in flight, in the present view."""
    slot = state.slot
    digest = message.vote.vote.digest
    if slot.accepted is not None:
        if slot.accepted.vote.vote.digest != digest:
            equivocation(message.vote, out)
        return
    if not state.may_order and slot.committed != digest:  # ordered already: in an earlier view, or elsewhere
        return
    if acceptable(state, message, now_ms, out):
        accept(state, message, (message.vote.vote.signer,), out)


def accept(state: ReplicaState, message: PrePrepare, sources: tuple[int, ...], out: list[Effect]) -> None:
    """Take a proposal: hold its bodies before preparing it."""
    slot = state.slot
    slot.accepted = message
    start_order_timer(state, out)
    slot.wanted.add(message.vote.vote.digest)
    out.append(HoldBodies(message.batch, state.view, message.vote.vote.digest, sources))


def on_bodies_held(state: ReplicaState, event: BodiesHeld, out: list[Effect]) -> None:
    """All bodies are here and verified: PREPARE (a backup), and see what already has its quorum."""
    slot = state.slot
    if event.height != slot.height:
        return
    slot.wanted.discard(event.digest)
    slot.held.add(event.digest)
    accepted = slot.accepted
    if accepted is not None and accepted.vote.vote.digest == event.digest and not state.view_changing:
        own = slot.own_prepare
        if not state.is_primary and state.may_vote and (own is None or own.vote.view < state.view):
            out.append(CastPrepare(_vote(state, Phase.PREPARE, event.digest), accepted))
    check_prepared(state, out)
    check_committed(state, out)


def on_prepare(state: ReplicaState, vote: SignedVote, out: list[Effect]) -> None:
    """A PREPARE of the present view; the primary's PRE-PREPARE counts as its own, so it sends none."""
    signer = vote.vote.signer
    if signer == state.config.validators.primary(vote.vote.view):
        return
    known = state.slot.prepares.get(signer)
    if known is not None:
        if known.vote.digest != vote.vote.digest:
            equivocation(vote, out)
        return
    state.slot.prepares[signer] = vote
    check_prepared(state, out)


def check_prepared(state: ReplicaState, out: list[Effect]) -> None:
    """Prepared: PRE-PREPARE and q-1 PREPAREs from others agree, bodies held. Then COMMIT, once a view."""
    slot, validators = state.slot, state.config.validators
    accepted = slot.accepted
    if accepted is None or state.view_changing or not state.may_vote:
        return
    digest = accepted.vote.vote.digest
    if digest not in slot.held:
        return
    if slot.commit_view >= state.view:
        return
    votes = sorted((v for v in slot.prepares.values() if v.vote.digest == digest), key=lambda v: v.vote.signer)
    if len(votes) < validators.q - 1:
        return
    prepared = PreparedCertificate(accepted.batch, accepted.vote, tuple(votes[: validators.q - 1]))
    slot.prepared, slot.commit_view = prepared, state.view
    out.append(CastCommit(_vote(state, Phase.COMMIT, digest), prepared))


def on_own_vote(state: ReplicaState, vote: SignedVote, out: list[Effect]) -> None:
    """The own PREPARE or COMMIT is synced and sent: count it."""
    if vote.vote.height != state.slot.height:
        return
    if vote.vote.phase is Phase.PREPARE:
        state.slot.own_prepare = vote
        if vote.vote.view == state.view:
            on_prepare(state, vote, out)
    else:
        state.slot.own_commit = vote
        on_commit(state, vote, out)


def on_commit(state: ReplicaState, vote: SignedVote, out: list[Effect]) -> None:
    """A COMMIT, of whatever view: q of one view and digest commit the batch in every later view too."""
    known = state.slot.commits.get(vote.vote.signer)
    if known is not None:
        if known.vote.view == vote.vote.view and known.vote.digest != vote.vote.digest:
            equivocation(vote, out)
        if known.vote.view >= vote.vote.view:
            return
    state.slot.commits[vote.vote.signer] = vote
    check_committed(state, out)


def check_committed(state: ReplicaState, out: list[Effect]) -> None:
    """Committed: q COMMITs of one view and digest, batch and bodies held. Then execute, once a height."""
    slot = state.slot
    if slot.committed is not None:
        return
    if slot.proof is None:
        slot.proof = _commit_quorum(state)
    if slot.proof is None:
        return
    digest = slot.proof.commits[0].vote.digest
    if digest in slot.held:
        commit(state, slot.proof.batch, digest, out)
    elif digest not in slot.wanted:
        _hold_committed(state, slot.proof, digest, out)


def _commit_quorum(state: ReplicaState) -> CommitProof | None:
    """q COMMITs collected here over a batch known here. COMMITs of different views never count together."""
    places: dict[tuple[int, bytes], list[SignedVote]] = {}
    for vote in state.slot.commits.values():
        places.setdefault((vote.vote.view, vote.vote.digest), []).append(vote)
    q = state.config.validators.q
    for (_, digest), votes in places.items():
        batch = batch_of(state, digest)
        if len(votes) >= q and batch is not None:
            return CommitProof(batch, tuple(sorted(votes, key=lambda v: v.vote.signer)[:q]))
    return None


def on_commit_proof(state: ReplicaState, proof: CommitProof, out: list[Effect]) -> None:
    """A peer shows that the height in flight is ordered, in whatever view: take the batch, fetch its bodies.

    Without it a replica that another view or a lying primary kept from the batch would wait for ever beside committed
    peers, whose timers commit has stopped.
    """
    if state.slot.committed is None and state.slot.proof is None:
        state.slot.proof = proof
        check_committed(state, out)


def _hold_committed(state: ReplicaState, proof: CommitProof, digest: bytes, out: list[Effect]) -> None:
    """The batch is committed but its bodies are not known to be here: fetch them from those who committed it."""
    state.slot.wanted.add(digest)
    sources = tuple(vote.vote.signer for vote in proof.commits if vote.vote.signer != state.me)
    out.append(HoldBodies(proof.batch, state.view, digest, sources))


def commit(state: ReplicaState, batch: Batch, digest: bytes, out: list[Effect]) -> None:
    """The batch is ordered for ever: stop the timer, execute."""
    state.slot.committed = digest
    end_ordering(state, out)
    out.append(Execute(batch, digest))


def equivocation(second: SignedVote, out: list[Effect]) -> None:
    """Two votes of one signer that no correct replica signs both."""
    v = second.vote
    facts = (("signer", v.signer), ("height", v.height), ("view", v.view), ("phase", v.phase.name))
    out.append(Alarm("EQUIVOCATION", facts))
