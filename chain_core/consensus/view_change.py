"""View change (PBFT §4.4): VIEW-CHANGE, the f+1 join, NEW-VIEW and what it obliges everybody to re-propose."""

from __future__ import annotations

from chain_core.codec.block import batch_digest, decode_header, encode_batch
from chain_core.consensus.accusation import accuse_new_view, accuse_view_change
from chain_core.consensus.effects import (
    Alarm,
    CastNewView,
    CastViewChange,
    Effect,
    FetchBlocks,
    ForwardPool,
    ReleaseBatch,
    SendTo,
    SetTimer,
    StoreNewView,
)
from chain_core.consensus.finality import answer_final, certified
from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import PrePrepare
from chain_core.consensus.ordering import (
    accept,
    check_committed,
    order_timeout_ms,
    propose,
    start_order_timer,
    stop_order_timer,
)
from chain_core.consensus.state import ATTEMPT, ReplicaState, ReProposal
from chain_core.types.block import (
    Batch,
    NewView,
    Phase,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    ViewChange,
    Vote,
)
from chain_core.types.validator_set import ValidatorSet


def on_order_timeout(state: ReplicaState, out: list[Effect]) -> None:
    """The primary, or the view asked for, made no progress in time."""
    if not state.order_timer_running:
        return
    state.order_timer_running = False
    if state.view_changing or state.slot.committed is None:
        begin_view_change(state, state.view + 1, out)


def on_request_overdue(state: ReplicaState, out: list[Effect]) -> None:
    """The primary orders, but not what it was given long ago: ask for another one (PBFT §4.4)."""
    if not state.view_changing and not state.is_primary and state.slot.committed is None:
        begin_view_change(state, state.view + 1, out)


def begin_view_change(state: ReplicaState, new_view: int, out: list[Effect]) -> None:
    """Stop ordering in the present view and ask for ``new_view``."""
    if not state.may_vote or state.me is None or new_view <= state.view or state.closed:
        return
    _leave_view(state, new_view, out)
    state.failed_views += 1
    config = state.config
    prepared = tuple(slot.prepared for slot in state.ascending() if slot.prepared is not None)
    message = ViewChange(
        config.ledger, config.epoch, new_view, state.me, state.final_header, state.final_certificate, prepared
    )
    out.append(CastViewChange(message))


def _leave_view(state: ReplicaState, new_view: int, out: list[Effect]) -> None:
    stop_order_timer(state, out)
    state.view = new_view
    state.view_changing = True
    state.view_timer_started = False
    state.building_new_view = False
    state.building = False
    for slot in state.slots.values():
        slot.prepares = {}


def forget_views(state: ReplicaState, view: int, out: list[Effect]) -> None:
    """Views up to ``view`` are closed to this key. Below it nothing is cast any more; itself it is entered by its
    NEW-VIEW only, and when others ask for a view, whichever, the one above it is asked for."""
    state.forgotten_view = max(state.forgotten_view, view)
    if view > state.view:
        _leave_view(state, view, out)


def on_own_view_change(state: ReplicaState, message: SignedViewChange, out: list[Effect]) -> None:
    """The own VIEW-CHANGE is synced and sent: count it."""
    state.own_view_change = message
    state.view_changes[message.message.signer] = message
    check_view_changes(state, out)


def on_view_change(state: ReplicaState, message: SignedViewChange, out: list[Effect]) -> None:
    """A peer asks for a view: keep its highest, help it when it is behind, join or count."""
    signer, new_view = message.message.signer, message.message.new_view
    if state.closed:
        answer_final(state, signer, out)
        return
    if signer == state.me:
        return  # the own one is here, or in what the log has lost
    known = state.view_changes.get(signer)
    if known is not None and known.message.new_view == new_view:
        accuse_view_change(state, known, message, out)
    asks = new_view > state.view or state.waits_unasked or (state.view_changing and new_view == state.view)
    if not asks:
        serve_new_view(state, signer, new_view, out)
        return
    if known is not None and known.message.new_view >= new_view:
        return
    state.view_changes[signer] = message
    check_view_changes(state, out)


def serve_new_view(state: ReplicaState, peer: int, peer_view: int, out: list[Effect]) -> None:
    """Give the NEW-VIEW of the present view to a replica that has not entered it, once a re-sending period."""
    if state.new_view is None or state.view_changing or peer == state.me or peer_view > state.view:
        return
    if ("view", peer) not in state.answered:
        state.answered.add(("view", peer))
        out.append(SendTo(peer, state.new_view))


def check_view_changes(state: ReplicaState, out: list[Effect]) -> None:
    """f+1 for any higher views: join the smallest (PBFT §4.5.2). q for the view asked for: its timer, its primary.

    Who may not ask for the view it waits for cannot be one of the q: f+1 others, for whatever views, start its timer.
    """
    validators = state.config.validators
    higher = sorted(m.message.new_view for m in state.view_changes.values() if m.message.new_view > state.view)
    if len(higher) > validators.f:
        begin_view_change(state, higher[0], out)
        return
    if not state.view_changing:
        return
    if state.waits_unasked:
        enough = sum(signer != state.me for signer in state.view_changes) > validators.f
    else:
        enough = sum(m.message.new_view >= state.view for m in state.view_changes.values()) >= validators.q
    if enough and not state.view_timer_started:
        state.view_timer_started = True
        state.order_timer_running = True
        out.append(SetTimer(Timer.ORDER, order_timeout_ms(state)))
    _lead(state, out)


def _lead(state: ReplicaState, out: list[Effect]) -> None:
    """The primary of the view asked for makes NEW-VIEW from exactly q VIEW-CHANGEs for it, its own among them."""
    config = state.config
    if config.me is None or not state.is_primary or state.building_new_view or not state.may_vote:
        return
    if state.waits_unasked:
        return
    asked = {m.message.signer: m for m in state.view_changes.values() if m.message.new_view == state.view}
    if len(asked) < config.validators.q or config.me not in asked:
        return
    others = sorted(signer for signer in asked if signer != config.me)[: config.validators.q - 1]
    chosen = tuple(asked[signer] for signer in sorted([*others, config.me]))
    state.building_new_view = True
    message = NewView(config.ledger, config.epoch, state.view, config.me, chosen, ())
    due = obligations(config.ledger, config.epoch, chosen)
    out.append(CastNewView(message, tuple((re_proposal(message, batch), batch) for batch, _ in due)))


def highest_final(view_changes: tuple[SignedViewChange, ...]) -> int:
    """The height that a NEW-VIEW starts above: the highest certified one among its q."""
    return max(decode_header(m.message.final_header).height for m in view_changes)


def null_batch(ledger: int, epoch: int, height: int) -> Batch:
    """What fills a height between prepared ones at which nothing was prepared: no ids; time 0, so that block time is
    the parent's + 1 (PBFT §4.4, the null request)."""
    return Batch(ledger, epoch, height, ATTEMPT, 0, ())


def obligations(
    ledger: int, epoch: int, view_changes: tuple[SignedViewChange, ...]
) -> tuple[tuple[Batch, PreparedCertificate | None], ...]:
    """What the new primary must re-propose: for each height above the highest certificate up to the highest prepared
    one, the batch prepared in the highest view; the null batch (no certificate) where none was."""
    base = highest_final(view_changes)
    best: dict[int, PreparedCertificate] = {}
    for message in view_changes:
        for prepared in message.message.prepared:
            known = best.get(prepared.batch.height)
            if known is None or prepared.pre_prepare.vote.view > known.pre_prepare.vote.view:
                best[prepared.batch.height] = prepared
    due: list[tuple[Batch, PreparedCertificate | None]] = []
    for height in range(base + 1, max(best, default=0) + 1):
        chosen = best.get(height)
        due.append((chosen.batch if chosen is not None else null_batch(ledger, epoch, height), chosen))
    return tuple(due)


def re_proposal(message: NewView, batch: Batch) -> Vote:
    """The one PRE-PREPARE by which this NEW-VIEW may re-propose ``batch``."""
    digest = batch_digest(encode_batch(batch))
    return Vote(
        Phase.PRE_PREPARE,
        message.ledger,
        message.epoch,
        batch.height,
        message.view,
        ATTEMPT,
        digest,
        message.signer,
    )


def new_view_fault(message: NewView, validators: ValidatorSet) -> str:
    """Why a NEW-VIEW (signatures verified by ingress) is not what its VIEW-CHANGEs oblige to; empty when it is."""
    if message.signer != validators.primary(message.view):
        return "not signed by the primary of its view"
    if len(message.view_changes) != validators.q:
        return f"{len(message.view_changes)} VIEW-CHANGEs where exactly {validators.q} are needed"
    if any(m.message.new_view != message.view for m in message.view_changes):
        return "a VIEW-CHANGE asks for another view"
    if any(p.pre_prepare.vote.view >= message.view for m in message.view_changes for p in m.message.prepared):
        return "a certificate was prepared in this view or a later one"
    owed = obligations(message.ledger, message.epoch, message.view_changes)
    due = [re_proposal(message, batch) for batch, _ in owed]
    if due != [v.vote for v in message.pre_prepares]:
        return "it does not re-propose exactly what was prepared"
    return ""


def on_new_view(state: ReplicaState, message: SignedNewView, out: list[Effect]) -> None:
    """Enter the view of a valid NEW-VIEW, whether or not it was asked for here."""
    view = message.message.view
    if state.closed:
        return
    if state.new_view is not None and state.new_view.message.view == view:
        accuse_new_view(state, state.new_view, message, out)
    if view < state.view or (view == state.view and not state.view_changing) or view == 0:
        return
    fault = new_view_fault(message.message, state.config.validators)
    if fault:
        out.append(Alarm("BAD_NEW_VIEW", (("view", view), ("signer", message.message.signer), ("reason", fault))))
        return
    if state.may_vote:
        out.append(StoreNewView(message))
    enter_view(state, message, out)


def on_own_new_view(state: ReplicaState, message: SignedNewView, out: list[Effect]) -> None:
    """The own NEW-VIEW is synced and sent."""
    if message.message.view == state.view and state.view_changing:
        enter_view(state, message, out)


def enter_view(state: ReplicaState, message: SignedNewView, out: list[Effect]) -> None:
    """Ordering goes on in the new view: re-proposals first, then new work."""
    stop_order_timer(state, out)
    lost = [slot.accepted for slot in state.ascending() if slot.accepted is not None]
    state.view, state.view_changing = message.message.view, False
    state.new_view = message
    state.view_timer_started = state.building = False
    for slot in state.slots.values():
        slot.accepted, slot.prepares = None, {}
        slot.wanted.clear()
        slot.held.clear()  # the driver lets go of what earlier views proposed: ask anew before voting on such a batch
    _owe(state, message.message)
    begin_above(state, message.message, out)
    kept = {due.message.vote.vote.digest for due in state.re_proposals.values()}
    kept.update(slot.committed for slot in state.slots.values() if slot.committed is not None)
    out.extend(ReleaseBatch(gone.batch) for gone in lost if gone.vote.vote.digest not in kept)
    re_propose(state, out)
    for slot in state.ascending():
        check_committed(state, slot, out)
    primary = state.config.validators.primary(state.view)
    if primary != state.me:
        out.append(ForwardPool((primary,)))
        if state.work:
            start_order_timer(state, out)
    else:
        propose(state, out)  # whoever becomes primary looks into its own pool, whatever it was watching before


def _owe(state: ReplicaState, message: NewView) -> None:
    """Remember what the view just entered re-proposes, and that its primary goes on above it."""
    owed = obligations(message.ledger, message.epoch, message.view_changes)
    state.re_proposals = {}
    for vote, (batch, prepared) in zip(message.pre_prepares, owed, strict=True):
        sources: tuple[int, ...] = ()
        if prepared is not None:
            sources = (prepared.pre_prepare.vote.signer, *(v.vote.signer for v in prepared.prepares))
        if batch.height > state.final_height:
            sources = tuple(s for s in sources if s != state.me)
            state.re_proposals[batch.height] = ReProposal(PrePrepare(vote, batch), sources)
    state.next_proposal = highest_final(message.view_changes) + len(owed) + 1


def begin_above(state: ReplicaState, message: NewView, out: list[Effect]) -> None:
    """A view starts above the highest certificate among its q VIEW-CHANGEs: what lies below is fetched, not ordered."""
    base = highest_final(message.view_changes)
    if base > state.final_height:
        signers = tuple(m.message.signer for m in message.view_changes if m.message.signer != state.me)
        certified(state, base, out)
        out.append(FetchBlocks(state.final_height + 1, base, signers))


def resume(state: ReplicaState, out: list[Effect]) -> None:
    """After a restart: where the view stands that the log names."""
    if state.new_view is not None and not state.view_changing:
        _owe(state, state.new_view.message)
        begin_above(state, state.new_view.message, out)
    for slot in state.ascending():
        accepted = slot.accepted
        if accepted is None or state.view_changing:
            continue
        state.next_proposal = max(state.next_proposal, slot.height + 1)
        signer = accepted.vote.vote.signer
        accept(state, slot, accepted, () if signer == state.me else (signer,), out)
    re_propose(state, out)


def re_propose(state: ReplicaState, out: list[Effect]) -> None:
    """Accept what the NEW-VIEW of the present view re-proposes for the heights in flight.

    Asked again after each finality (a replica behind enters a view before it reaches its heights) and after a restart.
    The clock is never looked at: a re-proposed batch is as old as the view change took.
    """
    if state.view_changing:
        return
    for height, due in sorted(state.re_proposals.items()):
        slot = state.slot_at(height)
        if slot is None or slot.accepted is not None or slot.committed not in (None, due.message.vote.vote.digest):
            continue  # beyond the window, or taken up already
        accept(state, slot, due.message, due.sources, out)
