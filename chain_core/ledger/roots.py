"""Roots straight from their definition, without a store: for the genesis header, for auditors, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from chain_core.codec import signed
from chain_core.codec.proofs import bucket_digest, bucket_of, state_root
from chain_core.crypto.hashing import sm3_many
from chain_core.crypto.merkle import merkle_root, root_of_hashes
from chain_core.ledger.upper_tree import UpperTree

STATE_BUCKETS = 4_096
SEEN_BUCKETS = 65_536
"""Bucket counts of an empty tree. The seen set starts with more: nearly every write of it is an insertion, whose cost
grows with its bucket's length."""


def root_of(values: Mapping[bytes, bytes], bucket_count: int, kind: bytes = signed.STATE_ROOT) -> bytes:
    """State or seen root of exactly these full keys and values. Time O(n), for genesis-sized maps."""
    empty = bucket_digest(0, merkle_root(()))
    if not values:
        return state_root(bucket_count, UpperTree(empty, bucket_count).root, kind)
    buckets: dict[int, list[bytes]] = {}
    for key_hash, value_hash in zip(sm3_many(list(values)), sm3_many(list(values.values())), strict=True):
        buckets.setdefault(bucket_of(key_hash, bucket_count), []).append(key_hash + value_hash)
    digests = [empty] * bucket_count
    for index, entries in buckets.items():
        digests[index] = bucket_digest(len(entries), merkle_root(sorted(entries)))
    return state_root(bucket_count, root_of_hashes(digests), kind)
