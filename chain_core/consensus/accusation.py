"""Equivocation seen: two contradicting signed messages of one sender become an alarm and a portable proof."""

from __future__ import annotations

from chain_core.codec.evidence import MAX_BODY_BYTES, equivocation
from chain_core.consensus.effects import Accuse, Alarm, Effect
from chain_core.consensus.state import ReplicaState
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.evidence import Statement
from chain_core.types.reopening import SignedStatement


def accuse_vote(state: ReplicaState, first: SignedVote, second: SignedVote, out: list[Effect]) -> None:
    """Two ordering votes of one place."""
    v = second.vote
    facts = (("signer", v.signer), ("height", v.height), ("view", v.view), ("phase", v.phase.name))
    out.append(Alarm("EQUIVOCATION", facts))
    bodies = (first.body, first.signature), (second.body, second.signature)
    _prove(state, Statement.ORDERING, v.signer, *bodies, out)


def accuse_header(state: ReplicaState, first: HeaderVote, second: HeaderVote, out: list[Effect]) -> None:
    """Two headers of one height and attempt."""
    facts = (("signer", second.signer), ("height", second.header.height), ("phase", "HEADER"))
    out.append(Alarm("EQUIVOCATION", facts))
    bodies = (first.header_bytes, first.signature), (second.header_bytes, second.signature)
    _prove(state, Statement.HEADER, second.signer, *bodies, out)


def accuse_view_change(
    state: ReplicaState, first: SignedViewChange, second: SignedViewChange, out: list[Effect]
) -> None:
    """Two VIEW-CHANGEs to one view; the same one again is none."""
    if first.body != second.body:
        signer = second.message.signer
        facts = (("signer", signer), ("view", second.message.new_view), ("phase", "VIEW_CHANGE"))
        out.append(Alarm("EQUIVOCATION", facts))
        bodies = (first.body, first.signature), (second.body, second.signature)
        _prove(state, Statement.VIEW_CHANGE, signer, *bodies, out)


def accuse_new_view(state: ReplicaState, first: SignedNewView, second: SignedNewView, out: list[Effect]) -> None:
    """Two NEW-VIEWs of one view; the same one again is none."""
    if first.body != second.body:
        signer = second.message.signer
        out.append(Alarm("EQUIVOCATION", (("signer", signer), ("view", second.message.view), ("phase", "NEW_VIEW"))))
        bodies = (first.body, first.signature), (second.body, second.signature)
        _prove(state, Statement.NEW_VIEW, signer, *bodies, out)


def accuse_denial(state: ReplicaState, made: SignedStatement, vote: HeaderVote | SignedVote, out: list[Effect]) -> None:
    """A statement, and a vote of its attempt that it does not name."""
    s = made.statement
    facts = (("signer", s.signer), ("height", s.height), ("attempt", s.attempt), ("phase", "STATEMENT"))
    out.append(Alarm("EQUIVOCATION", facts))
    body = vote.header_bytes if isinstance(vote, HeaderVote) else vote.body
    _prove(state, Statement.DENIAL, s.signer, (made.body, made.signature), (body, vote.signature), out)


def _prove(
    state: ReplicaState,
    statement: Statement,
    signer: int,
    one: tuple[bytes, bytes],
    other: tuple[bytes, bytes],
    out: list[Effect],
) -> None:
    """One proof a signer and kind is enough; whoever equivocates once does so often."""
    if (signer, statement) in state.accused or max(len(one[0]), len(other[0])) > MAX_BODY_BYTES:
        return
    state.accused.add((signer, statement))
    out.append(Accuse(equivocation(statement, (state.config.ledger, state.config.epoch, signer), one, other)))
