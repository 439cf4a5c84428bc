"""Which limits bound the primary that proposed a height in flight: governance may have changed them since.

A correct primary proposes height k under the limits of its own final state, of some height from k-W to k-1. A replica
at final height k-1 has been at all of them, so it judges by the largest; one further behind cannot know them all.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.codec.block import MAX_BATCH_IDS, MAX_BLOCK_BYTES, decode_header, params_hash
from chain_core.codec.votes import MAX_WINDOW
from chain_core.consensus.state import ConsensusParameters
from chain_core.execution.executor import Executor
from chain_core.ledger.store import LedgerStore


@dataclass(frozen=True, slots=True)
class _Limits:
    """``until``: the last final height at which they were in force; None: they still are."""

    transactions: int
    size_bytes: int
    window: int
    until: int | None = None


class RecentLimits:
    """The limits on a block at the final heights from which what is in flight may have been proposed."""

    def __init__(self, store: LedgerStore, executor: Executor) -> None:
        """After a restart nobody remembers values: where a header shows others, those of the format stand for them."""
        self._store, self._executor = store, executor
        self._past: list[_Limits] = []
        now = params_hash(executor.parameters(store), executor.flags(store))
        for height in range(store.final_height, max(0, store.final_height - MAX_WINDOW), -1):
            header = store.header(height)
            if header is None or decode_header(header).params_hash != now:
                self._past.append(_Limits(MAX_BATCH_IDS, MAX_BLOCK_BYTES, MAX_WINDOW, height))
                break
        self._present = self._read()

    def _read(self) -> _Limits:
        chain = self._executor.parameters(self._store)
        return _Limits(chain["max_block_transactions"], chain["max_block_bytes"], chain["window_heights"])

    def finalised(self, height: int) -> None:
        """A block is final: what cannot have been proposed under older limits any more is not judged by them."""
        before, self._present = self._present, self._read()
        if before != self._present:
            self._past.append(_Limits(before.transactions, before.size_bytes, before.window, height - 1))
        window = max(limits.window for limits in (self._present, *self._past))
        self._past = [p for p in self._past if p.until is not None and p.until > height - window]

    @property
    def size_bytes(self) -> int:
        """The largest ``max_block_bytes`` of them."""
        return max(limits.size_bytes for limits in (self._read(), *self._past))

    def parameters(self) -> ConsensusParameters:
        """What the core reads."""
        former = max((limits.transactions for limits in self._past), default=0)
        return ConsensusParameters.from_chain(self._executor.parameters(self._store), former)
