"""Blocks with packets are read once, a page ahead, and anew after something could not be carried."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from crosschain.relayer.link import ChainLink
from crosschain.relayer.outboxes import KEPT, Outboxes

HERE = bytes(32)


class Link:
    """A chain in which every other height emitted a packet; the branch is the answer's name."""

    def __init__(self) -> None:
        self.branch, self.asked = "first", list[int]()

    async def headers(self, start: int, count: int) -> list[tuple[Any, bytes]]:
        return [(SimpleNamespace(height=h, outbox_count=h % 2), b"") for h in range(start, start + count)]

    async def outbox(self, height: int) -> tuple[Any, list[Any]]:
        self.asked.append(height)
        row = SimpleNamespace(destination_genesis=HERE)
        return SimpleNamespace(header=self.branch, packets=[b"proof"]), [row]


def read(outboxes: Outboxes, start: int, until: int) -> list[tuple[int, str]]:
    found = asyncio.run(outboxes.pending(start, until, lambda block: True))
    return [(block.height, cast(str, block.certified)) for block in found]


def test_what_was_read_is_kept_until_it_could_not_be_carried() -> None:
    link = Link()
    outboxes = Outboxes(cast(ChainLink, link), HERE)
    assert read(outboxes, 1, 6) == [(1, "first"), (3, "first"), (5, "first")]
    link.branch = "second"
    assert read(outboxes, 1, 6) == [(1, "first"), (3, "first"), (5, "first")]
    assert link.asked == [1, 3, 5]
    outboxes.forget()
    assert read(outboxes, 1, 6) == [(1, "second"), (3, "second"), (5, "second")]


def test_no_more_is_kept_than_two_transactions_take() -> None:
    link = Link()
    outboxes = Outboxes(cast(ChainLink, link), HERE)
    for start in range(1, 2_000, 100):
        read(outboxes, start, start + 99)
    assert len(outboxes._kept) <= KEPT


def test_what_has_arrived_is_not_read_again_for_a_channel_that_is_far_behind() -> None:
    """A scan that begins low each time goes on where something was wanted last."""
    link = Link()
    outboxes = Outboxes(cast(ChainLink, link), HERE)
    carried = 0
    while carried < 999:
        found = asyncio.run(outboxes.pending(1, 1_000, lambda block, done=carried: block.height > done))
        assert found[0].height == carried + 1 if carried % 2 == 0 else carried + 2
        carried = found[-1].height
    assert len(link.asked) == len(set(link.asked)) == 500
    assert asyncio.run(outboxes.pending(1, 1_000, lambda block: False)) == []
    asked = len(link.asked)
    assert asyncio.run(outboxes.pending(1, 1_000, lambda block: False)) == [] and len(link.asked) == asked
