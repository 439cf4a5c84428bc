"""The audit record of a node: a protected read's line is synced before the read; refusals follow soon.

Reads that come while a batch is synced share the next one. Nothing here delays consensus: it has a thread of its own,
and what fails refuses reads and nothing else (docs/spec/access.md §6).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chain_core.network.quota import Bucket, Limit
from chain_core.network.refusals import AuditUnavailable, Overloaded
from chain_core.node.audit_format import READ, READS, REFUSALS, REFUSED, START, Record
from chain_core.node.audit_series import READS_BYTES, REFUSALS_BYTES, RING, Origin, Series
from chain_core.node.log import event

log = logging.getLogger(__name__)

DIRECTORY: Final = "audit"
MAX_BATCH, MAX_WAITING = 512, 4_096
REFUSALS_A_SECOND: Final = Limit(20, 200)
_FLUSH_S = 1.0
_AGAIN_S = 1.0

Alarm = Callable[[str, dict[str, str | int]], None]


@dataclass(frozen=True, slots=True)
class Clocks:
    """The node's wall clock in milliseconds, a clock that never goes back in nanoseconds."""

    wall_ms: Callable[[], int]
    steady_ns: Callable[[], int]


class AuditLog:
    """``run`` writes until cancelled, then ``close``. ``alarm`` tells the operator, once a fault."""

    def __init__(
        self,
        directory: Path,
        origin: Origin,
        clocks: Clocks,
        alarm: Alarm,
        *,
        reads_bytes: int = READS_BYTES,
        refusals_bytes: int = REFUSALS_BYTES,
    ) -> None:
        self.directory, self._clocks, self._alarm = directory, clocks, alarm

        def series(name: str, size: int, ring: int) -> Series:
            return Series(
                directory,
                name,
                origin,
                segment_bytes=size,
                ring=ring,
                clock_ms=clocks.wall_ms,
                began=lambda number, head: self._head(name, number, head),
                damaged=lambda what: self._alarm_soon("AUDIT_DAMAGED", what),
            )

        self._reads = series(READS, reads_bytes, 0)
        self._refusals = series(REFUSALS, refusals_bytes, RING)
        self._rate = Bucket(REFUSALS_A_SECOND, clocks.steady_ns())
        self._suppressed = 0
        self._refused: list[Record] = []
        self._waiting: list[tuple[Record, asyncio.Future[None]]] = []
        self._work = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "audit")
        self._loop = asyncio.get_running_loop()
        self._failing = False
        self._not_before = 0.0
        self._closed = False

    # ---- what is recorded

    async def read(self, facts: Record) -> None:
        """Returns when the record of a read is on disk. Raises AuditUnavailable, Overloaded."""
        if self._closed or self._loop.time() < self._not_before:
            raise _unavailable("the last attempt failed a moment ago" if not self._closed else "the node is stopping")
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded(
                f"{MAX_WAITING} reads wait for their record",
                where="audit",
                next_step="ask again after retry_after_ms, or another node",
                retry_after_ms=500,
            )
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(({**facts, "what": READ, "t": self._clocks.wall_ms()}, done))
        self._work.set()
        await done

    def refused(self, facts: Record) -> None:
        """A call was refused; written soon, or counted when there are too many."""
        if self._rate.take(1, self._clocks.steady_ns()):
            self._suppressed += 1
            return
        suppressed, self._suppressed = self._suppressed, 0
        told = {"suppressed": suppressed} if suppressed else {}
        self._refused.append({**facts, **told, "what": REFUSED, "t": self._clocks.wall_ms()})

    # ---- life

    async def run(self) -> None:
        """Write until cancelled."""
        await asyncio.gather(self._write_reads(), self._write_refusals())

    async def close(self) -> None:
        """After ``run`` was cancelled: who still waits is refused, refusals are written, the heads are told."""
        self._closed = True
        for _, done in self._waiting:
            _tell(done, _unavailable("the node is stopping"))
        self._waiting.clear()
        if self._refused:
            await self._append(self._refusals, self._take_refusals())
        for series in (self._reads, self._refusals):
            await self._loop.run_in_executor(self._thread, series.close)
        for name, series in ((READS, self._reads), (REFUSALS, self._refusals)):
            if series.chain != START:
                event(log, logging.INFO, "AUDIT_HEAD", {"series": name, "head": series.chain})
        self._thread.shutdown(wait=True)

    async def _write_reads(self) -> None:
        try:
            await self._append(self._reads, [])  # finds damage, and tells the head, before the first read
            while True:
                await self._work.wait()
                batch = self._waiting[:MAX_BATCH]
                del self._waiting[:MAX_BATCH]
                if not self._waiting:
                    self._work.clear()
                if batch:
                    await self._settle(batch)
        finally:
            self._closed = True

    async def _settle(self, batch: list[tuple[Record, asyncio.Future[None]]]) -> None:
        try:
            fault = await self._append(self._reads, [record for record, _ in batch])
        except BaseException:
            for _, done in batch:
                _tell(done, _unavailable("the node is stopping"))
            raise
        for _, done in batch:
            _tell(done, _unavailable(fault) if fault else None)

    async def _write_refusals(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            batch = self._take_refusals()
            if batch:
                await self._append(self._refusals, batch)

    def _take_refusals(self) -> list[Record]:
        batch, self._refused = self._refused, []
        return batch

    async def _append(self, series: Series, records: list[Record]) -> str:
        """What kept the records from the disk; empty: they are there."""
        try:
            await self._loop.run_in_executor(self._thread, series.append, records)
        except OSError as error:
            what = error.strerror or str(error)
            self._not_before = self._loop.time() + _AGAIN_S if series is self._reads else self._not_before
            if not self._failing:
                self._failing = True
                next_step = "make room or mend the disk: protected reads are refused until then"
                self._alarm("AUDIT_FAILED", {"directory": str(self.directory), "reason": what, "next": next_step})
            return what
        if self._failing and series is self._reads:
            self._failing = False
            event(log, logging.INFO, "AUDIT_BACK", {"directory": str(self.directory)})
        return ""

    # ---- told from the writing thread

    def _head(self, series: str, number: int, head: str) -> None:
        event(log, logging.INFO, "AUDIT_HEAD", {"series": series, "segment": number, "head": head})

    def _alarm_soon(self, code: str, what: str) -> None:
        facts: dict[str, str | int] = {"directory": str(self.directory), "what": what}
        self._loop.call_soon_threadsafe(self._alarm, code, facts)


def _tell(done: asyncio.Future[None], error: Exception | None) -> None:
    """The caller may be gone meanwhile; the record of its read stands."""
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _unavailable(what: str) -> AuditUnavailable:
    return AuditUnavailable(
        f"this read cannot be recorded: {what}",
        where="audit",
        next_step="ask another node; the operator finds AUDIT_FAILED in this node's log",
        retry_after_ms=int(_AGAIN_S * 1_000),
    )
