"""Pieces of a certified state snapshot and how each is checked (docs/spec/snapshot.md section 1). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.block import HEADER_SIZE, decode_header
from chain_core.codec.proofs import MAX_KEY_BYTES, bucket_digest, bucket_of, state_root
from chain_core.codec.wire import Reader, Writer
from chain_core.crypto.hashing import sm3_many
from chain_core.crypto.merkle import merkle_root, root_of_hashes
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import HASH_SIZE

PAGE_LEVEL = 14
PAGE_BUCKETS = 1 << PAGE_LEVEL
MAX_BUCKETS = 1 << 24
STATE, SEEN = 0, 1
"""The two trees."""
KINDS = (signed.STATE_ROOT, signed.SEEN_ROOT)
MAX_ENTRIES = 1 << 20
MAX_BUCKET_BYTES = 32_000_000
"""A bucket travels whole; genesis values may be longer than a contract may write."""
_NEXT = "drop the peer that sent it and ask another one"

Items = list[tuple[bytes, bytes]]
"""Full keys and values of one bucket, ascending by key hash."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What leads from a certified header to every bucket: bucket counts and page roots of state and seen set."""

    header: bytes
    bucket_counts: tuple[int, int]
    page_roots: tuple[tuple[bytes, ...], tuple[bytes, ...]]

    @property
    def height(self) -> int:
        """Height of the header."""
        return decode_header(self.header).height


def page_count(bucket_count: int) -> int:
    """Pages of a tree."""
    return -(-bucket_count // PAGE_BUCKETS)


def encode_manifest(manifest: Manifest) -> bytes:
    """Canonical manifest."""
    w = Writer().u8(1).fixed(manifest.header, HEADER_SIZE)
    for count in manifest.bucket_counts:
        w.u32(count)
    for root in (*manifest.page_roots[STATE], *manifest.page_roots[SEEN]):
        w.fixed(root, HASH_SIZE)
    return w.take()


def decode_manifest(data: bytes) -> Manifest:
    """A manifest from its one encoding; the header is decoded, nothing is verified. Raises MalformedBytes."""
    r = Reader(data, "snapshot manifest")
    r.version()
    header = r.fixed(HEADER_SIZE)
    decode_header(header)
    counts = r.count(1, MAX_BUCKETS, r.u32()), r.count(1, MAX_BUCKETS, r.u32())
    roots = [tuple(r.fixed(HASH_SIZE) for _ in range(page_count(count))) for count in counts]
    r.end()
    return Manifest(header, counts, (roots[STATE], roots[SEEN]))


def check_manifest(manifest: Manifest, header: Header) -> None:
    """InvalidProof unless the page roots lead to the roots of ``header``, which is the manifest's, verified."""
    for tree, root in ((STATE, header.state_root), (SEEN, header.seen_root)):
        upper = root_of_hashes(b"".join(manifest.page_roots[tree]))
        if state_root(manifest.bucket_counts[tree], upper, KINDS[tree]) != root:
            raise InvalidProof("the page roots do not lead to the header's root", where="manifest", next_step=_NEXT)


def page_digests(manifest: Manifest, tree: int, number: int) -> int:
    """Number of digests in a page."""
    return min(PAGE_BUCKETS, manifest.bucket_counts[tree] - number * PAGE_BUCKETS)


def check_page(manifest: Manifest, tree: int, number: int, digests: bytes) -> None:
    """InvalidProof unless these are the page's digests."""
    where = f"page {number} of tree {tree}"
    if len(digests) != HASH_SIZE * page_digests(manifest, tree, number):
        raise InvalidProof("another number of digests", where=where, next_step=_NEXT)
    if root_of_hashes(digests) != manifest.page_roots[tree][number]:
        raise InvalidProof("the digests do not lead to the page's root", where=where, next_step=_NEXT)


def encode_bucket(items: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A bucket's entries as they travel."""
    w = Writer().u32(len(items))
    for key, value in items:
        w.u8(len(key))
        w.fixed(key, len(key)).blob(value)
    return w.take()


def decode_bucket(data: bytes) -> Items:
    """The entries. Raises MalformedBytes."""
    r = Reader(data, "snapshot bucket")
    items = []
    for _ in range(r.count(0, MAX_ENTRIES, r.u32())):
        key = r.fixed(r.count(0, MAX_KEY_BYTES, r.u8()))
        items.append((key, r.blob(MAX_BUCKET_BYTES)))
    r.end()
    return items


def bucket_digests(start: int, bucket_count: int, buckets: Sequence[Items]) -> list[bytes]:
    """Digests of the buckets from number ``start`` on, all hashed in one batch. InvalidProof for entries that are out
    of order or do not belong there.
    """
    flat = [part for items in buckets for pair in items for part in pair]
    hashes = sm3_many(flat)
    at = 0
    found = []
    for offset, items in enumerate(buckets):
        key_hashes = hashes[at : at + 2 * len(items) : 2]
        leaves = [hashes[at + i] + hashes[at + i + 1] for i in range(0, 2 * len(items), 2)]
        at += 2 * len(items)
        where = f"bucket {start + offset}"
        if any(a >= b for a, b in zip(key_hashes, key_hashes[1:], strict=False)):
            raise InvalidProof("the entries are not ascending by key hash", where=where, next_step=_NEXT)
        if any(bucket_of(key_hash, bucket_count) != start + offset for key_hash in key_hashes):
            raise InvalidProof("an entry belongs to another bucket", where=where, next_step=_NEXT)
        found.append(bucket_digest(len(items), merkle_root(leaves)))
    return found


def check_buckets(start: int, bucket_count: int, buckets: Sequence[Items], digests: Sequence[bytes]) -> None:
    """InvalidProof unless the buckets from number ``start`` on have these digests."""
    found = bucket_digests(start, bucket_count, buckets)
    for offset, (one, digest) in enumerate(zip(found, digests, strict=True)):
        if one != digest:
            what, where = "the entries do not have the bucket's digest", f"bucket {start + offset}"
            raise InvalidProof(what, where=where, next_step=_NEXT)
