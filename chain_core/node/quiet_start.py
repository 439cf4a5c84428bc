"""From start until this signer knows that its log lacks no vote, the replica follows and signs nothing.

The questions are in ``signer_questions``; this is their effect on one replica, and what its operator is told. Lost
votes are written down: whoever showed them may have forgotten them when this node starts once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from chain_core.consensus.messages import FinalityNotice
from chain_core.consensus.pbft import Pbft
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import ConsensusFrame, HeldVotes
from chain_core.node.journal import LostVotes, lost_votes, lost_votes_record
from chain_core.node.ports import Observer, Transport
from chain_core.node.safe_signer import SafeSigner
from chain_core.node.signer_questions import Lost, SignerQuestions

VOTES_LOST = "VOTES_LOST"
VOTES_AGAIN = "VOTES_AGAIN"


class Outside(Protocol):
    """What is needed of the replica's ports."""

    @property
    def transport(self) -> Transport:
        """Frames to peers."""
        ...

    @property
    def observer(self) -> Observer:
        """Who is told."""
        ...


class QuietStart:
    """The silence of one start. ``signer`` None: a node that is no member now, and asks when it becomes one."""

    def __init__(
        self,
        questions: SignerQuestions,
        signer: SafeSigner | None,
        store: LedgerStore,
        core: Pbft,
        outside: Outside,
    ) -> None:
        self.questions = questions
        self._told = False
        self._shown: FinalityNotice | None = None
        self._signer, self._store, self._core, self._outside = signer, store, core, outside
        self._written = lost_votes(store, core.state.config.epoch)
        if self._written is not None and self._written.what:
            lost = Lost(self._written.what, self._written.height, self._written.view)
            self._tell(lost)
            questions.remember(lost)
        elif self._written is not None and signer is not None:
            signer.not_below(self._written.view)

    def follow(self, core: Pbft, signer: SafeSigner | None, peers: Sequence[int], needed: int) -> None:
        """Another epoch has begun, with an instance and perhaps a signer of its own; ``needed`` is its q-1.

        While nobody knows what the log lacks, the members of now are asked: answers so far told of another epoch. So
        does a node that was no member since its start: its disk may be older than a membership that it has forgotten.
        """
        self._core, self._signer = core, signer
        if self.questions.open:
            self.questions = self.questions.again(peers, needed)
            core.state.silent = signer is not None

    def _window(self) -> int:
        return self._core.state.config.parameters.window_heights

    @property
    def words(self) -> str:
        """Why nothing is signed yet; empty when it may be."""
        if self._signer is None:
            return ""
        return self.questions.words(self._store.final_height, self._window())

    @property
    def forgotten_view(self) -> int:
        """Up to which the core may not ask for views; -1: it may ask for any."""
        return self._signer.forgotten_view if self._signer is not None else -1

    def begin(self) -> None:
        """Be silent, and ask."""
        self._core.state.silent = self._signer is not None
        self.ask()

    def ask(self) -> None:
        """Questions get lost: put them again to whoever has not answered."""
        if self._signer is None:
            return
        self.questions.ask(self._outside.transport)
        if self._shown is not None and self.questions.open and self.questions.target > self._store.final_height:
            # Whoever showed it may be the only one to have it, and serve nothing: with it the others, who may have
            # executed that block and lack this signer's vote alone, are final there and serve it.
            self._outside.transport.broadcast(ConsensusFrame(self._shown))

    def take(self, peer: int, answer: HeldVotes) -> None:
        """A verified answer."""
        if self._signer is None:
            return
        before = self.questions.target
        self._tell(self.questions.take(peer, answer, self._signer, self._window()))
        self._write_down()
        if self.questions.target > before and answer.certificate is not None:
            self._shown = FinalityNotice(answer.final_header, answer.certificate)

    def expects(self, vote: Lost) -> bool:
        """Whether a foreign vote may be one that this disk has forgotten: told once, no reason to halt."""
        if not self._core.state.silent:
            return False
        if not self.questions.saw(vote):
            return False
        self._tell(vote)
        self._write_down()
        return True

    def ends(self) -> bool:
        """Whether the silence ends now; then the signer stays out of the views that it had left before."""
        signer, final_height = self._signer, self._store.final_height
        barrier = self._core.state.config.barrier
        if signer is None or not self._core.state.silent or (barrier is not None and final_height + 1 >= barrier):
            return False  # at the end of an epoch the next one's members are asked
        if not self.questions.done(final_height, self._window()):
            return False
        self._core.state.silent = False
        signer.not_below(self.questions.view)
        if self._written is not None and self._written.what:  # the view it names stays closed to this key
            self._written = replace(self._written, what="")
            self._store.log_write((lost_votes_record(self._written),))
        if self.questions.first_lost:
            facts: dict[str, str | int] = {"height": self._store.final_height, "lost": self.questions.horizon}
            self._outside.observer.alarm(VOTES_AGAIN, facts)
        return True

    def _write_down(self) -> None:
        """Synced, before anything could be signed."""
        asked = self.questions
        if asked.first_lost and self._signer is not None:
            epoch, before = self._signer.epoch, self._written
            closed = before.view if before is not None and before.epoch == epoch else 0  # by an earlier loss
            lost = LostVotes(epoch, asked.horizon, max(asked.view, closed), asked.first_lost)
            if lost != self._written:
                self._store.log_write((lost_votes_record(lost),))
                self._written = lost

    def _tell(self, lost: Lost | None) -> None:
        if lost is not None and not self._told:
            self._told = True
            facts: dict[str, str | int] = {"vote": lost.what, "final_height": self._store.final_height}
            self._outside.observer.alarm(VOTES_LOST, facts)
