"""Bucket digests on disk, so that a store opens without reading its whole state.

A block changes thousands of digests all over the tree; writing the pages they lie in would cost more than the state. So
a block writes one *delta* (all digests it changed), and for every PAGE_EVERY bytes of deltas one *page* (PAGE
neighbouring digests as they are before that block), the page whose last writing is longest ago. Pages overlaid with the
deltas of their own height and later give the digests; older deltas are deleted. So a block's share does not depend on
the size of the tree, and all deltas together stay within a small multiple of all digests.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from struct import Struct

import numpy as np

from chain_core.ledger import keys
from chain_core.ledger.bucket_tree import BucketTree, TreeChange
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.errors import corrupt
from chain_core.ledger.levels import HASH_SIZE, Indexes, Rows, rows_of

PAGE = 1_024
PAGE_EVERY = 4
"""A page is due when deltas of so many times its size have been written since the last one."""
_DELTA_COST = 64
"""What a delta counts beside its contents."""
_PAGES_A_BATCH = 64
PREFIXES = (keys.TREE_SIZE, keys.DIGEST_PAGE, keys.DIGEST_DELTA)
_SIZE = Struct(">IQ")
_HEIGHT = Struct(">Q")
_NUMBER = Struct(">I")
_EVERYTHING = 1 << 62


@dataclass(slots=True)
class _Log:
    """``pages``: for each page the height from which on its deltas are needed; ``deltas``: heights on disk."""

    pages: list[int] = field(default_factory=list)
    deltas: deque[int] = field(default_factory=deque)
    credit: int = 0


class DigestLog:
    """The digests of one tree on disk. ``write``, then ``adopt`` once the batch is durable."""

    def __init__(self, database: Database, name: bytes) -> None:
        self._database = database
        self._name = name
        self._log = self._next = _Log()

    def write(self, batch: Batch, tree: BucketTree, change: TreeChange, height: int) -> None:
        """Puts the delta of the block at ``height`` and the pages that are due: ``tree`` is without ``change``."""
        log = _Log(list(self._log.pages), self._log.deltas.copy(), self._log.credit)
        self._next = log
        batch.put(keys.TREE_SIZE + self._name, _SIZE.pack(change.bucket_count, change.entry_count))
        touched, digests = change.digests
        if not len(touched):
            return
        delta = touched.astype(">u4").tobytes() + digests.tobytes()
        batch.put(keys.DIGEST_DELTA + self._name + _HEIGHT.pack(height), delta)
        log.deltas.append(height)
        log.credit += _DELTA_COST + len(delta)
        log.pages.extend([height] * (-(-change.bucket_count // PAGE) - len(log.pages)))
        for _ in range(len(log.pages)):
            oldest = min(log.pages)
            number = log.pages.index(oldest)
            page = tree.digests(number * PAGE, (number + 1) * PAGE)[: max(0, tree.bucket_count - number * PAGE)]
            cost = PAGE_EVERY * max(1, len(page)) * HASH_SIZE
            if oldest == height or log.credit < cost:
                break
            log.credit -= cost
            log.pages[number] = height
            batch.put(self._page_key(number), _HEIGHT.pack(height) + page.tobytes())
        oldest = min(log.pages)
        while log.deltas[0] < oldest:
            batch.delete(keys.DIGEST_DELTA + self._name + _HEIGHT.pack(log.deltas.popleft()))

    def adopt(self) -> None:
        """What was put into the last batch is durable."""
        self._log = self._next

    def restore(self, tree: BucketTree, height: int) -> None:
        """Sets the digests of an empty ``tree`` as they are at final ``height``. Raises StoreCorrupt.

        What is missing altogether shows in the root, which the caller compares.
        """
        size = self._database.get(keys.TREE_SIZE + self._name)
        if size is None or len(size) != _SIZE.size:
            corrupt("the size of a tree is missing or damaged", self._database.path)
        bucket_count, entry_count = _SIZE.unpack(size)
        digests = np.empty((bucket_count, HASH_SIZE), dtype=np.uint8)
        digests[:] = rows_of(tree.empty_digest)
        log = _Log([0] * -(-bucket_count // PAGE))
        for key, value in self._scan(keys.DIGEST_PAGE):
            number, rows = _NUMBER.unpack(key[-4:])[0], value[_HEIGHT.size :]
            start = number * PAGE
            if len(value) < _HEIGHT.size or len(rows) % HASH_SIZE or start + len(rows) // HASH_SIZE > bucket_count:
                corrupt(f"page {number} of the bucket digests is damaged", self._database.path)
            digests[start : start + len(rows) // HASH_SIZE] = rows_of(rows)
            log.pages[number] = _HEIGHT.unpack_from(value)[0]
        needed = np.array(log.pages, dtype=np.int64)
        for key, value in self._scan(keys.DIGEST_DELTA):
            written_at = _HEIGHT.unpack(key[-_HEIGHT.size :])[0]
            delta = _delta(value, bucket_count)
            if delta is None or written_at > height:
                corrupt(f"the bucket digests of height {written_at} are damaged", self._database.path)
            touched, changed = delta
            newer = needed[touched // PAGE] <= written_at
            digests[touched[newer]] = changed[newer]
            log.deltas.append(written_at)
        self._log = self._next = log
        tree.restore(digests, entry_count)

    def _scan(self, kind: bytes) -> list[tuple[bytes, bytes]]:
        prefix = kind + self._name
        return self._database.scan(prefix, keys.after(prefix), _EVERYTHING)

    def _page_key(self, number: int) -> bytes:
        return _page_key(self._name, number)


def write_pages(database: Database, name: bytes, digests: bytes, entry_count: int, height: int) -> None:
    """Writes all digests of a tree as they are after ``height``, where nothing is stored yet, in synced batches."""
    batch = database.batch()
    batch.put(keys.TREE_SIZE + name, _SIZE.pack(len(digests) // HASH_SIZE, entry_count))
    size = PAGE * HASH_SIZE
    for number, start in enumerate(range(0, len(digests), size)):
        batch.put(_page_key(name, number), _HEIGHT.pack(height + 1) + digests[start : start + size])
        if number % _PAGES_A_BATCH == _PAGES_A_BATCH - 1:
            database.write(batch)
            batch = database.batch()
    database.write(batch)


def _page_key(name: bytes, number: int) -> bytes:
    return keys.DIGEST_PAGE + name + _NUMBER.pack(number)


def _delta(data: bytes, bucket_count: int) -> tuple[Indexes, Rows] | None:
    """The buckets and digests of a delta; None when it cannot be one."""
    count, left = divmod(len(data), 4 + HASH_SIZE)
    touched = np.frombuffer(data, dtype=">u4", count=count).astype(np.int64)
    if left or not count or int(touched.max()) >= bucket_count:
        return None
    return touched, rows_of(data[4 * count :])
