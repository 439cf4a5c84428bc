"""The verification queue: batches accumulate, votes come first, clients never starve, every line is bounded."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Event

import pytest

from chain_core.crypto.provider import VerifyItem
from chain_core.network.refusals import Overloaded, Unavailable
from chain_core.network.verification import (
    CLIENT_SHARE,
    LEAST_VOTES,
    MAX_CLIENT_SIGNATURES,
    MAX_LINE_BYTES,
    MAX_NEEDED_SIGNATURES,
    MAX_PEER_SIGNATURES,
    MAX_VOTES,
    ROUND_SIGNATURES,
    ClientJob,
    Job,
    VerificationQueue,
)

GOOD, BAD, SLOW = b"good", b"bad", b"slow"


@dataclass
class Named:
    """A check of signatures that say themselves whether they are good; outcomes are (name, verdict)."""

    name: str
    signatures: Sequence[bytes]
    items: list[VerifyItem] = field(init=False)

    def __post_init__(self) -> None:
        self.items = [(b"", b"", signature) for signature in self.signatures]

    def conclude(self, valid: Sequence[bool]) -> list[tuple[str, bool]]:
        return [(self.name, verdict) for verdict in valid]


class Verifier:
    """Counts batches; one with a slow signature waits until ``gate`` is open."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = Event()
        self.gate.set()

    def __call__(self, items: Sequence[VerifyItem]) -> list[bool]:
        assert all(signature != SLOW for _, _, signature in items) or self.gate.wait(10)
        self.batches.append(len(items))
        return [signature != BAD for _, _, signature in items]


@dataclass
class Bench:
    queue: VerificationQueue
    verifier: Verifier
    counters: Counter[str]
    delivered: list[tuple[str, bool]] = field(default_factory=list)

    def job(self, name: str, count: int = 1, signature: bytes = GOOD, size_bytes: int = 0) -> Job[tuple[str, bool]]:
        return Job(lambda: Named(name, [signature] * count), self.delivered.extend, count, size_bytes)

    def client(
        self, name: str, count: int = 1, size_bytes: int = 0
    ) -> ClientJob[tuple[str, bool], list[tuple[str, bool]]]:
        return ClientJob(lambda: Named(name, [GOOD] * count), self.finish, count, size_bytes)

    def finish(self, outcomes: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
        self.delivered.extend(outcomes)
        return outcomes

    async def hold(self, line: str = "from_peer") -> None:
        """Until ``release``, the worker of this line is busy with one signature."""
        self.verifier.gate.clear()
        self.add(line)(self.job("first", signature=SLOW))
        for _ in range(3):  # the queue's tasks begin, see it and hand it to their thread
            await asyncio.sleep(0)

    def add(self, line: str) -> Callable[[Job[tuple[str, bool]]], bool]:
        """Into this line; a vote is peer 0's."""
        return partial(self.queue.add_vote, sender=0) if line == "vote" else getattr(self.queue, f"add_{line}")

    def release(self) -> None:
        self.verifier.gate.set()

    async def idle(self) -> None:
        """Everything handed in is delivered."""
        await self.queue.for_client([self.client("last")])
        self.delivered.remove(("last", True))


def run(story: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        verifier, counters = Verifier(), Counter[str]()
        queue = VerificationQueue(verifier, counters)
        task = asyncio.create_task(queue.run())
        try:
            await story(Bench(queue, verifier, counters))
        finally:
            verifier.gate.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())


def test_verdicts_come_back_to_their_jobs() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        bench.queue.add_from_peer(bench.job("a", 3))
        bench.queue.add_from_peer(bench.job("b", 1, BAD))
        bench.queue.add_from_peer(bench.job("none", 0))
        bench.queue.add_from_peer(bench.job("c", 2))
        bench.release()
        await bench.idle()
        good = [("a", True)] * 3 + [("b", False)] + [("c", True)] * 2
        assert bench.delivered == [("first", True), *good]
        assert bench.counters["signatures_bad"] == 1

    run(story)


def test_what_arrives_meanwhile_is_one_batch() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        for number in range(50):
            bench.queue.add_from_peer(bench.job(str(number), 2))
        bench.release()
        await bench.idle()
        assert bench.verifier.batches == [1, 100 + 1], "with the one that waits for all to be done"

    run(story)


def test_what_was_asked_for_comes_first_then_peers_then_clients() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        waiting = asyncio.create_task(bench.queue.for_client([bench.client("client")]))
        bench.queue.add_from_peer(bench.job("body"))
        bench.queue.add_needed(bench.job("needed"))
        await asyncio.sleep(0)
        bench.release()
        assert await waiting == [[("client", True)]]
        assert [name for name, _ in bench.delivered] == ["first", "needed", "body", "client"]

    run(story)


def test_a_vote_waits_for_no_batch_of_bodies() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        counted = asyncio.Event()
        bench.queue.add_vote(Job(lambda: Named("vote", [GOOD]), lambda _: counted.set(), 1, 0), 0)
        await asyncio.wait_for(counted.wait(), 10)
        assert bench.delivered == [], "the bodies' thread is still busy"
        bench.release()

    run(story)


def test_a_flood_of_bodies_starves_no_client() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        for number in range(32):
            assert bench.queue.add_from_peer(bench.job(f"body {number}", 128))
        waiting = asyncio.create_task(bench.queue.for_client([bench.client("client", CLIENT_SHARE)]))
        await asyncio.sleep(0)
        bench.release()
        await waiting
        assert bench.verifier.batches[1] <= ROUND_SIGNATURES + CLIENT_SHARE
        assert "body 31" not in [name for name, _ in bench.delivered]

    run(story)


@pytest.mark.parametrize(
    ("line", "limit", "counter"),
    [
        ("vote", MAX_VOTES // 4, "ingress_votes_dropped"),
        ("needed", MAX_NEEDED_SIGNATURES, "ingress_needed_dropped"),
        ("from_peer", MAX_PEER_SIGNATURES, "ingress_bodies_dropped"),
    ],
)
def test_lines_are_bounded(line: str, limit: int, counter: str) -> None:
    async def story(bench: Bench) -> None:
        await bench.hold(line)
        add = bench.add(line)
        taken = sum(add(bench.job("x", 64)) for _ in range(limit // 64 + 10))
        assert taken == limit // 64
        assert bench.counters[counter] == 10
        assert not add(bench.job("y", 1, size_bytes=MAX_LINE_BYTES))

    run(story)


def test_a_peer_that_fills_its_share_of_the_votes_takes_nothing_from_another() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold("vote")
        while bench.queue.add_vote(bench.job("x", 64, size_bytes=1), 1):
            pass
        for peer in (0, 2, 3):
            assert all(bench.queue.add_vote(bench.job("y"), peer) for _ in range(MAX_VOTES // 4))
            assert not bench.queue.add_vote(bench.job("y"), peer)
        bench.queue.share_votes(256)
        assert sum(bench.queue.add_vote(bench.job("z"), 9) for _ in range(2 * LEAST_VOTES)) == LEAST_VOTES

    run(story)


def test_a_peer_that_fills_its_share_of_the_bytes_takes_nothing_from_another() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold("vote")
        share = MAX_LINE_BYTES // 4
        while bench.queue.add_vote(bench.job("x", size_bytes=share // 2 + 1), 1):
            pass
        while bench.queue.add_vote(bench.job("x", size_bytes=share + 1), 4):
            pass
        for peer in (0, 2, 3):
            assert bench.queue.add_vote(bench.job("y", size_bytes=share), peer)
            assert not bench.queue.add_vote(bench.job("y", size_bytes=1), peer)

    run(story)


def test_a_new_view_finds_room_behind_small_votes() -> None:
    """It may be larger than a share, and comes in one packet with other votes of its sender."""

    async def story(bench: Bench) -> None:
        await bench.hold("vote")
        assert bench.queue.add_vote(bench.job("vote"), 1)
        assert bench.queue.add_vote(bench.job("new view", MAX_VOTES), 1)
        assert not bench.queue.add_vote(bench.job("vote"), 1)

    run(story)


def test_peers_take_turns_by_signatures() -> None:
    """Three messages of 650 signatures came first; what others sent meanwhile waits for none but what is under way."""

    async def story(bench: Bench) -> None:
        await bench.hold("vote")
        for _ in range(3):
            assert bench.queue.add_vote(bench.job("heavy", 650), 1)
        for number in range(100):
            for peer in (2, 3):
                assert bench.queue.add_vote(bench.job(f"{peer}: {number}"), peer)
        done = asyncio.Event()
        bench.queue.add_vote(Job(lambda: Named("last", []), lambda _: done.set(), 650, 0), 1)
        bench.release()
        await done.wait()
        names = [name for name, _ in bench.delivered[1:]]
        assert names.index("heavy") == 200, "650 signatures of one are as many turns as 650 of another"
        assert [name for name in names if name[0] == "2"] == [f"2: {number}" for number in range(100)]
        assert bench.verifier.batches[1] <= 200 + 650, "a round is closed when it is full"

    run(story)


def test_a_large_delivery_is_taken_by_an_empty_line() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        assert bench.queue.add_from_peer(bench.job("big", 1, size_bytes=2 * MAX_LINE_BYTES))
        assert not bench.queue.add_from_peer(bench.job("next", 1, size_bytes=1))

    run(story)


def test_clients_are_told_to_come_back() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        waiting = asyncio.create_task(bench.queue.for_client([bench.client("a", MAX_CLIENT_SIGNATURES)]))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await bench.queue.for_client([bench.client("b")])
        assert caught.value.retry_after_ms > 0
        bench.release()
        assert len((await waiting)[0]) == MAX_CLIENT_SIGNATURES
        await bench.queue.for_client([bench.client("b")])

    run(story)


def test_who_hangs_up_takes_nothing_back() -> None:
    async def story(bench: Bench) -> None:
        await bench.hold()
        waiting = asyncio.create_task(bench.queue.for_client([bench.client("gone")]))
        await asyncio.sleep(0)
        waiting.cancel()
        bench.release()
        await bench.idle()
        assert ("gone", True) in bench.delivered

    run(story)


def test_what_a_delivery_raises_ends_the_queue() -> None:
    def explode(_: list[tuple[str, bool]]) -> None:
        raise OSError("the disk is gone")

    async def main() -> None:
        queue = VerificationQueue(Verifier(), Counter())
        queue.add_vote(Job(lambda: Named("x", [GOOD]), explode, 1, 0), 0)
        with pytest.raises(OSError, match="the disk is gone"):
            await queue.run()
        assert not queue.add_vote(Job(lambda: Named("x", [GOOD]), explode, 1, 0), 0)
        with pytest.raises(Unavailable):
            await queue.for_client([])

    asyncio.run(main())
