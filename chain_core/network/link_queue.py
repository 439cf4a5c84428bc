"""What waits to be sent to one peer: bounded, the least useful leaves first (docs/spec/network.md §4).

Votes overtake bodies. While the link is down votes are not kept at all, for they are re-sent when it comes up; a small
stock of bodies is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import IntEnum

MAX_FRAMES = 16_384
MAX_BYTES = 32_000_000
MAX_BYTES_DOWN = 4_000_000

MESSAGE_BYTES = 32_768
"""Frames are gathered into messages of about this size; a larger frame travels alone."""


class Usefulness(IntEnum):
    """What leaves first when there is no room."""

    HEARTBEAT = 0
    """The next one says more."""
    BODIES = 1
    """Whoever misses one asks for it."""
    VOTE = 2
    """Re-sent until its height is final."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An encoded frame. ``urgent`` ones overtake the others."""

    data: bytes
    usefulness: Usefulness
    urgent: bool


class LinkQueue:
    """Filled by ``put``, emptied by ``take`` once ``filled`` is set."""

    def __init__(self, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self.filled = asyncio.Event()
        self.dropped = 0
        self._max_frames, self._max_bytes = max_frames, max_bytes
        self._urgent: deque[Entry] = deque()
        self._ordered: deque[Entry] = deque()
        self._count = dict.fromkeys(Usefulness, 0)
        self._size_bytes = 0
        self._up = False

    def __len__(self) -> int:
        return len(self._urgent) + len(self._ordered)

    @property
    def size_bytes(self) -> int:
        """Bytes that wait."""
        return self._size_bytes

    def link_up(self) -> None:
        """The link is there: what waits may be taken."""
        self._up = True
        if len(self):
            self.filled.set()

    def link_down(self) -> None:
        """The link broke: votes are forgotten, bodies are kept within the smaller bound."""
        self._up = False
        self.filled.clear()
        kept = [entry for entry in self._ordered if entry.usefulness is Usefulness.BODIES]
        self.dropped += len(self) - len(kept)
        self._urgent.clear()
        self._ordered = deque(kept)
        self._count = dict.fromkeys(Usefulness, 0) | {Usefulness.BODIES: len(kept)}
        self._size_bytes = sum(len(entry.data) for entry in kept)
        self._make_room()

    def put(self, entry: Entry) -> None:
        """Queue a frame; never blocks, drops the least useful when there is no room."""
        if not self._up and entry.usefulness is not Usefulness.BODIES:
            self.dropped += 1
            return
        (self._urgent if entry.urgent else self._ordered).append(entry)
        self._count[entry.usefulness] += 1
        self._size_bytes += len(entry.data)
        self._make_room()
        if self._up:
            self.filled.set()

    def take(self) -> list[bytes]:
        """The frames of the next message, in order; empty (and ``filled`` cleared) when nothing waits."""
        taken: list[bytes] = []
        size = 0
        for line in (self._urgent, self._ordered):
            while line and (not taken or size + len(line[0].data) <= MESSAGE_BYTES):
                entry = line.popleft()
                self._count[entry.usefulness] -= 1
                size += len(entry.data)
                taken.append(entry.data)
        self._size_bytes -= size
        if not len(self):
            self.filled.clear()
        return taken

    def _make_room(self) -> None:
        limit = self._max_bytes if self._up else min(self._max_bytes, MAX_BYTES_DOWN)
        while len(self) > self._max_frames or (self._size_bytes > limit and len(self) > 1):
            self._drop_one()

    def _drop_one(self) -> None:
        """The oldest of the least useful kind there is."""
        kind = next(kind for kind in Usefulness if self._count[kind])
        for line in (self._urgent, self._ordered):
            for place, entry in enumerate(line):
                if entry.usefulness is kind:
                    del line[place]
                    self._count[kind] -= 1
                    self._size_bytes -= len(entry.data)
                    self.dropped += 1
                    return
