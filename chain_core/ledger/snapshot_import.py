"""A snapshot on its way in: what verifies is stored, what is missing is known (docs/spec/snapshot.md section 3).

Nothing here touches the ledger's own state. ``finish`` only leaves the record at which the next opening builds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct

from chain_core.codec.snapshot import (
    PAGE_BUCKETS,
    SEEN,
    STATE,
    Items,
    Manifest,
    check_buckets,
    check_page,
    decode_bucket,
    decode_manifest,
    encode_manifest,
    page_count,
)
from chain_core.crypto.merkle import HistoryTree
from chain_core.ledger import history, keys
from chain_core.ledger.database import Batch, Database
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import HASH_SIZE

_PLACE = Struct(">BI")
_CLEARED_AT_ONCE = 20_000
TREES = (STATE, SEEN)

Range = tuple[int, int, int]
"""(tree, first bucket, one past the last)."""


class SnapshotImport:
    """The stored part of a snapshot. Raises StoreFailed, DiskFull; content that does not verify raises InvalidProof."""

    def __init__(self, database: Database, history_tree: HistoryTree, empty_digest: bytes) -> None:
        """Goes on with what an earlier life stored; ``history_tree`` is over the ledger's own final headers."""
        self._database = database
        self._empty = empty_digest
        self.manifest: Manifest | None = None
        self.headers = history_tree.copy()
        self._digests: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        self._pages: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
        stored = database.get(keys.IMPORT_HEADERS)
        if stored is not None:
            restored = HistoryTree.restore(stored)
            if restored.count > self.headers.count:
                self.headers = restored
        raw = database.get(keys.IMPORT_MANIFEST)
        if raw is not None:
            self._resume(decode_manifest(raw))

    def _resume(self, manifest: Manifest) -> None:
        self.manifest = manifest
        for key, page in self._database.pairs(keys.IMPORT_PAGE, keys.after(keys.IMPORT_PAGE)):
            tree, number = _PLACE.unpack(key[-_PLACE.size :])
            self._pages[tree][number] = page
        for key, digest in self._database.pairs(keys.IMPORT_DIGEST, keys.after(keys.IMPORT_DIGEST)):
            tree, index = _PLACE.unpack(key[-_PLACE.size :])
            self._digests[tree][index] = digest

    @property
    def started(self) -> bool:
        """Whether anything of a snapshot is stored."""
        return self.manifest is not None

    def aim_at(self, manifest: Manifest) -> None:
        """The snapshot to collect; pages of another one are dropped, buckets stay as far as they still fit.

        Headers above it do not count any more: a source that took them further must not shut out the others.
        """
        if manifest == self.manifest:
            return
        batch = self._database.batch()
        for tree in TREES:
            for number in self._pages[tree]:
                batch.delete(_key(keys.IMPORT_PAGE, tree, number))
        batch.put(keys.IMPORT_MANIFEST, encode_manifest(manifest))
        headers = self.headers
        if headers.count > manifest.height + 1:
            headers = history.beginning(self._database, manifest.height + 1)
            batch.put(keys.IMPORT_HEADERS, headers.serialise())
        self._database.write(batch)
        self.manifest, self._pages, self.headers = manifest, ({}, {}), headers

    def add_headers(self, certified: Sequence[tuple[bytes, bytes]], sets: Mapping[bytes, bytes]) -> None:
        """Verified headers with their certificates, in order behind those that are there, and the encoded sets (by
        hash) that they name.
        """
        batch = self._database.batch()
        for set_hash, encoded in sets.items():
            batch.put(keys.IMPORT_SET + set_hash, encoded)
        grown = self.headers.copy()
        for header, certificate in certified:
            batch.put(keys.at_height(keys.HEADER, grown.count), header)
            batch.put(keys.at_height(keys.CERTIFICATE, grown.count), certificate)
            history.add(batch, grown, header)
        batch.put(keys.IMPORT_HEADERS, grown.serialise())
        self._database.write(batch)
        self.headers = grown

    def header(self, height: int) -> bytes | None:
        """A verified header, final or on its way in."""
        return self._database.get(keys.at_height(keys.HEADER, height)) if height < self.headers.count else None

    def validator_set(self, set_hash: bytes) -> bytes | None:
        """An encoded set that came with the headers."""
        return self._database.get(keys.IMPORT_SET + set_hash)

    def add_page(self, tree: int, number: int, digests: bytes) -> None:
        """A page of digests. Raises InvalidProof."""
        manifest = self._aimed()
        check_page(manifest, tree, number, digests)
        batch = self._database.batch()
        batch.put(_key(keys.IMPORT_PAGE, tree, number), digests)
        self._database.write(batch)
        self._pages[tree][number] = digests

    def add_buckets(self, tree: int, start: int, encoded: Sequence[bytes]) -> int:
        """Consecutive buckets of pages that are there; how many entries. Raises InvalidProof, MalformedBytes."""
        count = self._aimed().bucket_counts[tree]
        if start + len(encoded) > count:
            raise InvalidProof("there are not so many buckets", where=f"bucket {start}")
        buckets: list[Items] = [decode_bucket(raw) for raw in encoded]
        wanted = [self.digest(tree, start + offset) for offset in range(len(encoded))]
        if None in wanted:
            raise InvalidProof("buckets of a page that is not here", where=f"bucket {start}")
        digests = [digest or b"" for digest in wanted]
        check_buckets(start, count, buckets, digests)
        batch = self._database.batch()
        occupied = {start + offset: digest for offset, digest in enumerate(digests) if digest != self._empty}
        for index, digest in occupied.items():
            batch.put(_key(keys.IMPORT_BUCKET, tree, index), encoded[index - start])
            batch.put(_key(keys.IMPORT_DIGEST, tree, index), digest)
        self._database.write(batch)
        self._digests[tree].update(occupied)
        return sum(map(len, buckets))

    def digest(self, tree: int, index: int) -> bytes | None:
        """The digest the manifest commits to; None while its page is missing."""
        number, place = divmod(index, PAGE_BUCKETS)
        page = self._pages[tree].get(number)
        return None if page is None else page[place * HASH_SIZE : (place + 1) * HASH_SIZE]

    def missing_pages(self) -> list[tuple[int, int]]:
        """(tree, number) of each page that is not here yet."""
        counts = self._aimed().bucket_counts
        return [(t, n) for t in TREES for n in range(page_count(counts[t])) if n not in self._pages[t]]

    @property
    def pages(self) -> tuple[int, int]:
        """How many pages are here, of how many."""
        return sum(map(len, self._pages)), sum(map(page_count, self._aimed().bucket_counts))

    def missing_buckets(self, most: int) -> Iterator[Range]:
        """Ranges of at most ``most`` buckets: the missing ones of all pages that are here, and empty ones between."""
        for tree in TREES:
            first = last = -1
            held, count = self._digests[tree], self._aimed().bucket_counts[tree]
            for index in range(count):
                wanted = self.digest(tree, index)
                if wanted == self._empty:
                    continue
                lacking = wanted is not None and held.get(index) != wanted
                if first >= 0 and (not lacking or index - first >= most):
                    yield tree, first, last + 1
                    first = -1
                if lacking:
                    first, last = (index if first < 0 else first), index
            if first >= 0:
                yield tree, first, last + 1

    def finish(self) -> None:
        """Everything is here: the next opening builds the ledger from it."""
        manifest = self._aimed()
        batch = self._database.batch()
        batch.put(keys.IMPORT_BUILD, manifest.height.to_bytes(8, "big"))
        self._database.write(batch)

    def abandon(self) -> None:
        """Drops all of it: the ledger has come past the snapshot by itself."""
        clear(self._database, keys.IMPORT)
        self.manifest, self._digests, self._pages = None, ({}, {}), ({}, {})

    def _aimed(self) -> Manifest:
        if self.manifest is None:
            raise ValueError("no manifest is chosen yet")
        return self.manifest


def clear(database: Database, prefix: bytes) -> None:
    """Deletes everything under a prefix in bounded batches."""
    while True:
        batch: Batch = database.batch()
        count = 0
        for key, _ in database.pairs(prefix, keys.after(prefix)):
            batch.delete(key)
            count += 1
            if count >= _CLEARED_AT_ONCE:
                break
        if not count:
            return
        database.write(batch)


def _key(kind: bytes, tree: int, number: int) -> bytes:
    return kind + _PLACE.pack(tree, number)
