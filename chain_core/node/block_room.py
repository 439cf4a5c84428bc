"""How much fits into a block: one rule for the primary that fills it and for the replicas that judge it.

Stateless but for the parameters in force at the height, so that all correct replicas judge a proposal alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chain_core.codec.block import BLOCK_OVERHEAD_BYTES, ENVELOPE_OVERHEAD_BYTES
from chain_core.types.transaction import MAX_ENVELOPE_BYTES


def block_bytes(envelope_sizes: Iterable[int]) -> int:
    """What a block with envelopes of these sizes takes at most, encoded with header, certificate and batch."""
    return BLOCK_OVERHEAD_BYTES + sum(size + ENVELOPE_OVERHEAD_BYTES for size in envelope_sizes)


def fits(parameters: Mapping[str, int], envelope_sizes: Iterable[int]) -> bool:
    """Whether a block with envelopes of these sizes keeps within ``max_block_bytes``."""
    return block_bytes(envelope_sizes) <= parameters["max_block_bytes"]


def room(parameters: Mapping[str, int]) -> tuple[int, int]:
    """How many envelopes, and how many bytes of them, a proposal may take: whatever it takes, the block fits.

    One envelope of the largest size always finds room, else it could never be ordered.
    """
    count, size = parameters["max_block_transactions"], parameters["max_block_bytes"] - BLOCK_OVERHEAD_BYTES
    envelopes = max(MAX_ENVELOPE_BYTES, size - count * ENVELOPE_OVERHEAD_BYTES)
    return min(count, (size - envelopes) // ENVELOPE_OVERHEAD_BYTES), envelopes
