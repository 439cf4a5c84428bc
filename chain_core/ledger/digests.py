"""Bucket digests on disk, so that a store opens without reading its whole state.

A block changes thousands of digests all over the tree; writing each by itself, or the pages they lie in, would cost
more than the state. So a block writes one *delta* (all digests it changed) into a ring of RING slots, and one *page*
(the digests of 1/RING of the buckets, in turn). Pages plus the ring's deltas in the order of heights give the digests:
a page is as it was before the block that wrote it, whose delta and all later ones are still in the ring. A page not yet
written means empty buckets.
"""

from __future__ import annotations

from struct import Struct

import numpy as np

from chain_core.ledger import keys
from chain_core.ledger.bucket_tree import BucketTree, TreeChange
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.errors import corrupt
from chain_core.ledger.levels import HASH_SIZE, Indexes, Rows, rows_of

RING = 64
_HEAD = Struct(">QI")
_SLOT = Struct(">H")


def write(batch: Batch, name: bytes, tree: BucketTree, change: TreeChange, height: int) -> None:
    """Puts the delta of the block at ``height``, and a page of digests before it: ``tree`` is without ``change``."""
    slot = _SLOT.pack(height % RING)
    touched, digests = change.digests
    delta = _HEAD.pack(height, len(touched)) + touched.astype(">u4").tobytes() + digests.tobytes()
    batch.put(keys.DIGEST_DELTA + name + slot, delta)
    start, stop = _page(tree.bucket_count, height % RING)
    batch.put(keys.DIGEST_PAGE + name + slot, tree.digests(start, stop).tobytes())


def restore(database: Database, name: bytes, tree: BucketTree, height: int) -> None:
    """Sets the digests of an empty ``tree`` as they are at final ``height``. Raises StoreCorrupt."""
    digests = tree.digests(0, tree.bucket_count)
    for slot in range(min(RING, height + 1)):
        page = database.get(keys.DIGEST_PAGE + name + _SLOT.pack(slot))
        start, stop = _page(tree.bucket_count, slot)
        if page is None or len(page) != (stop - start) * HASH_SIZE:
            corrupt(f"page {slot} of the bucket digests is missing or cut", database.path)
        digests[start:stop] = rows_of(page)
    for past in range(max(0, height - RING + 1), height + 1):
        read = _delta(database.get(keys.DIGEST_DELTA + name + _SLOT.pack(past % RING)), past, tree.bucket_count)
        if read is None:
            corrupt(f"the bucket digests of height {past} are missing or damaged", database.path)
        touched, changed = read
        digests[touched] = changed
    tree.restore(digests)


def _page(bucket_count: int, slot: int) -> tuple[int, int]:
    """The buckets whose digests stand in page ``slot``: start and stop."""
    return bucket_count * slot // RING, bucket_count * (slot + 1) // RING


def _delta(data: bytes | None, height: int, bucket_count: int) -> tuple[Indexes, Rows] | None:
    """The buckets and digests of a delta; None unless it is one of ``height``."""
    if data is None or len(data) < _HEAD.size:
        return None
    written_at, count = _HEAD.unpack_from(data)
    start = _HEAD.size + 4 * count
    if written_at != height or len(data) != start + HASH_SIZE * count:
        return None
    touched = np.frombuffer(data, dtype=">u4", count=count, offset=_HEAD.size).astype(np.int64)
    if count and int(touched.max()) >= bucket_count:
        return None
    return touched, rows_of(data[start:])
