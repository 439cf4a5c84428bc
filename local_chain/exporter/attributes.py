"""Private attributes: what snapshots say and execution never sees (docs/spec/exporter.md §4).

One SQLite file, mode 0600: data object id → a JSON object in the shape of its body. The adapter writes it, the exporter
reads it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from contracts.data_model.json_text import Json, canonical, parse

_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attributes (seq INTEGER PRIMARY KEY AUTOINCREMENT, object TEXT UNIQUE, body BLOB);
"""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """A synced SQLite database that its owner alone may read. Raises sqlite3.Error, OSError."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    database = sqlite3.connect(path, isolation_level=None, timeout=30)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.executescript(schema)
    return database


class Attributes:
    """Opened by one writer and one reader at a time; SQLite keeps them apart."""

    def __init__(self, path: Path) -> None:
        self._database = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Nothing is left in memory."""
        self._database.close()

    def put(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Attributes of these objects, all or none; those that were there are replaced. Raises SnapshotRefused."""
        encoded = [(object_id, canonical(body)) for object_id, body in rows]
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("INSERT OR REPLACE INTO attributes (object, body) VALUES (?, ?)", encoded)
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def get(self, object_id: str) -> Json:
        """The object's attributes; empty when there are none."""
        row = self._database.execute("SELECT body FROM attributes WHERE object = ?", (object_id,)).fetchone()
        return {} if row is None else parse(row[0])

    def get_many(self, object_ids: Sequence[str]) -> dict[str, Json]:
        """The attributes of each; empty where there are none."""
        found: dict[str, Json] = {object_id: {} for object_id in object_ids}
        for start in range(0, len(object_ids), _AT_ONCE):
            part = object_ids[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"SELECT object, body FROM attributes WHERE object IN ({marks})"  # noqa: S608 - question marks
            found |= {str(object_id): parse(body) for object_id, body in self._database.execute(query, part)}
        return found

    def changed_after(self, seq: int) -> list[tuple[int, str]]:
        """(sequence, object id) of what was put since, ascending."""
        rows = self._database.execute("SELECT seq, object FROM attributes WHERE seq > ? ORDER BY seq", (seq,))
        return [(int(number), str(object_id)) for number, object_id in rows]
