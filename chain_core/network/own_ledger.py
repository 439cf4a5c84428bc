"""Of which ledger a peer's message is: what is signed for one is shown on no other (docs/spec/sub-ledgers.md §4).

One key serves all ledgers of a chain, so that every signature of ledger 0 verifies on ledger 1, too. What is nested in
a message is of its ledger already (``message_signatures``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from chain_core.codec.block import decode_header
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.network.frames import HeldVotes
from chain_core.types.block import HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.errors import PeerFault
from chain_core.types.reopening import SignedStatement


def require_message(message: Message, ledger: int) -> None:
    """Raises PeerFault for a consensus message of another ledger, MalformedBytes for a header that does not decode."""
    match message:
        case PrePrepare(vote=vote) | (SignedVote() as vote):
            found = vote.vote.ledger
        case CommitProof(batch=batch):
            found = batch.ledger
        case HeaderVote(header=header):
            found = header.ledger
        case SignedStatement():
            found = message.statement.ledger
        case SignedViewChange():
            found = message.message.ledger
        case SignedNewView():
            found = message.message.ledger
        case FinalityNotice(header_bytes=header_bytes):
            found = decode_header(header_bytes).ledger
        case Heartbeat():
            return  # it is of the link's
        case _:
            assert_never(message)
    require(found, ledger, type(message).__name__)


def require_held(answer: HeldVotes, ledger: int) -> None:
    """The same for an answer to a signer's question, and everything in it."""
    for found in _held(answer):
        require(found, ledger, "held votes")


def require(found: int, ledger: int, where: str) -> None:
    """Raises PeerFault unless the two are one."""
    if found != ledger:
        raise PeerFault(
            f"of ledger {found} on a link of ledger {ledger}",
            where=where,
            next_step="drop it; a link that repeats this is cut",
        )


def _held(answer: HeldVotes) -> Iterator[int]:
    yield from (vote.vote.ledger for vote in answer.votes)
    yield from (vote.header.ledger for vote in answer.header_votes)
    yield from (made.statement.ledger for made in answer.statements)
    if answer.view_change is not None:
        yield answer.view_change.message.ledger
    if answer.certificate is not None:
        yield decode_header(answer.final_header).ledger
