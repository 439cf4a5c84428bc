"""Used nonces (codec/seen.py) by key, and by the end of their window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from chain_core.codec.seen import SEEN_KEY_SIZE, SeenEntry, decode_seen
from chain_core.ledger import keys
from chain_core.ledger.database import Batch, Database
from chain_core.types.ids import MAX_U64

EVERYTHING = 1 << 62

Added: TypeAlias = tuple[bytes, bytes, SeenEntry]
"""(seen key, its encoded entry, the same decoded)."""


class SeenIndex:
    """Reads the seen set and its expiry index, and puts a block's changes of both into its batch."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Nothing that is due lies below: a scan from the very start would wade through what earlier blocks deleted.
        self._first_ms = 0

    def get(self, key: bytes) -> bytes | None:
        """The encoded entry under a seen key."""
        return self._database.get(keys.SEEN + key)

    def expired(self, before_ms: int, limit: int = EVERYTHING) -> list[bytes]:
        """The first ``limit`` seen keys whose valid_until_ms < ``before_ms``, ascending by (valid_until_ms, key)."""
        if before_ms <= self._first_ms:
            return []
        stop = keys.expiry(min(before_ms, MAX_U64), b"")
        due = self._database.scan(keys.expiry(self._first_ms, b""), stop, limit)
        self._first_ms = int.from_bytes(due[0][0][1:9], "big") if due else min(before_ms, MAX_U64)
        return [key[-SEEN_KEY_SIZE:] for key, _ in due]

    def write(self, batch: Batch, added: Sequence[Added], removed: Sequence[bytes]) -> None:
        """Puts a block's removals and additions, and their index records, into ``batch``."""
        for key in removed:
            value = self.get(key)
            if value is not None:
                batch.delete(keys.SEEN + key)
                batch.delete(keys.expiry(decode_seen(value).valid_until_ms, key))
        for key, value, entry in added:
            batch.put(keys.SEEN + key, value)
            batch.put(keys.expiry(entry.valid_until_ms, key), b"")

    def adopt(self, added: Sequence[Added]) -> None:
        """Takes note of additions that have become durable."""
        self._first_ms = min([self._first_ms, *(entry.valid_until_ms for _, _, entry in added)])
