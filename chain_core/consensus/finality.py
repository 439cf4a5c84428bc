"""Finality of one height: header votes are PBFT's checkpoint messages (PBFT §4.3), q of them the certificate.

Ordering and finality are two agreements: a header vote does not name a view, and a certificate finalises its height
from whomever and in whatever view state it comes.
"""

from __future__ import annotations

from collections import Counter

from chain_core.codec.block import HEADER_FIELDS, decode_header
from chain_core.consensus.accusation import accuse_header
from chain_core.consensus.effects import (
    CastHeaderVote,
    Effect,
    FetchBlocks,
    Finalise,
    Halt,
    ReleaseBatch,
    Resume,
    SendTo,
    StoreNewView,
)
from chain_core.consensus.inputs import Executed, Finalised
from chain_core.consensus.messages import FinalityNotice
from chain_core.consensus.ordering import end_ordering, execute_next, stop_order_timer, watch
from chain_core.consensus.state import ReplicaState, Slot
from chain_core.types.block import Certificate, HeaderVote

DIVERGED = "EXECUTION_DIVERGED"


def on_executed(state: ReplicaState, event: Executed, out: list[Effect]) -> None:
    """The committed batch's header is known: sign it, once for ever."""
    slot = state.slot
    if (event.height, event.attempt, event.digest) != (slot.height, slot.attempt, slot.committed):
        return
    slot.executed = event.header_bytes
    own = slot.own_header_vote
    if own is not None and own.header_bytes != event.header_bytes:
        halt(state, "re-execution gives another header than the one signed before", out)
        return
    if own is None and state.may_cast(slot) and slot.attempt not in slot.own_skips:
        out.append(CastHeaderVote(event.header_bytes))
    if slot.certificate is not None and decode_header(slot.certificate[0]).attempt == slot.attempt:
        finalise(state, slot, *slot.certificate, (), out)
    else:
        check_certificate(state, slot, out)


def on_own_header_vote(state: ReplicaState, vote: HeaderVote, out: list[Effect]) -> None:
    """The own header vote is synced and sent: count it."""
    slot = state.slots.get(vote.header.height)
    if slot is None:
        return
    slot.own_headers[vote.header.attempt] = vote
    if vote.header.attempt != slot.attempt:
        return
    slot.own_header_vote = vote
    slot.header_votes[vote.signer] = vote
    check_certificate(state, slot, out)


def on_header_vote(state: ReplicaState, slot: Slot, vote: HeaderVote, out: list[Effect]) -> None:
    """A peer's header vote for a height in flight; it is kept when the peer is ahead."""
    if vote.header.attempt != slot.attempt:
        if vote.header.attempt == slot.attempt + 1:
            slot.ahead.setdefault(vote.signer, vote)
            _certified_ahead(state, slot, out)
        return
    known = slot.header_votes.get(vote.signer)
    if known is not None:
        if known.header_hash != vote.header_hash:
            accuse_header(state, known, vote, out)
        return
    slot.header_votes[vote.signer] = vote
    check_certificate(state, slot, out)


def check_certificate(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """q votes over one header make its certificate: exactly q signatures, signers ascending."""
    validators = state.config.validators
    if slot.finalising:
        return
    by_header: dict[bytes, list[HeaderVote]] = {}
    for vote in slot.header_votes.values():
        by_header.setdefault(vote.header_hash, []).append(vote)
    for digest, votes in by_header.items():
        if len(votes) < validators.q:
            continue
        chosen = sorted(votes, key=lambda v: v.signer)[: validators.q]
        certificate = Certificate(digest, tuple((v.signer, v.signature) for v in chosen))
        finalise(state, slot, chosen[0].header_bytes, certificate, tuple(v.signer for v in chosen), out)
        return
    diverged_for_good(state, slot, out)


def _certified_ahead(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """q header votes at the next attempt: the quorum skipped an envelope without this replica, which fetches."""
    by_header: dict[bytes, list[HeaderVote]] = {}
    for vote in slot.ahead.values():
        by_header.setdefault(vote.header_hash, []).append(vote)
    for digest, votes in by_header.items():
        if len(votes) >= state.config.validators.q:
            chosen = sorted(votes, key=lambda v: v.signer)[: state.config.validators.q]
            certificate = Certificate(digest, tuple((v.signer, v.signature) for v in chosen))
            finalise(state, slot, chosen[0].header_bytes, certificate, tuple(v.signer for v in chosen), out)
            return


def diverged_for_good(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """Neither a header nor a SKIP can reach a quorum at the open attempt: halt, since no view change could help."""
    if slot is state.slot and not slot.finalising and undecidable(state, slot):
        halt(state, "no header can reach a quorum any more", out)


def undecidable(state: ReplicaState, slot: Slot) -> bool:
    """Whether no header and no SKIP can reach q at the open attempt, every silent validator counted for each."""
    validators = state.config.validators
    outcomes = Counter[bytes | tuple[int, bytes]](vote.header_hash for vote in slot.header_votes.values())
    outcomes.update((vote.vote.view, vote.vote.digest) for vote in slot.skips.values())
    silent = validators.n - len(slot.header_votes.keys() | slot.skips.keys())
    return max(outcomes.values(), default=0) + silent < validators.q


def finalise(
    state: ReplicaState,
    slot: Slot,
    header_bytes: bytes,
    certificate: Certificate,
    sources: tuple[int, ...],
    out: list[Effect],
) -> None:
    """A certificate for a height in flight: commit what was executed here, wait for the own execution when all is
    ordered up to there, or fetch the blocks.
    """
    other_attempt = decode_header(header_bytes).attempt != slot.attempt
    if slot.executed is None or other_attempt:
        slot.certificate = (header_bytes, certificate)
        if other_attempt or slot.faulted is not None or not _ordered_through(state, slot.height):
            certified(state, slot.height, out)
            others = tuple(s for s in sources if s != state.me)
            out.append(FetchBlocks(state.slot.height, slot.height, others))
        return
    if slot.executed != header_bytes:
        differing = ", ".join(differing_fields(slot.executed, header_bytes))
        halt(state, f"the certified header differs in {differing}", out)
        certified(state, slot.height, out)
        out.append(FetchBlocks(slot.height, slot.height, tuple(s for s in sources if s != state.me)))
        return
    slot.finalising = True
    out.append(Finalise(header_bytes, certificate))


def _ordered_through(state: ReplicaState, height: int) -> bool:
    """Whether all heights up to this one are committed here: their execution needs nothing from others."""
    slots = (state.slots.get(at) for at in range(state.final_height + 1, height + 1))
    return all(slot is not None and slot.committed is not None for slot in slots)


def differing_fields(own: bytes, certified_header: bytes) -> list[str]:
    """Names of the header fields in which two headers differ: where to look for a divergence."""
    a, b = decode_header(own), decode_header(certified_header)
    return [name for name, _ in HEADER_FIELDS if getattr(a, name) != getattr(b, name)]


def halt(state: ReplicaState, reason: str, out: list[Effect]) -> None:
    """Stop voting; no view change, which could not help against a different result of execution."""
    if state.halted:
        return
    state.halted = True
    stop_order_timer(state, out)
    out.append(Halt(DIVERGED, (("height", state.slot.height), ("reason", reason))))


def on_notice(state: ReplicaState, notice: FinalityNotice, out: list[Effect]) -> None:
    """A certified header: finalise it, or fetch what lies between."""
    height = decode_header(notice.header_bytes).height
    signers = tuple(index for index, _ in notice.certificate.signatures if index != state.me)
    slot = state.slot_at(height)
    if slot is not None:
        if not slot.finalising:
            finalise(state, slot, notice.header_bytes, notice.certificate, signers, out)
        if height > state.slot.height:
            # Who is final there sends no header votes for the heights below any more: their certificates come by block.
            out.append(FetchBlocks(state.slot.height, height, signers))
    elif height > state.final_height:
        certified(state, height, out)
        out.append(FetchBlocks(state.slot.height, height, signers))


def certified(state: ReplicaState, height: int, out: list[Effect]) -> None:
    """Heights up to ``height`` have certificates: their ordering is closed here too."""
    state.certified = max(state.certified, height)
    if state.slot.height <= state.certified:
        end_ordering(state, out)


def vote_again(state: ReplicaState, height: int, out: list[Effect]) -> None:
    """A halt is over. A view entered meanwhile was not logged, as nothing was cast in it: it is now, before a vote."""
    out.append(Resume(height))
    if state.new_view is not None and not state.view_changing and state.new_view.message.view == state.view:
        out.append(StoreNewView(state.new_view))


def on_finalised(state: ReplicaState, event: Finalised, certificate: Certificate, out: list[Effect]) -> bool:
    """Block and certificate are synced: the window moves up. True when the final height rose."""
    height = decode_header(event.header_bytes).height
    if height <= state.final_height:
        return False
    end_ordering(state, out)
    if state.config.barrier is not None and height + 1 >= state.config.barrier:
        stop_order_timer(state, out)
    for passed in sorted(at for at in state.slots if at <= height):
        slot = state.slots.pop(passed)
        if slot.accepted is not None and slot.accepted.vote.vote.digest != slot.committed:
            out.append(ReleaseBatch(slot.accepted.batch))  # the block came from elsewhere and may be another one
        if state.halted and (state.me is None or state.own_statement(slot) is not None):
            vote_again(state, passed, out)  # its operator took part in settling it, and this node executed it
    state.final_header, state.final_certificate, state.final_height = event.header_bytes, certificate, height
    state.slots.setdefault(height + 1, Slot(height + 1))
    state.re_proposals = {at: due for at, due in state.re_proposals.items() if at > height}
    state.failed_views = 0
    state.work = False
    return True


def take_turn(state: ReplicaState, out: list[Effect]) -> None:
    """The next height has its turn, with all that came for it while it waited."""
    execute_next(state, out)
    slot = state.slot
    if slot.committed is None and len(slot.header_votes) >= state.config.validators.q:
        check_certificate(state, slot, out)
    watch(state, out)


def answer_final(state: ReplicaState, peer: int, out: list[Effect]) -> None:
    """Any message for a final height is answered with the final header and certificate, once a re-sending period."""
    if state.final_certificate is None or peer == state.me or ("final", peer) in state.answered:
        return
    state.answered.add(("final", peer))
    out.append(SendTo(peer, FinalityNotice(state.final_header, state.final_certificate)))
