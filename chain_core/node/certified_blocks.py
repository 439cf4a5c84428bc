"""Certified blocks that come from peers: what of them no certificate covers, and their bodies."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.codec.block import decode_header
from chain_core.codec.transaction import decode_envelope
from chain_core.execution.roots import block_time
from chain_core.types.block import CertifiedBlock
from chain_core.types.transaction import Envelope


def fits_its_header(block: CertifiedBlock, parent: bytes | None) -> bool:
    """Whether the batch's time leads to the header's: of a certified block the one thing that no certificate covers, so
    that whoever serves it could make a correct replica take its own execution for diverged."""
    header = decode_header(block.header)
    return parent is not None and header.time_ms == block_time(block.batch.time_ms, decode_header(parent).time_ms)


def envelopes_of(block: CertifiedBlock, pooled: Mapping[bytes, Envelope]) -> tuple[Envelope, ...]:
    """The block's envelopes, whose ids were checked on arrival; those that are pooled need no second decoding."""
    pairs = zip(block.batch.envelope_ids, block.envelopes, strict=True)
    return tuple(pooled.get(envelope_id) or decode_envelope(raw) for envelope_id, raw in pairs)
