"""LevelDB behind a typed face: the only module that touches plyvel, and the only one that reads its error texts.

Every write is one atomic batch that is synced before the call returns. After a failed write LevelDB may hold its log in
an unknown state, so the database takes no further write until it is reopened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NoReturn, Protocol, cast

import plyvel

from chain_core.ledger.errors import CORRUPT_NEXT_STEP, DiskFull, StoreCorrupt, StoreFailed, StoreLocked

WRITE_BUFFER_BYTES = 32 << 20
BLOCK_CACHE_BYTES = 32 << 20
MAX_FILE_BYTES = 8 << 20
BLOOM_BITS = 10
MAX_OPEN_FILES = 512

_FULL = ("No space left on device", "Disk quota exceeded", "File too large")


class Batch(Protocol):
    """A LevelDB write batch."""

    def put(self, key: bytes, value: bytes) -> None:
        """Sets ``key`` when the batch is written."""
        ...

    def delete(self, key: bytes) -> None:
        """Removes ``key`` when the batch is written."""
        ...


class _RawBatch(Batch, Protocol):
    def write(self) -> None: ...


class _Cursor(Protocol):
    def __iter__(self) -> Iterator[tuple[bytes, bytes]]: ...
    def seek(self, target: bytes) -> None: ...
    def close(self) -> None: ...


class _Readable(Protocol):
    def get(self, key: bytes, *, verify_checksums: bool) -> bytes | None: ...
    def iterator(self, *, start: bytes | None, stop: bytes | None, verify_checksums: bool) -> _Cursor: ...
    def close(self) -> None: ...


class _Raw(_Readable, Protocol):
    def write_batch(self, *, sync: bool) -> _RawBatch: ...
    def snapshot(self) -> _Readable: ...
    def compact_range(self, *, start: bytes | None, stop: bytes | None) -> None: ...


class Database:
    """One open LevelDB directory. One thread writes; reads may come from any thread."""

    __slots__ = ("_failed", "_raw", "measured", "path")

    def __init__(self, path: Path) -> None:
        """Opens or creates ``path``. Raises StoreLocked, StoreCorrupt, DiskFull, StoreFailed."""
        self.path = path
        self._failed = ""
        self.measured: Callable[[float], None] | None = None
        """Told how many seconds each synced write took."""
        with self._mapped("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._raw = cast(
                _Raw,
                plyvel.DB(
                    str(path),
                    create_if_missing=True,
                    # A damaged log record must stop the node: silently dropping it could drop a vote that was sent.
                    paranoid_checks=True,
                    write_buffer_size=WRITE_BUFFER_BYTES,
                    lru_cache_size=BLOCK_CACHE_BYTES,
                    max_file_size=MAX_FILE_BYTES,
                    max_open_files=MAX_OPEN_FILES,
                    bloom_filter_bits=BLOOM_BITS,
                ),
            )

    def close(self) -> None:
        """Releases the directory; closing twice is harmless."""
        self._raw.close()

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``, None without one. Raises StoreCorrupt, StoreFailed."""
        try:
            return self._raw.get(key, verify_checksums=True)
        except plyvel.Error as error:
            self._refuse("read", error)

    def batch(self) -> Batch:
        """An empty batch for ``write``."""
        return self._raw.write_batch(sync=True)

    def write(self, batch: Batch) -> None:
        """Makes ``batch`` durable, all or nothing. Raises DiskFull, StoreFailed."""
        if self._failed:
            raise StoreFailed(
                f"an earlier write failed ({self._failed}), so what the log file holds is unknown",
                where=str(self.path),
                next_step="restart the node; it resumes from the last durable block and votes",
            )
        began = perf_counter()
        try:
            cast(_RawBatch, batch).write()
        except (plyvel.Error, OSError) as error:
            self._failed = str(error)
            self._refuse("write", error)
        if self.measured is not None:
            self.measured(perf_counter() - began)

    def scan(self, start: bytes, stop: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """At most ``limit`` pairs with start <= key < stop, ascending. Raises StoreCorrupt, StoreFailed."""
        found: list[tuple[bytes, bytes]] = []
        with self._cursor(start, stop) as cursor:
            if limit > 0:
                for pair in cursor:
                    found.append(pair)
                    if len(found) >= limit:
                        break
        return found

    def scan_each(self, ranges: list[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        """All pairs of each range [start, stop); one cursor serves them all."""
        return self._scan_each(ranges, self._raw)

    def _scan_each(self, ranges: list[tuple[bytes, bytes]], raw: _Readable) -> list[list[tuple[bytes, bytes]]]:
        if not ranges:
            return []
        groups: list[list[tuple[bytes, bytes]]] = []
        with self._cursor(None, None, raw) as cursor:
            for start, stop in ranges:
                cursor.seek(start)
                group: list[tuple[bytes, bytes]] = []
                for pair in cursor:
                    if pair[0] >= stop:
                        break
                    group.append(pair)
                groups.append(group)
        return groups

    def compact(self, start: bytes, stop: bytes | None) -> None:
        """Rewrites the tables of a range: what was deleted leaves the disk. Raises DiskFull, StoreFailed."""
        with self._mapped("compact"):
            self._raw.compact_range(start=start, stop=stop)

    def image(self) -> Image:
        """What is in the database now, readable while it goes on. Close it: what it shows is not compacted away."""
        with self._mapped("read"):
            return Image(self, self._raw.snapshot())

    def pairs(self, start: bytes, stop: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """All pairs of a range, ascending, one at a time."""
        with self._cursor(start, stop) as cursor:
            yield from cursor

    @contextmanager
    def _cursor(self, start: bytes | None, stop: bytes | None, raw: _Readable | None = None) -> Iterator[_Cursor]:
        with self._mapped("read"):
            cursor = (raw or self._raw).iterator(start=start, stop=stop, verify_checksums=True)
            try:
                yield cursor
            finally:
                cursor.close()

    @contextmanager
    def _mapped(self, action: str) -> Iterator[None]:
        try:
            yield
        except (plyvel.Error, OSError) as error:
            self._refuse(action, error)

    def _refuse(self, action: str, error: Exception) -> NoReturn:
        text, where = str(error), str(self.path)
        if any(sign in text for sign in _FULL):
            raise DiskFull(
                f"no room to {action} ({text})", where=where, next_step="free disk space, then restart the node"
            ) from error
        if "lock" in text.lower() and ("temporarily unavailable" in text or "already held" in text):
            raise StoreLocked(
                "another process has this ledger open",
                where=where,
                next_step="stop the other node process, or give this one its own directory",
            ) from error
        if isinstance(error, plyvel.CorruptionError) or "orrupt" in text:
            raise StoreCorrupt(f"LevelDB cannot {action}: {text}", where=where, next_step=CORRUPT_NEXT_STEP) from error
        raise StoreFailed(
            f"LevelDB cannot {action}: {text}", where=where, next_step="check the disk and the directory's permissions"
        ) from error


class Image:
    """A database as it was at one moment. Raises StoreCorrupt, StoreFailed."""

    __slots__ = ("_database", "_raw")

    def __init__(self, database: Database, raw: _Readable) -> None:
        """Use ``Database.image``."""
        self._database, self._raw = database, raw

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key`` at that moment."""
        with self._database._mapped("read"):
            return self._raw.get(key, verify_checksums=True)

    def scan_each(self, ranges: list[tuple[bytes, bytes]]) -> list[list[tuple[bytes, bytes]]]:
        """All pairs of each range [start, stop)."""
        return self._database._scan_each(ranges, self._raw)

    def close(self) -> None:
        """Lets go of what only this image shows."""
        self._raw.close()
