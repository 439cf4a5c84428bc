"""What a signer asks its peers before it votes: which votes they hold under its key (docs/spec/pbft.md §6).

A disk that was restored from a backup has forgotten votes. Peers hold some of them: until q-1 others answered nothing
is signed, and when an answer shows a vote that the log lacks, nothing is signed until the chain is final beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from chain_core.codec.block import decode_header
from chain_core.consensus.messages import CommitProof, FinalityNotice, Heartbeat, Message, PrePrepare
from chain_core.consensus.state import ReplicaState
from chain_core.network.frame_codec import MAX_HELD_VOTES
from chain_core.network.frames import NONCE_SIZE, HeldVotes, WantVotes
from chain_core.node.ports import Transport
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.twin_guard import (
    foreign_certificate,
    foreign_header,
    foreign_statement,
    foreign_view_change,
    foreign_votes,
)
from chain_core.types.block import HeaderVote, Phase, SignedNewView, SignedViewChange, SignedVote, ViewChange
from chain_core.types.reopening import SignedStatement

Draw = Callable[[int], bytes]
"""So many random bytes."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A vote under the own key that is not in the log."""

    what: str
    height: int
    view: int = 0


class SignerQuestions:
    """The questions of one start. While ``open`` the replica follows and signs nothing.

    ``needed`` answers (q-1) are waited for. With a lost vote the signer stays silent until the chain is final beyond
    ``horizon`` + W; votes that come to light further up cannot be old ones: another process has the key.
    """

    def __init__(self, peers: Sequence[int], needed: int, draw: Draw) -> None:
        self._nonces = {peer: draw(NONCE_SIZE) for peer in peers}
        self._needed, self._draw = needed, draw
        self.answered: set[int] = set()
        self.open = True
        self.horizon = 0
        """The highest height at which a vote is known to be lost; 0: none."""
        self.view = 0
        """The highest view of this epoch that a lost vote names."""
        self.target = 0
        """The highest final height that an answer proved."""
        self.first_lost = ""
        self._limit: int | None = None

    def again(self, peers: Sequence[int], needed: int) -> SignerQuestions:
        """Those of the next epoch, to its members: nobody has answered, its views are others; what is lost stays so."""
        made = SignerQuestions(peers, needed, self._draw)
        made.horizon, made.target, made.first_lost = self.horizon, self.target, self.first_lost
        return made

    @property
    def enough(self) -> bool:
        """Whether q-1 others have answered."""
        return len(self.answered) >= self._needed

    def ask(self, transport: Transport) -> None:
        """Put the question to whoever has not answered it."""
        if self.enough or not self.open:
            return
        for peer, nonce in self._nonces.items():
            if peer not in self.answered:
                transport.send(peer, WantVotes(nonce))

    def awaits(self, peer: int, nonce: bytes) -> bool:
        """Whether this is the answer of a peer that was asked: only who got the question knows its nonce."""
        return self.open and not self.enough and peer not in self.answered and self._nonces.get(peer) == nonce

    def take(self, peer: int, answer: HeldVotes, signer: SafeSigner, window: int) -> Lost | None:
        """Count a verified answer; the first lost vote in it.

        One that shows votes of another epoch does not count: whether they are lost can be told in that epoch only.
        """
        if not self.awaits(peer, answer.nonce) or any(epoch != signer.epoch for epoch in _epochs(answer)):
            return None
        self.answered.add(peer)
        if answer.final_header:
            self.target = max(self.target, decode_header(answer.final_header).height)
        found = list(_lost_in(answer, signer))
        for lost in found:
            self._note(lost)
        if self.enough:
            self._limit = max(self.horizon, self.target) + window
        return found[0] if found else None

    def saw(self, lost: Lost) -> bool:
        """A lost vote came to light otherwise; False when it is too new to be one: the key is in use elsewhere."""
        if self._limit is not None and lost.height > self._limit:
            return False
        self._note(lost)
        return True

    def remember(self, lost: Lost) -> None:
        """Votes that were known to be lost before this start."""
        self._note(lost)

    def _note(self, lost: Lost) -> None:
        self.first_lost = self.first_lost or lost.what
        self.horizon, self.view = max(self.horizon, lost.height), max(self.view, lost.view)

    def done(self, final_height: int, window: int) -> bool:
        """Whether the signer may vote from now on."""
        if self.open and self.enough and final_height >= self.target:
            self.open = bool(self.first_lost) and final_height <= self.horizon + window
        return not self.open

    def words(self, final_height: int, window: int) -> str:
        """Why nothing is signed, for operators; empty when it may be."""
        if not self.open:
            return ""
        if not self.enough:
            return f"asking the others for its earlier votes: {len(self.answered)} of {self._needed} have answered"
        if self.first_lost:
            return (
                f"votes under its key are missing in its log ({self.first_lost}; was an old disk restored?): "
                f"it votes again when the chain is final above {self.horizon + window}, it is at {final_height}"
            )
        return f"fetching blocks up to {self.target} before it votes, it is at {final_height}"


def held_votes(state: ReplicaState, asker: int, nonce: bytes) -> HeldVotes:
    """What this replica holds under the key of ``asker``, and its final height."""
    votes = dict.fromkeys(vote for vote in _ordering_votes(state) if vote.vote.signer == asker)
    headers = [held[asker] for slot in state.ascending() for held in (slot.header_votes, slot.ahead) if asker in held]
    certificate = state.final_certificate
    return HeldVotes(
        nonce,
        state.final_header if certificate is not None else b"",
        certificate,
        tuple(votes)[:MAX_HELD_VOTES],
        tuple(headers)[:MAX_HELD_VOTES],
        _latest_view_change(state, asker),
        tuple(made for made in _statements(state) if made.statement.signer == asker)[:MAX_HELD_VOTES],
    )


def _statements(state: ReplicaState) -> Iterator[SignedStatement]:
    for slot in state.ascending():
        yield from slot.statements.values()
        for reopening in slot.reopenings:
            yield from reopening.statements


def _latest_view_change(state: ReplicaState, asker: int) -> SignedViewChange | None:
    """The own one, or the one in the NEW-VIEW that is in force: whoever leads a view asked for it, too."""
    carried = state.new_view.message.view_changes if state.new_view is not None else ()
    known = [change for change in (state.view_changes.get(asker), *carried) if change is not None]
    own = [change for change in known if change.message.signer == asker]
    return max(own, key=lambda change: change.message.new_view, default=None)


def _ordering_votes(state: ReplicaState) -> Iterator[SignedVote]:
    for slot in state.ascending():
        if slot.accepted is not None:
            yield slot.accepted.vote
        yield from slot.prepares.values()
        yield from slot.commits.values()
        if slot.prepared is not None:
            yield slot.prepared.pre_prepare
            yield from slot.prepared.prepares
        if slot.proof is not None:
            yield from slot.proof.commits
        yield from slot.skips.values()
        for skips in slot.proofs:
            yield from skips


def _epochs(answer: HeldVotes) -> Iterator[int]:
    """Of the votes in an answer."""
    yield from (vote.vote.epoch for vote in answer.votes)
    yield from (vote.header.epoch for vote in answer.header_votes)
    yield from (made.statement.epoch for made in answer.statements)
    if answer.view_change is not None:
        yield answer.view_change.message.epoch


def _lost_in(answer: HeldVotes, signer: SafeSigner) -> Iterator[Lost]:
    for vote in answer.votes:
        if what := foreign_votes((vote,), signer):
            yield Lost(what, *place_of(vote))
    for header_vote in answer.header_votes:
        if what := foreign_header(header_vote.header_bytes, signer):
            yield Lost(what, header_vote.header.height)
    for made in answer.statements:
        if what := foreign_statement(made, signer):
            yield Lost(what, made.statement.height)
    if answer.view_change is not None and (what := foreign_view_change(answer.view_change, signer)):
        yield Lost(what, *place_of(answer.view_change))
    if answer.certificate is not None and (
        what := foreign_certificate(answer.final_header, answer.certificate, signer)
    ):
        yield Lost(what, decode_header(answer.final_header).height)


def place_of(message: Message) -> tuple[int, int]:
    """The highest (height, view) that a message names: how far its votes may reach."""
    match message:
        case PrePrepare(vote=vote) | (SignedVote() as vote):
            return vote.vote.height, 0 if vote.vote.phase is Phase.SKIP else vote.vote.view
        case CommitProof(commits=commits):
            return commits[0].vote.height, commits[0].vote.view
        case HeaderVote():
            return message.header.height, 0
        case SignedStatement():
            return message.statement.height, 0
        case SignedViewChange():
            return _reach(message.message), message.message.new_view
        case SignedNewView():
            inner = message.message
            heights = [_reach(change.message) for change in inner.view_changes]
            return max([*heights, *(vote.vote.height for vote in inner.pre_prepares)]), inner.view
        case FinalityNotice(header_bytes=header_bytes):
            return decode_header(header_bytes).height, 0
        case Heartbeat():
            return 0, 0


def _reach(change: ViewChange) -> int:
    return max([decode_header(change.final_header).height, *(p.batch.height for p in change.prepared)])
