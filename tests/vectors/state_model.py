"""The state tree straight from docs/spec/formats.md §10, with its proofs: slow, short, and independent of
the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from chain_core.codec import signed
from chain_core.codec.proofs import bucket_digest, bucket_of, state_root
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree
from chain_core.types.packet import BucketEntry, StateProof


@dataclass(frozen=True)
class StateModel:
    """A whole state: full keys and values in ``bucket_count`` buckets."""

    values: Mapping[bytes, bytes]
    bucket_count: int
    kind: bytes = signed.STATE_ROOT

    @cached_property
    def buckets(self) -> list[list[tuple[bytes, bytes]]]:
        """(key hash, value hash) of every key in its bucket, ascending."""
        found: list[list[tuple[bytes, bytes]]] = [[] for _ in range(self.bucket_count)]
        for key, value in self.values.items():
            key_hash = sm3(key)
            found[bucket_of(key_hash, self.bucket_count)].append((key_hash, sm3(value)))
        return [sorted(entries) for entries in found]

    @cached_property
    def bucket_trees(self) -> list[MerkleTree]:
        return [MerkleTree([key_hash + value_hash for key_hash, value_hash in entries]) for entries in self.buckets]

    @cached_property
    def upper_tree(self) -> MerkleTree:
        return MerkleTree.from_hashes([bucket_digest(tree.count, tree.root) for tree in self.bucket_trees])

    @property
    def root(self) -> bytes:
        return state_root(self.bucket_count, self.upper_tree.root, self.kind)

    def prove(self, key: bytes) -> StateProof:
        """Presence of the key, or its absence by the neighbours it would stand between."""
        hashed = sm3(key)
        index = bucket_of(hashed, self.bucket_count)
        entries, tree = self.buckets[index], self.bucket_trees[index]
        if key in self.values:
            positions = [entries.index((hashed, sm3(self.values[key])))]
        else:
            after = sum(1 for key_hash, _ in entries if key_hash < hashed)
            positions = [p for p in (after - 1, after) if 0 <= p < len(entries)]
        return StateProof(
            self.bucket_count,
            index,
            len(entries),
            key in self.values,
            tuple(BucketEntry(p, *entries[p], tree.path(p)) for p in positions),
            self.upper_tree.path(index),
        )
