"""Reopenings on disk: what opened an attempt at a height that votes could not decide; kept for good.

Opaque here. Each took an order of two officers and the signatures of all validators, so nobody makes many.
"""

from __future__ import annotations

from struct import Struct

from chain_core.ledger import keys
from chain_core.ledger.database import Database

MAX_READ = 1_024
"""So many are read at once; on most chains there is none."""
_PLACE = Struct(">QI")


class Reopenings:
    """Encoded reopenings (codec/reopening.py) by height and attempt."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, height: int, attempt: int, raw: bytes) -> None:
        """Keep the reopening of an attempt, synced."""
        batch = self._database.batch()
        batch.put(keys.REOPENING + _PLACE.pack(height, attempt), raw)
        self._database.write(batch)

    def get(self, height: int, attempt: int) -> bytes | None:
        """That of an attempt; None when it was not ended so."""
        return self._database.get(keys.REOPENING + _PLACE.pack(height, attempt))

    def start_at(self, height: int) -> list[bytes]:
        """Those from a height on, ascending by height and attempt, at most MAX_READ."""
        first = keys.REOPENING + _PLACE.pack(height, 0)
        return [value for _, value in self._database.scan(first, keys.after(keys.REOPENING), MAX_READ)]
