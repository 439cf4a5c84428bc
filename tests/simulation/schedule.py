"""Simulated time: a queue of what happens when, ordered by time and then by when it was planned."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Schedule:
    """Milliseconds since the start of the simulation; nothing else in a run tells time."""

    def __init__(self) -> None:
        self.now_ms = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._planned = 0

    def after(self, delay_ms: int, happen: Callable[[], None]) -> None:
        """Plan something ``delay_ms`` from now."""
        self._planned += 1
        heapq.heappush(self._queue, (self.now_ms + max(0, delay_ms), self._planned, happen))

    def step(self, until_ms: int) -> bool:
        """Let the next thing happen if it is due by ``until_ms``; else time goes there and nothing happens."""
        if not self._queue or self._queue[0][0] > until_ms:
            self.now_ms = until_ms
            return False
        self.now_ms, _, happen = heapq.heappop(self._queue)
        happen()
        return True
