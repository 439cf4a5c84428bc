"""Reopening a height at which no header can reach a quorum: by order, with the statements of all n validators.

docs/spec/reopening.md says what it rests on. A statement binds its signer for ever, so it is asked for only when the
votes held here leave nothing to decide; the votes that statements name count as votes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from chain_core.codec.reopening import denies, is_for
from chain_core.consensus.accusation import accuse_denial
from chain_core.consensus.effects import Alarm, Broadcast, CastStatement, Effect, SendTo, StoreReopening
from chain_core.consensus.finality import check_certificate, on_header_vote, undecidable, vote_again
from chain_core.consensus.inputs import OrderTaken
from chain_core.consensus.ordering import execute_next
from chain_core.consensus.skipping import on_skip
from chain_core.consensus.state import ReplicaState, Slot
from chain_core.types.block import HeaderVote, SignedVote
from chain_core.types.reopening import Cast, Reopening, SignedStatement


def on_order(state: ReplicaState, event: OrderTaken, out: list[Effect]) -> None:
    """The operator handed in an order; one with another reason takes the place of an earlier one."""
    slot, order = state.slot, event.order.order
    config = state.config
    place = (config.ledger, config.epoch, slot.height, slot.attempt)
    if (order.ledger, order.epoch, order.height, order.attempt) != place:
        return
    if slot.order is None or slot.order.order_hash != event.order.order_hash:
        slot.order, slot.stating = event.order, False
    check_reopening(state, slot, out)


def on_own_statement(state: ReplicaState, made: SignedStatement, out: list[Effect]) -> None:
    """The own statement is synced and sent: it counts."""
    slot = state.slots.get(made.statement.height)
    if slot is not None and made.statement.attempt == slot.attempt:
        slot.statements[made.statement.signer] = made
        check_reopening(state, slot, out)


def on_statement(state: ReplicaState, slot: Slot, made: SignedStatement, out: list[Effect]) -> None:
    """A peer's statement: the vote it names counts as a vote; one that a vote held here contradicts does not count."""
    s, evidence = made.statement, made.evidence
    if s.attempt != slot.attempt:
        return
    if isinstance(evidence, HeaderVote):
        on_header_vote(state, slot, evidence, out)
    elif evidence is not None:
        on_skip(state, slot, evidence, out)
    if s.attempt != slot.attempt or slot.finalising:
        return
    for vote in (slot.header_votes.get(s.signer), slot.skips.get(s.signer)):
        if vote is not None and _denied(made, vote):
            _lies(state, slot, made, vote, out)
    slot.statements[s.signer] = made
    check_reopening(state, slot, out)


def heard_vote(state: ReplicaState, slot: Slot, vote: HeaderVote | SignedVote, out: list[Effect]) -> None:
    """A header vote or SKIP came: does its signer's statement deny it, and does it show that nothing can be decided?"""
    signer = vote.signer if isinstance(vote, HeaderVote) else vote.vote.signer
    attempt = vote.header.attempt if isinstance(vote, HeaderVote) else vote.vote.attempt
    made = slot.statements.get(signer)
    if made is not None and attempt == made.statement.attempt and _denied(made, vote):
        _lies(state, slot, made, vote, out)
    check_reopening(state, slot, out)


def _denied(made: SignedStatement, vote: HeaderVote | SignedVote) -> bool:
    return denies(made.statement, vote.header_bytes if isinstance(vote, HeaderVote) else vote.body)


def _lies(
    state: ReplicaState, slot: Slot, made: SignedStatement, vote: HeaderVote | SignedVote, out: list[Effect]
) -> None:
    slot.liars.add(made.statement.signer)
    accuse_denial(state, made, vote, out)


def check_reopening(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """State, when an order is here and nothing can be decided; open the next attempt, when all have stated."""
    if slot is not state.slot or slot.finalising or slot.certificate is not None or slot.order is None:
        return
    if state.own_statement(slot) is None:
        if not slot.stating and state.me is not None and not state.silent and undecidable(state, slot):
            slot.stating = True
            out.append(CastStatement(slot.order))
        return
    statements = counted(slot)
    if len(statements) < state.config.validators.n or _decides(statements, state.config.validators.q):
        return
    reopening = Reopening(slot.order, tuple(statements))
    out.append(StoreReopening(reopening))
    slot.reopen(reopening)
    out.append(Alarm("REOPENED", (("height", slot.height), ("attempt", slot.attempt))))
    vote_again(state, slot.height, out)
    execute_next(state, out)
    check_certificate(state, slot, out)


def counted(slot: Slot) -> list[SignedStatement]:
    """The statements for the order taken here, signers ascending; those of proven liars do not count."""
    order = slot.order
    if order is None:
        return []
    made = (slot.statements[signer] for signer in sorted(slot.statements) if signer not in slot.liars)
    return [one for one in made if is_for(one.statement, order)]


def _decides(statements: Sequence[SignedStatement], quorum: int) -> bool:
    """Whether the votes that they name are enough for a certificate, or for SKIPs of one index: then these count."""
    headers = Counter(one.statement.digest for one in statements if one.statement.cast is Cast.HEADER)
    found = [one.evidence.vote for one in statements if isinstance(one.evidence, SignedVote)]
    skips = Counter((vote.view, vote.digest) for vote in found)
    return max([*headers.values(), *skips.values()], default=0) >= quorum


def state_again(state: ReplicaState, out: list[Effect]) -> None:
    """Votes may be cast (again) from now on: what was asked for before may have come to nothing."""
    state.slot.stating = False
    check_reopening(state, state.slot, out)


def resend(state: ReplicaState, slot: Slot, out: list[Effect]) -> None:
    """The own statement to all; those that ended an attempt to whoever has not voted at the open one."""
    made = state.own_statement(slot)
    if made is not None:
        out.append(Broadcast(made))
    late = [i for i in range(state.config.validators.n) if i != state.me and i not in slot.header_votes]
    for reopening in slot.reopenings[-1:]:
        out.extend(SendTo(peer, one) for peer in late for one in reopening.statements)
