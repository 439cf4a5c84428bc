"""Snapshots between peers: when to ask for one, and whom to answer (docs/spec/snapshot.md)."""

from __future__ import annotations

from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import PrunedFrame, SnapshotPart, SnapshotRequest
from chain_core.node.ports import Transport
from chain_core.node.snapshot_joining import Alarm, SnapshotJoiner
from chain_core.node.snapshot_serving import SnapshotServer
from chain_core.types.validator_set import max_faulty

SNAPSHOT_DISTANCE = 2_000
"""Certified heights further ahead than this are not fetched block by block."""


class SnapshotExchange:
    """Serving and joining of one node."""

    def __init__(self, store: LedgerStore, transport: Transport, alarm: Alarm, n: int, me: int | None) -> None:
        self._store, self._transport = store, transport
        self.server = SnapshotServer(store)
        self.joiner = SnapshotJoiner(store, transport, alarm)
        self.distance = SNAPSHOT_DISTANCE
        self.follow(n, me)

    def follow(self, n: int, me: int | None) -> None:
        """Another epoch has begun: its members are asked and served from now on."""
        self.joiner.peers, self.joiner.f = tuple(peer for peer in range(n) if peer != me), max_faulty(n)

    @property
    def active(self) -> bool:
        """Whether a snapshot is on its way in, or waits to be built: no blocks are fetched meanwhile."""
        return self.joiner.active or self.joiner.ready

    def behind(self, target: int, now_ms: int) -> None:
        """Certified blocks up to ``target`` are said to exist."""
        if target - self._store.final_height > self.distance:
            self.joiner.begin(now_ms)

    def on_frame(self, peer: int, frame: SnapshotRequest | SnapshotPart | PrunedFrame, now_ms: int) -> None:
        """A peer asks, answers, or has pruned what it was asked for."""
        match frame:
            case SnapshotRequest():
                self._transport.send(peer, self.server.answer(frame))
            case SnapshotPart():
                self.joiner.on_part(peer, frame, now_ms)
            case PrunedFrame(height):
                if height > self._store.final_height:
                    self.joiner.begin(now_ms)

    def close(self) -> None:
        """Before the store is closed."""
        self.server.close()
