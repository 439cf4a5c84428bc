"""What was handed in under which business id, and what became of it: synced SQLite (docs/spec/adapter.md §2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_chain.exporter.attributes import open_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (business_id TEXT PRIMARY KEY, digest BLOB NOT NULL, attempt INTEGER NOT NULL,
  raw BLOB NOT NULL, settled INTEGER NOT NULL, code INTEGER NOT NULL, rule TEXT NOT NULL, height INTEGER NOT NULL,
  transaction_id BLOB NOT NULL, text TEXT NOT NULL) WITHOUT ROWID;
"""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One business id. ``digest`` is the SM3 of its operations; ``settled`` once the chain's answer is known."""

    business_id: str
    digest: bytes
    attempt: int
    raw: bytes
    settled: bool = False
    code: int = 0
    rule: str = ""
    height: int = 0
    transaction_id: bytes = b""
    text: str = ""

    @property
    def done(self) -> bool:
        """Whether it is final and took effect."""
        return self.settled and self.code == 0


class Journal:
    """Used by one process, on one thread."""

    def __init__(self, path: Path) -> None:
        self._sql = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Nothing is left in memory."""
        self._sql.close()

    def find(self, business_ids: Sequence[str]) -> Mapping[str, Entry]:
        """Entries by business id."""
        found: dict[str, Entry] = {}
        for start in range(0, len(business_ids), _AT_ONCE):
            part = business_ids[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            for row in self._sql.execute(f"SELECT * FROM submissions WHERE business_id IN ({marks})", part):  # noqa: S608
                name, digest, attempt, raw, settled, code, rule, height, transaction, text = row
                found[name] = Entry(name, digest, attempt, raw, bool(settled), code, rule, height, transaction, text)
        return found

    def put(self, entries: Iterable[Entry]) -> None:
        """Stores entries, all or none, synced."""
        rows = [
            (
                one.business_id,
                one.digest,
                one.attempt,
                one.raw,
                int(one.settled),
                one.code,
                one.rule,
                one.height,
                one.transaction_id,
                one.text,
            )
            for one in entries
        ]
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._sql.executemany("INSERT OR REPLACE INTO submissions VALUES (?,?,?,?,?,?,?,?,?,?)", rows)
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")
