"""The cross-chain log and the views it is made from: one SQLite file, one synced transaction a height
(docs/spec/node-interface.md §6, §7).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from chain_core.types.errors import LocalFault

ACCEPTED, REJECTED = "accepted", "rejected"
KEEP_ENTRIES: Final = 1_000_000
MAX_WAITING: Final = 256
"""Versions of one object that are kept behind a rejected one."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS chain (
    network TEXT PRIMARY KEY, height INTEGER NOT NULL, hash BLOB NOT NULL, timestamp INTEGER NOT NULL,
    followed BLOB NOT NULL, position BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS alarm (network TEXT PRIMARY KEY, code TEXT NOT NULL, what TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS object (
    network TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, latest INTEGER NOT NULL, deleted INTEGER NOT NULL,
    blocked INTEGER, owed INTEGER NOT NULL, PRIMARY KEY (network, id)) STRICT;
CREATE TABLE IF NOT EXISTS version (
    network TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, operation TEXT NOT NULL,
    timestamp INTEGER NOT NULL, hash BLOB NOT NULL, body TEXT NOT NULL, PRIMARY KEY (network, id, version)) STRICT;
CREATE TABLE IF NOT EXISTS waiting (
    place INTEGER PRIMARY KEY AUTOINCREMENT, network TEXT NOT NULL, id TEXT NOT NULL, arrived TEXT NOT NULL,
    raw BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS waiting_object ON waiting (network, id);
CREATE TABLE IF NOT EXISTS log (
    number INTEGER PRIMARY KEY AUTOINCREMENT, received_ms INTEGER NOT NULL, network_id TEXT NOT NULL,
    height INTEGER NOT NULL, tx_id TEXT NOT NULL, object_id TEXT NOT NULL, version INTEGER NOT NULL,
    operation TEXT NOT NULL, type TEXT NOT NULL, hash TEXT NOT NULL, result TEXT NOT NULL, faults TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS log_object ON log (network_id, object_id, number);
CREATE TRIGGER IF NOT EXISTS log_is_only_added_to BEFORE UPDATE ON log
    BEGIN SELECT RAISE(ABORT, 'entries of the cross-chain log do not change'); END;
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last height of a chain that was verified and entered. ``followed``, ``position``: its light client's, of a
    chain like ours.
    """

    height: int = 0
    hash: bytes = b""
    timestamp: int = 0
    followed: bytes = b""
    position: bytes = b""


@dataclass(frozen=True, slots=True)
class View:
    """A data object as far as it is accepted. ``blocked``: the version whose rejection holds up those after it;
    ``owed``: the next version that a cascade must rewrite, 0 for none.
    """

    kind: str = ""
    latest: int = -1
    deleted: bool = False
    blocked: int | None = None
    owed: int = 0


@dataclass(frozen=True, slots=True)
class Accepted:
    """A version in force: who wrote it last, when (seconds), hash of the stored bytes, whole body."""

    operation: str
    timestamp: int
    hash: bytes
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record of a block, verified up to its proof."""

    network_id: str
    height: int
    tx_id: str
    object_id: str
    version: int
    operation: str
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log; ``number`` is 0 before it is written."""

    received_ms: int
    network_id: str
    height: int
    tx_id: str
    object_id: str
    version: int
    operation: str
    type: str
    hash: str
    result: str
    faults: Sequence[Mapping[str, str]] = field(default=())
    number: int = 0


class Book:
    """The file; one process at a time writes it. Raises LocalFault for a file that is none."""

    def __init__(self, path: Path, *, writing: bool = True) -> None:
        self.path = path
        try:
            target = str(path) if writing else f"file:{path}?mode=ro"
            self._db = sqlite3.connect(target, isolation_level=None, uri=not writing, timeout=10)
            if writing:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
            self._db.execute("SELECT count(*) FROM chain")
        except sqlite3.Error as error:
            raise LocalFault(
                f"no database of the puller: {error}",
                where=str(path),
                next_step="run the puller, or name its file",
            ) from error

    def close(self) -> None:
        """Ends the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, synced, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # ---- chains

    def cursor(self, network: str) -> Cursor:
        """Where a chain stands; at 0 when nothing was entered."""
        query = "SELECT height, hash, timestamp, followed, position FROM chain WHERE network = ?"
        row = self._db.execute(query, (network,)).fetchone()
        return Cursor(*row) if row else Cursor()

    def move(self, network: str, cursor: Cursor) -> None:
        """The cursor, within the height's transaction."""
        values = (network, cursor.height, cursor.hash, cursor.timestamp, cursor.followed, cursor.position)
        self._db.execute("INSERT OR REPLACE INTO chain VALUES (?, ?, ?, ?, ?, ?)", values)

    def alarm(self, network: str) -> tuple[str, str] | None:
        """Code and text of what stops this chain."""
        row = self._db.execute("SELECT code, what FROM alarm WHERE network = ?", (network,)).fetchone()
        return (row[0], row[1]) if row else None

    def set_alarm(self, network: str, alarm: tuple[str, str] | None) -> None:
        """Sets or clears it."""
        self._db.execute("DELETE FROM alarm WHERE network = ?", (network,))
        if alarm is not None:
            self._db.execute("INSERT INTO alarm VALUES (?, ?, ?)", (network, *alarm))

    # ---- objects

    def view(self, network: str, object_id: str) -> View:
        """An object's view; an empty one when nothing of it came."""
        query = "SELECT kind, latest, deleted, blocked, owed FROM object WHERE network = ? AND id = ?"
        row = self._db.execute(query, (network, object_id)).fetchone()
        return View(row[0], row[1], bool(row[2]), row[3], row[4]) if row else View()

    def put_view(self, network: str, object_id: str, view: View) -> None:
        """Replaces it."""
        values = (network, object_id, view.kind, view.latest, int(view.deleted), view.blocked, view.owed)
        self._db.execute("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def version(self, network: str, object_id: str, version: int) -> Accepted | None:
        """An accepted version."""
        query = "SELECT operation, timestamp, hash, body FROM version WHERE network = ? AND id = ? AND version = ?"
        row = self._db.execute(query, (network, object_id, version)).fetchone()
        return Accepted(row[0], row[1], row[2], json.loads(row[3])) if row else None

    def put_version(self, network: str, object_id: str, version: int, accepted: Accepted) -> None:
        """What is in force from now on."""
        body = json.dumps(accepted.body, ensure_ascii=False)
        values = (network, object_id, version, accepted.operation, accepted.timestamp, accepted.hash, body)
        self._db.execute("INSERT OR REPLACE INTO version VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def keep(self, arrived: Arrived, raw: bytes) -> None:
        """Keeps a version behind a rejected one; the oldest goes when there are too many."""
        own = (arrived.network_id, arrived.object_id)
        row = (*own, json.dumps(asdict(arrived)), raw)
        self._db.execute("INSERT INTO waiting (network, id, arrived, raw) VALUES (?, ?, ?, ?)", row)
        self._db.execute(
            "DELETE FROM waiting WHERE network = ? AND id = ? AND place NOT IN "
            "(SELECT place FROM waiting WHERE network = ? AND id = ? ORDER BY place DESC LIMIT ?)",
            (*own, *own, MAX_WAITING),
        )

    def next_kept(self, network: str, object_id: str) -> tuple[Arrived, bytes] | None:
        """Takes the oldest kept version out."""
        query = "SELECT place, arrived, raw FROM waiting WHERE network = ? AND id = ? ORDER BY place LIMIT 1"
        row = self._db.execute(query, (network, object_id)).fetchone()
        if row is None:
            return None
        self._db.execute("DELETE FROM waiting WHERE place = ?", (row[0],))
        return Arrived(**json.loads(row[1])), row[2]

    # ---- the log

    def append(self, entry: Entry) -> None:
        """Adds an entry."""
        row = asdict(entry) | {"faults": json.dumps([dict(one) for one in entry.faults], ensure_ascii=False)}
        del row["number"]
        marks = ", ".join("?" * len(row))
        self._db.execute(f"INSERT INTO log ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))  # noqa: S608 - names are fields

    def entries(
        self, network: str = "", object_id: str = "", *, after: int = 0, limit: int = 1_000, rejected: bool = False
    ) -> list[Entry]:
        """Entries behind a number, ascending."""
        wanted, values = ["number > ?"], [after]
        for column, value in (("network_id", network), ("object_id", object_id), ("result", REJECTED * rejected)):
            if value:
                wanted.append(f"{column} = ?")
                values.append(value)  # type: ignore[arg-type]
        query = f"SELECT * FROM log WHERE {' AND '.join(wanted)} ORDER BY number LIMIT ?"  # noqa: S608 - columns are ours
        return [_entry(row) for row in self._db.execute(query, (*values, limit))]

    def counts(self, network: str) -> dict[str, int]:
        """Entries kept of a chain by result."""
        query = "SELECT result, count(*) FROM log WHERE network_id = ? GROUP BY result"
        return {ACCEPTED: 0, REJECTED: 0} | dict(self._db.execute(query, (network,)).fetchall())

    def span(self) -> tuple[int, int, int]:
        """Number of the first entry kept, of the last, and how many there are."""
        row = self._db.execute(
            "SELECT coalesce(min(number), 0), coalesce(max(number), 0), count(*) FROM log"
        ).fetchone()
        return row[0], row[1], row[2]

    def rotate(self, keep: int = KEEP_ENTRIES) -> Path | None:
        """Writes the oldest tenth into a file when there are too many, synced, then removes them; the file.

        Killed in between, the same entries go into the same file again.
        """
        first, _, count = self.span()
        if count <= keep:
            return None
        oldest = self.entries(after=first - 1, limit=count - keep + keep // 10)
        last = oldest[-1].number
        path = self.path.with_name(f"log-{first:012d}-{last:012d}.jsonl")
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in oldest)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        with self.transaction():
            self._db.execute("DELETE FROM log WHERE number <= ?", (last,))
        return path


def _entry(row: Sequence[Any]) -> Entry:
    number, *members, faults = row
    return Entry(*[*members, json.loads(faults), number])
