"""What replicas say to each other, as values; each is signed, or verifiable by what it carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain_core.types.block import (
    Batch,
    Certificate,
    HeaderVote,
    SignedNewView,
    SignedViewChange,
    SignedVote,
)
from chain_core.types.reopening import SignedStatement


@dataclass(frozen=True, slots=True)
class PrePrepare:
    """A primary's PRE-PREPARE with the batch it proposes; the vote's digest is the batch's (PBFT §4.2)."""

    vote: SignedVote
    batch: Batch


@dataclass(frozen=True, slots=True)
class CommitProof:
    """A batch and exactly q COMMITs of one view over it, signers ascending: the batch is ordered for ever.

    Sent to a peer that may never see the q COMMITs itself: their senders may be gone, its view may be another.
    """

    batch: Batch
    commits: tuple[SignedVote, ...]


@dataclass(frozen=True, slots=True)
class FinalityNotice:
    """A final header with its certificate: whoever is behind fetches the block, whatever its view."""

    header_bytes: bytes
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Where a replica stands. Unsigned and unauthenticated: a hint that makes others offer what can be verified."""

    sender: int
    final_height: int
    epoch: int
    view: int
    view_changing: bool


Message: TypeAlias = (
    PrePrepare
    | SignedVote
    | CommitProof
    | HeaderVote
    | SignedStatement
    | SignedViewChange
    | SignedNewView
    | FinalityNotice
    | Heartbeat
)
"""A bare ``SignedVote`` is a PREPARE, COMMIT or SKIP."""
