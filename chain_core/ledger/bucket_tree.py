"""The tree over a whole state (or seen set): keys hashed into buckets, a Merkle tree a bucket, one over them all.

Shapes and hashes are those of codec/proofs.py. In memory: the tree over the bucket digests, and a bounded number of
buckets. On disk: one record an entry, and the bucket digests (digests.py). Staging computes a change without touching
the committed tree; ``adopt`` takes it over once it is durable.

The number of buckets grows with the number of entries by linear hashing, a bounded number of splits a block: it follows
from the entries and buckets before the block and the block's writes, so all nodes agree on it (formats.md section 10).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chain_core.codec.proofs import bucket_digest, bucket_of, state_root
from chain_core.crypto.hashing import sm3, sm3_many, sm3_records
from chain_core.ledger import bucket as buckets
from chain_core.ledger import keys, levels
from chain_core.ledger.bucket import Bucket, Change, Draft
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.levels import HASH_SIZE, Indexes, Rows
from chain_core.ledger.upper_tree import UpperChange, UpperTree
from chain_core.types.packet import BucketEntry, StateProof

CACHE_BYTES = 192 << 20
"""Room for 1.4 million entries with their inner nodes; a bucket that is not in memory is read and hashed again."""
_BUCKET_OVERHEAD = 250
"""Bytes that Python spends on a cached bucket beside its contents."""

ENTRIES_A_BUCKET = 8
"""Above this load buckets are split."""
SPLITS_A_BLOCK = 512
MAX_BUCKETS = 1 << 24


def grown(bucket_count: int, entry_count: int) -> int:
    """The number of buckets after a block that leaves ``entry_count`` entries, from the number before it."""
    wanted = min(-(-entry_count // ENTRIES_A_BUCKET), MAX_BUCKETS)
    return max(bucket_count, min(bucket_count + SPLITS_A_BLOCK, wanted))


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A staged change of one tree: its root, what to write, and what to take over afterwards.

    ``records`` are keys and values of the database, None to delete; ``upper`` is None when no bucket changes.
    """

    root: bytes
    bucket_count: int
    entry_count: int
    records: tuple[tuple[bytes, bytes | None], ...]
    buckets: dict[int, Bucket]
    upper: UpperChange | None

    @property
    def digests(self) -> tuple[Indexes, Rows]:
        """The buckets whose digest changes, ascending, and their new digests."""
        return self.upper.rows[0] if self.upper else (np.empty(0, dtype=np.int64), np.empty((0, HASH_SIZE), np.uint8))

    def write(self, batch: Batch) -> None:
        """Puts the changed entries into ``batch``."""
        for key, value in self.records:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)


class BucketTree:
    """A committed tree. ``name`` is its byte in the database's keys, ``kind`` the tag of its root."""

    def __init__(
        self, database: Database, name: bytes, kind: bytes, bucket_count: int, *, cache_bytes: int = CACHE_BYTES
    ) -> None:
        """An empty tree with this many buckets."""
        self.entry_count = 0
        self._database = database
        self._name = name
        self._kind = kind
        self._cache: dict[int, Bucket] = {}  # oldest use first
        self._cache_room = cache_bytes
        self.empty_digest = bucket_digest(0, levels.empty_root())
        self._upper = UpperTree(self.empty_digest, bucket_count)

    def restore(self, digests: Rows, entry_count: int) -> None:
        """Sets the digest of every bucket of a tree that is still empty: what a store does at opening."""
        self._upper = UpperTree(self.empty_digest, len(digests))
        self.entry_count = entry_count
        empty = np.frombuffer(self.empty_digest, dtype=np.uint8)
        indexes = np.flatnonzero((digests != empty).any(axis=1))
        if len(indexes):
            self._upper.adopt(self._upper.stage(indexes, digests[indexes], len(digests)))

    @property
    def bucket_count(self) -> int:
        """The committed number of buckets."""
        return self._upper.count

    @property
    def root(self) -> bytes:
        """The committed root."""
        return state_root(self._upper.count, self._upper.root, self._kind)

    def digests(self, start: int, stop: int) -> Rows:
        """A copy of the committed digests of buckets ``start`` up to ``stop``."""
        return self._upper.digests(start, stop)

    def page_roots(self, level: int) -> tuple[bytes, ...]:
        """The nodes of the upper tree above 2^level buckets each."""
        return tuple(row.tobytes() for row in self._upper.nodes(level))

    def stage(self, writes: Mapping[bytes, bytes | None], *, may_grow: bool = True) -> TreeChange:
        """The change that ``writes`` (full key to value, None removes) make of the committed tree."""
        groups, records = self._grouped(writes)
        drafts: dict[int, Draft] = {}
        loaded = self._loaded(list(groups))
        entry_count = self.entry_count
        for index, changes in groups.items():
            before = loaded[index]
            draft = buckets.changed(before, changes)
            if draft is not None:
                drafts[index] = draft
                entry_count += draft.size - len(before[0]) // buckets.ENTRY_SIZE
        bucket_count = grown(self.bucket_count, entry_count) if may_grow else self.bucket_count
        if bucket_count > self.bucket_count:
            drafts = dict(sorted((drafts | self._split(drafts, bucket_count)).items()))
        staged = _hashed(list(drafts.values()))
        upper = None
        if drafts:
            upper = self._upper.stage(np.array(list(drafts), dtype=np.int64), _digests(staged), bucket_count)
        root = state_root(bucket_count, upper.root if upper else self._upper.root, self._kind)
        after = dict(zip(drafts, staged, strict=True))
        return TreeChange(root, bucket_count, entry_count, records, after, upper)

    def adopt(self, change: TreeChange) -> None:
        """Takes over a change staged on this very tree, after it has become durable."""
        if change.upper is not None:
            self._upper.adopt(change.upper)
        self.entry_count = change.entry_count
        self._remember(change.buckets)

    def prove(self, key: bytes) -> StateProof:
        """Presence or absence of ``key`` under the committed root."""
        key_hash = sm3(key)
        index = bucket_of(key_hash, self.bucket_count)
        entries, nodes = self._loaded([index])[index]
        count = len(entries) // buckets.ENTRY_SIZE
        position, present = buckets.find(entries, key_hash)
        shown = [position] if present else [p for p in (position - 1, position) if 0 <= p < count]
        tree = levels.rows_of(nodes)
        return StateProof(
            self.bucket_count,
            index,
            count,
            present,
            tuple(BucketEntry(p, *buckets.entry(entries, p), levels.path(tree, count, p)) for p in shown),
            self._upper.path(index),
        )

    def _split(self, drafts: Mapping[int, Draft], bucket_count: int) -> dict[int, Draft]:
        """Drafts of the buckets that divide themselves when the tree grows to ``bucket_count``, and of the new ones."""
        old_count = self.bucket_count
        new = range(old_count, bucket_count)
        parents = {index: index - (1 << (index.bit_length() - 1)) for index in new}
        sources = sorted({parent for parent in parents.values() if parent < old_count})
        loaded = self._loaded([index for index in sources if index not in drafts])
        parts = [drafts[index].entries if index in drafts else loaded[index][0] for index in sources]
        rows = np.frombuffer(b"".join(parts), dtype=np.uint8).reshape(-1, buckets.ENTRY_SIZE)
        at = _bucket_numbers(rows[:, :8].copy().view(">u8").astype(np.uint64).ravel(), bucket_count)
        order = np.argsort(at, kind="stable")  # entries of one source stay ascending by key hash
        at, rows = at[order], rows[order]
        wanted = np.array(sorted({*sources, *new}), dtype=np.int64)
        starts, stops = np.searchsorted(at, wanted), np.searchsorted(at, wanted, side="right")
        found = zip(wanted.tolist(), starts.tolist(), stops.tolist(), strict=True)
        return {index: buckets.unhashed(rows[start:stop].tobytes()) for index, start, stop in found}

    def _grouped(
        self, writes: Mapping[bytes, bytes | None]
    ) -> tuple[dict[int, list[Change]], tuple[tuple[bytes, bytes | None], ...]]:
        """The changes of each touched bucket, buckets and key hashes ascending; and the records to write."""
        values = [value for value in writes.values() if value is not None]
        hashes = sm3_many([*writes, *values])
        following = iter(hashes[len(writes) :])
        value_hashes = [None if value is None else next(following) for value in writes.values()]
        key_hashes = hashes[: len(writes)]
        heads = np.frombuffer(b"".join(key_hashes), dtype=">u8")[:: HASH_SIZE // 8].astype(np.uint64)
        numbers: list[int] = _bucket_numbers(heads, self.bucket_count).tolist()
        groups: dict[int, list[Change]] = {}
        group: list[Change] = []
        current = -1
        for index, key_hash, value_hash in sorted(zip(numbers, key_hashes, value_hashes, strict=True)):
            if index != current:
                current, group = index, []
                groups[index] = group
            group.append((key_hash, value_hash))
        name = self._name
        records = tuple(
            (keys.entry(name, key_hash), None if value_hash is None else value_hash + key)
            for key, key_hash, value_hash in zip(writes, key_hashes, value_hashes, strict=True)
        )
        return groups, records

    def _loaded(self, indexes: list[int]) -> dict[int, Bucket]:
        """These buckets (ascending), read and hashed where they are not in memory."""
        cache = self._cache
        upper, empty = self._upper, self.empty_digest
        found: dict[int, Bucket] = {}
        missing: list[int] = []
        for index in indexes:
            if index in cache:
                found[index] = cache[index]
            elif upper.digest(index) == empty:
                found[index] = buckets.EMPTY
            else:
                missing.append(index)
        if missing:
            count = self.bucket_count
            groups = self._database.scan_each([keys.bucket(self._name, index, count) for index in missing])
            fresh = dict(zip(missing, _hashed([buckets.unhashed(_entries(group)) for group in groups]), strict=True))
            found.update(fresh)
            self._remember(fresh)
        return found

    def _remember(self, used: Mapping[int, Bucket]) -> None:
        """Keeps buckets as the most recently used, dropping the least recently used above the bound."""
        cache, room = self._cache, self._cache_room
        for index, bucket in used.items():
            if index in cache:
                entries, nodes = cache.pop(index)
                room += len(entries) + len(nodes) + _BUCKET_OVERHEAD
            cache[index] = bucket
            entries, nodes = bucket
            room -= len(entries) + len(nodes) + _BUCKET_OVERHEAD
        while room < 0:
            entries, nodes = cache.pop(next(iter(cache)))
            room += len(entries) + len(nodes) + _BUCKET_OVERHEAD
        self._cache_room = room


def _bucket_numbers(heads: npt.NDArray[np.uint64], bucket_count: int) -> Indexes:
    """codec/proofs.bucket_of of each key hash, from its first 8 bytes as an integer."""
    low = 1 << (bucket_count.bit_length() - 1)
    index = (heads & np.uint64(2 * low - 1)).astype(np.int64)
    return np.where(index < bucket_count, index, index - low)


def _entries(records: list[tuple[bytes, bytes]]) -> bytes:
    """A bucket's entries, ascending by key hash, from its records, which lie in the order of the reversed hashes."""
    return b"".join(sorted([keys.entry_key_hash(key) + value[:HASH_SIZE] for key, value in records]))


def _hashed(drafts: list[Draft]) -> list[Bucket]:
    """The buckets of these drafts, all their trees hashed level by level together."""
    if not drafts:
        return []
    bases = np.zeros(len(drafts) + 1, dtype=np.int64)
    np.cumsum([len(draft.nodes) // HASH_SIZE for draft in drafts], out=bases[1:])
    buffer = bytearray().join([draft.nodes for draft in drafts])
    nodes = np.frombuffer(buffer, dtype=np.uint8).reshape(-1, HASH_SIZE)
    records: list[bytes] = []
    for draft in drafts:
        entries = draft.entries
        for position in draft.hashed:
            at = position * buckets.ENTRY_SIZE
            records.append(b"\x00" + entries[at : at + buckets.ENTRY_SIZE])
    if records:
        hashes = sm3_records(b"".join(records), 1 + buckets.ENTRY_SIZE)
        lengths = [len(draft.hashed) for draft in drafts]
        positions = np.array([p for draft in drafts for p in draft.hashed], dtype=np.int64)
        nodes[np.repeat(bases[:-1], lengths) + positions] = levels.rows_of(hashes)
    lengths = [len(draft.dirty) for draft in drafts]
    base = np.repeat(bases[:-1], lengths)
    count = np.repeat(np.array([draft.size for draft in drafts], dtype=np.int64), lengths)
    dirty = np.array([p for draft in drafts for p in draft.dirty], dtype=np.int64)
    levels.apply(nodes, levels.rehash(nodes, base, count, dirty, nodes[base + dirty]))
    whole, ends = bytes(buffer), (bases * HASH_SIZE).tolist()
    return [(draft.entries, whole[start:end]) for draft, start, end in zip(drafts, ends, ends[1:], strict=False)]


def _digests(staged: list[Bucket]) -> Rows:
    """Bucket digests (codec/proofs.bucket_digest) of hashed buckets, in one call."""
    nothing = levels.empty_root()
    records = [
        (len(entries) // buckets.ENTRY_SIZE).to_bytes(4, "big") + (nodes[-HASH_SIZE:] or nothing)
        for entries, nodes in staged
    ]
    fields = np.frombuffer(b"".join(records), dtype=np.uint8).reshape(-1, 4 + HASH_SIZE)
    return levels.hash_framed(2, fields)
