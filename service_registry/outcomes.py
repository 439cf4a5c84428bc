"""Idempotency of calls: the same call again gets the same answer, and the publisher is asked once
(docs/spec/service-registry.md §7).

What a call came to is kept for a while, in memory; later, and after a restart, its id is only known to be used.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from service_registry.admission import replayed
from service_registry.bodies import AccessCode, Call
from service_registry.calls import CallRefused, NotRecorded, SignedReply

KEEP_MS = 600_000
MAX_KEPT = 4_096
MAX_KEPT_BYTES = 64_000_000
Key = tuple[bytes, bytes, int]


@dataclass(slots=True)
class Attempt:
    """One call id's way: what the publisher said stays, so that a record that failed is tried again without him."""

    version: int
    request_hash: bytes
    until_ms: int
    verdict: tuple[SignedReply, AccessCode, CallRefused | None] | None = None
    under_way: asyncio.Task[bytes] | None = None
    ended: bytes | CallRefused | None = None

    @property
    def size(self) -> int:
        """Bytes it keeps."""
        held = len(self.ended) if isinstance(self.ended, bytes) else 0
        return held or (len(self.verdict[0].response) if self.verdict is not None else 0)


@dataclass(slots=True)
class Outcomes:
    """Attempts by (service, consumer, call id), the oldest first; ``sizes`` is what they were counted with."""

    kept: OrderedDict[Key, Attempt] = field(default_factory=OrderedDict)
    sizes: dict[Key, int] = field(default_factory=dict)
    held_bytes: int = 0

    async def once(self, call: Call, now_ms: int, fresh: Callable[[], None], run: Run) -> bytes:
        """The answer. ``fresh`` raises for an id that was used before; ``run`` makes the call.

        Raises ReplayedCall for another request under a known id, and what ``run`` raised the first time.
        """
        self._forget(now_ms)
        key = (call.service, call.consumer, call.call_id)
        attempt = self.kept.get(key)
        if attempt is None:
            fresh()
            attempt = self.kept[key] = Attempt(call.version, call.request_hash, now_ms + KEEP_MS)
        elif (attempt.version, attempt.request_hash) != (call.version, call.request_hash):
            raise replayed(call)
        if isinstance(attempt.ended, CallRefused):
            raise attempt.ended
        if attempt.ended is not None:
            return attempt.ended
        if attempt.under_way is None:
            attempt.under_way = asyncio.create_task(self._run(key, attempt, run))
        # Whoever gives up waiting does not end the call for those who wait for the same.
        return await asyncio.shield(attempt.under_way)

    async def _run(self, key: Key, attempt: Attempt, run: Run) -> bytes:
        try:
            attempt.ended = await run(attempt)
            return attempt.ended
        except CallRefused as refusal:
            if not isinstance(refusal, NotRecorded):
                attempt.ended = refusal
            raise
        finally:
            attempt.under_way = None
            if attempt.ended is None and attempt.verdict is None:
                self.kept.pop(key, None)  # nothing happened: the same call may be made again
            else:
                self._count(key, attempt)

    def _count(self, key: Key, attempt: Attempt) -> None:
        self.held_bytes += attempt.size - self.sizes.get(key, 0)
        self.sizes[key] = attempt.size

    def _forget(self, now_ms: int) -> None:
        """What is old, and the oldest when there is too much; never what is under way."""
        while self.kept:
            key, oldest = next(iter(self.kept.items()))
            crowded = len(self.kept) >= MAX_KEPT or self.held_bytes > MAX_KEPT_BYTES
            if oldest.under_way is not None or (oldest.until_ms > now_ms and not crowded):
                return
            del self.kept[key]
            self.held_bytes -= self.sizes.pop(key, 0)


Run = Callable[[Attempt], Awaitable[bytes]]
