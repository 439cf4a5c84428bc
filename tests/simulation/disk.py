"""The simulated disk under a production ``Database``: LevelDB's promises and no more (docs/spec/simulation.md §3).

A write batch is applied whole or not at all. Synced, it is durable with all batches before it; not synced, it is only
readable: a crash keeps the first few unsynced batches, as many as the seed says, and drops the rest, as LevelDB's log
does.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, Protocol

import plyvel

Change = tuple[bytes, bytes | None]
"""Key and its new value; None removes it."""
LEVELDB = plyvel.DB


class Watch(Protocol):
    """Who sees every write and may end the process there."""

    def writing(self, changes: Sequence[Change]) -> None:
        """A batch is about to be written."""

    def durable(self, changes: Sequence[Change]) -> None:
        """A batch became durable."""

    def written(self, changes: Sequence[Change]) -> None:
        """The write returns."""


class Content:
    """Keys in order, with their values."""

    __slots__ = ("keys", "values")

    def __init__(self, values: dict[bytes, bytes] | None = None) -> None:
        self.values = {} if values is None else values
        self.keys = sorted(self.values)

    def apply(self, changes: Sequence[Change]) -> None:
        keys, values = self.keys, self.values
        for key, value in changes:
            if value is not None:
                if key not in values:
                    insort(keys, key)
                values[key] = value
            elif key in values:
                del values[key]
                del keys[bisect_left(keys, key)]


class Disk:
    """One node's disk. It outlives the process; ``open`` stands for ``plyvel.DB`` while a ledger is opened."""

    def __init__(self, random: Random, watch: Watch) -> None:
        self.random, self.watch = random, watch
        self.content = Content()
        self.durable: dict[bytes, bytes] | None = None
        """What was durable when the oldest unsynced write came; None when everything is durable."""
        self.unsynced: list[Sequence[Change]] = []
        self.opened = 0

    def open(self, _path: str, **_options: Any) -> Raw:
        """The open database; an earlier handle is dead from now on."""
        self.opened += 1
        return Raw(self, self.opened)

    def get(self, key: bytes) -> bytes | None:
        """What a reader finds at present."""
        return self.content.values.get(key)

    @property
    def dirty(self) -> bool:
        """Whether a crash could lose something that was written."""
        return bool(self.unsynced)

    def write(self, changes: Sequence[Change], sync: bool) -> None:
        self.watch.writing(changes)
        if not sync:
            if self.durable is None:
                self.durable = dict(self.content.values)
            self.unsynced.append(changes)
        self.content.apply(changes)
        if sync:
            for earlier in (*self.unsynced, changes):
                self.watch.durable(earlier)
            self.unsynced, self.durable = [], None
        self.watch.written(changes)

    def crash(self) -> int:
        """The power fails: how many unsynced batches are lost."""
        if self.durable is None:
            return 0
        kept = self.random.randint(0, len(self.unsynced))
        self.content = Content(self.durable)
        for changes in self.unsynced[:kept]:
            self.content.apply(changes)
        lost = len(self.unsynced) - kept
        self.unsynced, self.durable = [], None
        return lost

    def image(self) -> Content:
        """A backup of what is readable now."""
        return Content(dict(self.content.values))

    def restore(self, image: Content) -> None:
        """Puts a backup back, or empties the disk (``Content()``)."""
        self.content = Content(dict(image.values))
        self.unsynced, self.durable = [], None


class Raw:
    """What plyvel calls DB, as far as ``chain_core.ledger.database`` uses it."""

    def __init__(self, disk: Disk, number: int) -> None:
        self._disk, self._number = disk, number

    def _alive(self) -> Disk:
        if self._disk.opened != self._number:
            raise RuntimeError("database is closed")
        return self._disk

    def get(self, key: bytes, **_: Any) -> bytes | None:
        return self._alive().content.values.get(key)

    def write_batch(self, *, sync: bool = False, **_: Any) -> _Batch:
        return _Batch(lambda changes: self._alive().write(changes, sync))

    def put(self, key: bytes, value: bytes, *, sync: bool = False) -> None:
        self._alive().write([(key, value)], sync)

    def delete(self, key: bytes, *, sync: bool = False) -> None:
        self._alive().write([(key, None)], sync)

    def iterator(self, *, start: bytes | None = None, stop: bytes | None = None, **_: Any) -> _Cursor:
        return _Cursor(self._alive().content, start, stop)

    def snapshot(self) -> Raw:
        """A view that later writes do not change."""
        frozen = Disk(Random(0), self._disk.watch)
        frozen.content = self._alive().image()
        return frozen.open("")

    def compact_range(self, **_: Any) -> None:
        """Nothing to compact."""

    def close(self) -> None:
        self._disk.opened += 1 if self._disk.opened == self._number else 0

    @property
    def closed(self) -> bool:
        return self._disk.opened != self._number


class _Batch:
    def __init__(self, write: Callable[[Sequence[Change]], None]) -> None:
        self._write = write
        self._changes: list[Change] = []

    def put(self, key: bytes, value: bytes) -> None:
        self._changes.append((key, value))

    def delete(self, key: bytes) -> None:
        self._changes.append((key, None))

    def write(self) -> None:
        self._write(tuple(self._changes))


class _Cursor:
    """Reads what is there while it goes; production code closes it before it writes."""

    def __init__(self, content: Content, start: bytes | None, stop: bytes | None) -> None:
        self._content = content
        self._at = 0 if start is None else bisect_left(content.keys, start)
        self._end = len(content.keys) if stop is None else bisect_left(content.keys, stop)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        if self._at >= self._end:
            raise StopIteration
        key = self._content.keys[self._at]
        self._at += 1
        return key, self._content.values[key]

    def seek(self, target: bytes) -> None:
        self._at = bisect_left(self._content.keys, target)

    def close(self) -> None:
        self._end = 0

    def __enter__(self) -> _Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class WatchedLevelDb:
    """A real LevelDB directory whose writes are watched; a crash of the process loses nothing of it."""

    dirty = False

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._raw: Any = None

    def open(self, path: str, **options: Any) -> WatchedLevelDb:
        self._raw = LEVELDB(path, **options)
        return self

    def get(self, key: bytes, **options: Any) -> bytes | None:
        value: bytes | None = self._raw.get(key, **options)
        return value

    def write_batch(self, *, sync: bool = False, **_: Any) -> _Batch:
        def write(changes: Sequence[Change]) -> None:
            self._watch.writing(changes)
            batch = self._raw.write_batch(sync=sync)
            for key, value in changes:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            batch.write()
            if sync:
                self._watch.durable(changes)
            self._watch.written(changes)

        return _Batch(write)

    def crash(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
