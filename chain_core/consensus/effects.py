"""Everything the consensus core can ask for. Effects are performed in order, by the driver alone.

``Cast*`` effects are one act each: the safe signer checks and signs, the vote and what it rests on go to the log in one
synced write, then it is sent to all peers, then the signed vote comes back as an ``Own*`` input. A failed write sends
nothing (ARCHITECTURE, durability).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain_core.consensus.inputs import Timer
from chain_core.consensus.messages import Message, PrePrepare
from chain_core.types.block import (
    Batch,
    Certificate,
    NewView,
    PreparedCertificate,
    SignedNewView,
    SignedVote,
    ViewChange,
    Vote,
)
from chain_core.types.evidence import Equivocation
from chain_core.types.reopening import Reopening, SignedOrder


@dataclass(frozen=True, slots=True)
class BuildBatch:
    """Primary: take ids of verified bodies from the pool; answer ``BatchBuilt``. ``full``: a full batch or none."""

    height: int
    view: int
    attempt: int
    full: bool


@dataclass(frozen=True, slots=True)
class HoldBodies:
    """Make sure every body of the batch is held and verified, asking ``sources`` first; answer ``BodiesHeld``.

    A ``fresh`` proposal has to keep to the limits in force here; one that a quorum prepared under the limits that were
    in force then keeps to those of the format.
    """

    batch: Batch
    view: int
    digest: bytes
    sources: tuple[int, ...]
    fresh: bool


@dataclass(frozen=True, slots=True)
class CastPrePrepare:
    """Write 1 of a primary: own PRE-PREPARE, the batch and its bodies. Answer ``OwnPrePrepare``."""

    vote: Vote
    batch: Batch


@dataclass(frozen=True, slots=True)
class CastPrepare:
    """Write 1 of a backup: the accepted PRE-PREPARE, the batch's bodies, own PREPARE. Answer ``OwnVote``."""

    vote: Vote
    accepted: PrePrepare


@dataclass(frozen=True, slots=True)
class CastCommit:
    """Write 2: the prepared certificate, bodies not logged yet, own COMMIT. Answer ``OwnVote``."""

    vote: Vote
    prepared: PreparedCertificate


@dataclass(frozen=True, slots=True)
class CastHeaderVote:
    """Write 3: own signature over the header. Answer ``OwnHeaderVote``."""

    header_bytes: bytes


@dataclass(frozen=True, slots=True)
class CastSkip:
    """Log and send own SKIP: no header is ever signed at that attempt. Answer ``OwnVote``."""

    vote: Vote


@dataclass(frozen=True, slots=True)
class StoreSkips:
    """Log the q SKIPs that end an attempt, synced, before anything is signed at the next one."""

    votes: tuple[SignedVote, ...]


@dataclass(frozen=True, slots=True)
class CastStatement:
    """State what the signer cast at the order's attempt; from then on it signs nothing there. Log, send. Answer
    ``OwnStatement``.
    """

    order: SignedOrder


@dataclass(frozen=True, slots=True)
class StoreReopening:
    """Keep what opens an attempt for good, synced, before anything is signed at that attempt."""

    reopening: Reopening


@dataclass(frozen=True, slots=True)
class Resume:
    """A halt because of diverging execution is over: the height goes on at another attempt, or has become final."""

    height: int


@dataclass(frozen=True, slots=True)
class CastViewChange:
    """Log and send own VIEW-CHANGE. Answer ``OwnViewChange``."""

    message: ViewChange


@dataclass(frozen=True, slots=True)
class CastNewView:
    """Log and send own NEW-VIEW. ``re_proposals`` are the votes to sign as its PRE-PREPAREs, with their batches.

    The message comes with ``pre_prepares`` empty; the driver signs them (safe signer), fills them in, signs the whole,
    logs PRE-PREPAREs and NEW-VIEW in one synced write. Answer ``OwnNewView``.
    """

    message: NewView
    re_proposals: tuple[tuple[Vote, Batch], ...]


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to all peers; the bytes were signed and synced before."""

    message: Message


@dataclass(frozen=True, slots=True)
class SendTo:
    """Send to one peer."""

    peer: int
    message: Message


@dataclass(frozen=True, slots=True)
class Execute:
    """Run the committed batch on the final state of height-1, at an attempt that skips some of its indices.

    Answer ``Executed``, or ``Faulted`` when an envelope breaks the engine.
    """

    batch: Batch
    digest: bytes
    attempt: int
    skipped: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finalise:
    """Write 4: block, state, seen, receipts, certificate, and deletion of the height's votes. Answer ``Finalised``."""

    header_bytes: bytes
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class FetchBlocks:
    """Behind: fetch certified blocks ``start`` to ``end``, from ``sources`` first; each leads to ``Finalised``."""

    start: int
    end: int
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SetTimer:
    """(Re)start a timer."""

    timer: Timer
    after_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Stop a timer; nothing happens when it does not run."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class ReleaseBatch:
    """A proposal was lost (view change): its bodies are pooled again for another one."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class ForwardPool:
    """Push pooled bodies (oldest first, bounded) to ``peers``: a primary that lacks them could not propose them."""

    peers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StoreNewView:
    """Log the NEW-VIEW entered, synced, before any vote in its view; it is served to whoever is behind."""

    message: SignedNewView


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator must know: ``code`` is stable, ``facts`` are plain values."""

    code: str
    facts: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class Accuse:
    """Keep the proof that a validator equivocated."""

    proof: Equivocation


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop voting: this replica's execution differs, or no header can reach a quorum any more."""

    code: str
    facts: tuple[tuple[str, str | int], ...]


Effect: TypeAlias = (
    BuildBatch
    | HoldBodies
    | CastPrePrepare
    | CastPrepare
    | CastCommit
    | CastHeaderVote
    | CastSkip
    | StoreSkips
    | CastStatement
    | StoreReopening
    | Resume
    | CastViewChange
    | CastNewView
    | Broadcast
    | SendTo
    | Execute
    | Finalise
    | FetchBlocks
    | SetTimer
    | CancelTimer
    | ReleaseBatch
    | ForwardPool
    | StoreNewView
    | Alarm
    | Accuse
    | Halt
)
