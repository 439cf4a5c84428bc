"""What travels on a peer link: frames as values, and their bytes (docs/spec/network.md).

Protobuf only carries canonical bytes (docs/spec/formats.md); nothing in a frame is verified by decoding it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

from chain_core.consensus.messages import Message
from chain_core.types.block import Certificate, HeaderVote, SignedViewChange, SignedVote
from chain_core.types.reopening import SignedStatement


@dataclass(frozen=True, slots=True)
class ConsensusFrame:
    """One consensus message."""

    message: Message


@dataclass(frozen=True, slots=True)
class EnvelopesFrame:
    """Transaction bodies: pushed once by the node that received them, or the answer to ``WantEnvelopes``."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class WantEnvelopes:
    """Asks for bodies by envelope id."""

    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class WantBlocks:
    """Asks for ``count`` certified blocks from height ``start``."""

    start: int
    count: int


@dataclass(frozen=True, slots=True)
class BlocksFrame:
    """Encoded certified blocks in ascending height."""

    blocks: tuple[bytes, ...]


NONCE_SIZE = 16


@dataclass(frozen=True, slots=True)
class WantVotes:
    """A validator that starts asks what the receiver holds under its key; ``nonce`` ties the answer to the question."""

    nonce: bytes


@dataclass(frozen=True, slots=True)
class HeldVotes:
    """What a peer holds under the asker's key above its own final height, and that height with its certificate.

    ``final_header`` is empty and ``certificate`` None at height 0.
    """

    nonce: bytes
    final_header: bytes
    certificate: Certificate | None
    votes: tuple[SignedVote, ...]
    header_votes: tuple[HeaderVote, ...]
    view_change: SignedViewChange | None
    statements: tuple[SignedStatement, ...] = ()


@dataclass(frozen=True, slots=True)
class KeepBodies:
    """Asks for bodies to be written to disk until they are final or expire."""

    nonce: bytes
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BodiesKept:
    """These of the question's bodies are on disk, synced."""

    nonce: bytes
    ids: tuple[bytes, ...]


class SnapshotKind(IntEnum):
    """What a snapshot's question is for (docs/spec/snapshot.md section 2)."""

    MANIFEST = 1
    HEADERS = 2
    PAGE = 3
    BUCKETS = 4


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """A question for a piece of the snapshot of ``height`` (0: any, for a manifest)."""

    height: int
    kind: SnapshotKind
    tree: int = 0
    start: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """The answer to one question, which its first four fields repeat; no ``parts``: not to be had here."""

    height: int
    kind: SnapshotKind
    tree: int
    start: int
    parts: tuple[bytes, ...]
    validator_sets: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PrunedFrame:
    """Blocks were asked for of which the bodies are not there any more, up to ``height``."""

    height: int


Question: TypeAlias = WantEnvelopes | WantBlocks | WantVotes | KeepBodies | SnapshotRequest
Frame: TypeAlias = (
    ConsensusFrame | EnvelopesFrame | BlocksFrame | HeldVotes | BodiesKept | SnapshotPart | PrunedFrame | Question
)
