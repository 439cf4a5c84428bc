"""One bucket of the state tree in memory: its sorted entries and the flat Merkle tree over them.

``entries`` is 64 bytes an entry (key hash, value hash), ascending by key hash; ``nodes`` is the flat tree of their leaf
hashes (levels.py). Both are immutable bytes, so a staged bucket can stand beside the committed one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chain_core.ledger.levels import HASH_SIZE, level_starts

ENTRY_SIZE = 2 * HASH_SIZE
_ZERO_ROW = bytes(HASH_SIZE)

Bucket: TypeAlias = tuple[bytes, bytes]
"""(entries, nodes)."""
Change: TypeAlias = tuple[bytes, bytes | None]
"""(key hash, new value hash; None removes the entry)."""

EMPTY: Bucket = (b"", b"")


@dataclass(slots=True)
class Draft:
    """A bucket after changes, before its tree is hashed.

    ``hashed`` are the positions whose leaf hash is to be computed from the entry; ``dirty`` are all positions,
    ascending, above which nodes are to be computed. Rows of ``nodes`` at both are placeholders.
    """

    entries: bytes
    nodes: bytes
    hashed: list[int]
    dirty: list[int]

    @property
    def count(self) -> int:
        """Number of entries."""
        return len(self.entries) // ENTRY_SIZE


def find(entries: bytes, key_hash: bytes, low: int = 0) -> tuple[int, bool]:
    """Position of ``key_hash`` at or after ``low``, or where it would stand, and whether it is there."""
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
    leaves.append(_kept_nodes(nodes, before, size, shifted))
    # When only the end was cut off, the new last leaf has another way up.
    from_here = min(shifted, size - 1)
    dirty = [position for position in hashed if position < from_here]
    dirty.extend(range(max(from_here, 0), size))
    return Draft(b"".join(parts), b"".join(leaves), hashed, dirty)


def _kept_nodes(nodes: bytes, before: int, size: int, shifted: int) -> bytes:
    """The levels above the leaves: nodes wholly left of ``shifted`` as they were, the rest placeholders."""
    old, new = level_starts(before), level_starts(size)
    parts: list[bytes] = []
    for level in range(1, len(new) - 1):
        width = new[level + 1] - new[level]
        kept = min(shifted >> level, width) if level < len(old) - 1 else 0
        start = old[level] * HASH_SIZE if kept else 0
        parts.append(nodes[start : start + kept * HASH_SIZE])
        parts.append(bytes((width - kept) * HASH_SIZE))
    return b"".join(parts)
