"""A chain's blocks with packets, in order: pages of headers, then outboxes, several at once and ahead of need.

What is final does not change, so that whatever was read and verified once is kept until it has been carried, or could
not be: then the chain may have forked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chain_core.node.answers import CertifiedHeader
from chain_core.types.errors import DualchainError
from crosschain.relayer.link import MAX_PAGE, ChainLink
from crosschain.relayer.planner import MAX_HEADERS, Emitted

AT_ONCE = 8
"""Outboxes asked for at the same time."""
KEPT = 2 * MAX_HEADERS
"""Blocks: those of the transaction under way and of the next one."""

Wanted = Callable[[Emitted], bool]


@dataclass(frozen=True, slots=True)
class _Page:
    """Heights looked through, both included, and those of them with an outbox, ascending."""

    first: int
    last: int
    heights: Sequence[int]


class Outboxes:
    """Packets of ``link``'s chain to ``destination``. Reads raise what the link raises."""

    def __init__(self, link: ChainLink, destination: bytes) -> None:
        self._link, self._destination = link, destination
        self._page = _Page(1, 0, ())
        self._kept: dict[int, Emitted] = {}
        self._ahead: asyncio.Task[None] | None = None
        self._frontier = 0
        """Below it nothing was wanted, since what was there has arrived."""

    async def pending(self, start: int, until: int, wanted: Wanted) -> list[Emitted]:
        """The lowest blocks of [start, until] with wanted packets, at most as many as one transaction takes."""
        if self._ahead is not None:
            await asyncio.wait((self._ahead,))
        found: list[Emitted] = []
        place = start = max(start, self._frontier)
        while place <= until and len(found) < MAX_HEADERS:
            page = await self._page_at(place, until)
            if page is None:
                break
            heights = [h for h in page.heights if place <= h <= until][: MAX_HEADERS - len(found)]
            found += [block for block in await self._read(heights) if wanted(block)]
            place = heights[-1] + 1 if heights else page.last + 1
            # What has arrived has arrived for good: a channel that is far behind another does not have it read again.
            self._frontier = found[0].height if found else place
        return found

    def header_of(self, height: int) -> CertifiedHeader | None:
        """That of a block which is kept."""
        block = self._kept.get(height)
        return None if block is None else block.certified

    def read_ahead(self, start: int, until: int) -> None:
        """Begins to read what follows, while a transaction waits for its block; a failure shows when it is needed."""
        if start <= until and (self._ahead is None or self._ahead.done()):
            self._ahead = asyncio.create_task(self._read_quietly(start, until))

    def forget(self) -> None:
        """Everything that was read: what could not be carried may be of a branch that the chain gave up."""
        self._page = _Page(1, 0, ())
        self._kept.clear()
        self._frontier = 0

    def close(self) -> None:
        """Ends what is being read."""
        if self._ahead is not None:
            self._ahead.cancel()

    async def _read_quietly(self, start: int, until: int) -> None:
        try:
            page = await self._page_at(start, until)
            if page is not None:
                await self._read([h for h in page.heights if start <= h <= until][:MAX_HEADERS])
        except DualchainError:
            return  # ``pending`` asks again, and tells

    async def _page_at(self, place: int, until: int) -> _Page | None:
        if not self._page.first <= place <= self._page.last:
            page = await self._link.headers(place, min(MAX_PAGE, until - place + 1))
            if not page:
                return None
            heights = [header.height for header, _ in page if header.outbox_count]
            self._page = _Page(place, page[-1][0].height, heights)
        return self._page

    async def _read(self, heights: Sequence[int]) -> list[Emitted]:
        missing = [height for height in heights if height not in self._kept]
        for place in range(0, len(missing), AT_ONCE):
            part = missing[place : place + AT_ONCE]
            # Of several that fail the first tells; the rest end unheard, nothing of them is kept.
            for block in await asyncio.gather(*map(self._block, part)):
                self._kept[block.height] = block
        found = [self._kept[height] for height in heights]
        while len(self._kept) > KEPT:
            del self._kept[min(self._kept)]
        return found

    async def _block(self, height: int) -> Emitted:
        answer, packets = await self._link.outbox(height)
        rows = zip(packets, answer.packets, strict=True)
        return Emitted(height, answer.header, [row for row in rows if row[0].destination_genesis == self._destination])
