"""Key layout of the LevelDB (docs/spec/ledger.md §2): one prefix byte a kind, integers big-endian so that they sort."""

from __future__ import annotations

from struct import Struct

STORE_VERSION = 2
"""Version of everything under this layout; another one is refused at opening."""

META_FORMAT = b"Mformat"
META_BINDING = b"Mbinding"
META_FINAL = b"Mfinal"
META_HISTORY = b"Mhistory"
FORMAT_NAME = b"dualchain/ledger"

HISTORY_NODE = b"Y"
HEADER, CERTIFICATE, BATCH = b"H", b"C", b"B"
ENVELOPES, RECEIPTS, EVENTS, OUTBOX = b"E", b"R", b"V", b"O"
TRANSACTION = b"T"
STATE = b"S"
SEEN = b"U"
EXPIRY = b"X"
ENTRY = b"N"
DIGEST_PAGE, DIGEST_DELTA = b"Dp", b"Dd"
LOG_RECORD = b"L"
LOG_BODIES = b"P"

TRANSACTION_PREFIX_SIZE = 12

_U64 = Struct(">Q")
_U32 = Struct(">I")


def at_height(kind: bytes, height: int) -> bytes:
    """Key of the value of ``kind`` (HEADER ... OUTBOX) at ``height``."""
    return kind + _U64.pack(height)


def history_node(level: int, index: int) -> bytes:
    """Key of the root of a perfect subtree of the history tree, ``level`` >= 1."""
    return HISTORY_NODE + bytes((level,)) + _U64.pack(index)


def expiry(valid_until_ms: int, seen_key: bytes) -> bytes:
    """Key of the expiry index; ``valid_until_ms`` first, so that a scan finds what is due."""
    return EXPIRY + _U64.pack(valid_until_ms) + seen_key


def bucket(tree: bytes, index: int) -> bytes:
    """Prefix under which the entries of one bucket lie, in the order of their key hashes."""
    return ENTRY + tree + _U32.pack(index)


def after(prefix: bytes) -> bytes | None:
    """The smallest key above everything that starts with ``prefix``; None when there is none."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else None
