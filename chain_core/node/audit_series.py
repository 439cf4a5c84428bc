"""One series of audit segments on disk: lines appended and synced, torn ends cut, a new segment when one is full.

Blocking, for one thread at a time. What fails is raised as OSError and closes the file: the next append begins by
reading the last segment again, so that chain and file are never of two minds (docs/spec/access.md §6).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain_core.node.audit_format import BEGIN, START, Reading, Record, encode, follow, link, number_of
from chain_core.node.audit_format import segment_name as name_of
from chain_core.node.audit_format import segments as segments_of

READS_BYTES: Final = 16 << 20
REFUSALS_BYTES: Final = 4 << 20
RING: Final = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose record it is: the chain's genesis hash in hexadecimal, the node's name."""

    chain: str
    node: str


class Series:
    """``ring``: so many segments are kept; 0: all. ``began`` and ``damaged`` are told of new segments and of damage."""

    def __init__(
        self,
        directory: Path,
        name: str,
        origin: Origin,
        *,
        segment_bytes: int,
        ring: int,
        clock_ms: Callable[[], int],
        began: Callable[[int, str], None],
        damaged: Callable[[str], None],
    ) -> None:
        self._directory, self._name, self._origin = directory, name, origin
        self._segment_bytes, self._ring = segment_bytes, ring
        self._clock_ms, self._began, self._damaged = clock_ms, began, damaged
        self._file = -1
        self._size = 0
        self._number = -1
        self.chain, self._n = START, 0

    def append(self, records: Sequence[Record]) -> None:
        """Write and sync. ``n`` is filled in here. Raises OSError: then nothing counts as written."""
        try:
            if self._file < 0:
                self.open()
            data, chain, n = bytearray(), self.chain, self._n
            for record in records:
                text = encode({**record, "n": n})
                chain, n = link(chain, text), n + 1
                data += f"{chain} {text}\n".encode("ascii")
            self._write(bytes(data))
            self.chain, self._n = chain, n
            if self._size >= self._segment_bytes:
                self._begin()
        except OSError:
            self.close()
            raise

    def open(self) -> None:
        """Go on with the last segment, or begin the first one. Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = segments_of(self._directory, self._name)
        if not found:
            self.chain, self._n, self._number = START, 0, -1
            self._begin()
            return
        last, reading = found[-1], Reading()
        for _ in follow(last, reading, self._name):
            pass
        if reading.torn and not reading.good_bytes:
            last.unlink()  # begun and never finished: nothing in it was acknowledged
            self.open()
            return
        self._number = number_of(last)
        if reading.damage is not None:
            # Without one good line in it the chain goes on from the segment before.
            known = reading if reading.lines or len(found) == 1 else self._end_of(found[-2])
            self.chain, self._n = known.chain, known.next_n
            self._damaged(str(reading.damage))
            self._begin(str(reading.damage))
            return
        self.chain, self._n = reading.chain, reading.next_n
        self._file = os.open(last, os.O_WRONLY | os.O_APPEND)
        if reading.torn:
            os.ftruncate(self._file, reading.good_bytes)
            os.fsync(self._file)
        self._size = reading.good_bytes

    def close(self) -> None:
        """Let go of the file; everything acknowledged is on disk."""
        if self._file >= 0:
            try:
                os.close(self._file)
            finally:
                self._file = -1

    def _end_of(self, path: Path) -> Reading:
        reading = Reading()
        for _ in follow(path, reading, self._name):
            pass
        return reading

    def _begin(self, damage: str = "") -> None:
        """A new segment, its first line synced, its name too."""
        self.close()
        number = self._number + 1
        record: dict[str, object] = {
            "what": BEGIN,
            "series": self._name,
            "segment": number,
            "after": self.chain,
            "chain": self._origin.chain,
            "node": self._origin.node,
            "t": self._clock_ms(),
            "n": self._n,
        }
        if damage:
            record["damage"] = damage
        text = encode(record)
        chain = link(self.chain, text)
        path = self._directory / name_of(self._name, number)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._number, self._size = number, 0
        self._write(f"{chain} {text}\n".encode("ascii"))
        self.chain, self._n = chain, self._n + 1
        self._sync_directory()
        if self._ring:
            for old in segments_of(self._directory, self._name)[: -self._ring]:
                old.unlink()
        self._began(number, chain)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        self._size += len(data)

    def _sync_directory(self) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
