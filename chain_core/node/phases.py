"""How long each phase of a height takes here, seen in the core's inputs and effects; monotonic seconds, read by nobody
but metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain_core.codec.block import decode_header
from chain_core.consensus import effects as fx
from chain_core.consensus import inputs as inp
from chain_core.node.metrics import COUNTS, SECONDS, Histogram

PHASES = ("bodies", "prepare", "commit", "execute", "header", "write")
"""Proposal taken, bodies held, prepared, committed, executed, certified, synced: a phase is the way to the next."""
_KEPT_HEIGHTS = 256


class PhaseWatch:
    """A watcher of the core: ``seconds`` by phase, the time of whole heights, transactions a block."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.seconds = Histogram("dualchain_phase_seconds", "Time a height spends in a phase here.", SECONDS, "phase")
        self.blocks = Histogram("dualchain_block_seconds", "From a proposal taken to its block synced.", SECONDS)
        self.transactions = Histogram("dualchain_block_transactions", "Transactions of committed batches.", COUNTS)
        self._monotonic = monotonic
        self._marks: dict[int, tuple[float, float]] = {}
        """By height: when its proposal was taken, and its last mark."""

    def stepped(self, event: inp.Input, now_ms: int, effects: Sequence[fx.Effect] | None) -> None:
        """One step of the core."""
        match event:
            case inp.OwnPrePrepare(message):
                self._begin(message.batch.height)
            case inp.BodiesHeld(height=height):
                self._mark(height, "bodies")
            case inp.Executed(height=height):
                self._mark(height, "execute")
            case inp.Finalised(header_bytes=header):
                self._end(decode_header(header).height)
        for effect in effects or ():
            match effect:
                case fx.HoldBodies(batch=batch):
                    self._begin(batch.height)
                case fx.CastCommit(vote=vote):
                    self._mark(vote.height, "prepare")
                case fx.Execute(batch=batch):
                    self._mark(batch.height, "commit")
                    self.transactions.observe(len(batch.envelope_ids))
                case fx.Finalise(header_bytes=header):
                    self._mark(decode_header(header).height, "header")

    def _begin(self, height: int) -> None:
        if height not in self._marks:
            if len(self._marks) >= _KEPT_HEIGHTS:
                del self._marks[min(self._marks)]
            now = self._monotonic()
            self._marks[height] = now, now

    def _mark(self, height: int, phase: str) -> None:
        marks = self._marks.get(height)
        if marks is not None:
            now = self._monotonic()
            self.seconds.observe(now - marks[1], phase)
            self._marks[height] = marks[0], now

    def _end(self, height: int) -> None:
        self._mark(height, "write")
        marks = self._marks.pop(height, None)
        if marks is not None:
            self.blocks.observe(marks[1] - marks[0])
        for old in [at for at in self._marks if at < height]:
            del self._marks[old]
