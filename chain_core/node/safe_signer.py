"""The safe signer: the one place that signs consensus messages, and refuses to equivocate (ARCHITECTURE, consensus).

- header vote: one header per (height, attempt), for ever;
- PRE-PREPARE, PREPARE and COMMIT: one digest per (height, view, phase), only in the highest view in which this key
  signed anything or whose NEW-VIEW it logged, and not once it asked for that view to begin;
- SKIP: one per (height, attempt), never beside a header vote there, in whichever order;
- statement: names what was cast at a (height, attempt); neither header vote nor SKIP is cast there afterwards;
- VIEW-CHANGE, NEW-VIEW: one per view, none for a view that forgotten votes name;
- all of them in one epoch only: the one of the height above the final one.

What it signed is read back from the vote log at start; a vote is signed once, and only the logged bytes are sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.reopening import cast_of, encode_statement
from chain_core.codec.votes import encode_new_view, encode_view_change, encode_vote
from chain_core.node.vote_keys import Sign
from chain_core.types.block import (
    HeaderVote,
    NewView,
    Phase,
    SignedNewView,
    SignedViewChange,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.errors import LocalFault
from chain_core.types.reopening import AttemptStatement, SignedOrder, SignedStatement


class SigningRefused(LocalFault):
    """Signing would contradict something this key signed before."""

    code = "SIGNING_REFUSED"


@dataclass(slots=True)
class SafeSigner:
    """Signs for one validator (``me``) on one ledger of one chain; ``epoch`` is the present one."""

    sign: Sign
    me: int
    genesis_hash: bytes
    final_height: int
    highest_view: int = 0
    view_changing: bool = False
    """A VIEW-CHANGE for ``highest_view`` is signed and its NEW-VIEW not entered."""
    votes: dict[tuple[int, int, Phase], SignedVote] = field(default_factory=dict)
    headers: dict[tuple[int, int], HeaderVote] = field(default_factory=dict)
    statements: dict[tuple[int, int], SignedStatement] = field(default_factory=dict)
    """The latest one of each (height, attempt): all of a place say the same, for one order or another."""
    view_change: SignedViewChange | None = None
    new_view: SignedNewView | None = None
    epoch: int = 0
    forgotten_view: int = -1
    """The highest view that votes under this key name which the log has lost."""

    def begin_epoch(self, epoch: int, me: int) -> None:
        """The last height of the epochs before is final: views start at 0, nothing of them is signed any more."""
        if epoch <= self.epoch:
            raise self._refuse(f"epoch {epoch} after epoch {self.epoch}", self.final_height, 0)
        self.epoch, self.me, self.highest_view, self.view_changing = epoch, me, 0, False
        self.view_change = self.new_view = None
        self.forgotten_view = -1

    def vote(self, vote: Vote) -> SignedVote:
        """Sign an ordering vote, or give the bytes signed before; SigningRefused for a second digest."""
        return self._known(vote) or self._signed([self._allowed(vote)])[0]

    def _known(self, vote: Vote) -> SignedVote | None:
        known = self.votes.get((vote.height, vote.view, vote.phase))
        if known is not None and known.vote != vote:
            raise self._refuse(f"a {vote.phase.name} for another digest is signed", vote.height, vote.view)
        return known

    def _allowed(self, vote: Vote) -> Vote:
        """A vote that is not signed yet and may be."""
        self._own_epoch(vote.epoch, vote.height, vote.view)
        if vote.signer != self.me or vote.height <= self.final_height:
            raise self._refuse(f"a {vote.phase.name} for a final height or another signer", vote.height, vote.view)
        if vote.view < self.highest_view:
            raise self._refuse(f"a {vote.phase.name} below view {self.highest_view}", vote.height, vote.view)
        if vote.view > self.highest_view or self.view_changing:
            raise self._refuse(f"a {vote.phase.name} in a view that was not entered", vote.height, vote.view)
        return vote

    def _signed(self, votes: Sequence[Vote]) -> list[SignedVote]:
        """Allowed votes, signed in one call; remembered above the final height."""
        if not votes:
            return []
        bodies = [encode_vote(vote) for vote in votes]
        made = list(map(SignedVote, votes, bodies, self.sign(signed.VOTE, bodies)))
        for one in made:
            if one.vote.height > self.final_height:
                self.votes[(one.vote.height, one.vote.view, one.vote.phase)] = one
        return made

    def _sign(self, tag: bytes, body: bytes) -> bytes:
        (signature,) = self.sign(tag, (body,))
        return signature

    def skip(self, vote: Vote) -> SignedVote:
        """Sign a SKIP, one an attempt and only where no header is signed; the one signed before is given again."""
        place = (vote.height, vote.attempt, Phase.SKIP)
        known = self.votes.get(place)
        if known is not None:
            if known.vote != vote:
                raise self._refuse("another SKIP of this attempt is signed", vote.height, 0)
            return known
        self._own_epoch(vote.epoch, vote.height, 0)
        if vote.signer != self.me or vote.height <= self.final_height or (vote.height, vote.attempt) in self.headers:
            raise self._refuse("a SKIP beside a header vote or at a final height", vote.height, 0)
        self._not_stated(vote.height, vote.attempt)
        body = encode_vote(vote)
        made = SignedVote(vote, body, self._sign(signed.VOTE, body))
        self.votes[place] = made
        return made

    def header(self, header_bytes: bytes) -> HeaderVote:
        """Sign a header, or give the bytes signed before; SigningRefused for a second one at its height and attempt."""
        header = decode_header(header_bytes)
        known = self.headers.get((header.height, header.attempt))
        if known is not None:
            if known.header_bytes != header_bytes:
                raise self._refuse("another header of this height is signed", header.height, 0)
            return known
        self._own_epoch(header.epoch, header.height, 0)
        if (header.height, header.attempt, Phase.SKIP) in self.votes:
            raise self._refuse("a header at an attempt that this key asked to skip", header.height, 0)
        if header.height <= self.final_height:
            raise self._refuse("a header vote for a final height", header.height, 0)
        self._not_stated(header.height, header.attempt)
        digest = header_hash(header_bytes)
        made = HeaderVote(header, header_bytes, digest, self.me, self._sign(signed.HEADER, header_bytes))
        self.headers[(header.height, header.attempt)] = made
        return made

    def statement(self, order: SignedOrder) -> SignedStatement:
        """State what this key cast at the order's attempt: nothing more is signed there, for ever."""
        o = order.order
        known = self.statements.get((o.height, o.attempt))
        if known is not None and known.statement.order == order.order_hash:
            return known
        self._own_epoch(o.epoch, o.height, 0)
        if o.height <= self.final_height:
            raise self._refuse("a statement on a final height", o.height, 0)
        evidence = self.headers.get((o.height, o.attempt)) or self.votes.get((o.height, o.attempt, Phase.SKIP))
        place = o.ledger, o.epoch, o.height, o.attempt
        statement = AttemptStatement(order.order_hash, *place, self.me, *cast_of(evidence))
        body = encode_statement(statement)
        made = SignedStatement(statement, body, evidence, self._sign(signed.STATEMENT, body))
        self.statements[(o.height, o.attempt)] = made
        return made

    def _not_stated(self, height: int, attempt: int) -> None:
        if (height, attempt) in self.statements:
            raise self._refuse("a vote at an attempt on which this key has made its statement", height, 0)

    def change(self, message: ViewChange) -> SignedViewChange:
        """Sign a VIEW-CHANGE, one a view; the one signed before is given again."""
        known = self.view_change
        if known is not None and known.message.new_view == message.new_view:
            return known
        self._own_epoch(message.epoch, 0, message.new_view)
        if message.new_view <= self.highest_view or message.signer != self.me:
            raise self._refuse("a VIEW-CHANGE below the highest view signed in", 0, message.new_view)
        body = encode_view_change(message)
        made = SignedViewChange(message, body, self._sign(signed.VIEW_CHANGE, body))
        self.view_change = made
        self.highest_view = message.new_view
        self.view_changing = True
        return made

    def lead(self, message: NewView, re_proposals: tuple[Vote, ...]) -> SignedNewView:
        """Sign a NEW-VIEW and its PRE-PREPAREs, one a view."""
        known = self.new_view
        if known is not None and known.message.view == message.view:
            return known
        self._own_epoch(message.epoch, 0, message.view)
        if message.view <= self.forgotten_view:
            raise self._refuse("a NEW-VIEW that this key may have signed before its log was lost", 0, message.view)
        if message.view < self.highest_view or message.signer != self.me:
            raise self._refuse("a NEW-VIEW below the highest view signed in", 0, message.view)
        self.entered(message.view)
        votes = self._proposals(re_proposals)
        whole = NewView(message.ledger, message.epoch, message.view, message.signer, message.view_changes, votes)
        body = encode_new_view(whole)
        made = SignedNewView(whole, body, self._sign(signed.NEW_VIEW, body))
        self.new_view = made
        return made

    def _proposals(self, votes: Sequence[Vote]) -> tuple[SignedVote, ...]:
        """The PRE-PREPAREs of a NEW-VIEW, those that are not signed yet in one call.

        One for a height that became final here meanwhile is obliged by the q VIEW-CHANGEs, and the very batch that is
        final: signing it contradicts nothing.
        """
        known = {v.height: self._known(v) for v in votes if v.height > self.final_height}
        due = [v for v in votes if known.get(v.height) is None]
        made = self._signed([self._allowed(v) if v.height > self.final_height else v for v in due])
        fresh = {one.vote.height: one for one in made}
        return tuple(known.get(v.height) or fresh[v.height] for v in votes)

    def entered(self, view: int) -> None:
        """The NEW-VIEW of ``view`` was logged: votes in it are allowed, below it refused."""
        if view >= self.highest_view:
            self.highest_view = view
            self.view_changing = False

    def not_below(self, view: int) -> None:
        """This key asked for, or voted in, ``view`` before the log was lost: nothing is signed below it, and no
        VIEW-CHANGE or NEW-VIEW for it."""
        self.forgotten_view = max(self.forgotten_view, view)
        if view > self.highest_view:
            self.highest_view = view
            self.view_changing = True

    def knows(self, body: bytes) -> bool:
        """Whether this key's signature over ``body`` (a vote, VIEW-CHANGE, NEW-VIEW or header) was made here."""
        known = {v.body for v in self.votes.values()} | {h.header_bytes for h in self.headers.values()}
        known |= {made.body for made in self.statements.values()}
        if self.view_change is not None:
            known.add(self.view_change.body)
        if self.new_view is not None:
            known.add(self.new_view.body)
            known.update(v.body for v in self.new_view.message.pre_prepares)
        return body in known

    def prune(self, final_height: int) -> None:
        """Forget votes of final heights: nothing at or below them is ever signed again."""
        self.final_height = max(self.final_height, final_height)
        self.votes = {key: v for key, v in self.votes.items() if key[0] > self.final_height}
        self.headers = {key: v for key, v in self.headers.items() if key[0] > self.final_height}
        self.statements = {key: v for key, v in self.statements.items() if key[0] > self.final_height}

    def _own_epoch(self, epoch: int, height: int, view: int) -> None:
        if epoch != self.epoch:
            raise self._refuse(f"a vote of epoch {epoch} in epoch {self.epoch}", height, view)

    def _refuse(self, what: str, height: int, view: int) -> SigningRefused:
        return SigningRefused(
            what,
            where=f"height {height}, view {view}",
            next_step="look for a second process with this key, or an old disk that was restored",
        )
