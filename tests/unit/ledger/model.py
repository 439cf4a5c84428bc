"""The state root straight from its definition, sharing no code with the ledger's trees."""

from collections.abc import Mapping

from chain_core.codec import signed
from chain_core.codec.proofs import bucket_digest, bucket_of, state_root
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root, root_of_hashes


def naive_root(values: Mapping[bytes, bytes], bucket_count: int, kind: bytes = signed.STATE_ROOT) -> bytes:
    contents: list[list[bytes]] = [[] for _ in range(bucket_count)]
    for key, value in values.items():
        contents[bucket_of(sm3(key), bucket_count)].append(sm3(key) + sm3(value))
    digests = [bucket_digest(len(entries), merkle_root(sorted(entries))) for entries in contents]
    return state_root(bucket_count, root_of_hashes(digests), kind)
