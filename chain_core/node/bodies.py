"""Verified transaction bodies of one node: the pooled ones, and those held for a batch outside the pool's limits."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_core.types.block import Batch
from chain_core.types.transaction import Envelope


@dataclass(slots=True)
class Wanted:
    """A batch whose bodies are being collected; ``sources`` are asked first."""

    batch: Batch
    view: int
    digest: bytes
    sources: tuple[int, ...]
    missing: set[bytes]
    asked: int = 0


@dataclass(slots=True)
class Bodies:
    """Envelopes by envelope id. ``pooled`` is bounded by the pool, ``held`` by a block a proposal of the window."""

    pooled: dict[bytes, Envelope] = field(default_factory=dict)
    held: dict[bytes, Envelope] = field(default_factory=dict)
    wanted: dict[bytes, Wanted] = field(default_factory=dict)

    def get(self, envelope_id: bytes) -> Envelope | None:
        """A verified body, wherever it is held."""
        return self.pooled.get(envelope_id) or self.held.get(envelope_id)

    def of(self, batch: Batch) -> tuple[Envelope, ...]:
        """All bodies of a batch in its order; KeyError when one is missing."""
        return tuple(self.pooled.get(i) or self.held[i] for i in batch.envelope_ids)

    def want(self, batch: Batch, view: int, digest: bytes, sources: tuple[int, ...]) -> Wanted:
        """Collect a batch's bodies: those present are pinned in ``held``, the rest is missing."""
        missing = set()
        for envelope_id in batch.envelope_ids:
            envelope = self.get(envelope_id)
            if envelope is None:
                missing.add(envelope_id)
            else:
                self.held[envelope_id] = envelope
        wanted = Wanted(batch, view, digest, sources, missing)
        if missing:
            self.wanted[digest] = wanted
        return wanted

    def pin(self, batch: Batch) -> None:
        """Keep a proposed batch's pooled bodies whatever happens in the pool."""
        for envelope_id in batch.envelope_ids:
            self.held[envelope_id] = self.pooled[envelope_id]

    def arrived(self, envelope: Envelope) -> list[Wanted]:
        """A verified body came: the batches that it completes."""
        complete = []
        for digest, wanted in list(self.wanted.items()):
            if envelope.envelope_id in wanted.missing:
                wanted.missing.discard(envelope.envelope_id)
                self.held[envelope.envelope_id] = envelope
                if not wanted.missing:
                    del self.wanted[digest]
                    complete.append(wanted)
        return complete

    def finalised(self, envelope_ids: tuple[bytes, ...]) -> None:
        """A height is final: its bodies are in the block, and what was collected for that height is done with."""
        for envelope_id in envelope_ids:
            self.pooled.pop(envelope_id, None)
        self.held.clear()
        self.wanted.clear()
