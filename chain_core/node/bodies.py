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


@dataclass(frozen=True, slots=True)
class Pin:
    """The bodies found of one batch in flight; they stay whatever happens in the pool."""

    batch: Batch
    view: int
    envelopes: dict[bytes, Envelope]


@dataclass(slots=True)
class Bodies:
    """Envelopes by envelope id: the ``pooled`` ones are bounded by the pool, the pinned ones by the window (of each
    height what its last view proposed, and what was committed there before).

    ``logged`` gives the raw bodies that lie under votes in the log.
    """

    logged: Callable[[bytes], bytes | None]
    pooled: dict[bytes, Envelope] = field(default_factory=dict)
    wanted: dict[bytes, Wanted] = field(default_factory=dict)
    _pins: dict[int, list[Pin]] = field(default_factory=dict)

    def __contains__(self, envelope_id: bytes) -> bool:
        return envelope_id in self.pooled or self._pinned(envelope_id) is not None

    @property
    def held(self) -> int:
        """How many bodies are pinned for batches in flight."""
        return sum(len(pin.envelopes) for pins in self._pins.values() for pin in pins)

    def _pinned(self, envelope_id: bytes) -> Envelope | None:
        for pins in self._pins.values():
            for pin in pins:
                found = pin.envelopes.get(envelope_id)
                if found is not None:
                    return found
        return None

    def get(self, envelope_id: bytes) -> Envelope | None:
        """A verified body, wherever it is."""
        found = self.pooled.get(envelope_id) or self._pinned(envelope_id)
        if found is None and (raw := self.logged(envelope_id)) is not None:
            return decode_envelope(raw)
        return found

    def raw(self, envelope_id: bytes) -> bytes | None:
        """The bytes of a verified body, wherever it is."""
        found = self.pooled.get(envelope_id) or self._pinned(envelope_id)
        return found.raw if found is not None else self.logged(envelope_id)

    def of(self, batch: Batch) -> tuple[Envelope, ...]:
        """All bodies of a batch in flight, in its order; KeyError when one is missing."""
        for pin in self._pins.get(batch.height, ()):
            if pin.batch == batch:
                return tuple(map(pin.envelopes.__getitem__, batch.envelope_ids))
        if batch.envelope_ids:
            raise KeyError(batch.envelope_ids[0])
        return ()

    def want(self, batch: Batch, view: int, digest: bytes, sources: tuple[int, ...], limit_bytes: int) -> Wanted:
        """Collect a batch's bodies: those present are pinned, the rest is missing.

        What was collected for the same height in earlier views is let go; it may lie in the pool or the log still.
        """
        found = {i: self.get(i) for i in batch.envelope_ids}
        pins = [pin for pin in self._pins.get(batch.height, ()) if pin.view >= view and pin.batch != batch]
        for old in [d for d, w in self.wanted.items() if w.batch.height == batch.height and w.view < view]:
            del self.wanted[old]
        present = {i: envelope for i, envelope in found.items() if envelope is not None}
        self._pins[batch.height] = [*pins, Pin(batch, view, present)]
        size = block_bytes(len(envelope.raw) for envelope in present.values())
        wanted = Wanted(batch, view, digest, sources, found.keys() - present.keys(), size, limit_bytes)
        if wanted.missing and wanted.fits:
            self.wanted[digest] = wanted
        return wanted

    def pin(self, batch: Batch, view: int) -> None:
        """Keep a proposed batch's pooled bodies whatever happens in the pool."""
        pins = self._pins.setdefault(batch.height, [])
        pins.append(Pin(batch, view, {i: self.pooled[i] for i in batch.envelope_ids}))

    def unpin(self, batch: Batch) -> list[bytes]:
        """A proposal was lost; its ids that stand in no other batch in flight."""
        self._pins[batch.height] = [pin for pin in self._pins.get(batch.height, ()) if pin.batch != batch]
        self.wanted = {digest: wanted for digest, wanted in self.wanted.items() if wanted.batch != batch}
        return [i for i in batch.envelope_ids if self._pinned(i) is None]

    def arrived(self, envelope: Envelope) -> tuple[bool, list[Wanted]]:
        """A verified body came: whether a proposal needed it, and the batches that it completes or makes too big."""
        needed, settled = False, []
        for digest, wanted in list(self.wanted.items()):
            if envelope.envelope_id not in wanted.missing:
                continue
            needed = True
            wanted.missing.discard(envelope.envelope_id)
            wanted.size_bytes += block_bytes((len(envelope.raw),)) - block_bytes(())
            for pin in self._pins.get(wanted.batch.height, ()):
                if pin.batch == wanted.batch:
                    pin.envelopes[envelope.envelope_id] = envelope
            if not wanted.missing or not wanted.fits:
                del self.wanted[digest]
                settled.append(wanted)
        return needed, settled

    def let_go(self) -> None:
        """No proposal is in flight any more."""
        self._pins.clear()
        self.wanted.clear()

    def finalised(self, height: int, envelope_ids: tuple[bytes, ...]) -> None:
        """A height is final: its bodies are in the block, and what was collected for that height is done with."""
        for envelope_id in envelope_ids:
            self.pooled.pop(envelope_id, None)
        self._pins = {at: pins for at, pins in self._pins.items() if at > height}
        self.wanted = {digest: wanted for digest, wanted in self.wanted.items() if wanted.batch.height > height}
