"""Attempts: a batch that breaks the engine is executed again without the envelope that does it (ARCHITECTURE,
divergence).

Ordering is over by then: the batch stays what it is. A SKIP says that its signer casts no header vote at an attempt; q
of them leave no quorum for any header there, and open the next attempt.
"""

from __future__ import annotations

from chain_core.codec.block import skip_digest
from chain_core.consensus.effects import Alarm, CastSkip, Effect, StoreSkips
from chain_core.consensus.finality import check_certificate, diverged_for_good
from chain_core.consensus.inputs import Faulted
from chain_core.consensus.ordering import execute_next
from chain_core.consensus.state import ReplicaState, Slot
from chain_core.types.block import Phase, SignedVote, Vote

ENGINE_FAULT = 1
"""The one reason so far: executing the envelope raised what no contract may raise."""


def on_faulted(state: ReplicaState, event: Faulted, out: list[Effect]) -> None:
    """The envelope breaks the engine here: ask to leave it out, unless a header of this attempt is signed already."""
    slot = state.slot
    if (event.height, event.attempt, event.digest) != (slot.height, slot.attempt, slot.committed):
        return
    slot.faulted = event.index
    out.append(Alarm("POISON", (("height", slot.height), ("attempt", slot.attempt), ("index", event.index))))
    ask_to_skip(state, out)


def ask_to_skip(state: ReplicaState, out: list[Effect]) -> None:
    """What breaks the engine here is named once an attempt; asked again when this replica may vote again."""
    slot, config = state.slot, state.config
    if slot.faulted is None or slot.committed is None or config.me is None or not state.may_cast(slot):
        return
    if slot.own_header_vote is None and slot.attempt not in slot.own_skips:
        digest = skip_digest(slot.committed, ENGINE_FAULT)
        place = config.ledger, config.epoch, slot.height, slot.faulted, slot.attempt
        out.append(CastSkip(Vote(Phase.SKIP, *place, digest, config.me)))


def on_own_skip(state: ReplicaState, vote: SignedVote, out: list[Effect]) -> None:
    """The own SKIP is synced and sent: count it."""
    slot = state.slots.get(vote.vote.height)
    if slot is not None:
        slot.own_skips[vote.vote.attempt] = vote
        on_skip(state, slot, vote, out)


def on_skip(state: ReplicaState, slot: Slot, vote: SignedVote, out: list[Effect]) -> None:
    """A SKIP at the open attempt, one a sender; those of later attempts come again when they are open."""
    v = vote.vote
    if v.attempt != slot.attempt:
        return
    known = slot.skips.get(v.signer)
    if known is not None:
        if known.vote != v:
            facts = (("signer", v.signer), ("height", v.height), ("attempt", v.attempt), ("phase", v.phase.name))
            out.append(Alarm("EQUIVOCATION", facts))
        return
    slot.skips[v.signer] = vote
    check_skips(state, slot, out)


def check_skips(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """q SKIPs for one index of the committed batch end the attempt: execute again without it."""
    if slot is not state.slot or slot.committed is None or slot.proof is None or slot.finalising:
        return
    q, count = state.config.validators.q, len(slot.proof.batch.envelope_ids)
    due = skip_digest(slot.committed, ENGINE_FAULT)
    by_index: dict[int, list[SignedVote]] = {}
    for vote in slot.skips.values():
        if vote.vote.digest == due and vote.vote.view < count and vote.vote.view not in slot.skipped:
            by_index.setdefault(vote.vote.view, []).append(vote)
    for votes in by_index.values():
        if len(votes) >= q:
            chosen = tuple(sorted(votes, key=lambda v: v.vote.signer)[:q])
            if state.may_vote:
                out.append(StoreSkips(chosen))
            slot.open_attempt(chosen)
            facts = (("height", slot.height), ("attempt", slot.attempt), ("index", chosen[0].vote.view))
            out.append(Alarm("SKIPPED", facts))
            execute_next(state, out)
            check_certificate(state, slot, out)
            return
    diverged_for_good(state, slot, out)
