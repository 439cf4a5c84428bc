"""One bucket of the state tree in memory: its sorted entries and the flat Merkle tree over them.

``entries`` is 64 bytes an entry (key hash, value hash), ascending by key hash; ``nodes`` is the flat tree of their leaf
hashes (levels.py). Both are immutable bytes, so a staged bucket can stand beside the committed one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from chain_core.ledger.levels import HASH_SIZE, level_starts

ENTRY_SIZE = 2 * HASH_SIZE
_ZERO_ROW = bytes(HASH_SIZE)

Bucket: TypeAlias = tuple[bytes, bytes]
"""(entries, nodes)."""
Change: TypeAlias = tuple[bytes, bytes | None]
"""(key hash, new value hash; None removes the entry)."""

EMPTY: Bucket = (b"", b"")


class Draft(NamedTuple):
    """A bucket after changes, before its tree is hashed.

    ``hashed`` are the positions whose leaf hash is to be computed from the entry; ``dirty`` are all positions,
    ascending, above which nodes are to be computed. Rows of ``nodes`` at the former and above the latter are stale.
    """

    entries: bytes
    nodes: bytes
    hashed: list[int]
    dirty: list[int]

    @property
    def size(self) -> int:
        """Number of entries."""
        return len(self.entries) // ENTRY_SIZE


def find(entries: bytes, key_hash: bytes, low: int = 0) -> tuple[int, bool]:
    """Position of ``key_hash`` at or after ``low``, or where it would stand, and whether it is there."""
    at = entries.find(key_hash, low * ENTRY_SIZE)
    if at >= 0 and at % ENTRY_SIZE == 0:
        return at // ENTRY_SIZE, True
    high = len(entries) // ENTRY_SIZE
    while low < high:
        middle = (low + high) >> 1
        at = middle * ENTRY_SIZE
        if entries[at : at + HASH_SIZE] < key_hash:
            low = middle + 1
        else:
            high = middle
    at = low * ENTRY_SIZE
    return low, entries[at : at + HASH_SIZE] == key_hash


def entry(entries: bytes, position: int) -> tuple[bytes, bytes]:
    """(key hash, value hash) at ``position``."""
    at = position * ENTRY_SIZE
    return entries[at : at + HASH_SIZE], entries[at + HASH_SIZE : at + ENTRY_SIZE]


def unhashed(entries: bytes) -> Draft:
    """The draft of a bucket just read from disk: everything is still to be hashed."""
    count = len(entries) // ENTRY_SIZE
    everything = list(range(count))
    return Draft(entries, bytes(HASH_SIZE * level_starts(count)[-1]), everything, everything)


def changed(bucket: Bucket, changes: list[Change]) -> Draft | None:
    """The draft of ``bucket`` after ``changes`` (ascending by key hash, one a key); None when they change nothing."""
    return _changed_once(bucket, *changes[0]) if len(changes) == 1 else _merged(bucket, changes)


def _changed_once(bucket: Bucket, key_hash: bytes, value_hash: bytes | None) -> Draft | None:
    """One change, the commonest case: what ``_merged`` does, in fewer steps."""
    entries, nodes = bucket
    position, found = find(entries, key_hash)
    at, before = position * ENTRY_SIZE, len(entries) // ENTRY_SIZE
    end = at + ENTRY_SIZE
    if found:
        if value_hash is None:
            kept = nodes[: position * HASH_SIZE] + nodes[(position + 1) * HASH_SIZE : before * HASH_SIZE]
            dirty = list(range(max(min(position, before - 2), 0), before - 1))
            upper = _upper_nodes(nodes, before, before - 1, position)
            return Draft(entries[:at] + entries[end:], kept + upper, [], dirty)
        if entries[at + HASH_SIZE : end] == value_hash:
            return None
        positions = [position]
        return Draft(entries[: at + HASH_SIZE] + value_hash + entries[end:], nodes, positions, positions)
    if value_hash is None:
        return None
    row = position * HASH_SIZE
    leaves = nodes[:row] + _ZERO_ROW + nodes[row : before * HASH_SIZE]
    upper = _upper_nodes(nodes, before, before + 1, position)
    dirty = list(range(position, before + 1))
    return Draft(entries[:at] + key_hash + value_hash + entries[at:], leaves + upper, [position], dirty)


def _merged(bucket: Bucket, changes: list[Change]) -> Draft | None:
    entries, nodes = bucket
    parts: list[bytes] = []
    leaves: list[bytes] = []
    hashed: list[int] = []
    size = copied = 0  # entries put out so far, entries of the old bucket consumed so far
    shifted = -1  # first position from which entries moved
    touched = False
    for key_hash, value_hash in changes:
        position, found = find(entries, key_hash, copied)
        if value_hash is None and not found:
            continue
        if found and value_hash == entry(entries, position)[1]:
            continue
        touched = True
        parts.append(entries[copied * ENTRY_SIZE : position * ENTRY_SIZE])
        leaves.append(nodes[copied * HASH_SIZE : position * HASH_SIZE])
        size += position - copied
        copied = position + found
        if shifted < 0 and not (found and value_hash is not None):
            shifted = size
        if value_hash is not None:
            parts.append(key_hash + value_hash)
            leaves.append(_ZERO_ROW)
            hashed.append(size)
            size += 1
    if not touched:
        return None
    before = len(entries) // ENTRY_SIZE
    size += before - copied
    parts.append(entries[copied * ENTRY_SIZE :])
    leaves.append(nodes[copied * HASH_SIZE : before * HASH_SIZE])
    if shifted < 0:
        leaves.append(nodes[before * HASH_SIZE :])
        return Draft(b"".join(parts), b"".join(leaves), hashed, hashed)
    leaves.append(_upper_nodes(nodes, before, size, shifted))
    # When only the end was cut off, the new last leaf has another way up.
    from_here = min(shifted, size - 1)
    dirty = [position for position in hashed if position < from_here]
    dirty.extend(range(max(from_here, 0), size))
    return Draft(b"".join(parts), b"".join(leaves), hashed, dirty)


def _upper_nodes(nodes: bytes, before: int, size: int, shifted: int) -> bytes:
    """The levels above the leaves for ``size`` entries: right wherever they stand wholly left of ``shifted``."""
    old, new = level_starts(before), level_starts(size)
    if len(old) == len(new):
        # Each old level at its new width (the levels above it always fill that): what follows ``shifted`` is stale.
        return b"".join([nodes[start:end] for start, end in _level_slices(before, size)])
    parts: list[bytes] = []
    for level in range(1, len(new) - 1):
        width = new[level + 1] - new[level]
        kept = min(shifted >> level, width) if level < len(old) - 1 else 0
        start = old[level] * HASH_SIZE if kept else 0
        parts.append(nodes[start : start + kept * HASH_SIZE])
        parts.append(bytes((width - kept) * HASH_SIZE))
    return b"".join(parts)


@lru_cache(maxsize=65_536)
def _level_slices(before: int, size: int) -> tuple[tuple[int, int], ...]:
    """Where ``size`` entries' levels above the leaves begin in ``before`` entries' nodes, as byte ranges."""
    old, new = level_starts(before), level_starts(size)
    return tuple(
        (start * HASH_SIZE, (start + following - first) * HASH_SIZE)
        for start, first, following in zip(old[1:], new[1:], new[2:], strict=False)
    )
