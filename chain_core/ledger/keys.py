"""Key layout of the LevelDB (docs/spec/ledger.md §2): one prefix byte a kind, integers big-endian so that they sort."""

from __future__ import annotations

from struct import Struct

STORE_VERSION = 2
"""Version of everything under this layout; another one is refused at opening."""

META_FORMAT = b"Mformat"
META_BINDING = b"Mbinding"
META_FINAL = b"Mfinal"
META_PRUNED = b"Mpruned"
META_HISTORY = b"Mhistory"
META_FOUNDATION = b"Mfoundation"
FORMAT_NAME = b"dualchain/ledger"

HISTORY_NODE = b"Y"
HEADER, CERTIFICATE, BATCH = b"H", b"C", b"B"
ENVELOPES, RECEIPTS, EVENTS, OUTBOX = b"E", b"R", b"V", b"O"
TRANSACTION = b"T"
STATE = b"S"
SEEN = b"U"
EXPIRY = b"X"
ENTRY = b"N"
DIGEST_PAGE, DIGEST_DELTA, TREE_SIZE = b"Dp", b"Dd", b"Dn"
IMPORT = b"I"
IMPORT_MANIFEST, IMPORT_HEADERS, IMPORT_BUILD = b"Imanifest", b"Iheaders", b"Ibuild"
IMPORT_PAGE, IMPORT_BUCKET, IMPORT_DIGEST, IMPORT_SET = b"Ip", b"Iq", b"Ir", b"Is"
LOG_RECORD = b"L"
LOG_BODIES = b"P"
EQUIVOCATION = b"Q"
KEPT_BODY = b"K"
REOPENING = b"G"

TRANSACTION_PREFIX_SIZE = 12

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_U64 = Struct(">Q")


def at_height(kind: bytes, height: int) -> bytes:
    """Key of the value of ``kind`` (HEADER ... OUTBOX) at ``height``."""
    return kind + _U64.pack(height)


def history_node(level: int, index: int) -> bytes:
    """Key of the root of a perfect subtree of the history tree, ``level`` >= 1."""
    return HISTORY_NODE + bytes((level,)) + _U64.pack(index)


def expiry(valid_until_ms: int, seen_key: bytes) -> bytes:
    """Key of the expiry index; ``valid_until_ms`` first, so that a scan finds what is due."""
    return EXPIRY + _U64.pack(valid_until_ms) + seen_key


def entry(tree: bytes, key_hash: bytes) -> bytes:
    """Key of a tree's entry: the first 8 bytes of the hash with their bits reversed, then its other 24.

    A bucket is chosen by the hash's low bits (linear hashing), so it is one range of these keys, for every number of
    buckets: a bucket that is split moves nothing on disk.
    """
    return ENTRY + tree + key_hash[7::-1].translate(_REVERSED) + key_hash[8:]


def entry_key_hash(key: bytes) -> bytes:
    """The key hash in an entry's key."""
    return key[9:1:-1].translate(_REVERSED) + key[10:]


def bucket(tree: bytes, index: int, bucket_count: int) -> tuple[bytes, bytes]:
    """The range [start, stop) of entry keys of one of ``bucket_count`` buckets."""
    low = 1 << (bucket_count.bit_length() - 1)
    bits = low.bit_length() - 1
    if index >= low or index + low < bucket_count:
        bits += 1
    first = int(f"{index:0{bits}b}"[::-1], 2) << (64 - bits) if bits else 0
    stop = first + (1 << (64 - bits))
    end = ENTRY + tree + _U64.pack(stop) if stop < 1 << 64 else ENTRY + bytes((tree[0] + 1,))
    return ENTRY + tree + _U64.pack(first), end


def after(prefix: bytes) -> bytes | None:
    """The smallest key above everything that starts with ``prefix``; None when there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else None
