"""The queue of a link: bounded, votes first, the least useful leaves first."""

import asyncio
from collections.abc import Callable

import pytest

from chain_core.network.link_quality import WINDOW, SignatureQuality
from chain_core.network.link_queue import MAX_BYTES_DOWN, MESSAGE_BYTES, Entry, LinkQueue, Usefulness


def vote(name: str) -> Entry:
    return Entry(name.encode(), Usefulness.VOTE, urgent=True)


def proposal(name: str) -> Entry:
    return Entry(name.encode(), Usefulness.VOTE, urgent=False)


def heartbeat(name: str) -> Entry:
    return Entry(name.encode(), Usefulness.HEARTBEAT, urgent=True)


def bodies(name: str, size: int = 0) -> Entry:
    return Entry(name.encode().ljust(size, b"."), Usefulness.BODIES, urgent=False)


def drained(queue: LinkQueue) -> list[bytes]:
    found: list[bytes] = []
    while batch := queue.take():
        found += [data.rstrip(b".") for data in batch]
    return found


@pytest.fixture
def up() -> LinkQueue:
    queue = LinkQueue(max_frames=4, max_bytes=1_000_000)
    queue.link_up()
    return queue


def test_votes_overtake_bodies_but_a_proposal_does_not(up: LinkQueue) -> None:
    for entry in (bodies("b1"), proposal("p"), bodies("b2"), vote("v")):
        up.put(entry)
    assert drained(up) == [b"v", b"b1", b"p", b"b2"]


@pytest.mark.parametrize(
    ("waiting", "left"),
    [
        ([heartbeat("h1"), vote("v"), bodies("b"), heartbeat("h2")], [b"v", b"h2", b"new", b"b"]),
        ([vote("v1"), bodies("b1"), bodies("b2"), vote("v2")], [b"v1", b"v2", b"new", b"b2"]),
        ([vote("v1"), proposal("p"), vote("v2"), vote("v3")], [b"v2", b"v3", b"new", b"p"]),
    ],
    ids=["heartbeats", "bodies", "votes"],
)
def test_the_oldest_of_the_least_useful_leaves(up: LinkQueue, waiting: list[Entry], left: list[bytes]) -> None:
    for entry in waiting:
        up.put(entry)
    up.put(vote("new"))
    assert drained(up) == left
    assert up.dropped == 1


def test_bytes_are_bounded_too() -> None:
    queue = LinkQueue(max_bytes=1_000)
    queue.link_up()
    for number in range(5):
        queue.put(bodies(str(number), 300))
    assert queue.size_bytes == 900
    assert queue.dropped == 2
    assert drained(queue) == [b"2", b"3", b"4"]
    assert queue.size_bytes == 0


def test_one_large_frame_is_kept() -> None:
    queue = LinkQueue(max_bytes=1_000)
    queue.link_up()
    queue.put(bodies("block", 5_000))
    assert drained(queue) == [b"block"]


def test_small_frames_share_a_message_and_a_large_one_travels_alone() -> None:
    queue = LinkQueue()
    queue.link_up()
    for entry in (vote("v"), bodies("a", 20_000), bodies("b", 20_000), bodies("c", 2 * MESSAGE_BYTES)):
        queue.put(entry)
    assert [len(queue.take()) for _ in range(4)] == [2, 1, 1, 0]


def test_while_the_link_is_down_only_some_bodies_are_kept() -> None:
    queue = LinkQueue()
    for number in range(10):
        queue.put(vote("v"))
        queue.put(bodies(str(number), MAX_BYTES_DOWN // 4))
    assert len(queue) == 4
    assert not queue.filled.is_set()
    queue.link_up()
    assert queue.filled.is_set()
    assert drained(queue) == [b"6", b"7", b"8", b"9"]


def test_votes_are_forgotten_when_the_link_breaks() -> None:
    queue = LinkQueue()
    queue.link_up()
    for entry in (vote("v"), proposal("p"), bodies("b"), heartbeat("h")):
        queue.put(entry)
    queue.link_down()
    queue.link_up()
    assert drained(queue) == [b"b"]
    assert queue.dropped == 3


def test_filled_wakes_and_sleeps() -> None:
    async def story() -> None:
        queue = LinkQueue()
        queue.link_up()
        waiter = asyncio.create_task(queue.filled.wait())
        await asyncio.sleep(0)
        assert not waiter.done()
        queue.put(vote("v"))
        await waiter
        assert queue.take() == [b"v"]
        assert not queue.filled.is_set()

    asyncio.run(story())


def test_counts_stay_right_over_a_long_life() -> None:
    queue = LinkQueue(max_frames=8, max_bytes=100)
    kinds: list[Callable[[str], Entry]] = [vote, heartbeat, bodies, proposal]
    for number in range(400):
        if number % 37 == 0:
            queue.link_up()
        if number % 53 == 0:
            queue.link_down()
        queue.put(kinds[number % 4](str(number)))
        if number % 11 == 0:
            queue.take()
    queue.link_up()
    drained(queue)
    assert (len(queue), queue.size_bytes) == (0, 0)
    assert set(queue._count.values()) == {0}


@pytest.mark.parametrize(
    ("records", "cut"),
    [
        ([(WINDOW, 0)], False),
        ([(WINDOW, 2)], False),
        ([(WINDOW, 3)], True),
        ([(10, 2)], False),
        ([(10, 3)], True),
        ([(10, 2), (300, 0), (10, 1)], False),
        ([(10, 2), (80, 0), (10, 1)], True),
        ([(1000, 10)], False),
        ([(1000, 11)], True),
    ],
)
def test_more_than_one_bad_signature_in_a_hundred(records: list[tuple[int, int]], cut: bool) -> None:
    quality = SignatureQuality()
    verdicts = [quality.record(checked, bad) for checked, bad in records]
    assert any(verdicts) is cut
