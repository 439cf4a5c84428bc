"""A final height as a snapshot serves it, stable while the ledger goes on (docs/spec/snapshot.md section 2)."""

from __future__ import annotations

from chain_core.codec import snapshot
from chain_core.codec.block import decode_header
from chain_core.codec.snapshot import PAGE_BUCKETS, PAGE_LEVEL, Manifest, encode_bucket, page_count
from chain_core.ledger import keys
from chain_core.ledger.bucket_tree import BucketTree
from chain_core.ledger.database import Image
from chain_core.ledger.errors import corrupt
from chain_core.ledger.levels import Rows

PART_BYTES = 128 * 1_024
"""A part of several buckets is closed before it grows above this."""
TREE_NAMES = (b"s", b"u")
_VALUES = (keys.STATE, keys.SEEN)
_BUCKETS_AT_ONCE = 64


class SnapshotView:
    """One height's manifest, digests and buckets. Close it when it is not served any more."""

    def __init__(self, image: Image, header: bytes, trees: tuple[BucketTree, BucketTree]) -> None:
        """Of ``header``, the final one at this moment."""
        self._image = image
        self._digests: tuple[Rows, ...] = tuple(tree.digests(0, tree.bucket_count) for tree in trees)
        state, seen = trees
        counts, roots = (state.bucket_count, seen.bucket_count), [tree.page_roots(PAGE_LEVEL) for tree in trees]
        self.height = decode_header(header).height
        self.manifest = Manifest(header, counts, (roots[snapshot.STATE], roots[snapshot.SEEN]))

    def page(self, tree: int, number: int) -> bytes | None:
        """The digests of a page; None when there is no such page."""
        if tree not in (snapshot.STATE, snapshot.SEEN) or number >= page_count(self.manifest.bucket_counts[tree]):
            return None
        return self._digests[tree][number * PAGE_BUCKETS : (number + 1) * PAGE_BUCKETS].tobytes()

    def buckets(self, tree: int, start: int, count: int) -> list[bytes]:
        """Encoded buckets from ``start``, at most ``count`` and about PART_BYTES; none when there is no such bucket."""
        if tree not in (snapshot.STATE, snapshot.SEEN):
            return []
        bucket_count = self.manifest.bucket_counts[tree]
        found: list[bytes] = []
        size, end = 0, min(start + count, bucket_count)
        for first in range(start, end, _BUCKETS_AT_ONCE):
            numbers = range(first, min(first + _BUCKETS_AT_ONCE, end))
            name = TREE_NAMES[tree]
            groups = self._image.scan_each([keys.bucket(name, index, bucket_count) for index in numbers])
            for group in groups:
                encoded = self._encoded(tree, group)
                size += len(encoded)
                if found and size > PART_BYTES:
                    return found
                found.append(encoded)
        return found

    def close(self) -> None:
        """Ends the image."""
        self._image.close()

    def _encoded(self, tree: int, group: list[tuple[bytes, bytes]]) -> bytes:
        items = []
        for key, record in sorted((keys.entry_key_hash(key), record) for key, record in group):
            full = record[32:]
            value = self._image.get(_VALUES[tree] + full)
            if value is None:
                corrupt(f"a tree has an entry {key.hex()} without its value", f"snapshot of height {self.height}")
            items.append((full, value))
        return encode_bucket(items)
