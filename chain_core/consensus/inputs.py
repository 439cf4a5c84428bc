"""Everything the consensus core can be told. The docstring names who produces it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from chain_core.consensus.messages import Message, PrePrepare
from chain_core.types.block import Batch, HeaderVote, SignedNewView, SignedViewChange, SignedVote
from chain_core.types.reopening import SignedOrder, SignedStatement
from chain_core.types.verified import Verified


class Timer(Enum):
    """The core's two timers."""

    ORDER = "order"
    """Runs while a height may be ordered and is not committed here; its end asks for a view change."""
    RESEND = "resend"
    """Re-sends stored votes and the heartbeat."""


@dataclass(frozen=True, slots=True)
class Started:
    """The driver: after the log was read back, and again when votes may be cast from now on (docs/spec/pbft.md §6)."""

    forgotten_view: int = -1
    """Up to it the key may have asked for views, led and voted in them, and the log has lost it."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Ingress, after every signature in it was verified."""

    message: Verified[Message]


@dataclass(frozen=True, slots=True)
class WorkAvailable:
    """The driver: the pool holds bodies this replica verified and (a backup) forwarded to the primary."""


@dataclass(frozen=True, slots=True)
class WorkGone:
    """The driver: nothing that waits here can be proposed any more (it expired): no primary is late with it."""


@dataclass(frozen=True, slots=True)
class RequestOverdue:
    """The driver: a body was given to the primary long ago, blocks went by and it is not among them (PBFT §4.4)."""


@dataclass(frozen=True, slots=True)
class BatchBuilt:
    """The driver, in answer to ``BuildBatch``: ids of verified bodies held here; ``batch`` None when there are none."""

    height: int
    view: int
    batch: Batch | None


@dataclass(frozen=True, slots=True)
class BodiesHeld:
    """The driver, in answer to ``HoldBodies``: every body of the batch is here and verified."""

    height: int
    view: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class OwnPrePrepare:
    """The driver: the own PRE-PREPARE is signed, logged, synced and sent."""

    message: PrePrepare


@dataclass(frozen=True, slots=True)
class OwnVote:
    """The driver: the own PREPARE or COMMIT is signed, logged, synced and sent."""

    vote: SignedVote


@dataclass(frozen=True, slots=True)
class OwnHeaderVote:
    """The driver: the own header vote is signed, logged, synced and sent."""

    vote: HeaderVote


@dataclass(frozen=True, slots=True)
class OrderTaken:
    """The driver: this node's operator handed in an order to reopen, both approvals hold, it is synced."""

    order: SignedOrder


@dataclass(frozen=True, slots=True)
class OwnStatement:
    """The driver: the own statement is signed, logged, synced and sent."""

    made: SignedStatement


@dataclass(frozen=True, slots=True)
class OwnViewChange:
    """The driver: the own VIEW-CHANGE is signed, logged, synced and sent."""

    message: SignedViewChange


@dataclass(frozen=True, slots=True)
class OwnNewView:
    """The driver: the own NEW-VIEW and its PRE-PREPAREs are signed, logged, synced and sent."""

    message: SignedNewView


@dataclass(frozen=True, slots=True)
class Executed:
    """The driver, in answer to ``Execute``: the header that the batch leads to."""

    height: int
    attempt: int
    digest: bytes
    header_bytes: bytes


@dataclass(frozen=True, slots=True)
class Faulted:
    """The driver, in answer to ``Execute``: the envelope at ``index`` breaks the engine."""

    height: int
    attempt: int
    digest: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Finalised:
    """The driver: block, state and certificate of this height are synced, by ``Finalise`` or by catch-up."""

    header_bytes: bytes
    certificate_bytes: bytes


@dataclass(frozen=True, slots=True)
class BarrierSet:
    """The driver: a final block scheduled the next epoch, whose first height this is."""

    height: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The driver: a timer set by ``SetTimer`` ran out."""

    timer: Timer


Input: TypeAlias = (
    Started
    | MessageReceived
    | WorkAvailable
    | WorkGone
    | RequestOverdue
    | BatchBuilt
    | BodiesHeld
    | OwnPrePrepare
    | OwnVote
    | OwnHeaderVote
    | OrderTaken
    | OwnStatement
    | OwnViewChange
    | OwnNewView
    | Executed
    | Faulted
    | Finalised
    | BarrierSet
    | TimerFired
)
