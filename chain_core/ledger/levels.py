"""Flat Merkle trees (RFC 6962 shape) in numpy arrays, and updates of many of them at once, level by level.

A flat tree of n leaf hashes is an array of 32-byte rows: the n leaves, then ceil(n/2) nodes, and so on up to the root.
An odd last node stands again, unchanged, in the level above. Many trees may lie one after the other in one array; an
update hashes the touched nodes of one level of all of them in one call, so that a provider's lanes are full.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from chain_core.crypto.hashing import sm3, sm3_records

HASH_SIZE = 32
Rows: TypeAlias = npt.NDArray[np.uint8]
"""k hashes: shape (k, 32)."""
Indexes: TypeAlias = npt.NDArray[np.int64]
"""Row numbers or counts: shape (k,)."""
Delta: TypeAlias = list[tuple[Indexes, Rows]]
"""New rows, level by level from the leaves up: where they go and what they are."""


@lru_cache(maxsize=65_536)
def level_starts(count: int) -> tuple[int, ...]:
    """First row of each level of a flat tree with ``count`` leaves, and last the number of its rows."""
    starts = [0]
    while count > 1:
        starts.append(starts[-1] + count)
        count = (count + 1) // 2
    starts.append(starts[-1] + count)
    return tuple(starts)


def rows_of(data: bytes) -> Rows:
    """Concatenated hashes as rows; read-only, no copy."""
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, HASH_SIZE)


def hash_framed(prefix: int, fields: Rows) -> Rows:
    """SM3(prefix byte || row) of each row of any width."""
    framed = np.empty((len(fields), 1 + fields.shape[1]), dtype=np.uint8)
    framed[:, 0] = prefix
    framed[:, 1:] = fields
    return rows_of(sm3_records(framed.tobytes(), framed.shape[1]))


def rehash(nodes: Rows, base: Indexes, count: Indexes, position: Indexes, fresh: Rows) -> Delta:
    """What changes when leaf ``position`` of the tree at row ``base`` with ``count`` leaves becomes ``fresh``.

    One item a changed leaf, strictly ascending by (base, position). ``nodes`` is only read: rows that are not above a
    changed leaf must be right, the others are never looked at.
    """
    start = base
    delta: Delta = [(start + position, fresh)]
    while True:
        inner = count > 1
        if not inner.all():
            base, start, count, position = base[inner], start[inner], count[inner], position[inner]
            fresh = fresh[inner]
        if not len(base):
            return delta
        parent = position >> 1
        first = np.empty(len(base), dtype=bool)
        first[0] = True
        np.not_equal(base[1:], base[:-1], out=first[1:])
        first[1:] |= parent[1:] != parent[:-1]
        group = np.cumsum(first) - 1
        base, parent, parent_start, width = base[first], parent[first], start[first], count[first]
        paired = 2 * parent + 1 < width
        left = parent_start + 2 * parent
        children = np.empty((len(left), 2, HASH_SIZE), dtype=np.uint8)
        children[:, 0] = nodes[left]
        children[:, 1] = nodes[left + paired]
        children[group, position & 1] = fresh
        start, count, position = parent_start + width, (width + 1) >> 1, parent
        fresh = hash_parents(children, paired)
        delta.append((start + position, fresh))


def hash_parents(children: npt.NDArray[np.uint8], paired: npt.NDArray[np.bool_]) -> Rows:
    """Node hash of each pair; where there is no right child the left one rises as it is."""
    if paired.all():
        return hash_framed(1, children.reshape(len(children), 2 * HASH_SIZE))
    parents = children[:, 0].copy()
    if paired.any():
        parents[paired] = hash_framed(1, children[paired].reshape(-1, 2 * HASH_SIZE))
    return parents


def apply(nodes: Rows, delta: Delta) -> None:
    """Writes a delta into the array it was computed from."""
    for rows, values in delta:
        nodes[rows] = values


def path(nodes: Rows, count: int, position: int) -> tuple[bytes, ...]:
    """Audit path of a leaf in one flat tree."""
    found: list[bytes] = []
    starts = level_starts(count)
    for start, end in zip(starts, starts[1:-1], strict=False):
        sibling = start + (position ^ 1)
        if sibling < end:
            found.append(nodes[sibling].tobytes())
        position >>= 1
    return tuple(found)


def empty_root() -> bytes:
    """Root of a tree without leaves: SM3 of nothing."""
    return sm3(b"")
