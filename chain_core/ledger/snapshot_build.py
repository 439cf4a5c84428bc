"""Building a ledger's state from a snapshot that is whole, at opening (docs/spec/snapshot.md section 3, step 4).

The record that asks for it stays until the last batch, so a crash at any moment begins the building anew.
"""

from __future__ import annotations

from struct import Struct

from chain_core.codec.seen import decode_seen
from chain_core.codec.snapshot import SEEN, STATE, Items, Manifest, decode_bucket, decode_manifest
from chain_core.crypto.hashing import sm3_many
from chain_core.crypto.merkle import HistoryTree
from chain_core.ledger import digests, keys
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.errors import corrupt
from chain_core.ledger.levels import HASH_SIZE
from chain_core.ledger.snapshot_import import clear
from chain_core.ledger.snapshot_view import TREE_NAMES
from chain_core.ledger.vote_log import VoteLog

_PLACE = Struct(">BI")
_BATCH_BYTES = 4 << 20


def build_if_due(database: Database) -> None:
    """Builds the ledger when a whole snapshot is stored. Raises StoreCorrupt, DiskFull, StoreFailed."""
    if database.get(keys.IMPORT_BUILD) is None:
        return
    raw, frontier = database.get(keys.IMPORT_MANIFEST), database.get(keys.IMPORT_HEADERS)
    if raw is None or frontier is None:
        corrupt("a snapshot is to be built, and its manifest or headers are missing", database.path)
    manifest, headers = decode_manifest(raw), HistoryTree.restore(frontier)
    if headers.count != manifest.height + 1:
        corrupt("the headers do not end where the snapshot does", database.path)
    final = database.get(keys.META_FINAL)
    if final is not None and int.from_bytes(final, "big") >= manifest.height:  # it came past the snapshot by itself
        clear(database, keys.IMPORT)
        return
    for prefix in (keys.STATE, keys.SEEN, keys.EXPIRY, keys.ENTRY, *digests.PREFIXES):
        clear(database, prefix)
    for tree in (STATE, SEEN):
        entries = _write_entries(database, manifest, tree)
        digests.write_pages(database, TREE_NAMES[tree], _pages(database, manifest, tree), entries, manifest.height)
    height = manifest.height.to_bytes(8, "big")
    batch = database.batch()
    VoteLog(database).delete_through(batch, manifest.height)
    batch.put(keys.META_HISTORY, frontier)
    batch.put(keys.META_FINAL, height)
    batch.put(keys.META_PRUNED, height)
    batch.delete(keys.IMPORT_BUILD)
    database.write(batch)
    clear(database, keys.IMPORT)


def _pages(database: Database, manifest: Manifest, tree: int) -> bytes:
    """All digests of a tree, concatenated: 32 bytes a bucket."""
    prefix = keys.IMPORT_PAGE + bytes((tree,))
    whole = b"".join(page for _, page in database.pairs(prefix, keys.after(prefix)))
    if len(whole) != HASH_SIZE * manifest.bucket_counts[tree]:
        corrupt("pages of the snapshot are missing", database.path)
    return whole


def _write_entries(database: Database, manifest: Manifest, tree: int) -> int:
    """All stored buckets of one tree; how many entries they have."""
    writer, prefix = EntryWriter(database, tree), keys.IMPORT_BUCKET + bytes((tree,))
    wanted = _pages(database, manifest, tree)
    for key, encoded in database.pairs(prefix, keys.after(prefix)):
        _, index = _PLACE.unpack(key[-_PLACE.size :])
        digest = database.get(keys.IMPORT_DIGEST + _PLACE.pack(tree, index))
        if digest == wanted[index * HASH_SIZE : (index + 1) * HASH_SIZE]:  # else of an older manifest, empty now
            writer.add(decode_bucket(encoded), len(encoded))
    return writer.finish()


class EntryWriter:
    """Writes the entries of one tree, values and indexes with them, a bounded batch at a time."""

    def __init__(self, database: Database, tree: int) -> None:
        self._database, self._tree = database, tree
        self._waiting: Items = []
        self._size = self._count = 0

    def add(self, items: Items, size_bytes: int) -> None:
        """Entries of a bucket, which are about so many bytes."""
        self._waiting.extend(items)
        self._size += size_bytes
        if self._size > _BATCH_BYTES:
            self._flush()

    def finish(self) -> int:
        """Writes what waits; how many entries there were in all."""
        self._flush()
        return self._count

    def _flush(self) -> None:
        items, self._waiting, self._size = self._waiting, [], 0
        hashes = sm3_many([part for pair in items for part in pair])
        batch: Batch = self._database.batch()
        name = TREE_NAMES[self._tree]
        for (key, value), key_hash, value_hash in zip(items, hashes[::2], hashes[1::2], strict=True):
            batch.put(keys.entry(name, key_hash), value_hash + key)
            if self._tree == STATE:
                batch.put(keys.STATE + key, value)
            else:
                batch.put(keys.SEEN + key, value)
                batch.put(keys.expiry(decode_seen(value).valid_until_ms, key), b"")
        self._database.write(batch)
        self._count += len(items)
