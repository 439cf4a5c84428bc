"""View change (PBFT §4.4): VIEW-CHANGE, the f+1 join, NEW-VIEW and what it obliges everybody to re-propose."""

from __future__ import annotations

from chain_core.codec.block import batch_digest, decode_header, encode_batch
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
from chain_core.consensus.finality import certified
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
from chain_core.consensus.state import ATTEMPT, ReplicaState
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
    if not state.may_vote or state.me is None or new_view <= state.view:
        return
    stop_order_timer(state, out)
    state.view = new_view
    state.view_changing = True
    state.view_timer_started = False
    state.building_new_view = False
    state.failed_views += 1
    slot, config = state.slot, state.config
    slot.building = False
    slot.prepares = {}
    prepared = (slot.prepared,) if slot.prepared is not None else ()
    message = ViewChange(
        config.ledger, config.epoch, new_view, state.me, state.final_header, state.final_certificate, prepared
    )
    out.append(CastViewChange(message))


def on_own_view_change(state: ReplicaState, message: SignedViewChange, out: list[Effect]) -> None:
    """The own VIEW-CHANGE is synced and sent: count it."""
    state.own_view_change = message
    state.view_changes[message.message.signer] = message
    check_view_changes(state, out)


def on_view_change(state: ReplicaState, message: SignedViewChange, out: list[Effect]) -> None:
    """A peer asks for a view: keep its highest, help it when it is behind, join or count."""
    signer, new_view = message.message.signer, message.message.new_view
    if new_view <= state.view and not (state.view_changing and new_view == state.view):
        serve_new_view(state, signer, new_view, out)
        return
    known = state.view_changes.get(signer)
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
    """f+1 for any higher views: join the smallest (PBFT §4.5.2). q for the view asked for: its timer, its primary."""
    validators = state.config.validators
    higher = sorted(m.message.new_view for m in state.view_changes.values() if m.message.new_view > state.view)
    if len(higher) > validators.f:
        begin_view_change(state, higher[0], out)
        return
    if not state.view_changing:
        return
    at_least = [m for m in state.view_changes.values() if m.message.new_view >= state.view]
    if len(at_least) >= validators.q and not state.view_timer_started:
        state.view_timer_started = True
        state.order_timer_running = True
        out.append(SetTimer(Timer.ORDER, order_timeout_ms(state)))
    _lead(state, out)


def _lead(state: ReplicaState, out: list[Effect]) -> None:
    """The primary of the view asked for makes NEW-VIEW from exactly q VIEW-CHANGEs for it, its own among them."""
    config = state.config
    if config.me is None or not state.is_primary or state.building_new_view or not state.may_vote:
        return
    asked = {m.message.signer: m for m in state.view_changes.values() if m.message.new_view == state.view}
    if len(asked) < config.validators.q or config.me not in asked:
        return
    others = sorted(signer for signer in asked if signer != config.me)[: config.validators.q - 1]
    chosen = tuple(asked[signer] for signer in sorted([*others, config.me]))
    state.building_new_view = True
    message = NewView(config.ledger, config.epoch, state.view, config.me, chosen, ())
    out.append(CastNewView(message, tuple((re_proposal(message, p.batch), p.batch) for p in obligations(chosen))))


def highest_final(view_changes: tuple[SignedViewChange, ...]) -> int:
    """The height that a NEW-VIEW starts above: the highest certified one among its q."""
    return max(decode_header(m.message.final_header).height for m in view_changes)


def obligations(view_changes: tuple[SignedViewChange, ...]) -> tuple[PreparedCertificate, ...]:
    """What the new primary must re-propose: for the height above the highest certificate, the batch prepared in the
    highest view; nothing when none is prepared (one height is in flight)."""
    height = highest_final(view_changes) + 1
    best: PreparedCertificate | None = None
    for message in view_changes:
        for prepared in message.message.prepared:
            if prepared.batch.height != height:
                continue
            if best is None or prepared.pre_prepare.vote.view > best.pre_prepare.vote.view:
                best = prepared
    return (best,) if best is not None else ()


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
    due = [re_proposal(message, p.batch) for p in obligations(message.view_changes)]
    if due != [v.vote for v in message.pre_prepares]:
        return "it does not re-propose exactly what was prepared"
    return ""


def on_new_view(state: ReplicaState, message: SignedNewView, out: list[Effect]) -> None:
    """Enter the view of a valid NEW-VIEW, whether or not it was asked for here."""
    view = message.message.view
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
    slot = state.slot
    lost = slot.accepted
    state.view, state.view_changing = message.message.view, False
    state.new_view = message
    state.view_timer_started = False
    slot.accepted, slot.building, slot.prepares = None, False, {}
    slot.wanted.clear()
    slot.held.clear()  # the driver lets go of what earlier views proposed: ask it anew before voting on such a batch
    begin_above(state, message.message, out)
    re_proposed = re_propose(state, out)
    check_committed(state, out)
    if lost is not None and lost.vote.vote.digest not in (re_proposed, slot.committed):
        out.append(ReleaseBatch(lost.batch))
    primary = state.config.validators.primary(state.view)
    if primary != state.me:
        out.append(ForwardPool((primary,)))
    if re_proposed is None:
        if state.is_primary:
            propose(state, out)  # whoever becomes primary looks into its own pool, whatever it was watching before
        elif state.work:
            start_order_timer(state, out)


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
        begin_above(state, state.new_view.message, out)
    accepted = state.slot.accepted
    if accepted is not None:
        signer = accepted.vote.vote.signer
        accept(state, accepted, () if signer == state.me else (signer,), out)
    re_propose(state, out)


def re_propose(state: ReplicaState, out: list[Effect]) -> bytes | None:
    """Accept what the NEW-VIEW of the present view re-proposes for the height in flight; its digest, if it does.

    Asked again after each finality (a replica behind enters a view before it reaches its height) and after a restart.
    The clock is never looked at: a re-proposed batch is as old as the view change took.
    """
    if state.new_view is None or state.view_changing or state.new_view.message.view != state.view:
        return None
    slot, message = state.slot, state.new_view.message
    for vote, prepared in zip(message.pre_prepares, obligations(message.view_changes), strict=True):
        digest = vote.vote.digest
        if vote.vote.height != slot.height or slot.accepted is not None or slot.committed not in (None, digest):
            continue  # of another height, or taken up already
        signers = (prepared.pre_prepare.vote.signer, *(v.vote.signer for v in prepared.prepares))
        accept(state, PrePrepare(vote, prepared.batch), tuple(s for s in signers if s != state.me), out)
        return digest
    return None
