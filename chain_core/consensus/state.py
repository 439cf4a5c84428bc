"""All that affects a replica's behaviour: configuration, recovered log, the state of one epoch (PBFT §4).

Heights final+1 to final+W are in flight, a slot each. Everything here is bounded by the number of validators and by W,
never by what peers send.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from chain_core.codec.block import decode_header
from chain_core.consensus.messages import CommitProof, Message, PrePrepare
from chain_core.types.block import (
    Batch,
    Certificate,
    HeaderVote,
    PreparedCertificate,
    SignedNewView,
    SignedViewChange,
    SignedVote,
)
from chain_core.types.reopening import Reopening, SignedOrder, SignedStatement
from chain_core.types.validator_set import ValidatorSet

ATTEMPT = 0
"""Batches are ordered at attempt 0; execution opens others. Ordering votes of another one are not counted."""
NEW_VIEW_BYTES = 16_000_000
"""A NEW-VIEW has to fit into one frame: it carries what q replicas prepared at every height of the window."""


@dataclass(frozen=True, slots=True)
class ConsensusParameters:
    """The on-chain parameters the core reads; times in milliseconds."""

    order_timeout_ms: int
    order_timeout_max_ms: int
    resend_ms: int
    clock_tolerance_ms: int
    max_block_transactions: int
    window_heights: int
    idle_block_ms: int
    """An idle chain gets an empty block so long after its last one; 0: never."""
    former_block_transactions: int = 0
    """The largest ``max_block_transactions`` that was in force when a height in flight may have been proposed."""

    @property
    def proposal_transactions(self) -> int:
        """How many ids a correct primary may have proposed for a height in flight."""
        return max(self.max_block_transactions, self.former_block_transactions)

    @classmethod
    def from_chain(cls, parameters: dict[str, int], former_block_transactions: int = 0) -> ConsensusParameters:
        """Pick the core's parameters out of the chain's."""
        return cls(
            parameters["order_timeout_ms"],
            parameters["order_timeout_max_ms"],
            parameters["resend_ms"],
            parameters["clock_tolerance_ms"],
            parameters["max_block_transactions"],
            parameters["window_heights"],
            parameters["idle_block_ms"],
            former_block_transactions,
        )


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Who this replica is and whom it agrees with. ``me`` is None for an observer: it follows and never votes."""

    validators: ValidatorSet
    me: int | None
    ledger: int
    epoch: int
    genesis_hash: bytes
    parameters: ConsensusParameters
    barrier: int | None = None
    """First height of the next epoch, when one is scheduled: this instance orders nothing from there on."""


@dataclass(frozen=True, slots=True)
class RecoveredSlot:
    """What the log holds of one height above the final one."""

    height: int
    accepted: PrePrepare | None = None
    """The PRE-PREPARE of the log's highest view, if one was accepted there."""
    prepared: PreparedCertificate | None = None
    """The one of the highest view."""
    own_prepare: SignedVote | None = None
    own_commit: SignedVote | None = None
    own_header_votes: tuple[HeaderVote, ...] = ()
    """One an attempt, ascending."""
    own_skips: tuple[SignedVote, ...] = ()
    skip_proofs: tuple[tuple[SignedVote, ...], ...] = ()
    """The q SKIPs that ended an attempt, one entry an attempt that ended so."""
    reopenings: tuple[Reopening, ...] = ()
    """What ended the other attempts below the open one."""
    order: SignedOrder | None = None
    """The latest order that was taken."""
    own_statement: SignedStatement | None = None
    """The one of the highest attempt."""


@dataclass(frozen=True, slots=True)
class RecoveredLog:
    """What a restarted replica finds on its disk; ``slots`` ascend by height, none is at or below the final one."""

    final_header: bytes
    final_certificate: Certificate | None
    view: int = 0
    own_view_change: SignedViewChange | None = None
    new_view: SignedNewView | None = None
    slots: tuple[RecoveredSlot, ...] = ()


@dataclass(frozen=True, slots=True)
class ReProposal:
    """What a NEW-VIEW obliges everybody to take up at one height; ``sources`` have its bodies."""

    message: PrePrepare
    sources: tuple[int, ...]


@dataclass(slots=True)
class Slot:
    """Ordering and finality of one height in flight (PBFT §4.2, §4.3)."""

    height: int
    accepted: PrePrepare | None = None
    """The PRE-PREPARE accepted in the present view; while the view is being left, in the one before."""
    held: set[bytes] = field(default_factory=set)
    """Digests of batches whose bodies are here, verified; ``wanted`` are the ones being fetched."""
    wanted: set[bytes] = field(default_factory=set)
    prepares: dict[int, SignedVote] = field(default_factory=dict)
    """PREPAREs of the present view, one a sender."""
    commits: dict[int, SignedVote] = field(default_factory=dict)
    """COMMITs, the one of the highest view a sender."""
    prepared: PreparedCertificate | None = None
    """The prepared certificate of the highest view: what VIEW-CHANGE carries."""
    own_prepare: SignedVote | None = None
    own_commit: SignedVote | None = None
    commit_view: int = -1
    """The highest view in which COMMIT was asked of the driver: its answer may come after other inputs."""
    proof: CommitProof | None = None
    """q COMMITs over one batch, collected here or received as a whole."""
    committed: bytes | None = None
    """Digest of the committed batch."""
    attempt: int = 0
    """The open attempt at executing the batch; each one before was ended by q SKIPs for one index, or reopened."""
    skipped: tuple[int, ...] = ()
    """Indices that this attempt leaves out, ascending."""
    faulted: int | None = None
    """The index that breaks the engine here at this attempt."""
    own_skips: dict[int, SignedVote] = field(default_factory=dict)
    """Own SKIPs by attempt: where there is one, no header is signed."""
    own_headers: dict[int, HeaderVote] = field(default_factory=dict)
    """Own header votes by attempt, as far as the log gave them back."""
    skips: dict[int, SignedVote] = field(default_factory=dict)
    """SKIPs at the open attempt, one a sender; ``proofs`` are the q of each attempt before that they ended."""
    proofs: list[tuple[SignedVote, ...]] = field(default_factory=list)
    reopenings: list[Reopening] = field(default_factory=list)
    """What ended the other attempts before the open one: an order and the statements of all."""
    order: SignedOrder | None = None
    """The order to reopen the open attempt, as its operator handed it in here."""
    stating: bool = False
    """The own statement for ``order`` was asked of the driver."""
    statements: dict[int, SignedStatement] = field(default_factory=dict)
    """Statements on the open attempt, for whatever order, the latest a sender; the own one too."""
    liars: set[int] = field(default_factory=set)
    """Who stated something else than it signed at the open attempt: its statements do not count."""
    ahead: dict[int, HeaderVote] = field(default_factory=dict)
    """Header votes at the attempt after the open one, one a sender."""
    executing: bool = False
    """The batch was given to the driver: heights are executed one after the other, each once."""
    executed: bytes | None = None
    """Header bytes that the committed batch leads to."""
    own_header_vote: HeaderVote | None = None
    header_votes: dict[int, HeaderVote] = field(default_factory=dict)
    certificate: tuple[bytes, Certificate] | None = None
    """A certified header of this height that waits for the own execution."""
    finalising: bool = False

    def open_attempt(self, votes: tuple[SignedVote, ...]) -> None:
        """q SKIPs ended the open attempt: the next one leaves their index out, too."""
        self.proofs.append(votes)
        self.skipped = tuple(sorted((*self.skipped, votes[0].vote.view)))
        self._next_attempt()

    def reopen(self, reopening: Reopening) -> None:
        """All n stated what they cast at the open attempt, and it decides nothing: the same batch once more."""
        self.reopenings.append(reopening)
        self._next_attempt()

    def _next_attempt(self) -> None:
        self.attempt += 1
        self.order, self.stating, self.statements, self.liars = None, False, {}, set()
        self.executing = False
        self.executed = self.certificate = self.faulted = None
        self.skips = {}
        self.header_votes = {s: v for s, v in self.ahead.items() if v.header.attempt == self.attempt}
        self.ahead = {}
        self.take_own()

    def take_own(self) -> None:
        """The own votes at the open attempt count."""
        self.own_header_vote = self.own_headers.get(self.attempt)
        if self.own_header_vote is not None:
            self.header_votes[self.own_header_vote.signer] = self.own_header_vote
        own_skip = self.own_skips.get(self.attempt)
        if own_skip is not None:
            self.skips[own_skip.vote.signer] = own_skip


@dataclass(slots=True)
class ReplicaState:
    """The state of one replica in one epoch."""

    config: ReplicaConfig
    final_header: bytes
    final_certificate: Certificate | None
    final_height: int
    slots: dict[int, Slot]
    """The heights in flight; the one above the final one always has a slot, the others when something is known."""
    certified: int = 0
    """Highest height known to have a certificate: up to it blocks are fetched, nothing is proposed or accepted."""
    view: int = 0
    view_changing: bool = False
    """VIEW-CHANGE for ``view`` was signed and no NEW-VIEW for it entered: no PREPARE or COMMIT is cast."""
    forgotten_view: int = -1
    """Views up to it are never asked for and never led: this key may have done so, and its log has lost it."""
    failed_views: int = 0
    """View changes since the last finality: doubles the ordering timer, up to its cap."""
    view_timer_started: bool = False
    """The timer of the view asked for runs (q VIEW-CHANGEs were held)."""
    order_timer_running: bool = False
    work: bool = False
    """Bodies wait that a correct primary would propose."""
    view_changes: dict[int, SignedViewChange] = field(default_factory=dict)
    """One slot a sender, its highest view; no cap on the gap (a capped replica could never meet the others again)."""
    own_view_change: SignedViewChange | None = None
    new_view: SignedNewView | None = None
    """The NEW-VIEW of the present view, served to whoever is behind."""
    building_new_view: bool = False
    re_proposals: dict[int, ReProposal] = field(default_factory=dict)
    """What the NEW-VIEW of the present view re-proposes above the final height."""
    next_proposal: int = 1
    """As primary of the present view: the height to propose next. Heights are proposed in ascending order, no gaps."""
    building: bool = False
    """A ``BuildBatch`` or the own PRE-PREPARE is out: the driver's answer may come after other inputs."""
    stash: dict[tuple[str, int, int], Message] = field(default_factory=dict)
    """Messages that came early, by kind, sender and height (a later view has not begun); height 0: the one beyond the
    window."""
    answered: set[tuple[str, int]] = field(default_factory=set)
    """Who got a catch-up answer since the last re-sending."""
    halted: bool = False
    silent: bool = False
    """The driver does not know yet whether this key's votes are all in the log: it follows and casts nothing."""
    accused: set[tuple[int, int]] = field(default_factory=set)
    """Signers and kinds of statements of which a proof of equivocation was made."""
    idle_told: int = -1
    """The final height at which a primary that leaves an idle chain without blocks was reported."""

    @property
    def slot(self) -> Slot:
        """The slot above the final height: the next to execute, and the one that timers watch."""
        return self.slots[self.final_height + 1]

    @property
    def closed(self) -> bool:
        """Whether the last height of this epoch is final: what comes next is ordered by the next one's instance."""
        return self.config.barrier is not None and self.final_height + 1 >= self.config.barrier

    @property
    def window_end(self) -> int:
        """The highest height in flight: final + W, less when a NEW-VIEW over so many heights fitted into no frame."""
        p, q = self.config.parameters, self.config.validators.q
        fits = NEW_VIEW_BYTES // (q * (32 * p.max_block_transactions + 256 * (q + 1)))
        return self.final_height + max(1, min(p.window_heights, fits))

    def slot_at(self, height: int) -> Slot | None:
        """The slot of a height in flight, made when first asked for; None outside the window and in the next epoch.

        A slot that a larger window opened stays when governance shrinks the window: what was prepared in it counts.
        """
        if self.config.barrier is not None and height >= self.config.barrier:
            return None
        slot = self.slots.get(height)
        if slot is None and self.final_height < height <= self.window_end:
            slot = self.slots[height] = Slot(height)
        return slot

    def ascending(self) -> Iterator[Slot]:
        """The slots in flight by height."""
        return (self.slots[height] for height in sorted(self.slots))

    @property
    def me(self) -> int | None:
        """Own index, None for an observer."""
        return self.config.me

    @property
    def is_primary(self) -> bool:
        """Whether this replica is the primary of the present view."""
        return self.config.me == self.config.validators.primary(self.view)

    def may_order(self, slot: Slot) -> bool:
        """Whether a height in flight is still to be ordered here; one with a certificate elsewhere is not."""
        return slot.committed is None and slot.height > self.certified and not self.closed

    def may_cast(self, slot: Slot) -> bool:
        """Whether a header vote or SKIP may still be cast at the open attempt."""
        return self.may_vote and self.config.me not in slot.statements

    def own_statement(self, slot: Slot) -> SignedStatement | None:
        """This replica's own statement for the order that it took, once it is synced."""
        made = slot.statements.get(self.config.me) if self.config.me is not None else None
        return made if made is not None and slot.order and made.statement.order == slot.order.order_hash else None

    @property
    def waits_unasked(self) -> bool:
        """Whether it waits for the NEW-VIEW of a view that it may not ask for."""
        return self.view_changing and self.view <= self.forgotten_view

    @property
    def may_vote(self) -> bool:
        """Observers, halted and silent replicas do not vote."""
        return self.config.me is not None and not self.halted and not self.silent


def initial_state(config: ReplicaConfig, log: RecoveredLog) -> ReplicaState:
    """The state that a log leads to: highest view of the log, view-changing when its NEW-VIEW was not entered."""
    height = decode_header(log.final_header).height
    slots = {height + 1: Slot(height + 1)}
    state = ReplicaState(config, log.final_header, log.final_certificate, height, slots, view=log.view)
    entered = log.new_view is not None and log.new_view.message.view == log.view
    state.view_changing = log.view > 0 and not entered
    if log.own_view_change is not None:
        state.own_view_change = log.own_view_change
        state.view_changes[log.own_view_change.message.signer] = log.own_view_change
    if entered:
        state.new_view = log.new_view
    for recovered in log.slots:
        slots[recovered.height] = _slot_of(recovered, log.view, state.view_changing)
    return state


def _slot_of(log: RecoveredSlot, view: int, view_changing: bool) -> Slot:
    """The slot that a height's records lead to."""
    slot = Slot(log.height)
    slot.prepared = log.prepared
    slot.own_prepare = log.own_prepare
    slot.own_commit = log.own_commit
    slot.own_headers = {vote.header.attempt: vote for vote in log.own_header_votes}
    slot.own_skips = {vote.vote.attempt: vote for vote in log.own_skips}
    for votes in log.skip_proofs:
        slot.open_attempt(votes)
    for reopening in log.reopenings:
        slot.reopen(reopening)
    slot.take_own()
    if log.order is not None and log.order.order.attempt == slot.attempt:
        slot.order = log.order
    if log.own_statement is not None and log.own_statement.statement.attempt == slot.attempt:
        slot.statements[log.own_statement.statement.signer] = log.own_statement
    if log.own_commit is not None:
        slot.commit_view = log.own_commit.vote.view
        slot.commits[log.own_commit.vote.signer] = log.own_commit
    current = log.accepted
    if current is not None and current.vote.vote.view == view and not view_changing:
        slot.accepted = current
        if log.own_prepare is not None and log.own_prepare.vote.view == view:
            slot.prepares[log.own_prepare.vote.signer] = log.own_prepare
    return slot


def batch_of(slot: Slot, digest: bytes) -> Batch | None:
    """The batch with this digest as far as this replica knows it."""
    if slot.accepted is not None and slot.accepted.vote.vote.digest == digest:
        return slot.accepted.batch
    if slot.prepared is not None and slot.prepared.pre_prepare.vote.digest == digest:
        return slot.prepared.batch
    if slot.proof is not None and slot.proof.commits[0].vote.digest == digest:
        return slot.proof.batch
    return None
