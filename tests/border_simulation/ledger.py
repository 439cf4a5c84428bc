"""A ledger in memory with the proofs of the real one: values, buckets (docs/spec/formats.md §10), headers, outboxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chain_core.codec.proofs import bucket_digest, bucket_of, encode_inclusion, encode_state_proof, state_root
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import HistoryTree, MerkleTree, leaf_hash
from chain_core.types.packet import BucketEntry, InclusionProof, StateProof

BUCKETS = 64


class MemoryLedger:
    """``get``, ``seen`` and ``seen_expired`` are what the executor reads; ``apply`` makes the next height final."""

    def __init__(self, writes: Mapping[bytes, bytes | None]) -> None:
        self.values: dict[bytes, bytes] = {}
        self._buckets: list[dict[bytes, bytes]] = [{} for _ in range(BUCKETS)]
        self._digests: list[bytes] = [_digest({})] * BUCKETS
        self._seen: dict[bytes, bytes] = {}
        self.headers: list[bytes] = []
        self.certificates: list[bytes] = []
        self.outboxes: list[tuple[bytes, ...]] = []
        self.history = HistoryTree()
        self.write(writes)

    def copy(self) -> MemoryLedger:
        """The same ledger, to go on by itself."""
        made = MemoryLedger.__new__(MemoryLedger)
        made.values, made._seen = dict(self.values), dict(self._seen)
        made._buckets, made._digests = [dict(bucket) for bucket in self._buckets], list(self._digests)
        made.headers, made.certificates = list(self.headers), list(self.certificates)
        made.outboxes, made.history = list(self.outboxes), self.history.copy()
        return made

    # ---- what the executor reads

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def seen(self, key: bytes) -> bytes | None:
        return self._seen.get(key)

    def seen_expired(self, before_ms: int, limit: int) -> list[bytes]:
        return []  # nothing leaves: runs are short

    # ---- state

    def write(self, writes: Mapping[bytes, bytes | None], seen: Mapping[bytes, bytes] | None = None) -> bytes:
        """The state root after these writes."""
        touched: set[int] = set()
        for key, value in writes.items():
            hashed = sm3(key)
            index = bucket_of(hashed, BUCKETS)
            touched.add(index)
            if value is None:
                self.values.pop(key, None)
                self._buckets[index].pop(hashed, None)
            else:
                self.values[key] = value
                self._buckets[index][hashed] = sm3(value)
        for index in touched:
            self._digests[index] = _digest(self._buckets[index])
        self._seen.update(seen or {})
        return state_root(BUCKETS, MerkleTree.from_hashes(self._digests).root)

    def prove(self, key: bytes) -> tuple[bytes | None, bytes]:
        """(value, encoded proof): presence, or absence by the neighbours it would stand between."""
        hashed = sm3(key)
        index = bucket_of(hashed, BUCKETS)
        entries = sorted(self._buckets[index].items())
        tree = MerkleTree([key_hash + value_hash for key_hash, value_hash in entries])
        if key in self.values:
            positions = [entries.index((hashed, self._buckets[index][hashed]))]
        else:
            after = sum(1 for key_hash, _ in entries if key_hash < hashed)
            positions = [place for place in (after - 1, after) if 0 <= place < len(entries)]
        upper = MerkleTree.from_hashes(self._digests)
        found = tuple(BucketEntry(place, *entries[place], tree.path(place)) for place in positions)
        proof = StateProof(BUCKETS, index, len(entries), key in self.values, found, upper.path(index))
        return self.values.get(key), encode_state_proof(proof)

    # ---- blocks

    @property
    def height(self) -> int:
        return len(self.headers) - 1

    def append(self, header: bytes, certificate: bytes, outbox: Sequence[bytes]) -> None:
        self.headers.append(header)
        self.certificates.append(certificate)
        self.outboxes.append(tuple(outbox))
        self.history.append(header)

    def prove_header(self, height: int, count: int) -> bytes:
        """The inclusion of a header among the first ``count``."""
        tree = MerkleTree.from_hashes([leaf_hash(header) for header in self.headers[:count]])
        return encode_inclusion(InclusionProof(height, count, tree.path(height)))

    def packets_above(self, height: int) -> Iterable[int]:
        """Heights above ``height`` whose blocks emitted packets."""
        return (at for at in range(max(height, 0) + 1, self.height + 1) if self.outboxes[at])


def _digest(bucket: Mapping[bytes, bytes]) -> bytes:
    tree = MerkleTree([key_hash + value_hash for key_hash, value_hash in sorted(bucket.items())])
    return bucket_digest(tree.count, tree.root)
