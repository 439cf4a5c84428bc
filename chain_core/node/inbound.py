"""From what arrives to the replica: every frame becomes a verification job, every outcome a call of the replica.

All calls of the replica but timers and start come out of the verification queue, so that one place sees what it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, assert_never

from chain_core.consensus.messages import CommitProof, Heartbeat, Message, PrePrepare
from chain_core.crypto.provider import VerifyItem
from chain_core.network.epoch_book import UnknownEpoch
from chain_core.network.frames import (
    BlocksFrame,
    BodiesKept,
    ConsensusFrame,
    EnvelopesFrame,
    Frame,
    HeldVotes,
    KeepBodies,
    PrunedFrame,
    SnapshotPart,
    SnapshotRequest,
    WantBlocks,
    WantEnvelopes,
    WantVotes,
)
from chain_core.network.ingress import (
    BlockOutcome,
    Check,
    EnvelopeOutcome,
    HeldOutcome,
    Ingress,
    MessageOutcome,
    envelope_ids,
    unchecked,
)
from chain_core.network.links import IncomingLink
from chain_core.network.message_signatures import signature_count
from chain_core.network.quota import CallerSignatures
from chain_core.network.transaction_refusals import BadSignature, CallerBlocked, MalformedTransaction
from chain_core.network.verification import JOB_ENVELOPES, ClientJob, Job, VerificationQueue
from chain_core.node.ports import Admission, Origin
from chain_core.types.block import CertifiedBlock, SignedNewView, SignedViewChange
from chain_core.types.errors import InvalidTransaction, PeerFault
from chain_core.types.ids import HASH_SIZE
from chain_core.types.transaction import Envelope
from chain_core.types.verified import Verified

_MESSAGE_BYTES = 1_024

PATIENT_SIGNATURES = 1_024
"""A proposal waits behind the bodies that were sent before it, so that they need not be asked for again; but not behind
more signatures than these."""


class Receiver(Protocol):
    """What the replica is told; each call runs to completion."""

    def on_message(self, message: Verified[Message]) -> None:
        """A consensus message."""

    def admit(self, envelopes: Sequence[Verified[Envelope]], origin: Origin) -> list[Admission]:
        """Transactions for the pool, or bodies that were asked for."""

    def on_want_envelopes(self, peer: int, ids: Sequence[bytes]) -> None:
        """A peer asks for bodies."""

    def on_want_blocks(self, peer: int, start: int, count: int) -> None:
        """A peer asks for blocks."""

    def on_blocks(self, blocks: Sequence[Verified[CertifiedBlock]]) -> None:
        """Certified blocks."""

    def on_snapshot(self, peer: int, frame: SnapshotRequest | SnapshotPart | PrunedFrame) -> None:
        """A question for a piece of a snapshot, or what came of an own one; content is verified there."""

    def on_want_votes(self, peer: int, nonce: bytes) -> None:
        """A peer that starts asks what is held under its key."""

    def awaits(self, peer: int, nonce: bytes) -> bool:
        """Whether this node asked the peer with this nonce and has no answer yet."""

    def on_held_votes(self, peer: int, answer: Verified[HeldVotes]) -> None:
        """What a peer holds under this node's key."""


class Keeper(Protocol):
    """Who keeps bodies on disk for clients that asked for it."""

    def on_keep(self, peer: int, question: KeepBodies) -> None:
        """A peer asks."""

    def on_kept(self, peer: int, answer: BodiesKept) -> None:
        """A peer has done it."""


class _Nothing:
    """A job without signatures: it only waits for its turn."""

    items: Sequence[VerifyItem] = ()

    def conclude(self, valid: Sequence[bool]) -> list[None]:
        return []


@dataclass(slots=True)
class Inbound:
    """Wires links and clients to the ingress, and the ingress to the replica.

    ``holds`` says whether the replica has the body of an envelope id. ``heard`` holds peers' final heights. ``asker``
    is this validator's own index: answers to its questions must be signed by it.
    """

    ingress: Ingress
    queue: VerificationQueue
    replica: Receiver
    keeper: Keeper
    holds: Callable[[bytes], bool]
    asker: Callable[[], int | None]
    heard: dict[int, int] = field(default_factory=dict)
    _waiting: set[bytes] = field(default_factory=set)
    """Ids of bodies that wait in the peers' line; ``_awaited``: in the line of what was asked for."""
    _awaited: set[bytes] = field(default_factory=set)
    _questions: dict[tuple[int, type[Frame]], Callable[[], None]] = field(default_factory=dict)
    """Answers owed, at most one a peer and kind of question."""

    # ---- from peers

    def receive(self, link: IncomingLink, frame: Frame) -> None:
        """A frame of a link; what finds no room in the queue is lost."""
        match frame:
            case ConsensusFrame(message=message):
                self._message(link, message)
            case EnvelopesFrame(envelopes=raws):
                self._sort_bodies(link, raws)
            case BlocksFrame(blocks=blocks):
                for raw in blocks:
                    self._block(link, raw)
            case WantEnvelopes(ids=ids):
                self._ask(
                    link.peer, WantEnvelopes, lambda: self.replica.on_want_envelopes(link.peer, ids), 32 * len(ids)
                )
            case WantBlocks(start=start, count=count):
                self._ask(link.peer, WantBlocks, lambda: self.replica.on_want_blocks(link.peer, start, count), 16)
            case SnapshotRequest():
                self._ask(link.peer, SnapshotRequest, lambda: self.replica.on_snapshot(link.peer, frame), 32)
            case SnapshotPart() | PrunedFrame():
                self.queue.add_needed(
                    Job(_Nothing, lambda _: self.replica.on_snapshot(link.peer, frame), 1, _part_size(frame))
                )
            case WantVotes(nonce=nonce):
                self._ask(link.peer, WantVotes, lambda: self.replica.on_want_votes(link.peer, nonce), len(nonce))
            case HeldVotes():
                self._held_votes(link, frame)
            case KeepBodies():  # behind the bodies that were sent before it
                keep = lambda _: self.keeper.on_keep(link.peer, frame)  # noqa: E731
                self.queue.add_from_peer(Job(_Nothing, keep, 1, _size(frame)))
            case BodiesKept():
                kept = lambda _: self.keeper.on_kept(link.peer, frame)  # noqa: E731
                self.queue.add_vote(Job(_Nothing, kept, 1, _size(frame)), link.peer)
            case _:
                assert_never(frame)

    def _held_votes(self, link: IncomingLink, answer: HeldVotes) -> None:
        """Nobody makes this node verify what it did not ask for."""
        asker = self.asker()
        if asker is None or not self.replica.awaits(link.peer, answer.nonce):
            return
        job: Job[HeldOutcome] = Job(
            lambda: self.ingress.check_held(answer, asker),
            lambda outcomes: self._held_verified(link, outcomes),
            len(answer.votes) + len(answer.header_votes) + 1 + self.ingress.epochs.current().validators.q,
            _MESSAGE_BYTES * (1 + len(answer.votes) + len(answer.header_votes)),
        )
        self.queue.add_vote(job, link.peer)

    def _held_verified(self, link: IncomingLink, outcomes: list[HeldOutcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, UnknownEpoch):
                continue
            link.judge(1, isinstance(outcome, PeerFault))
            if isinstance(outcome, Verified):
                self.replica.on_held_votes(link.peer, outcome)

    def _message(self, link: IncomingLink, message: Message) -> None:
        again = self.ingress.repeated(link.peer, message)
        if again is not None:  # the replica may have had no use for it before; nothing was verified, nothing is judged
            replay = Job(_Nothing, lambda _: self.replica.on_message(again), 1, _size_bytes(message))
            self.queue.add_vote(replay, link.peer)
            return
        job: Job[MessageOutcome] = Job(
            lambda: self.ingress.check_messages((message,)),
            lambda outcomes: self._messages_verified(link, outcomes),
            max(1, signature_count(message)),
            _size_bytes(message),
        )
        if isinstance(message, PrePrepare) and self.queue.peers_backlog <= PATIENT_SIGNATURES:
            self.queue.add_from_peer(job)
        else:
            self.queue.add_vote(job, link.peer)

    def _messages_verified(self, link: IncomingLink, outcomes: list[MessageOutcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, UnknownEpoch):  # this node is behind: nothing to blame the peer for
                continue
            if isinstance(outcome, PeerFault):
                link.judge(1, 1)
                continue
            if isinstance(outcome.value, Heartbeat):
                self.heard[link.peer] = outcome.value.final_height
            else:  # a heartbeat has no signature: many of them do not make up for a bad one
                link.judge(1, 0)
                self.ingress.remember(link.peer, outcome)
            self.replica.on_message(outcome)

    def _sort_bodies(self, link: IncomingLink, raws: Sequence[bytes]) -> None:
        """What a proposal lacks goes ahead; what is here or waits already is passed over: bodies are pushed again."""
        needed: dict[bytes, bytes] = {}
        pushed: dict[bytes, bytes] = {}
        for envelope_id, raw in zip(envelope_ids(raws), raws, strict=True):
            if self.ingress.wanted(envelope_id):
                if envelope_id not in self._awaited:
                    needed[envelope_id] = raw
            elif envelope_id not in self._waiting and not self.holds(envelope_id):
                pushed[envelope_id] = raw
        self._add_bodies(link, needed, self._awaited, self.queue.add_needed)
        self._add_bodies(link, pushed, self._waiting, self.queue.add_from_peer)

    def _add_bodies(
        self, link: IncomingLink, bodies: dict[bytes, bytes], line: set[bytes], add: Callable[[Job[Any]], bool]
    ) -> None:
        ids, raws = tuple(bodies), tuple(bodies.values())
        for start in range(0, len(raws), JOB_ENVELOPES):
            part, named = raws[start : start + JOB_ENVELOPES], ids[start : start + JOB_ENVELOPES]
            job: Job[EnvelopeOutcome] = Job(
                _checked(self.ingress, part, from_peer=True),
                self._delivery(link, line, named),
                len(part),
                sum(map(len, part)),
            )
            if add(job):
                line.update(named)

    def _delivery(
        self, link: IncomingLink, line: set[bytes], named: Sequence[bytes]
    ) -> Callable[[list[EnvelopeOutcome]], None]:
        def deliver(outcomes: list[EnvelopeOutcome]) -> None:
            line.difference_update(named)
            self._bodies_verified(link, outcomes)

        return deliver

    def _bodies_verified(self, link: IncomingLink, outcomes: list[EnvelopeOutcome]) -> None:
        good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
        # Clocks and final heights differ between correct nodes; signatures and encodings do not.
        bad = sum(isinstance(outcome, BadSignature | MalformedTransaction) for outcome in outcomes)
        link.judge(len(outcomes), bad)
        if good:
            self.replica.admit(good, Origin.PEER)

    def _block(self, link: IncomingLink, raw: bytes) -> None:
        self.queue.add_needed(
            Job(
                lambda: self.ingress.check_blocks((raw,)),
                lambda outcomes: self._blocks_verified(link, outcomes),
                self.ingress.epochs.current().validators.q,
                len(raw),
            )
        )

    def _blocks_verified(self, link: IncomingLink, outcomes: list[BlockOutcome]) -> None:
        good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
        bad = sum(isinstance(outcome, PeerFault) and not isinstance(outcome, UnknownEpoch) for outcome in outcomes)
        link.judge(len(outcomes), bad)
        if good:
            self.replica.on_blocks(good)

    def _ask(self, peer: int, kind: type[Frame], call: Callable[[], None], size_bytes: int) -> None:
        """A few bytes ask for megabytes: a peer has one open question of a kind, and a newer one takes its turn."""
        place = peer, kind
        answer = Job(_Nothing, lambda _: self._answer(place), 1, size_bytes)
        if place in self._questions or self.queue.add_vote(answer, peer):
            self._questions[place] = call

    def _answer(self, place: tuple[int, type[Frame]]) -> None:
        self._questions.pop(place)()

    # ---- from clients

    async def submit(
        self, raws: Sequence[bytes], caller: CallerSignatures | None = None
    ) -> list[tuple[EnvelopeOutcome, Admission | None]]:
        """Verify and admit a client's envelopes: each one's outcome, with the replica's answer when it verified.

        ``caller`` is told of bad signatures, and what waits of it is not verified any more once it is blocked.

        Raises Overloaded when they do not all find room in the queue, Unavailable when the node stops.
        """
        jobs: list[ClientJob[EnvelopeOutcome, list[tuple[EnvelopeOutcome, Admission | None]]]] = []
        for start in range(0, len(raws), JOB_ENVELOPES):
            part = raws[start : start + JOB_ENVELOPES]
            check, finish = _of_caller(self.ingress, part, caller), partial(self._admit, caller)
            jobs.append(ClientJob(check, finish, len(part), sum(map(len, part))))
        return [pair for pairs in await self.queue.for_client(jobs) for pair in pairs]

    def _admit(
        self, caller: CallerSignatures | None, outcomes: list[EnvelopeOutcome]
    ) -> list[tuple[EnvelopeOutcome, Admission | None]]:
        good = [outcome for outcome in outcomes if isinstance(outcome, Verified)]
        if caller is not None:
            bad = sum(isinstance(outcome, BadSignature) for outcome in outcomes)
            caller.judge(len(good) + bad, bad)
        answers = iter(self.replica.admit(good, Origin.CLIENT)) if good else iter(())
        return [(outcome, None if isinstance(outcome, InvalidTransaction) else next(answers)) for outcome in outcomes]


def _of_caller(
    ingress: Ingress, raws: Sequence[bytes], caller: CallerSignatures | None
) -> Callable[[], Check[EnvelopeOutcome]]:
    """Looked at when its turn comes, unless the caller is blocked by then."""

    def prepare() -> Check[EnvelopeOutcome]:
        blocked_ms = caller.blocked_ms() if caller is not None else 0
        return unchecked(raws, CallerBlocked(blocked_ms)) if blocked_ms else ingress.check_envelopes(raws)

    return prepare


def _size(frame: KeepBodies | BodiesKept) -> int:
    return HASH_SIZE * (1 + len(frame.ids))


def _part_size(frame: SnapshotPart | PrunedFrame) -> int:
    return _MESSAGE_BYTES + (sum(map(len, frame.parts)) if isinstance(frame, SnapshotPart) else 0)


def _size_bytes(message: Message) -> int:
    """About what a message holds in memory while it waits: most of it are ids of batches."""
    match message:
        case PrePrepare(batch=batch) | CommitProof(batch=batch):
            return _MESSAGE_BYTES + HASH_SIZE * len(batch.envelope_ids)
        case SignedViewChange(body=body) | SignedNewView(body=body):
            return _MESSAGE_BYTES + 2 * len(body)  # the bytes that were signed, and what they say
        case _:
            return _MESSAGE_BYTES


def _checked(
    ingress: Ingress, raws: Sequence[bytes], *, from_peer: bool = False
) -> Callable[[], Check[EnvelopeOutcome]]:
    return lambda: ingress.check_envelopes(raws, from_peer=from_peer)
