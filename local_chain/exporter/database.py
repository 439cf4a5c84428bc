"""The exporter's database: cursor, books, objects, versions, snapshots on their way, batches of anchors.

docs/spec/exporter.md §1, §6. One synced SQLite file. A block's whole effect is one transaction with its cursor.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from contracts.data_model.json_text import parse
from contracts.data_model.lifecycle import Version
from contracts.data_model.snapshot import Operation
from local_chain.exporter.attributes import open_database
from local_chain.exporter.errors import ExporterFault

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS books (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (object TEXT PRIMARY KEY, kind TEXT NOT NULL, latest INTEGER NOT NULL,
  deleted INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (object TEXT, version INTEGER, operation TEXT, timestamp INTEGER, since INTEGER,
  body BLOB, facts BLOB, PRIMARY KEY (object, version));
CREATE TABLE IF NOT EXISTS snapshots (seq INTEGER PRIMARY KEY, object TEXT, version INTEGER, kind TEXT, operation TEXT,
  height INTEGER, status TEXT, raw BLOB, hash BLOB, faults TEXT, batch INTEGER);
CREATE INDEX IF NOT EXISTS by_status ON snapshots (status, seq);
CREATE INDEX IF NOT EXISTS by_object ON snapshots (object, version);
CREATE TABLE IF NOT EXISTS batches (batch INTEGER PRIMARY KEY, nonce INTEGER, raw BLOB, height INTEGER);
"""


_KEPT = 200_000
"""Entries of books and objects that stay in memory between blocks."""
_FORM = 2
"""Of the tables and books: those of another form do not go on, they begin again."""


class Status(StrEnum):
    """Where a snapshot is on its way."""

    HELD = "held"
    WAITING = "waiting"
    READY = "ready"
    STORED = "stored"
    ANCHORED = "anchored"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Row:
    """A snapshot on its way. ``raw`` is empty while it is held, and again once it is anchored."""

    seq: int
    object: str
    version: int
    kind: str
    operation: str
    height: int
    status: Status
    raw: bytes
    hash: bytes
    faults: str
    batch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A signed transaction of anchors that is not known to be final."""

    batch: int
    nonce: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """A data object as it stands: its latest version, and what the chain says of it."""

    kind: str
    latest: int
    facts: dict[str, Any]
    deleted: bool


_COLUMNS = "seq, object, version, kind, operation, height, status, raw, hash, faults, batch"


class Database:
    """Used on one thread. ``writing`` takes the lock that keeps a second writer out. Raises ExporterFault."""

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        self._lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600) if writing else -1
        if writing:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._lock)
                raise ExporterFault(
                    "another process writes it", where=str(path), next_step="stop `dualchain local exporter run` first"
                ) from error
        self._sql = open_database(path, "")
        (form,), (tables,) = (
            self._sql.execute(question).fetchone()
            for question in ("PRAGMA user_version", "SELECT COUNT(*) FROM sqlite_master")
        )
        if tables and form != _FORM:
            self.close()
            raise ExporterFault(
                f"its books have form {form}, not {_FORM}",
                where=str(path),
                next_step="books of another build are not carried over: begin with an empty database and a new chain",
            )
        self._books: dict[str, Any] = {}
        self._latest: dict[str, int | None] = {}
        self._sql.executescript(f"{_SCHEMA}PRAGMA user_version = {_FORM};")

    def close(self) -> None:
        """Nothing is left in memory."""
        self._sql.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, synced."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK")
            self._books.clear()
            self._latest.clear()
            raise
        self._sql.execute("COMMIT")
        for kept in (self._books, self._latest):
            if len(kept) > _KEPT:
                kept.clear()

    # ---- small things

    def meta(self, name: str) -> int:
        """A number by name; 0 at first."""
        row = self._sql.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return 0 if row is None else int(row[0])

    def set_meta(self, name: str, value: int) -> None:
        """Stores a number."""
        self._sql.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def book(self, key: str) -> Any:
        """An entry of the books; None when there is none."""
        if key not in self._books:
            row = self._sql.execute("SELECT value FROM books WHERE key = ?", (key,)).fetchone()
            self._books[key] = None if row is None else json.loads(row[0])
        return self._books[key]

    def set_books(self, entries: Mapping[str, Any]) -> None:
        """Stores entries; None removes one."""
        gone = [(key,) for key, value in entries.items() if value is None]
        kept = [(key, json.dumps(value)) for key, value in entries.items() if value is not None]
        self._books.update(entries)
        self._sql.executemany("DELETE FROM books WHERE key = ?", gone)
        self._sql.executemany("INSERT OR REPLACE INTO books VALUES (?, ?)", kept)

    def book_keys(self, prefix: str) -> list[str]:
        """Keys of the books that begin so, ascending."""
        found = self._sql.execute(
            "SELECT key FROM books WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix + "~")
        )
        return [str(key) for (key,) in found]

    # ---- objects

    def object(self, object_id: str) -> Stored | None:
        """An object; None for one that was never made."""
        found = self._sql.execute(
            "SELECT kind, latest, IFNULL(facts, body), deleted FROM objects JOIN versions USING (object)"
            " WHERE object = ? AND version = latest",
            (object_id,),
        ).fetchone()
        return None if found is None else Stored(found[0], found[1], json.loads(found[2]), bool(found[3]))

    def latest(self, object_id: str) -> int | None:
        """Its latest version with a body: of what is deleted the one before."""
        if object_id not in self._latest:
            query = "SELECT latest - deleted FROM objects WHERE object = ?"
            found = self._sql.execute(query, (object_id,)).fetchone()
            self._latest[object_id] = None if found is None else int(found[0])
        return self._latest[object_id]

    def object_ids(self, prefix: str) -> list[str]:
        """Ids of objects that begin so and are not deleted, ascending."""
        found = self._sql.execute(
            "SELECT object FROM objects WHERE object >= ? AND object < ? AND NOT deleted ORDER BY object",
            (prefix, prefix + "~"),
        )
        return [str(name) for (name,) in found]

    def put_objects(self, rows: Sequence[tuple[str, str, int, bool]]) -> None:
        """Stores objects: id, kind, latest version, whether it is deleted. Their facts stand with the version."""
        self._sql.executemany("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)", rows)
        self._latest.update((object_id, latest - deleted) for object_id, _, latest, deleted in rows)

    def put_facts(self, object_id: str, version: int, facts: bytes) -> None:
        """Canonical facts of a version whose body stays as it is."""
        query = "UPDATE versions SET facts = ? WHERE object = ? AND version = ?"
        self._sql.execute(query, (facts, object_id, version))

    def history(self, object_id: str) -> list[Version]:
        """All versions as they stand."""
        rows = self._sql.execute(
            "SELECT operation, timestamp, since, body FROM versions WHERE object = ? ORDER BY version", (object_id,)
        )
        return [Version(Operation(op), int(time), int(since), parse(body)) for op, time, since, body in rows]

    def body(self, object_id: str, version: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """(whole body, facts of the chain) of a version."""
        found = self._sql.execute(
            "SELECT body, IFNULL(facts, body) FROM versions WHERE object = ? AND version = ?", (object_id, version)
        ).fetchone()
        return None if found is None else (parse(found[0]), parse(found[1]))

    def has_body(self, object_id: str, version: int, body: bytes) -> bool:
        """Whether these canonical bytes are the version's body."""
        found = self._sql.execute(
            "SELECT body FROM versions WHERE object = ? AND version = ?", (object_id, version)
        ).fetchone()
        return found is not None and found[0] == body

    def put_versions(self, rows: Sequence[tuple[str, int, Version, bytes, bytes]]) -> None:
        """Stores what stands under version numbers: id, number, version, canonical body, canonical facts."""
        self._sql.executemany(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (name, number, one.operation.value, one.timestamp, one.since, body, None if facts is body else facts)
                for name, number, one, body, facts in rows
            ],
        )

    # ---- snapshots on their way

    def reserve(self, count: int) -> int:
        """The first of so many places in the order of business."""
        first = self.meta("seq") + 1
        self.set_meta("seq", first + count - 1)
        return first

    def add(self, rows: Sequence[Row]) -> None:
        """New snapshots, at ascending places."""
        self._sql.executemany(
            f"INSERT INTO snapshots ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
            [
                (
                    row.seq,
                    row.object,
                    row.version,
                    row.kind,
                    row.operation,
                    row.height,
                    row.status.value,
                    row.raw,
                    row.hash,
                    row.faults,
                    row.batch,
                )
                for row in rows
            ],
        )

    def rows(self, status: Status, limit: int = 1_000, after: int = 0) -> list[Row]:
        """Snapshots in a state, in the order of business."""
        return self._select("status = ? AND seq > ? ORDER BY seq LIMIT ?", (status.value, after, limit))

    def rows_of(self, object_id: str) -> list[Row]:
        """All snapshots of an object that were ever written, in order."""
        return self._select("object = ? ORDER BY seq", (object_id,))

    def blocked(self) -> set[tuple[str, int]]:
        """(object, version) of all that is held or waits."""
        found = self._sql.execute("SELECT object, version FROM snapshots WHERE status IN ('held', 'waiting')")
        return {(str(object_id), int(version)) for object_id, version in found}

    def batch_rows(self, batch: int) -> list[Row]:
        """What a batch anchors, in order."""
        return self._select("status = 'stored' AND batch = ? ORDER BY seq", (batch,))

    def counts(self) -> dict[str, int]:
        """How many snapshots are in each state."""
        found = dict(self._sql.execute("SELECT status, COUNT(*) FROM snapshots GROUP BY status"))
        return {status.value: int(found.get(status.value, 0)) for status in Status}

    def set_status(self, seqs: Sequence[int], status: Status) -> None:
        """Moves snapshots on; the bytes of what is anchored lie in the object store."""
        drop = ", raw = x''" if status in (Status.ANCHORED, Status.SUPERSEDED) else ""
        self._sql.executemany(
            f"UPDATE snapshots SET status = ?{drop} WHERE seq = ?",  # noqa: S608 - constants
            [(status.value, seq) for seq in seqs],
        )

    def move_back(self, row: Row, status: Status) -> None:
        """Gives a snapshot that waited a place behind what it waited for."""
        self._sql.execute(
            "UPDATE snapshots SET seq = ?, status = ? WHERE seq = ?", (self.reserve(1), status.value, row.seq)
        )

    # ---- batches

    def open_batch(self) -> Batch | None:
        """The batch that is not known to be final."""
        found = self._sql.execute("SELECT batch, nonce, raw FROM batches WHERE height = 0").fetchone()
        return None if found is None else Batch(int(found[0]), int(found[1]), bytes(found[2]))

    def put_batch(self, batch: Batch, seqs: Sequence[int]) -> None:
        """A signed batch, before it is sent."""
        self._sql.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, 0)", (batch.batch, batch.nonce, batch.raw))
        self._sql.executemany("UPDATE snapshots SET batch = ? WHERE seq = ?", [(batch.batch, seq) for seq in seqs])

    def close_batch(self, batch: int, height: int) -> None:
        """The batch is final at this height."""
        self._sql.execute("UPDATE batches SET height = ?, raw = x'' WHERE batch = ?", (height, batch))
        self._sql.execute(
            "UPDATE snapshots SET status = 'anchored', raw = x'' WHERE batch = ? AND status = 'stored'", (batch,)
        )

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Row]:
        found = self._sql.execute(f"SELECT {_COLUMNS} FROM snapshots WHERE {where}", values)  # noqa: S608 - constants
        return [
            Row(seq, name, version, kind, operation, height, Status(status), raw, digest, faults, batch)
            for seq, name, version, kind, operation, height, status, raw, digest, faults, batch in found
        ]
