"""Keys and values of the seen tree: which nonce an account has used, and where (docs/spec/formats.md §11)."""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.codec.wire import Layout, Reader

_KEY = Layout("I16sQ")
_VALUE = Layout("32sQIQ")
SEEN_KEY_SIZE = _KEY.size


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """The first envelope ordered under a nonce: transaction id, height, index in the block, end of its
    window.
    """

    transaction_id: bytes
    height: int
    index: int
    valid_until_ms: int


def seen_key(ledger: int, account: bytes, nonce: int) -> bytes:
    """(ledger, account, nonce) as 28 bytes."""
    return _KEY.pack(ledger, account, nonce)


def split_seen_key(key: bytes) -> tuple[int, bytes, int]:
    """The reverse of ``seen_key``. Raises MalformedBytes."""
    r = Reader(key, "seen key")
    ledger, account, nonce = r.unpack(_KEY)
    r.end()
    return ledger, account, nonce


def encode_seen(entry: SeenEntry) -> bytes:
    """Canonical value, 52 bytes."""
    return seen_value(entry.transaction_id, entry.height, entry.index, entry.valid_until_ms)


seen_value = _VALUE.pack
"""``encode_seen`` of (transaction id, height, index, valid_until_ms), for the path that every transaction takes."""


def decode_seen(value: bytes) -> SeenEntry:
    """The reverse of ``encode_seen``. Raises MalformedBytes."""
    r = Reader(value, "seen value")
    fields = r.unpack(_VALUE)
    r.end()
    return SeenEntry(*fields)


def state_key(contract: str, key: bytes) -> bytes:
    """The full key of a contract's state: u8 length of the name, the name, the contract's own key."""
    name = contract.encode("ascii")
    return bytes((len(name),)) + name + key
