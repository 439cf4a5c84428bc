"""Merkle trees of RFC 6962 section 2.1 over SM3, with the hash pluggable so that public vectors run.

leaf hash = H(0x00 || leaf), node = H(0x01 || left || right), the left subtree of n leaves holds the largest
power of two below n, the empty tree's root is H(""). Built level by level: neighbours are hashed together, an
odd last one rises as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from chain_core.crypto import hashing
from chain_core.crypto.errors import MalformedTree

HASH_SIZE = 32
Subtree: TypeAlias = Callable[[int, int], bytes]
"""(level, index) to the root of the perfect subtree over leaves index * 2^level up to (index + 1) * 2^level."""
_LEAF, _NODE = b"\x00", b"\x01"
# Below this a plain loop beats building an array.
_VECTOR_FROM = 8


@dataclass(frozen=True, slots=True)
class Hasher:
    """A 32-byte hash in the three shapes a tree needs: one message, many, and equal records in one buffer."""

    name: str
    one: Callable[[bytes], bytes]
    many: Callable[[Sequence[bytes]], list[bytes]]
    records: Callable[[bytes, int], bytes]


SM3 = Hasher("sm3", hashing.sm3, hashing.sm3_many, hashing.sm3_records)


def leaf_hash(leaf: bytes, *, hasher: Hasher = SM3) -> bytes:
    """H(0x00 || leaf)."""
    return hasher.one(_LEAF + leaf)


def leaf_hashes(leaves: Sequence[bytes], *, hasher: Hasher = SM3) -> bytes:
    """The leaf hashes of k leaves, concatenated: k * 32 bytes."""
    return b"".join(hasher.many([_LEAF + leaf for leaf in leaves]))


def node_hash(left: bytes, right: bytes, *, hasher: Hasher = SM3) -> bytes:
    """H(0x01 || left || right)."""
    return hasher.one(_NODE + left + right)


def merkle_root(leaves: Sequence[bytes], *, hasher: Hasher = SM3) -> bytes:
    """The tree's root, 32 bytes; H("") for no leaves."""
    return root_of_hashes(leaf_hashes(leaves, hasher=hasher), hasher=hasher)


def root_of_hashes(hashes: bytes | Sequence[bytes], *, hasher: Hasher = SM3) -> bytes:
    """The root over leaf hashes, concatenated or as a sequence. Raises MalformedTree on a partial hash."""
    level = _concatenated(hashes)
    if not level:
        return hasher.one(b"")
    while len(level) > HASH_SIZE:
        level = _parents(level, hasher)
    return level


class MerkleTree:
    """A built tree with its levels kept, for paths. Memory: about 64 bytes a leaf."""

    __slots__ = ("_hasher", "_levels")

    def __init__(self, leaves: Sequence[bytes], *, hasher: Hasher = SM3) -> None:
        self._hasher = hasher
        self._levels = _build(leaf_hashes(leaves, hasher=hasher), hasher)

    @classmethod
    def from_hashes(cls, hashes: bytes | Sequence[bytes], *, hasher: Hasher = SM3) -> MerkleTree:
        """A tree over leaf hashes computed earlier. Raises MalformedTree on a partial hash."""
        tree = cls.__new__(cls)
        tree._hasher = hasher
        tree._levels = _build(_concatenated(hashes), hasher)
        return tree

    @property
    def count(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) // HASH_SIZE

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        return self._levels[-1] or self._hasher.one(b"")

    def leaf_hash_at(self, index: int) -> bytes:
        """The leaf hash at ``index``. Raises MalformedTree past the end."""
        self._check(index)
        return self._levels[0][index * HASH_SIZE : (index + 1) * HASH_SIZE]

    def subtree(self, level: int, index: int) -> bytes:
        """The root of a perfect subtree: a ``Subtree`` reader."""
        return self._levels[level][index * HASH_SIZE : (index + 1) * HASH_SIZE]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The audit path of leaf ``index`` (RFC 6962 section 2.1.1). Raises MalformedTree past the end."""
        self._check(index)
        path: list[bytes] = []
        for level in self._levels[:-1]:
            start = (index ^ 1) * HASH_SIZE
            if start < len(level):
                path.append(level[start : start + HASH_SIZE])
            index >>= 1
        return tuple(path)

    def _check(self, index: int) -> None:
        if not 0 <= index < self.count:
            raise MalformedTree("no such leaf", where=f"index {index} of {self.count}")


def path_length(index: int, count: int) -> int:
    """Hashes in the audit path of leaf ``index`` of ``count``; needs 0 <= index < count."""
    length, last = 0, count - 1
    while last:
        if index & 1 or index < last:
            length += 1
        index >>= 1
        last >>= 1
    return length


def root_from_path(leaf: bytes, index: int, count: int, path: Sequence[bytes], *, hasher: Hasher = SM3) -> bytes | None:
    """The root that ``leaf`` (a leaf *hash*) has at ``index`` of ``count`` under ``path``.

    None when index, count and path do not fit together: the length must be exact and each hash 32 bytes, so
    that one leaf has one proof (RFC 9162 section 2.1.3.2).
    """
    if not 0 <= index < count or len(leaf) != HASH_SIZE or len(path) != path_length(index, count):
        return None
    if any(len(sibling) != HASH_SIZE for sibling in path):
        return None
    one, node, siblings, last = hasher.one, leaf, iter(path), count - 1
    while last:
        if index & 1:
            node = one(_NODE + next(siblings) + node)
        elif index < last:
            node = one(_NODE + node + next(siblings))
        index >>= 1
        last >>= 1
    return node


def verify_inclusion(
    leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes, *, hasher: Hasher = SM3
) -> bool:
    """Whether ``leaf`` (its bytes) is leaf ``index`` of the ``count`` leaves under ``root``. Never raises."""
    computed = root_from_path(leaf_hash(leaf, hasher=hasher), index, count, path, hasher=hasher)
    return computed is not None and computed == root


def subtree_root(reader: Subtree, start: int, stop: int, *, hasher: Hasher = SM3) -> bytes:
    """MTH(D[start:stop]) from perfect subtrees; ``start`` is a multiple of the power of two not below the width."""
    width = stop - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return reader(level, start >> level)
    middle = start + (1 << width.bit_length() - 1)
    left = subtree_root(reader, start, middle, hasher=hasher)
    return node_hash(left, subtree_root(reader, middle, stop, hasher=hasher), hasher=hasher)


def inclusion_path(reader: Subtree, index: int, count: int, *, hasher: Hasher = SM3) -> tuple[bytes, ...]:
    """PATH(index, D[count]) of RFC 9162 section 2.1.3.1. Raises MalformedTree unless index < count."""
    if not 0 <= index < count:
        raise MalformedTree("no such leaf", where=f"index {index} of {count}")
    path: list[bytes] = []
    start, stop = 0, count
    while stop - start > 1:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        if index < middle:
            path.append(subtree_root(reader, middle, stop, hasher=hasher))
            stop = middle
        else:
            path.append(subtree_root(reader, start, middle, hasher=hasher))
            start = middle
    return tuple(reversed(path))


def consistency_path(reader: Subtree, first: int, second: int, *, hasher: Hasher = SM3) -> tuple[bytes, ...]:
    """PROOF(first, D[second]) of RFC 9162 section 2.1.4.1. Raises MalformedTree unless 0 < first <= second."""
    if not 0 < first <= second:
        raise MalformedTree("no consistency to show", where=f"{first} leaves of {second}")
    path: list[bytes] = []
    start, stop = 0, second
    while first != stop:
        middle = start + (1 << (stop - start - 1).bit_length() - 1)
        if first <= middle:
            path.append(subtree_root(reader, middle, stop, hasher=hasher))
            stop = middle
        else:
            path.append(subtree_root(reader, start, middle, hasher=hasher))
            start = middle
    if start:  # the old tree is not a whole subtree of the new one: where it ends has to be shown
        path.append(subtree_root(reader, start, stop, hasher=hasher))
    return tuple(reversed(path))


def verify_consistency(
    first: int,
    second: int,
    first_root: bytes,
    second_root: bytes,
    path: Sequence[bytes],
    *,
    hasher: Hasher = SM3,
) -> bool:
    """Whether the ``second`` leaves under ``second_root`` begin with the ``first`` ones under ``first_root``.

    RFC 9162 section 2.1.4.2. A path of another length than the counts ask for proves nothing. Never raises.
    """
    if not 0 < first <= second or any(len(item) != HASH_SIZE for item in (first_root, second_root, *path)):
        return False
    if first == second:
        return not path and first_root == second_root
    siblings = iter(path if first & (first - 1) else (first_root, *path))
    index, last = first - 1, second - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    old = new = next(siblings, b"")
    if not new:
        return False
    for sibling in siblings:
        if not last:
            return False
        if index & 1 or index == last:
            old, new = node_hash(sibling, old, hasher=hasher), node_hash(sibling, new, hasher=hasher)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            new = node_hash(new, sibling, hasher=hasher)
        index, last = index >> 1, last >> 1
    return not last and old == first_root and new == second_root


@dataclass(slots=True)
class HistoryTree:
    """The frontier of an append-only tree: one peak for each set bit of ``count``, the largest first.

    Its root equals ``merkle_root`` over everything appended, at O(log n) time and memory an append.
    """

    hasher: Hasher = SM3
    count: int = 0
    _peaks: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> bytes:
        """Adds ``leaf`` (its bytes) and returns the new root."""
        return self.append_hash(leaf_hash(leaf, hasher=self.hasher))

    def append_hash(self, hashed: bytes) -> bytes:
        """Adds a leaf hash and returns the new root. Raises MalformedTree unless it has 32 bytes."""
        self.grow(hashed)
        return self.root

    def grow(self, hashed: bytes) -> list[bytes]:
        """Adds a leaf hash and returns the roots of the perfect subtrees it completes, from level 0 (itself) up.

        The one of level k has index (count - 1) >> k. Raises MalformedTree unless the hash has 32 bytes.
        """
        if len(hashed) != HASH_SIZE:
            raise MalformedTree(f"a leaf hash has {HASH_SIZE} bytes, not {len(hashed)}")
        merging = self.count
        completed = [hashed]
        while merging & 1:
            completed.append(node_hash(self._peaks.pop(), completed[-1], hasher=self.hasher))
            merging >>= 1
        self._peaks.append(completed[-1])
        self.count += 1
        return completed

    @property
    def root(self) -> bytes:
        """The root over all leaves so far; H("") before the first."""
        if not self._peaks:
            return self.hasher.one(b"")
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root, hasher=self.hasher)
        return root

    def copy(self) -> HistoryTree:
        """An independent tree with the same leaves, for trying an append."""
        return HistoryTree(self.hasher, self.count, list(self._peaks))

    def serialise(self) -> bytes:
        """count (8 bytes big-endian) || peaks, the largest first."""
        return self.count.to_bytes(8, "big") + b"".join(self._peaks)

    @classmethod
    def restore(cls, data: bytes, *, hasher: Hasher = SM3) -> HistoryTree:
        """The tree ``serialise`` wrote. Raises MalformedTree when the peaks do not fit the count."""
        count = int.from_bytes(data[:8], "big")
        if len(data) != 8 + count.bit_count() * HASH_SIZE:
            raise MalformedTree("a history frontier has one 32-byte peak for each set bit of its count")
        return cls(hasher, count, [data[i : i + HASH_SIZE] for i in range(8, len(data), HASH_SIZE)])


def _concatenated(hashes: bytes | Sequence[bytes]) -> bytes:
    if not isinstance(hashes, bytes):
        if any(len(item) != HASH_SIZE for item in hashes):
            raise MalformedTree(f"each leaf hash has {HASH_SIZE} bytes")
        return b"".join(hashes)
    if len(hashes) % HASH_SIZE:
        raise MalformedTree(f"{len(hashes)} bytes are not whole hashes of {HASH_SIZE}")
    return hashes


def _build(level: bytes, hasher: Hasher) -> list[bytes]:
    levels = [level]
    while len(level) > HASH_SIZE:
        level = _parents(level, hasher)
        levels.append(level)
    return levels


def _parents(level: bytes, hasher: Hasher) -> bytes:
    """The next level up: H(0x01 || left || right) of each pair in one batch, an odd last node as it is."""
    pairs, odd = divmod(len(level) // HASH_SIZE, 2)
    paired = pairs * 2 * HASH_SIZE
    if pairs < _VECTOR_FROM:
        records = b"".join([_NODE + level[i : i + 2 * HASH_SIZE] for i in range(0, paired, 2 * HASH_SIZE)])
    else:
        framed = np.empty((pairs, 1 + 2 * HASH_SIZE), dtype=np.uint8)
        framed[:, 0] = 1
        framed[:, 1:] = np.frombuffer(level, dtype=np.uint8, count=paired).reshape(pairs, 2 * HASH_SIZE)
        records = framed.tobytes()
    return hasher.records(records, 1 + 2 * HASH_SIZE) + (level[paired:] if odd else b"")
