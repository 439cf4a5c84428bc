"""Verified transaction bodies of one node: the pooled ones, and those held for a proposal outside the pool's limits.

Whoever sent PREPARE serves its bodies until the height is final: from memory, or from the vote log where they lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chain_core.codec.transaction import decode_envelope
from chain_core.node.block_room import block_bytes
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
    size_bytes: int
    """What the block takes with the bodies found so far."""
    limit_bytes: int
    asked: int = 0

    @property
    def fits(self) -> bool:
        """Whether the bodies found so far fit into a block; a batch that does not fit is no valid proposal."""
        return self.size_bytes <= self.limit_bytes


@dataclass(slots=True)
class Bodies:
    """Envelopes by envelope id. ``pooled`` is bounded by the pool, ``held`` by the proposals of the present view.

    ``logged`` gives the raw bodies that lie under votes in the log.
    """

    logged: Callable[[bytes], bytes | None]
    pooled: dict[bytes, Envelope] = field(default_factory=dict)
    held: dict[bytes, Envelope] = field(default_factory=dict)
    wanted: dict[bytes, Wanted] = field(default_factory=dict)
    _view: int = 0

    def get(self, envelope_id: bytes) -> Envelope | None:
        """A verified body, wherever it is."""
        found = self.pooled.get(envelope_id) or self.held.get(envelope_id)
        if found is None and (raw := self.logged(envelope_id)) is not None:
            return decode_envelope(raw)
        return found

    def raw(self, envelope_id: bytes) -> bytes | None:
        """The bytes of a verified body, wherever it is."""
        found = self.pooled.get(envelope_id) or self.held.get(envelope_id)
        return found.raw if found is not None else self.logged(envelope_id)

    def of(self, batch: Batch) -> tuple[Envelope, ...]:
        """All bodies of a batch in its order; KeyError when one is missing."""
        return tuple(self.held.get(i) or self.pooled[i] for i in batch.envelope_ids)

    def want(self, batch: Batch, view: int, digest: bytes, sources: tuple[int, ...], limit_bytes: int) -> Wanted:
        """Collect a batch's bodies: those present are pinned in ``held``, the rest is missing.

        What was collected for earlier views is let go; it may lie in the pool or the log still.
        """
        found = {i: self.get(i) for i in batch.envelope_ids}
        if view > self._view:
            self._view = view
            self.held.clear()
            self.wanted.clear()
        present = {i: envelope for i, envelope in found.items() if envelope is not None}
        self.held.update(present)
        size = block_bytes(len(envelope.raw) for envelope in present.values())
        wanted = Wanted(batch, view, digest, sources, found.keys() - present.keys(), size, limit_bytes)
        if wanted.missing and wanted.fits:
            self.wanted[digest] = wanted
        return wanted

    def pin(self, batch: Batch) -> None:
        """Keep a proposed batch's pooled bodies whatever happens in the pool."""
        for envelope_id in batch.envelope_ids:
            self.held[envelope_id] = self.pooled[envelope_id]

    def arrived(self, envelope: Envelope) -> tuple[bool, list[Wanted]]:
        """A verified body came: whether a proposal needed it, and the batches that it completes or makes too big."""
        needed, settled = False, []
        for digest, wanted in list(self.wanted.items()):
            if envelope.envelope_id not in wanted.missing:
                continue
            needed = True
            wanted.missing.discard(envelope.envelope_id)
            wanted.size_bytes += block_bytes((len(envelope.raw),)) - block_bytes(())
            self.held[envelope.envelope_id] = envelope
            if not wanted.missing or not wanted.fits:
                del self.wanted[digest]
                settled.append(wanted)
        return needed, settled

    def finalised(self, envelope_ids: tuple[bytes, ...]) -> None:
        """A height is final: its bodies are in the block, and what was collected for that height is done with."""
        for envelope_id in envelope_ids:
            self.pooled.pop(envelope_id, None)
        self.held.clear()
        self.wanted.clear()
