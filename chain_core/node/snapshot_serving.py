"""Pieces of snapshots for peers: stable views of a few heights, bounded parts (docs/spec/snapshot.md section 2)."""

from __future__ import annotations

from chain_core.codec.block import decode_header
from chain_core.codec.seen import state_key
from chain_core.codec.snapshot import encode_manifest
from chain_core.execution.epochs import set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.ledger.snapshot_view import PART_BYTES, SnapshotView
from chain_core.ledger.store import LedgerStore
from chain_core.network.frames import SnapshotKind, SnapshotPart, SnapshotRequest

SNAPSHOT_EVERY = 1_000
"""All nodes take views of the heights that are multiples of it."""
KEPT_VIEWS = 2
MAX_HEADERS = 500


class SnapshotServer:
    """This node's views, and what it answers from them."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store
        self._views: list[SnapshotView] = []
        self.every = SNAPSHOT_EVERY

    def finalised(self, height: int) -> None:
        """A block is final: a view of this very height, when it is a common one."""
        if height % self.every == 0:
            self._take()

    def answer(self, request: SnapshotRequest) -> SnapshotPart:
        """The piece asked for; without parts when it is not to be had here."""
        parts, sets = self._pieces(request)
        height, kind, tree, start = request.height, request.kind, request.tree, request.start
        return SnapshotPart(height, kind, tree, start, tuple(parts), tuple(sets))

    def close(self) -> None:
        """Ends all views; before the store is closed."""
        for view in self._views:
            view.close()
        self._views.clear()

    def _pieces(self, request: SnapshotRequest) -> tuple[list[bytes], list[bytes]]:
        if request.kind is SnapshotKind.HEADERS:
            return self._headers(request.start, request.count)
        view = self._view(request.height, request.kind is SnapshotKind.MANIFEST)
        if view is None:
            return [], []
        match request.kind:
            case SnapshotKind.MANIFEST:
                return [encode_manifest(view.manifest)], []
            case SnapshotKind.PAGE:
                page = view.page(request.tree, request.start)
                return ([] if page is None else [page]), []
            case _:
                return view.buckets(request.tree, request.start, request.count), []

    def _headers(self, start: int, count: int) -> tuple[list[bytes], list[bytes]]:
        parts: list[bytes] = []
        sets: dict[bytes, None] = {}
        size = 0
        for height in range(max(1, start), start + min(count, MAX_HEADERS)):
            raw, certificate = self._store.header(height), self._store.certificate(height)
            if raw is None or certificate is None or size > PART_BYTES:
                break
            parts.append(raw + certificate)
            size += len(parts[-1])
            header = decode_header(raw)
            if header.next_validator_set_hash != header.validator_set_hash:
                sets[header.next_validator_set_hash] = None
        encoded = [self._store.get(state_key(GOVERNANCE, set_key(set_hash))) for set_hash in sets]
        return parts, [item for item in encoded if item is not None]

    def _view(self, height: int, may_take: bool) -> SnapshotView | None:
        if height:
            return next((view for view in self._views if view.height == height), None)
        if not self._views and may_take and self._store.final_height > 0:
            self._take()
        return self._views[-1] if self._views else None

    def _take(self) -> None:
        self._views.append(self._store.view())
        if len(self._views) > KEPT_VIEWS:
            self._views.pop(0).close()
