"""News of a chain: one of its nodes tells of blocks as they become final, and a bell rings when something may wait.

A hint and no more (docs/spec/relayer.md): what is carried is read and verified as ever, and it is looked now and then
without news too, more often while no node tells any.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from chain_core.node.answers import SubscribedBlock
from chain_core.node.event_filter import EventFilter
from chain_core.node.log import event
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError
from chain_core.types.ids import HASH_SIZE
from crosschain.relayer.link import ChainLink

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0

HEADERS_ONLY = EventFilter(transaction_ids=frozenset((bytes(HASH_SIZE),)))
"""Fits nothing: what comes are the headers of the latest blocks."""
DECISIONS = EventFilter(kinds=frozenset(("admitted", "issued", "recovered", "stale_confirmed", "succeeded")))
"""Events of the supervisory chain after which something may have to be carried to or from a chain they name."""


class News:
    """Listens to one node at a time, to the next one after a failure. ``ring`` is called for each piece of news."""

    def __init__(self, link: ChainLink, wanted: EventFilter, about: bytes, ring: Callable[[], None]) -> None:
        """``about``: the genesis hash that an event must name; of the events that fit, others are passed over."""
        self._link, self._wanted, self._about, self._ring = link, wanted, about, ring
        self._last = 0
        self.told = False
        """Whether a node tells it of blocks now."""

    async def follow(self) -> None:
        """For ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._last, self.told = 0, False
            try:
                async with aclosing(self._link.listen(self._wanted, self._matters)) as blocks:
                    async for _ in blocks:
                        pause_s = FIRST_PAUSE_S
                        self._ring()
            except DualchainError as error:
                self.told = False
                self._tell(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _tell(self, error: DualchainError) -> None:
        facts: dict[str, str | int] = {"chain": self._link.name, "code": error.code, "reason": error.what}
        event(log, logging.INFO, "NO_NEWS", {**facts, "where": error.where[:200]})

    def _matters(self, header: Header, block: SubscribedBlock) -> bool:
        """Packets, the end of an epoch, a decision about this chain; or heights that were not told one by one."""
        self.told = True
        skipped = header.height != self._last + 1
        self._last = header.height
        closes = header.next_validator_set_hash != header.validator_set_hash
        named = any(self._about in events for _, events in block.transactions)
        return skipped or named or closes or header.outbox_count > 0
