"""Bodies that this node promised to keep until they are final or expire (docs/spec/node-api.md, REPLICATED).

Beside the vote log, which holds what proposals rest on: these are here before anybody proposes them, and a restarted
node pools them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chain_core.ledger import keys
from chain_core.ledger.database import Database

MAX_BODIES = 65_536
MAX_BYTES = 64_000_000
_LAZY = 4_096
"""So many forgotten bodies are deleted at once, or with the next write: a deletion alone is worth no sync."""
_EVERYTHING = 1 << 62


class KeptBodies:
    """Bounded; ids, ends of windows and sizes are in memory, the bodies on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._index: dict[bytes, tuple[int, int]] = {}
        """By envelope id: valid_until_ms, size in bytes."""
        self._gone: set[bytes] = set()
        self.size_bytes = 0
        for key, value in database.scan(keys.KEPT_BODY, keys.after(keys.KEPT_BODY), _EVERYTHING):
            self._add(key[1:], int.from_bytes(value[:8], "big"), len(value) - 8)

    def __contains__(self, envelope_id: bytes) -> bool:
        return envelope_id in self._index

    def __len__(self) -> int:
        return len(self._index)

    def keep(self, bodies: Mapping[bytes, tuple[int, bytes]], now_ms: int) -> set[bytes]:
        """One synced write of what is not kept yet: envelope id to (valid_until_ms, raw). The ids that are on disk now.

        What finds no room is left out. Raises DiskFull, StoreFailed.
        """
        if len(self._index) + len(bodies) > MAX_BODIES or self.size_bytes > MAX_BYTES // 2:
            self.forget([name for name, (until, _) in self._index.items() if until < now_ms])
        fresh: dict[bytes, tuple[int, bytes]] = {}
        size = self.size_bytes
        for name, (until, raw) in bodies.items():
            if name not in self._index and len(self._index) + len(fresh) < MAX_BODIES and size + len(raw) <= MAX_BYTES:
                fresh[name] = (until, raw)
                size += len(raw)
        if fresh:
            batch = self._database.batch()
            for name in self._gone:
                batch.delete(keys.KEPT_BODY + name)
            for name, (until, raw) in fresh.items():
                batch.put(keys.KEPT_BODY + name, until.to_bytes(8, "big") + raw)
            self._database.write(batch)
            self._gone.clear()
            for name, (until, raw) in fresh.items():
                self._add(name, until, len(raw))
        return {name for name in bodies if name in self._index}

    def forget(self, envelope_ids: Iterable[bytes]) -> None:
        """These are final or expired; they leave the disk with a later write, and a restart before that is harmless."""
        for name in envelope_ids:
            found = self._index.pop(name, None)
            if found is not None:
                self.size_bytes -= found[1]
                self._gone.add(name)
        if len(self._gone) >= _LAZY:
            batch = self._database.batch()
            for name in self._gone:
                batch.delete(keys.KEPT_BODY + name)
            self._database.write(batch)
            self._gone.clear()

    def load(self, now_ms: int) -> list[bytes]:
        """The raw envelopes whose window is open, for the pool of a node that starts."""
        self.forget([name for name, (until, _) in self._index.items() if until < now_ms])
        found = (self._database.get(keys.KEPT_BODY + name) for name in self._index)
        return [value[8:] for value in found if value is not None]

    def _add(self, name: bytes, until: int, size: int) -> None:
        self._index[name] = (until, size)
        self.size_bytes += size
