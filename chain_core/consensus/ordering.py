"""Ordering of each height in flight: PRE-PREPARE, PREPARE, COMMIT (PBFT §4.2); execution follows in their order."""

from __future__ import annotations

from chain_core.codec.block import batch_digest, decode_header, encode_batch
from chain_core.consensus.accusation import accuse_vote
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
from chain_core.consensus.state import ATTEMPT, ReplicaState, Slot, batch_of
from chain_core.types.block import Batch, Phase, PreparedCertificate, SignedVote, Vote


def order_timeout_ms(state: ReplicaState) -> int:
    """The ordering timer: doubled with each failed view, capped (an uncapped one spreads replicas over views)."""
    p = state.config.parameters
    return min(p.order_timeout_ms << min(state.failed_views, 16), p.order_timeout_max_ms)


def start_order_timer(state: ReplicaState, out: list[Effect]) -> None:
    """Run the ordering timer unless it runs already. It watches the height above the final one: those above it wait
    for it, and each has its turn. Whoever fetches a certified block has no primary to blame.
    """
    if state.order_timer_running or not state.may_order(state.slot) or not state.may_vote:
        return
    state.order_timer_running = True
    out.append(SetTimer(Timer.ORDER, order_timeout_ms(state)))


def end_ordering(state: ReplicaState, out: list[Effect]) -> None:
    """Commit and finality stop the timer of a view that is on; that of a view asked for goes on: its primary may be
    dead, whatever became of the heights in flight.
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
    if all(slot.accepted is None for slot in state.slots.values()):
        end_ordering(state, out)


def watch(state: ReplicaState, out: list[Effect]) -> None:
    """The height above the final one has its turn: what was proposed for it, or above it, is waited for."""
    if not state.view_changing and any(slot.accepted is not None for slot in state.slots.values()):
        start_order_timer(state, out)


def _proposing(state: ReplicaState) -> Slot | None:
    """The slot that this primary may propose for now: the lowest one without a proposal of this view."""
    if not state.may_vote or not state.is_primary or state.view_changing or state.building:
        return None
    if state.certified > state.final_height:
        return None  # what lies in certified blocks that are not here would be proposed a second time
    state.next_proposal = max(state.next_proposal, state.final_height + 1)
    slot = state.slot_at(state.next_proposal) if state.next_proposal <= state.window_end else None
    if slot is None or slot.accepted is not None or not state.may_order(slot):
        return None
    return slot


def propose(state: ReplicaState, out: list[Effect]) -> None:
    """Ask for a batch as soon as one may be proposed: no batch timer.

    Beside proposals in flight only a full batch pays for the votes of a height of its own; a part of one joins the
    bodies that come until these are final.
    """
    slot = _proposing(state)
    if slot is not None:
        state.building = True
        out.append(BuildBatch(slot.height, state.view, ATTEMPT, slot is not state.slot))


def propose_idle(state: ReplicaState, now_ms: int, out: list[Effect]) -> None:
    """Nothing was final for ``idle_block_ms``: an empty block shows that the chain is alive, and how late it is."""
    slot, idle_ms = _proposing(state), state.config.parameters.idle_block_ms
    if slot is None or slot is not state.slot or not idle_ms:
        return
    if now_ms >= decode_header(state.final_header).time_ms + idle_ms:
        config = state.config
        empty = Batch(config.ledger, config.epoch, slot.height, ATTEMPT, now_ms, ())
        state.building = True
        out.append(CastPrePrepare(_vote(state, slot, Phase.PRE_PREPARE, batch_digest(encode_batch(empty))), empty))


def watch_idle(state: ReplicaState, now_ms: int, out: list[Effect]) -> None:
    """A primary that leaves an idle chain without blocks is reported once a height, never deposed: nobody waits for
    it, and with the first body that does the ordering timer finds it.
    """
    p = state.config.parameters
    if not p.idle_block_ms or state.is_primary or state.idle_told == state.final_height:
        return
    late_ms = now_ms - decode_header(state.final_header).time_ms - p.idle_block_ms
    if late_ms > p.order_timeout_max_ms + p.clock_tolerance_ms:
        state.idle_told = state.final_height
        primary = state.config.validators.primary(state.view)
        out.append(Alarm("IDLE_PRIMARY_SILENT", (("primary", primary), ("late_ms", late_ms))))


def on_batch_built(state: ReplicaState, event: BatchBuilt, out: list[Effect]) -> None:
    """Sign the PRE-PREPARE for the batch, unless height or view moved on meanwhile."""
    slot = state.slots.get(event.height)
    current = slot is not None and event.view == state.view and not state.view_changing
    if event.batch is None:
        if current:
            state.building = False
            state.work = state.work and slot is not state.slot
        return
    if slot is None or not current or slot.accepted is not None or not state.may_order(slot) or not state.may_vote:
        out.append(ReleaseBatch(event.batch))
        return
    digest = batch_digest(encode_batch(event.batch))
    out.append(CastPrePrepare(_vote(state, slot, Phase.PRE_PREPARE, digest), event.batch))


def _vote(state: ReplicaState, slot: Slot, phase: Phase, digest: bytes) -> Vote:
    config = state.config
    assert config.me is not None
    return Vote(phase, config.ledger, config.epoch, slot.height, state.view, ATTEMPT, digest, config.me)


def on_own_pre_prepare(state: ReplicaState, message: PrePrepare, out: list[Effect]) -> None:
    """The own proposal is out: its bodies were held before it was built. The next height may follow at once."""
    slot = state.slots.get(message.vote.vote.height)
    if slot is None or message.vote.vote.view != state.view:
        out.append(ReleaseBatch(message.batch))
        return
    slot.accepted = message
    slot.held.add(message.vote.vote.digest)
    state.building = False
    state.next_proposal = slot.height + 1
    start_order_timer(state, out)
    check_prepared(state, slot, out)
    if state.work:
        propose(state, out)


def acceptable(state: ReplicaState, message: PrePrepare, now_ms: int, out: list[Effect]) -> bool:
    """Whether a fresh PRE-PREPARE may be accepted. Only here the clock is looked at, never for a re-proposal."""
    vote, batch, p = message.vote.vote, message.batch, state.config.parameters
    if vote.signer != state.config.validators.primary(state.view):
        return False
    if not batch.envelope_ids and not _idle_due(state, batch, out):
        return False
    if len(batch.envelope_ids) > p.proposal_transactions:
        if batch.height == state.final_height + 1:  # heights below may have made blocks larger: it comes again
            out.append(Alarm("BAD_PROPOSAL", (("primary", vote.signer), ("transactions", len(batch.envelope_ids)))))
        return False
    if abs(batch.time_ms - now_ms) > p.clock_tolerance_ms:
        facts = (("primary", vote.signer), ("time_ms", batch.time_ms), ("now_ms", now_ms))
        out.append(Alarm("CLOCK_SKEW", facts))
        return False
    return True


def _idle_due(state: ReplicaState, batch: Batch, out: list[Effect]) -> bool:
    """Whether an empty batch comes no sooner than ``idle_block_ms`` after the block below it.

    Both times are the chain's own, so that all correct replicas judge alike; one that is not there yet hears it again.
    """
    idle_ms = state.config.parameters.idle_block_ms
    if batch.height != state.final_height + 1:
        return False
    if not idle_ms or batch.time_ms < decode_header(state.final_header).time_ms + idle_ms:
        primary = state.config.validators.primary(state.view)
        out.append(Alarm("BAD_PROPOSAL", (("primary", primary), ("transactions", 0))))
        return False
    return True


def on_pre_prepare(state: ReplicaState, slot: Slot, message: PrePrepare, now_ms: int, out: list[Effect]) -> None:
    """A primary's proposal for a height in flight, in the present view."""
    digest = message.vote.vote.digest
    if slot.accepted is not None:
        if slot.accepted.vote.vote.digest != digest:
            accuse_vote(state, slot.accepted.vote, message.vote, out)
        return
    if not state.may_order(slot) and slot.committed != digest:  # ordered already: in an earlier view, or elsewhere
        return
    if acceptable(state, message, now_ms, out):
        accept(state, slot, message, (message.vote.vote.signer,), out, fresh=True)


def accept(
    state: ReplicaState,
    slot: Slot,
    message: PrePrepare,
    sources: tuple[int, ...],
    out: list[Effect],
    *,
    fresh: bool = False,
) -> None:
    """Take a proposal: hold its bodies before preparing it."""
    slot.accepted = message
    start_order_timer(state, out)
    slot.wanted.add(message.vote.vote.digest)
    out.append(HoldBodies(message.batch, state.view, message.vote.vote.digest, sources, fresh))


def on_bodies_held(state: ReplicaState, event: BodiesHeld, out: list[Effect]) -> None:
    """All bodies are here and verified: PREPARE (a backup), and see what already has its quorum."""
    slot = state.slots.get(event.height)
    if slot is None:
        return
    slot.wanted.discard(event.digest)
    slot.held.add(event.digest)
    accepted = slot.accepted
    if accepted is not None and accepted.vote.vote.digest == event.digest and not state.view_changing:
        own = slot.own_prepare
        if not state.is_primary and state.may_vote and (own is None or own.vote.view < state.view):
            out.append(CastPrepare(_vote(state, slot, Phase.PREPARE, event.digest), accepted))
    check_prepared(state, slot, out)
    check_committed(state, slot, out)


def on_prepare(state: ReplicaState, slot: Slot, vote: SignedVote, out: list[Effect]) -> None:
    """A PREPARE of the present view; the primary's PRE-PREPARE counts as its own, so it sends none."""
    signer = vote.vote.signer
    if signer == state.config.validators.primary(vote.vote.view):
        return
    known = slot.prepares.get(signer)
    if known is not None:
        if known.vote.digest != vote.vote.digest:
            accuse_vote(state, known, vote, out)
        return
    slot.prepares[signer] = vote
    check_prepared(state, slot, out)


def check_prepared(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """Prepared: PRE-PREPARE and q-1 PREPAREs from others agree, bodies held. Then COMMIT, once a view."""
    validators, accepted = state.config.validators, slot.accepted
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
    out.append(CastCommit(_vote(state, slot, Phase.COMMIT, digest), prepared))


def on_own_vote(state: ReplicaState, vote: SignedVote, out: list[Effect]) -> None:
    """The own PREPARE or COMMIT is synced and sent: count it."""
    slot = state.slots.get(vote.vote.height)
    if slot is None:
        return
    if vote.vote.phase is Phase.PREPARE:
        slot.own_prepare = vote
        if vote.vote.view == state.view:
            on_prepare(state, slot, vote, out)
    else:
        slot.own_commit = vote
        on_commit(state, slot, vote, out)


def on_commit(state: ReplicaState, slot: Slot, vote: SignedVote, out: list[Effect]) -> None:
    """A COMMIT, of whatever view: q of one view and digest commit the batch in every later view too."""
    known = slot.commits.get(vote.vote.signer)
    if known is not None:
        if known.vote.view == vote.vote.view and known.vote.digest != vote.vote.digest:
            accuse_vote(state, known, vote, out)
        if known.vote.view >= vote.vote.view:
            return
    slot.commits[vote.vote.signer] = vote
    check_committed(state, slot, out)


def check_committed(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """Committed: q COMMITs of one view and digest, batch and bodies held. Then execute, once a height."""
    if slot.committed is not None:
        return
    if slot.proof is None:
        slot.proof = _commit_quorum(state, slot)
    if slot.proof is None:
        return
    digest = slot.proof.commits[0].vote.digest
    if digest in slot.held:
        commit(state, slot, digest, out)
    elif digest not in slot.wanted:
        _hold_committed(state, slot, slot.proof, digest, out)


def _commit_quorum(state: ReplicaState, slot: Slot) -> CommitProof | None:
    """q COMMITs collected here over a batch known here. COMMITs of different views never count together."""
    q = state.config.validators.q
    if len(slot.commits) < q:
        return None
    places: dict[tuple[int, bytes], list[SignedVote]] = {}
    for vote in slot.commits.values():
        places.setdefault((vote.vote.view, vote.vote.digest), []).append(vote)
    for (_, digest), votes in places.items():
        batch = batch_of(slot, digest)
        if len(votes) >= q and batch is not None:
            return CommitProof(batch, tuple(sorted(votes, key=lambda v: v.vote.signer)[:q]))
    return None


def on_commit_proof(state: ReplicaState, slot: Slot, proof: CommitProof, out: list[Effect]) -> None:
    """A peer shows that a height in flight is ordered, in whatever view: take the batch, fetch its bodies.

    Without it a replica that another view or a lying primary kept from the batch would wait for ever beside committed
    peers, whose timers commit has stopped.
    """
    if slot.committed is None and slot.proof is None:
        slot.proof = proof
        check_committed(state, slot, out)


def _hold_committed(state: ReplicaState, slot: Slot, proof: CommitProof, digest: bytes, out: list[Effect]) -> None:
    """The batch is committed but its bodies are not known to be here: fetch them from those who committed it."""
    slot.wanted.add(digest)
    sources = tuple(vote.vote.signer for vote in proof.commits if vote.vote.signer != state.me)
    out.append(HoldBodies(proof.batch, state.view, digest, sources, False))


def commit(state: ReplicaState, slot: Slot, digest: bytes, out: list[Effect]) -> None:
    """The batch is ordered for ever: it is executed when the height below it is final."""
    slot.committed = digest
    if slot is state.slot:
        end_ordering(state, out)
        execute_next(state, out)


def execute_next(state: ReplicaState, out: list[Effect]) -> None:
    """Execute the height above the final one if it is committed; heights are executed one after the other."""
    slot = state.slot
    if slot.committed is not None and slot.proof is not None and not slot.executing:
        slot.executing = True
        out.append(Execute(slot.proof.batch, slot.committed, slot.attempt, slot.skipped))
