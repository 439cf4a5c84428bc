"""What a chain keeps of a content that it does not see (docs/spec/data-tiers.md §2)."""

from __future__ import annotations

from chain_core.codec import signed
from chain_core.codec.wire import U64
from chain_core.crypto.hashing import sm3

COMMITMENT = signed.tag("dualchain/commit/v1")
SALT_SIZE = 32


def commitment(salt: bytes, content: bytes) -> bytes:
    """SM3 over tag, 32-byte salt, length and bytes. ValueError for a salt of another size: it could be tried."""
    if len(salt) != SALT_SIZE:
        raise ValueError(f"a salt has {SALT_SIZE} bytes, not {len(salt)}")
    return sm3(COMMITMENT + salt + U64.pack(len(content)) + content)
