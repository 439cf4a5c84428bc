"""What travels on a peer link: frames as values, and their bytes (docs/spec/network.md).

Protobuf only carries canonical bytes (docs/spec/formats.md); nothing in a frame is verified by decoding it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain_core.consensus.messages import Message


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


Frame: TypeAlias = ConsensusFrame | EnvelopesFrame | WantEnvelopes | WantBlocks | BlocksFrame
