"""The tree over all bucket digests, in memory: one array a level, so that it grows in place.

Level 0 are the digests; a node above is hashed from its two children, an odd last one stands again, unchanged, in the
level above (RFC 6962 shape). Arrays have room to spare and are doubled when that is used up. Staging a change reads the
committed rows and touches none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chain_core.crypto.merkle import node_hash
from chain_core.ledger.levels import HASH_SIZE, Delta, Indexes, Rows, hash_parents


@dataclass(frozen=True, slots=True)
class UpperChange:
    """New rows of each level from the digests up, the root's level last; ``count`` digests afterwards."""

    count: int
    rows: Delta

    @property
    def root(self) -> bytes:
        """The upper root after the change."""
        root: bytes = self.rows[-1][1][0].tobytes()
        return root


class UpperTree:
    """A committed tree over ``count`` >= 1 digests."""

    # There may be more levels than ``count`` asks for: a change that needed them was dropped.
    __slots__ = ("_levels", "count")

    def __init__(self, digest: bytes, count: int) -> None:
        """All digests equal, at two hashes a level."""
        self.count = count
        self._levels: list[Rows] = []
        node = last = np.frombuffer(digest, dtype=np.uint8)
        width = count
        while True:
            rows = np.empty((_room(width), HASH_SIZE), dtype=np.uint8)
            rows[:width] = node
            rows[width - 1] = last
            self._levels.append(rows)
            if width == 1:
                return
            if width % 2 == 0:
                last = _node(node, last)
            node, width = _node(node, node), (width + 1) // 2

    @property
    def root(self) -> bytes:
        """The upper root."""
        root: bytes = self._levels[len(_widths(self.count)) - 1][0].tobytes()
        return root

    def digest(self, index: int) -> bytes:
        """One digest."""
        digest: bytes = self._levels[0][index].tobytes()
        return digest

    def digests(self, start: int, stop: int) -> Rows:
        """A copy of digests ``start`` up to ``stop``."""
        return self._levels[0][start:stop].copy()

    def nodes(self, level: int) -> Rows:
        """A copy of the nodes that stand above 2^level digests each; the root's level when there are fewer levels."""
        widths = _widths(self.count)
        level = min(level, len(widths) - 1)
        return self._levels[level][: widths[level]].copy()

    def stage(self, touched: Indexes, digests: Rows, count: int) -> UpperChange:
        """The change when digests ``touched`` (strictly ascending) are new; all from ``self.count`` to ``count`` are.

        ``count`` is not below the present one, and at least one digest is touched.
        """
        self._make_room(count)
        change: Delta = [(touched, digests)]
        position, fresh = touched, digests
        for level, width in enumerate(_widths(count)[:-1]):
            parent = position >> 1
            first = np.empty(len(parent), dtype=bool)
            first[0] = True
            np.not_equal(parent[1:], parent[:-1], out=first[1:])
            group = np.cumsum(first) - 1
            parent = parent[first]
            paired = 2 * parent + 1 < width
            rows = self._levels[level]
            children = np.empty((len(parent), 2, HASH_SIZE), dtype=np.uint8)
            children[:, 0] = rows[2 * parent]
            children[:, 1] = rows[2 * parent + paired]
            children[group, position & 1] = fresh
            position, fresh = parent, hash_parents(children, paired)
            change.append((position, fresh))
        return UpperChange(count, change)

    def adopt(self, change: UpperChange) -> None:
        """Takes over a change staged on this very tree."""
        for rows, (positions, values) in zip(self._levels, change.rows, strict=False):
            rows[positions] = values
        self.count = change.count

    def path(self, index: int) -> tuple[bytes, ...]:
        """Audit path of a digest."""
        found: list[bytes] = []
        for rows, width in zip(self._levels, _widths(self.count), strict=False):
            if index ^ 1 < width:
                found.append(rows[index ^ 1].tobytes())
            index >>= 1
        return tuple(found)

    def _make_room(self, count: int) -> None:
        """Spare rows hold anything: whatever a larger tree reads of them is touched by the change that adds it."""
        widths = _widths(count)
        for level, width in enumerate(widths):
            if level == len(self._levels):
                self._levels.append(np.empty((_room(width), HASH_SIZE), dtype=np.uint8))
            elif width > len(self._levels[level]):
                larger = np.empty((_room(width), HASH_SIZE), dtype=np.uint8)
                larger[: len(self._levels[level])] = self._levels[level]
                self._levels[level] = larger


def _widths(count: int) -> list[int]:
    """Number of rows of each level."""
    widths = [count]
    while count > 1:
        count = (count + 1) // 2
        widths.append(count)
    return widths


def _room(width: int) -> int:
    return 1 << (width - 1).bit_length()


def _node(left: Rows, right: Rows) -> Rows:
    return np.frombuffer(node_hash(left.tobytes(), right.tobytes()), dtype=np.uint8)
