"""The PBFT core: one input in, a list of effects out (Castro and Liskov, "Practical Byzantine Fault Tolerance").

Pure: time comes with each input, results of IO come back as inputs. Up to W heights are in flight; the rules stand in
``ordering`` (§4.2), ``finality`` (§4.3) and ``view_change`` (§4.4).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, assert_never

from chain_core.codec.block import decode_certificate
from chain_core.consensus import finality, ordering, reopening, skipping, view_change
from chain_core.consensus.effects import Broadcast, Effect, FetchBlocks, ForwardPool, SendTo, SetTimer
from chain_core.consensus.inputs import (
    BarrierSet,
    BatchBuilt,
    BodiesHeld,
    Executed,
    Faulted,
    Finalised,
    Input,
    MessageReceived,
    OrderTaken,
    OwnHeaderVote,
    OwnNewView,
    OwnPrePrepare,
    OwnStatement,
    OwnViewChange,
    OwnVote,
    RequestOverdue,
    Started,
    Timer,
    TimerFired,
    WorkAvailable,
    WorkGone,
)
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.consensus.state import (
    ATTEMPT,
    ConsensusParameters,
    RecoveredLog,
    ReplicaConfig,
    ReplicaState,
    Slot,
    initial_state,
)
from chain_core.types.block import (
    Batch,
    Header,
    HeaderVote,
    NewView,
    Phase,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.reopening import AttemptStatement, SignedStatement

Own: TypeAlias = OwnPrePrepare | OwnVote | OwnHeaderVote | OrderTaken | OwnStatement | OwnViewChange | OwnNewView
"""What was synced here before the core is told."""


class Pbft:
    """One replica's consensus in one epoch of one ledger."""

    def __init__(self, config: ReplicaConfig, log: RecoveredLog) -> None:
        self.state: ReplicaState = initial_state(config, log)

    def set_parameters(self, parameters: ConsensusParameters) -> None:
        """Governance changed the chain's parameters; they hold from the next input on."""
        self.state.config = replace(self.state.config, parameters=parameters)

    def step(self, event: Input, now_ms: int) -> list[Effect]:
        """Take one input at ``now_ms`` (milliseconds, UTC); the effects are to be performed in order."""
        out: list[Effect] = []
        state = self.state
        if isinstance(event, Own):
            self._on_own(event, now_ms, out)
            return out
        match event:
            case MessageReceived(message):
                self._on_message(message.value, now_ms, out)
            case WorkAvailable():
                ordering.on_work(state, out)
            case WorkGone():
                ordering.on_work_gone(state, out)
            case RequestOverdue():
                view_change.on_request_overdue(state, out)
            case BatchBuilt():
                ordering.on_batch_built(state, event, out)
            case BodiesHeld():
                ordering.on_bodies_held(state, event, out)
            case Executed():
                finality.on_executed(state, event, out)
                skipping.check_skips(state, state.slot, out)  # those that came before the batch was committed
            case Faulted():
                skipping.on_faulted(state, event, out)
                skipping.check_skips(state, state.slot, out)
            case Finalised():
                self._on_finalised(event, now_ms, out)
            case BarrierSet(height):
                state.config = replace(state.config, barrier=height)
            case TimerFired(timer):
                self._on_timer(timer, now_ms, out)
            case Started(forgotten_view):
                view_change.forget_views(state, forgotten_view, out)
                view_change.resume(state, out)
                skipping.ask_to_skip(state, out)
                reopening.state_again(state, out)
                self._resend(now_ms, out)
            case _:
                assert_never(event)
        return out

    def _on_own(self, event: Own, now_ms: int, out: list[Effect]) -> None:
        """What this replica signed is synced and sent: now it counts here too."""
        state = self.state
        match event:
            case OwnPrePrepare(own):
                ordering.on_own_pre_prepare(state, own, out)
            case OwnVote(vote) if vote.vote.phase is Phase.SKIP:
                skipping.on_own_skip(state, vote, out)
            case OwnVote(vote):
                ordering.on_own_vote(state, vote, out)
            case OwnHeaderVote(header_vote):
                finality.on_own_header_vote(state, header_vote, out)
            case OrderTaken():
                reopening.on_order(state, event, out)
            case OwnStatement(made):
                reopening.on_own_statement(state, made, out)
            case OwnViewChange(change):
                view_change.on_own_view_change(state, change, out)
            case OwnNewView(new_view):
                view_change.on_own_new_view(state, new_view, out)
                self._unstash_view(now_ms, out)
            case _:
                assert_never(event)

    def _on_timer(self, timer: Timer, now_ms: int, out: list[Effect]) -> None:
        match timer:
            case Timer.ORDER:
                view_change.on_order_timeout(self.state, out)
            case Timer.RESEND:
                self._resend(now_ms, out)
            case _:
                assert_never(timer)

    def _on_finalised(self, event: Finalised, now_ms: int, out: list[Effect]) -> None:
        state = self.state
        certificate = decode_certificate(event.certificate_bytes)
        if not finality.on_finalised(state, event, certificate, out):
            return
        view_change.re_propose(state, out)
        waiting = list(state.stash.values())
        state.stash.clear()
        for message in waiting:
            self._on_message(message, now_ms, out)
        finality.take_turn(state, out)
        skipping.check_skips(state, state.slot, out)

    def _on_message(self, message: Message, now_ms: int, out: list[Effect]) -> None:
        state = self.state
        match message:
            case PrePrepare(vote=vote):
                slot = self._in_flight(vote, "pre-prepare", message, out)
                if slot is not None and vote.vote.view == state.view and not state.view_changing:
                    ordering.on_pre_prepare(state, slot, message, now_ms, out)
            case SignedVote():
                self._on_vote(message, message.vote.phase, out)
            case CommitProof(batch=batch):
                slot = state.slot_at(batch.height) if self._of_this_instance(batch) else None
                if slot is not None:
                    ordering.on_commit_proof(state, slot, message, out)
            case HeaderVote():
                self._on_header_vote(message, out)
            case SignedStatement():
                self._on_statement(message, out)
            case SignedViewChange():
                if self._of_this_instance(message.message):
                    view_change.on_view_change(state, message, out)
            case SignedNewView():
                if self._of_this_instance(message.message):
                    view_change.on_new_view(state, message, out)
                    self._unstash_view(now_ms, out)
            case FinalityNotice():
                finality.on_notice(state, message, out)
            case Heartbeat():
                self._on_heartbeat(message, out)
            case _:
                assert_never(message)

    def _on_vote(self, message: SignedVote, phase: Phase, out: list[Effect]) -> None:
        if phase is Phase.SKIP:
            self._on_skip(message, out)
            return
        kind = "commit" if phase is Phase.COMMIT else "prepare"
        slot = self._in_flight(message, kind, message, out) if phase is not Phase.PRE_PREPARE else None
        if slot is None:
            return
        if phase is Phase.COMMIT:
            ordering.on_commit(self.state, slot, message, out)
        elif message.vote.view == self.state.view and not self.state.view_changing:
            ordering.on_prepare(self.state, slot, message, out)

    def _on_skip(self, message: SignedVote, out: list[Effect]) -> None:
        state, v = self.state, message.vote
        if (v.ledger, v.epoch) != (state.config.ledger, state.config.epoch) or v.signer == state.me:
            return
        if v.height <= state.final_height:
            finality.answer_final(state, v.signer, out)
        elif (slot := state.slot_at(v.height)) is not None:
            skipping.on_skip(state, slot, message, out)
            reopening.heard_vote(state, slot, message, out)

    def _on_statement(self, message: SignedStatement, out: list[Effect]) -> None:
        state, s = self.state, message.statement
        if not self._of_this_instance(s) or s.signer == state.me:
            return
        if s.height <= state.final_height:
            finality.answer_final(state, s.signer, out)
        elif s.height in state.slots:
            reopening.on_statement(state, state.slots[s.height], message, out)

    def _of_this_instance(self, record: Batch | ViewChange | NewView | Vote | Header | AttemptStatement) -> bool:
        """Of this ledger's instance and this epoch, and (ordering votes, batches) of attempt 0."""
        config = self.state.config
        attempt = record.attempt if isinstance(record, Batch | Vote) else ATTEMPT
        return (record.ledger, record.epoch, attempt) == (config.ledger, config.epoch, ATTEMPT)

    def _in_flight(self, vote: SignedVote, kind: str, message: Message, out: list[Effect]) -> Slot | None:
        """The slot of an ordering message for a height in flight and not for a later view; else stash or answer.

        A vote of another attempt is dropped here: counted, it would spoil the certificate it ends up in.
        """
        state, v = self.state, vote.vote
        if not self._of_this_instance(v) or v.signer == state.me:
            return None
        if v.height <= state.final_height:
            finality.answer_final(state, v.signer, out)
            return None
        slot = state.slot_at(v.height)
        if slot is None:
            self._stash(kind, v.signer, 0, message)
            return None
        if kind != "commit" and (v.view > state.view or (v.view == state.view and state.view_changing)):
            self._stash(kind, v.signer, v.height, message)
            return None
        return slot

    def _stash(self, kind: str, signer: int, place: int, message: Message) -> None:
        """Keep a message that came early: one a kind, sender and height in flight for a view that has not begun, and
        one a kind and sender beyond the window, the lowest, which comes into it first.
        """
        state, barrier = self.state, self.state.config.barrier
        if barrier is not None and _height_of(message) >= barrier:
            return  # of the next epoch, whatever it says of itself
        if isinstance(message, PrePrepare):
            if len(message.batch.envelope_ids) > state.config.parameters.proposal_transactions:
                return
        known = state.stash.get((kind, signer, place))
        if place or known is None or _height_of(message) <= _height_of(known):
            state.stash[(kind, signer, place)] = message

    def _unstash_view(self, now_ms: int, out: list[Effect]) -> None:
        """Messages of the view just entered that came before its NEW-VIEW."""
        state = self.state
        for key in [k for k in state.stash if k[2] and k[0] in ("pre-prepare", "prepare")]:
            self._on_message(state.stash.pop(key), now_ms, out)

    def _on_header_vote(self, message: HeaderVote, out: list[Effect]) -> None:
        state, header = self.state, message.header
        if not self._of_this_instance(header) or message.signer == state.me:
            return
        if header.height <= state.final_height:
            finality.answer_final(state, message.signer, out)
            return
        slot = state.slot_at(header.height)
        if slot is None:
            self._stash("header", message.signer, 0, message)
        else:
            finality.on_header_vote(state, slot, message, out)
            reopening.heard_vote(state, slot, message, out)

    def _on_heartbeat(self, message: Heartbeat, out: list[Effect]) -> None:
        state = self.state
        if not 0 <= message.sender < state.config.validators.n or message.sender == state.me:
            return
        if message.epoch != state.config.epoch:
            if message.epoch > state.config.epoch and message.final_height > state.final_height and state.me is None:
                out.append(FetchBlocks(state.slot.height, message.final_height, (message.sender,)))
            return
        if message.final_height < state.final_height:
            finality.answer_final(state, message.sender, out)
        elif message.final_height > state.final_height and state.me is None:
            # A validator's own heartbeat brings it a certificate to go by; an observer sends none and has to try.
            out.append(FetchBlocks(state.slot.height, message.final_height, (message.sender,)))
        if message.view < state.view or (message.view == state.view and message.view_changing):
            view_change.serve_new_view(state, message.sender, message.view, out)

    def _resend(self, now_ms: int, out: list[Effect]) -> None:
        """Until finality: stored votes again, the VIEW-CHANGE when one is open, and the heartbeat."""
        state = self.state
        state.answered.clear()
        out.append(SetTimer(Timer.RESEND, state.config.parameters.resend_ms))
        if state.me is None:
            return
        out.append(
            Broadcast(Heartbeat(state.me, state.final_height, state.config.epoch, state.view, state.view_changing))
        )
        for slot in state.ascending():
            self._resend_votes(slot, out)
        if state.view_changing and state.own_view_change is not None:
            out.append(Broadcast(state.own_view_change))
        slot = state.slot
        if slot.committed is not None and slot.proof is not None:
            late = (peer for peer in range(state.config.validators.n) if peer not in slot.header_votes)
            out.extend(SendTo(peer, slot.proof) for peer in late if peer != state.me)
        if state.work and state.may_order(slot) and (slot.accepted is None or state.view_changing):
            self._forward_again(out)
        ordering.propose_idle(state, now_ms, out)
        ordering.watch_idle(state, now_ms, out)

    def _resend_votes(self, slot: Slot, out: list[Effect]) -> None:
        """The own votes of one height; a proposal goes to those only whose PREPARE does not show that they have it."""
        state, own = self.state, slot.accepted
        if own is not None and own.vote.vote.signer == state.me and not state.view_changing:
            lacking = [i for i in range(state.config.validators.n) if i != state.me and i not in slot.prepares]
            out.extend(SendTo(peer, own) for peer in lacking)
        if slot.own_prepare is not None and slot.own_prepare.vote.view == state.view:
            out.append(Broadcast(slot.own_prepare))
        for vote in (slot.own_commit, slot.own_skips.get(slot.attempt), slot.own_header_vote):
            if vote is not None:
                out.append(Broadcast(vote))
        out.extend(Broadcast(vote) for proof in slot.proofs for vote in proof)
        reopening.resend(state, slot, out)

    def _forward_again(self, out: list[Effect]) -> None:
        """Nothing is proposed although there is work: the primary, or in a view change anybody, may lack the bodies."""
        state, validators = self.state, self.state.config.validators
        if state.view_changing:
            out.append(ForwardPool(tuple(i for i in range(validators.n) if i != state.me)))
        elif state.is_primary:
            ordering.propose(state, out)
        else:
            out.append(ForwardPool((validators.primary(state.view),)))


def _height_of(message: Message) -> int:
    """The height of a message that may be stashed."""
    match message:
        case PrePrepare(vote=vote):
            return vote.vote.height
        case SignedVote():
            return message.vote.height
        case HeaderVote():
            return message.header.height
        case _:
            return 0
