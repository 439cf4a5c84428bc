"""Signatures are verified in batches on worker threads: while one batch is verified, the next one accumulates.

Four waiting lines, all bounded (docs/spec/network.md §5). Votes have a thread of their own: each round of consensus
would wait for a batch of bodies otherwise. Of the rest, what this node asked for goes first, then what peers pushed, in
order of arrival. Clients' work comes last but never starves: overload is felt by those who can be told to come back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chain_core.crypto.provider import VerifyItem
from chain_core.network.ingress import Check
from chain_core.network.refusals import Overloaded, Unavailable

Outcome = TypeVar("Outcome")
Result = TypeVar("Result")

ROUND_SIGNATURES = 256
"""A batch is closed once it holds as many: enough to fill the lanes, few enough that proposals' bodies wait little."""

MAX_VOTES = 8_192
MAX_NEEDED_SIGNATURES = 8_192
MAX_PEER_SIGNATURES = 8_192
MAX_CLIENT_SIGNATURES = 8_192
MAX_LINE_BYTES = 64_000_000

CLIENT_SHARE = 32
"""Signatures of each batch that clients get even when peers' work would fill it."""

JOB_ENVELOPES = 64
"""Larger deliveries are cut into jobs of this many envelopes."""


@dataclass(frozen=True, slots=True)
class Job(Generic[Outcome]):
    """``prepare`` judges the structure when the turn comes; ``deliver`` gets the outcomes, on the event loop.

    ``weight`` estimates its signatures, ``size_bytes`` what it holds in memory while it waits.
    """

    prepare: Callable[[], Check[Outcome]]
    deliver: Callable[[list[Outcome]], None]
    weight: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ClientJob(Generic[Outcome, Result]):
    """Work somebody waits for: ``finish`` gets the outcomes on the event loop, its result goes to the caller."""

    prepare: Callable[[], Check[Outcome]]
    finish: Callable[[list[Outcome]], Result]
    weight: int
    size_bytes: int


class _Line:
    """A bounded waiting line."""

    __slots__ = ("_jobs", "_max_bytes", "_max_weight", "size_bytes", "weight")

    def __init__(self, max_weight: int, max_bytes: int) -> None:
        self._jobs: deque[Job[Any]] = deque()
        self._max_weight, self._max_bytes = max_weight, max_bytes
        self.weight = self.size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def has_room(self, weight: int, size_bytes: int) -> bool:
        """An empty line takes anything that a message can hold."""
        fits = self.weight + weight <= self._max_weight and self.size_bytes + size_bytes <= self._max_bytes
        return fits or not self._jobs

    def add(self, job: Job[Any]) -> None:
        self._jobs.append(job)
        self.weight += job.weight
        self.size_bytes += job.size_bytes

    def take(self, up_to: int) -> list[Job[Any]]:
        """Jobs from the front until ``up_to`` signatures are reached."""
        taken: list[Job[Any]] = []
        total = 0
        while self._jobs and total < up_to:
            job = self._jobs.popleft()
            self.weight -= job.weight
            self.size_bytes -= job.size_bytes
            total += job.weight
            taken.append(job)
        return taken


class VerificationQueue:
    """Run ``run()`` as a task; what it raises comes from a ``deliver`` and is the end of the node."""

    def __init__(
        self,
        verify: Callable[[Sequence[VerifyItem]], list[bool]],
        counters: Counter[str],
        measured: Callable[[int, float], None] | None = None,
    ) -> None:
        """``measured`` is told of each batch: how many signatures, how many seconds."""
        self._verify, self._measured = verify, measured
        self._counters = counters
        self._votes = _Line(MAX_VOTES, MAX_LINE_BYTES)
        self._needed = _Line(MAX_NEEDED_SIGNATURES, MAX_LINE_BYTES)
        self._peers = _Line(MAX_PEER_SIGNATURES, MAX_LINE_BYTES)
        self._clients = _Line(MAX_CLIENT_SIGNATURES, MAX_LINE_BYTES)
        self._votes_wait, self._bodies_wait = asyncio.Event(), asyncio.Event()
        self._closed = False

    @property
    def backlog(self) -> int:
        """Signatures that wait."""
        return self._votes.weight + self._needed.weight + self._peers.weight + self._clients.weight

    @property
    def peers_backlog(self) -> int:
        """Of these, what peers pushed."""
        return self._peers.weight

    def add_vote(self, job: Job[Any]) -> bool:
        """A consensus message that must not wait behind bodies; False: no room, it is lost (votes are re-sent)."""
        return self._add(self._votes, job, self._votes_wait, "ingress_votes_dropped")

    def add_needed(self, job: Job[Any]) -> bool:
        """Bodies of proposals, and blocks: this node asked for them; False: no room, it will ask again."""
        return self._add(self._needed, job, self._bodies_wait, "ingress_needed_dropped")

    def add_from_peer(self, job: Job[Any]) -> bool:
        """What peers pushed, in order of arrival; False: no room (what is needed is asked for again)."""
        return self._add(self._peers, job, self._bodies_wait, "ingress_bodies_dropped")

    def _add(self, line: _Line, job: Job[Any], work: asyncio.Event, dropped: str) -> bool:
        if self._closed or not line.has_room(job.weight, job.size_bytes):
            self._counters[dropped] += 1
            return False
        line.add(job)
        work.set()
        return True

    async def for_client(self, jobs: Sequence[ClientJob[Outcome, Result]]) -> list[Result]:
        """What ``finish`` made of each job's outcomes. Raises Overloaded when they do not all find room."""
        if self._closed:
            raise Unavailable("the node is stopping", next_step="ask another node")
        if not self._clients.has_room(sum(job.weight for job in jobs), sum(job.size_bytes for job in jobs)):
            self._counters["ingress_clients_refused"] += 1
            raise Overloaded(
                f"{self._clients.weight} signatures wait to be verified",
                where="ingress",
                next_step="hand it in again after retry_after_ms, or to another node",
                retry_after_ms=100,
            )
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = []
        for job in jobs:
            future: asyncio.Future[Result] = loop.create_future()
            futures.append(future)
            self._clients.add(Job(job.prepare, _settle(future, job.finish), job.weight, job.size_bytes))
        self._bodies_wait.set()
        return list(await asyncio.gather(*futures))

    async def run(self) -> None:
        """Verify until cancelled."""
        turns = [
            asyncio.create_task(
                self._take_turns("votes", self._votes_wait, lambda: self._votes.take(ROUND_SIGNATURES))
            ),
            asyncio.create_task(self._take_turns("bodies", self._bodies_wait, self._next_round)),
        ]
        try:
            await asyncio.gather(*turns)
        finally:
            self._closed = True
            for turn in turns:
                turn.cancel()
            await asyncio.gather(*turns, return_exceptions=True)

    async def _take_turns(self, name: str, work: asyncio.Event, next_round: Callable[[], list[Job[Any]]]) -> None:
        """Batch after batch of some lines, on a thread of their own."""
        loop = asyncio.get_running_loop()
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"verify-{name}")
        try:
            while True:
                await work.wait()
                jobs = next_round()
                if not jobs:
                    work.clear()
                    continue
                checks = [job.prepare() for job in jobs]
                items = [item for check in checks for item in check.items]
                valid: list[bool] = []
                if items:
                    began = loop.time()
                    valid = await loop.run_in_executor(worker, self._verify, items)
                    if self._measured is not None:
                        self._measured(len(items), loop.time() - began)
                    self._counters["signatures_verified"] += len(items)
                    self._counters["signatures_bad"] += len(items) - sum(valid)
                    self._counters["verification_batches"] += 1
                _deliver(jobs, checks, valid)
        finally:
            worker.shutdown(wait=False, cancel_futures=True)

    def _next_round(self) -> list[Job[Any]]:
        """What was asked for, then what peers pushed, with room for clients."""
        room = ROUND_SIGNATURES - CLIENT_SHARE if self._clients else ROUND_SIGNATURES
        jobs = self._needed.take(room)
        jobs += self._peers.take(room - sum(job.weight for job in jobs))
        used = sum(job.weight for job in jobs)
        return jobs + self._clients.take(max(CLIENT_SHARE, ROUND_SIGNATURES - used))


def _settle(
    future: asyncio.Future[Result], finish: Callable[[list[Outcome]], Result]
) -> Callable[[list[Outcome]], None]:
    def deliver(outcomes: list[Outcome]) -> None:
        result = finish(outcomes)
        # The caller may have gone away meanwhile; what he handed in stands.
        if not future.done():
            future.set_result(result)

    return deliver


def _deliver(jobs: Sequence[Job[Any]], checks: Sequence[Check[Any]], valid: Sequence[bool]) -> None:
    start = 0
    for job, check in zip(jobs, checks, strict=True):
        end = start + len(check.items)
        job.deliver(check.conclude(valid[start:end]))
        start = end
