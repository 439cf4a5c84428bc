"""The state tree straight from docs/spec/formats.md §10, with its proofs: slow, short, and independent of
the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def bucket(self, index: int) -> list[tuple[bytes, bytes]]:
        """(key hash, value hash) of every key that belongs there, ascending."""
        hashed = ((sm3(key), sm3(value)) for key, value in self.values.items())
        return sorted(entry for entry in hashed if bucket_of(entry[0], self.bucket_count) == index)

    def bucket_tree(self, index: int) -> MerkleTree:
        return MerkleTree([key_hash + value_hash for key_hash, value_hash in self.bucket(index)])

    def upper_tree(self) -> MerkleTree:
        trees = [self.bucket_tree(index) for index in range(self.bucket_count)]
        return MerkleTree.from_hashes([bucket_digest(tree.count, tree.root) for tree in trees])

    def root(self) -> bytes:
        return state_root(self.bucket_count, self.upper_tree().root, self.kind)

    def prove(self, key: bytes) -> StateProof:
        """Presence of the key, or its absence by the neighbours it would stand between."""
        hashed = sm3(key)
        index = bucket_of(hashed, self.bucket_count)
        entries, tree = self.bucket(index), self.bucket_tree(index)
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
            self.upper_tree().path(index),
        )
