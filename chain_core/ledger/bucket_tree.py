"""The tree over a whole state (or seen set): keys hashed into buckets, a Merkle tree a bucket, one over them all.

Shapes and hashes are those of codec/proofs.py. In memory: the flat tree over the bucket digests, and a bounded number
of buckets. On disk: one record an entry under its bucket, and the bucket digests (digests.py). Staging computes a
change without touching the committed tree; ``adopt`` takes it over once it is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chain_core.codec.proofs import bucket_digest, bucket_of, state_root
from chain_core.crypto.hashing import sm3, sm3_many, sm3_records
from chain_core.ledger import bucket as buckets
from chain_core.ledger import keys, levels
from chain_core.ledger.bucket import Bucket, Change, Draft
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.levels import HASH_SIZE, Delta, Indexes, Rows
from chain_core.types.packet import BucketEntry, StateProof

CACHE_BYTES = 192 << 20
"""Room for 1.4 million entries with their inner nodes; a bucket that is not in memory is read and hashed again."""
_BUCKET_OVERHEAD = 250
"""Bytes that Python spends on a cached bucket beside its contents."""


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A staged change of one tree: its root, what to write, and what to take over afterwards."""

    root: bytes
    entries: tuple[tuple[bytes, bytes | None], ...]
    buckets: dict[int, Bucket]
    upper: Delta

    @property
    def digests(self) -> tuple[Indexes, Rows]:
        """The buckets whose digest changes, ascending, and their new digests."""
        return self.upper[0] if self.upper else (np.empty(0, dtype=np.int64), np.empty((0, HASH_SIZE), np.uint8))

    def write(self, batch: Batch) -> None:
        """Puts the changed entries into ``batch``."""
        for key, value_hash in self.entries:
            if value_hash is None:
                batch.delete(key)
            else:
                batch.put(key, value_hash)


class BucketTree:
    """A committed tree. ``name`` is its byte in the database's keys, ``kind`` the tag of its root."""

    def __init__(
        self, database: Database, name: bytes, kind: bytes, bucket_count: int, *, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.bucket_count = bucket_count
        self._database = database
        self._name = name
        self._kind = kind
        self._cache: dict[int, Bucket] = {}  # oldest use first
        self._cache_room = cache_bytes
        self._empty_digest = bucket_digest(0, levels.empty_root())
        self._upper = levels.uniform(self._empty_digest, bucket_count)

    def restore(self, digests: Rows) -> None:
        """Sets the digest of every bucket on a tree that is still empty: what a store does at opening."""
        differing = (digests != self._upper[: self.bucket_count]).any(axis=1)
        indexes = np.flatnonzero(differing)
        if len(indexes):
            levels.apply(self._upper, self._upper_delta(indexes, digests[indexes]))

    @property
    def root(self) -> bytes:
        """The committed root."""
        return state_root(self.bucket_count, self._upper[-1].tobytes(), self._kind)

    def digests(self, start: int, stop: int) -> Rows:
        """A copy of the committed digests of buckets ``start`` up to ``stop``."""
        return self._upper[start:stop].copy()

    def stage(self, writes: Mapping[bytes, bytes | None]) -> TreeChange:
        """The change that ``writes`` (full key to value, None removes) make of the committed tree."""
        groups, entries = self._grouped(writes)
        drafts: dict[int, Draft] = {}
        loaded = self._loaded(list(groups))
        for index, changes in groups.items():
            draft = buckets.changed(loaded[index], changes)
            if draft is not None:
                drafts[index] = draft
        staged = _hashed(list(drafts.values()))
        touched = np.array(list(drafts), dtype=np.int64)
        upper = self._upper_delta(touched, _digests(staged)) if drafts else []
        top = upper[-1][1][0].tobytes() if upper else self._upper[-1].tobytes()
        root = state_root(self.bucket_count, top, self._kind)
        return TreeChange(root, entries, dict(zip(drafts, staged, strict=True)), upper)

    def adopt(self, change: TreeChange) -> None:
        """Takes over a change staged on this very tree, after it has become durable."""
        levels.apply(self._upper, change.upper)
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
            levels.path(self._upper, self.bucket_count, index),
        )

    def _grouped(
        self, writes: Mapping[bytes, bytes | None]
    ) -> tuple[dict[int, list[Change]], tuple[tuple[bytes, bytes | None], ...]]:
        """The changes of each touched bucket, buckets and key hashes ascending; and the records to write."""
        values = [value for value in writes.values() if value is not None]
        hashes = sm3_many([*writes, *values])
        following = iter(hashes[len(writes) :])
        value_hashes = [None if value is None else next(following) for value in writes.values()]
        changes = sorted(zip(self._buckets_of(hashes[: len(writes)]), hashes, value_hashes, strict=False))
        groups: dict[int, list[Change]] = {}
        entries: list[tuple[bytes, bytes | None]] = []
        group: list[Change] = []
        current, prefix = -1, b""
        for index, key_hash, value_hash in changes:
            if index != current:
                current, group, prefix = index, [], keys.bucket(self._name, index)
                groups[index] = group
            group.append((key_hash, value_hash))
            entries.append((prefix + key_hash, value_hash))
        return groups, tuple(entries)

    def _buckets_of(self, key_hashes: list[bytes]) -> list[int]:
        """codec/proofs.bucket_of of each."""
        heads = np.frombuffer(b"".join(key_hashes), dtype=">u8")[:: HASH_SIZE // 8].astype(np.uint64)
        low = 1 << (self.bucket_count.bit_length() - 1)
        index = (heads & np.uint64(2 * low - 1)).astype(np.int64)
        found: list[int] = np.where(index < self.bucket_count, index, index - low).tolist()
        return found

    def _loaded(self, indexes: list[int]) -> dict[int, Bucket]:
        """These buckets (ascending), read and hashed where they are not in memory."""
        cache = self._cache
        upper, empty = self._upper, self._empty_digest
        found: dict[int, Bucket] = {}
        missing: list[int] = []
        for index in indexes:
            if index in cache:
                found[index] = cache[index]
            elif upper[index].tobytes() == empty:
                found[index] = buckets.EMPTY
            else:
                missing.append(index)
        if missing:
            groups = self._database.scan_each([keys.bucket(self._name, index) for index in missing])
            skip = len(keys.bucket(self._name, 0))
            drafts = [
                buckets.unhashed(b"".join([part for key, value in group for part in (key[skip:], value)]))
                for group in groups
            ]
            read = dict(zip(missing, _hashed(drafts), strict=True))
            self._remember(read)
            found.update(read)
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

    def _upper_delta(self, touched: Indexes, digests: Rows) -> Delta:
        base = np.zeros(len(touched), dtype=np.int64)
        return levels.rehash(self._upper, base, base + self.bucket_count, touched, digests)


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
