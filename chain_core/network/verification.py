"""Signatures are verified in batches on worker threads: while one batch is verified, the next one accumulates.

Four waiting lines, all bounded (docs/spec/network.md §5). Votes have a thread of their own: each round of consensus
would wait for a batch of bodies otherwise; peers take turns there. Of the rest, what this node asked for goes first,
then what peers pushed, in order of arrival. Clients' work comes last but never starves: overload is felt by those who
can be told to come back.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chain_core.crypto.provider import VerifyItem
from chain_core.network.ingress import Check
from chain_core.network.refusals import Overloaded, Unavailable
from chain_core.types.validator_set import MIN_VALIDATORS

Outcome = TypeVar("Outcome")
Result = TypeVar("Result")

ROUND_SIGNATURES = 256
"""A batch is closed once it holds as many: enough to fill the lanes, few enough that proposals' bodies wait little."""

MAX_VOTES = 8_192
LEAST_VOTES = 256
"""Room of each peer at least, however many there are: the votes of a whole window of 64 heights."""
QUANTUM = 16
"""Signatures a peer's turn in the line of votes is worth: an instance's votes of some heights."""
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
            job = self.pop()
            total += job.weight
            taken.append(job)
        return taken

    @property
    def next_weight(self) -> int:
        """That of the first job; there must be one."""
        return self._jobs[0].weight

    def pop(self) -> Job[Any]:
        """The first job; there must be one."""
        job = self._jobs.popleft()
        self.weight -= job.weight
        self.size_bytes -= job.size_bytes
        return job


class _FairLine:
    """A waiting line for many senders: each has its own room, and the signatures are shared out in turns.

    Deficit round robin (Shreedhar, Varghese 1995): a turn is worth QUANTUM signatures, and what a sender does not use
    while it waits adds up. So a sender of heavy messages delays the others by one of them, and not by all.
    """

    __slots__ = ("_credit", "_lines", "_max_bytes", "_max_weight", "_turns", "senders", "size_bytes", "weight")

    def __init__(self, max_weight: int, max_bytes: int) -> None:
        self._max_weight, self._max_bytes = max_weight, max_bytes
        self.senders = MIN_VALIDATORS
        self._lines: dict[int, _Line] = {}
        self._credit: dict[int, int] = {}
        self._turns: deque[int] = deque()
        """Those who wait, each once: ``_lines`` and ``_credit`` have them and nobody else."""
        self.weight = self.size_bytes = 0

    def has_room(self, size_bytes: int, sender: int) -> bool:
        """An equal share for each. The message that fills it may be larger than what is left, a NEW-VIEW above all:
        it comes in one packet with others. In bytes only while all together have room.
        """
        line, share = self._lines.get(sender), self._max_bytes // self.senders
        held, held_bytes = (line.weight, line.size_bytes) if line is not None else (0, 0)
        if held >= max(LEAST_VOTES, self._max_weight // self.senders) or held_bytes >= share:
            return False
        return held_bytes + size_bytes <= share or self.size_bytes + size_bytes <= self._max_bytes or not self._turns

    def add(self, job: Job[Any], sender: int) -> None:
        line = self._lines.get(sender)
        if line is None:
            line = self._lines[sender] = _Line(self._max_weight, self._max_bytes)
            self._credit[sender] = 0
            self._turns.append(sender)
        line.add(job)
        self.weight += job.weight
        self.size_bytes += job.size_bytes

    def take(self, up_to: int) -> list[Job[Any]]:
        """Jobs until ``up_to`` signatures are reached, of each sender in order of arrival."""
        taken: list[Job[Any]] = []
        total = 0
        while self._turns and total < up_to:
            sender = self._turns[0]
            line, credit = self._lines[sender], self._credit[sender] + QUANTUM
            while line and line.next_weight <= credit and total < up_to:
                job = line.pop()
                credit -= job.weight
                total += job.weight
                self.weight -= job.weight
                self.size_bytes -= job.size_bytes
                taken.append(job)
            self._turns.popleft()
            if line:
                self._credit[sender] = credit
                self._turns.append(sender)
            else:
                del self._lines[sender], self._credit[sender]
        return taken


class VerificationQueue:
    """Run ``run()`` as a task; what it raises comes from a ``deliver`` and is the end of the node."""

    def __init__(
        self,
        verify: Callable[[Sequence[VerifyItem]], list[bool]],
        counters: Counter[str],
        measured: Callable[[int, float], None] | None = None,
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``measured`` is told of each batch: how many signatures, how many seconds. Each outcome is delivered when
        ``turn`` returns: while the replica waits, outcomes do, and the lines fill up to their bounds."""
        self._verify, self._measured, self._turn = verify, measured, turn
        self._counters = counters
        self._votes = _FairLine(MAX_VOTES, MAX_LINE_BYTES)
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

    def share_votes(self, senders: int) -> None:
        """How many validators share the line of votes from now on."""
        self._votes.senders = senders

    def add_vote(self, job: Job[Any], sender: int) -> bool:
        """A peer's message that must not wait behind bodies; False: it has no room left, and votes are sent again."""
        if self._closed or not self._votes.has_room(job.size_bytes, sender):
            self._counters["ingress_votes_dropped"] += 1
            return False
        self._votes.add(job, sender)
        self._votes_wait.set()
        return True

    def add_needed(self, job: Job[Any]) -> bool:
        """Bodies of proposals, and blocks: this node asked for them; False: no room, it will ask again."""
        return self._add(self._needed, job, "ingress_needed_dropped")

    def add_from_peer(self, job: Job[Any]) -> bool:
        """What peers pushed, in order of arrival; False: no room (what is needed is asked for again)."""
        return self._add(self._peers, job, "ingress_bodies_dropped")

    def _add(self, line: _Line, job: Job[Any], dropped: str) -> bool:
        if self._closed or not line.has_room(job.weight, job.size_bytes):
            self._counters[dropped] += 1
            return False
        line.add(job)
        self._bodies_wait.set()
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
                await self._deliver(jobs, checks, valid)
        finally:
            worker.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, jobs: Sequence[Job[Any]], checks: Sequence[Check[Any]], valid: Sequence[bool]) -> None:
        start = 0
        for job, check in zip(jobs, checks, strict=True):
            if self._turn is not None:
                await self._turn()
            end = start + len(check.items)
            job.deliver(check.conclude(valid[start:end]))
            start = end

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
