"""One's own signature on what is not in one's log: a second process has the key, or this disk is an old or a new one.

Only what lies above the final height, or names no view below the highest one signed in, counts: older messages may be
replayed by anybody and say nothing; so are those of other epochs, where this index may be somebody else's. What this
key signed above the final height is in the log, whatever its view. A VIEW-CHANGE or NEW-VIEW of a view that forgotten
votes name is known to be lost, and the NEW-VIEW in force may hold it for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain_core.codec.block import decode_header
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.node.safe_signer import SafeSigner
from chain_core.types.block import (
    Certificate,
    HeaderVote,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
)
from chain_core.types.reopening import SignedStatement


def foreign_vote(message: Message, signer: SafeSigner) -> str:
    """What a (verified) message carries under the own key that this node never signed; empty when nothing."""
    match message:
        case PrePrepare(vote=vote) | (SignedVote() as vote):
            return foreign_votes((vote,), signer)
        case CommitProof(commits=commits):
            return foreign_votes(commits, signer)
        case HeaderVote():
            if message.signer == signer.me:
                return foreign_header(message.header_bytes, signer)
        case SignedStatement():
            return foreign_statement(message, signer)
        case SignedViewChange():
            return foreign_view_change(message, signer)
        case SignedNewView():
            return _new_view(message, signer)
        case FinalityNotice(header_bytes=header_bytes, certificate=certificate):
            return foreign_certificate(header_bytes, certificate, signer)
        case Heartbeat():
            pass
    return ""


def foreign_certificate(header_bytes: bytes, certificate: Certificate, signer: SafeSigner) -> str:
    """The same for a certified header: a node that is behind its own signatures has lost them."""
    if any(index == signer.me for index, _ in certificate.signatures):
        return foreign_header(header_bytes, signer)
    return ""


def foreign_votes(votes: Iterable[SignedVote], signer: SafeSigner) -> str:
    """The same for ordering votes."""
    for vote in votes:
        v = vote.vote
        own = (v.epoch, v.signer) == (signer.epoch, signer.me)
        if own and v.height > signer.final_height and not signer.knows(vote.body):
            return f"{v.phase.name} at height {v.height}, view {v.view}"
    return ""


def foreign_statement(made: SignedStatement, signer: SafeSigner) -> str:
    """The same for a statement on an attempt, which rests on a log that this one is not."""
    s = made.statement
    own = (s.epoch, s.signer) == (signer.epoch, signer.me)
    if not own or s.height <= signer.final_height:
        return ""
    known = signer.statements.get((s.height, s.attempt))  # for another order it says the same
    if known is not None and (known.statement.cast, known.statement.digest) == (s.cast, s.digest):
        return ""
    return f"statement on height {s.height}, attempt {s.attempt}"


def foreign_header(header_bytes: bytes, signer: SafeSigner) -> str:
    """The same for a header under which the own signature stands."""
    header = decode_header(header_bytes)
    height = header.height
    if header.epoch == signer.epoch and height > signer.final_height and not signer.knows(header_bytes):
        return f"header vote at height {height}"
    return ""


def foreign_view_change(message: SignedViewChange, signer: SafeSigner) -> str:
    """The same for a VIEW-CHANGE and what it carries."""
    view = message.message.new_view
    own = (message.message.epoch, message.message.signer) == (signer.epoch, signer.me)
    if own and _counts(view, signer) and not signer.knows(message.body):
        return f"VIEW-CHANGE for view {view}"
    return _carried(message.message, signer)


def _counts(view: int, signer: SafeSigner) -> bool:
    """Whether a VIEW-CHANGE or NEW-VIEW of this view would be in the log if this process had signed it."""
    return view >= signer.highest_view and view > signer.forgotten_view


def _new_view(message: SignedNewView, signer: SafeSigner) -> str:
    view = message.message.view
    own = (message.message.epoch, message.message.signer) == (signer.epoch, signer.me)
    if own and _counts(view, signer) and not signer.knows(message.body):
        return f"NEW-VIEW of view {view}"
    for change in message.message.view_changes:
        found = foreign_view_change(change, signer)
        if found:
            return found
    return foreign_votes(message.message.pre_prepares, signer)


def _carried(message: ViewChange, signer: SafeSigner) -> str:
    """Votes and header votes that a VIEW-CHANGE carries as evidence."""
    if message.final_certificate is not None:
        found = foreign_certificate(message.final_header, message.final_certificate, signer)
        if found:
            return found
    for prepared in message.prepared:
        found = foreign_votes((prepared.pre_prepare, *prepared.prepares), signer)
        if found:
            return found
    return ""
