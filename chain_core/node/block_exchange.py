"""Certified blocks between peers: asking when behind, serving when asked; bounded both ways."""

from __future__ import annotations

from chain_core.codec.block import encode_block
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import BlocksFrame, PrunedFrame, WantBlocks
from chain_core.node.ports import Transport
from chain_core.node.snapshot_exchange import SnapshotExchange

ASK_COUNT = 16
SERVE_BYTES = 4_000_000
PATIENCE_MS = 1_000


class BlockExchange:
    """One open question at a time; a silent or lying source is left for the next one."""

    def __init__(
        self,
        store: LedgerStore,
        transport: Transport,
        n: int,
        me: int | None,
        snapshots: SnapshotExchange | None = None,
    ) -> None:
        """``snapshots`` takes over while this node is far behind."""
        self._snapshots = snapshots
        self._store, self._transport = store, transport
        self._peers = tuple(p for p in range(n) if p != me)
        self._target = 0
        self._sources: tuple[int, ...] = ()
        self._asked_at_ms = 0
        self._asked_start = 0
        self._turn = 0

    def follow(self, n: int, me: int | None) -> None:
        """Another epoch has begun: its members are asked and served from now on."""
        self._peers = tuple(p for p in range(n) if p != me)
        self._sources = ()

    @property
    def behind(self) -> bool:
        """Whether certified blocks above the final height are known to exist."""
        return self._target > self._store.final_height

    def fetch(self, start: int, end: int, sources: tuple[int, ...], now_ms: int) -> None:
        """Blocks up to ``end`` exist: ask for the next ones unless a question for them is out."""
        if end <= self._store.final_height or start > self._store.final_height + 1:
            return
        self._target = max(self._target, end)
        self._sources = tuple(s for s in sources if s in self._peers)
        if self._snapshots is not None:
            self._snapshots.behind(self._target, now_ms)
        self._ask(now_ms)

    def go_on(self, now_ms: int) -> None:
        """Blocks were applied: ask for the rest at once."""
        if self.behind:
            self._ask(now_ms)

    def ask_again(self, now_ms: int) -> None:
        """The re-sending period: a question left unanswered goes to another peer."""
        if self.behind:
            self._ask(now_ms)

    def _ask(self, now_ms: int) -> None:
        if self._snapshots is not None and self._snapshots.active:
            return
        start = self._store.final_height + 1
        # A wall clock may be set back: that must not make patience endless.
        if start == self._asked_start and 0 <= now_ms - self._asked_at_ms < PATIENCE_MS:
            return
        candidates = self._sources + tuple(p for p in self._peers if p not in self._sources)
        if start == self._asked_start:  # no answer, or none that verified: leave this source
            self._turn += 1
        self._asked_start, self._asked_at_ms = start, now_ms
        count = min(ASK_COUNT, max(1, self._target - start + 1))
        self._transport.send(candidates[self._turn % len(candidates)], WantBlocks(start, count))

    def serve(self, peer: int, start: int, count: int) -> None:
        """Send certified blocks from ``start``, at most ``count`` and about SERVE_BYTES."""
        if max(1, start) <= self._store.pruning.height:
            self._transport.send(peer, PrunedFrame(self._store.pruning.height))
            return
        blocks: list[bytes] = []
        size = 0
        for height in range(max(1, start), min(start + min(count, ASK_COUNT), self._store.final_height + 1)):
            block = self._store.block(height)
            if block is None:
                break
            raw = encode_block(block)
            if blocks and size + len(raw) > SERVE_BYTES:
                break
            blocks.append(raw)
            size += len(raw)
        if blocks:
            self._transport.send(peer, BlocksFrame(tuple(blocks)))
