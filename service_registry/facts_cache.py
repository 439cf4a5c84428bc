"""Proven facts about calls, kept for a moment: a call costs no question to a node as long as others like it come
(docs/spec/service-registry.md §7).

Only for services recorded by batch, and only what lets a call through, at most ``STALE_MS`` old. What refuses one is
never remembered: who was confirmed just now is judged by the chain as it is. A call that is recorded each waits for the
chain anyhow, and is judged by it once more.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView
from service_registry.authority import Permit
from service_registry.chain import Facts, RegistryChain
from service_registry.definition import BATCH, read_definition

FRESH_MS = 1_000
"""Older facts are asked for again, beside the calls that still use them."""
STALE_MS = 3_000
MAX_KEPT = 4_096

Wanted = tuple[bytes, int, bytes]
Load = Callable[[bytes, int, bytes], Awaitable[Facts]]


@dataclass(slots=True)
class _Kept:
    facts: Facts
    asked_ms: int


class FactsCache:
    """By (service, version, caller), the least recently used leave first. ``clock``: milliseconds, never goes back."""

    def __init__(self, load: Load, clock: Callable[[], int]) -> None:
        self._load = load
        self._now_ms = clock
        self._kept: OrderedDict[Wanted, _Kept] = OrderedDict()
        self._under_way: dict[Wanted, asyncio.Task[Facts]] = {}

    async def facts(self, service: bytes, version: int, caller: bytes) -> Facts:
        """Raises what the chain raises."""
        wanted, now_ms = (service, version, caller), self._now_ms()
        kept = self._kept.get(wanted)
        if kept is None or now_ms - kept.asked_ms > STALE_MS:
            return await self._ask(wanted)
        self._kept.move_to_end(wanted)
        if now_ms - kept.asked_ms > FRESH_MS and wanted not in self._under_way:
            self._begin(wanted).add_done_callback(_told)
        return kept.facts

    async def _ask(self, wanted: Wanted) -> Facts:
        """Calls that come at once ask once."""
        return await asyncio.shield(self._under_way.get(wanted) or self._begin(wanted))

    def _begin(self, wanted: Wanted) -> asyncio.Task[Facts]:
        task = self._under_way[wanted] = asyncio.create_task(self._renew(wanted, self._now_ms()))
        return task

    async def _renew(self, wanted: Wanted, asked_ms: int) -> Facts:
        try:
            facts = await self._load(*wanted)
            if _may_be_kept(facts):
                self._kept[wanted] = _Kept(facts, asked_ms)
                self._kept.move_to_end(wanted)
            else:
                self._kept.pop(wanted, None)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
            return facts
        finally:
            del self._under_way[wanted]


def _may_be_kept(facts: Facts) -> bool:
    """Of a call that may be made now, of a version in force that is recorded by batch."""
    found, raw = facts.found, facts.definition
    if found is None or raw is None or facts.caller_key is None or facts.version != found.version:
        return False
    return read_definition(raw).recording == BATCH and isinstance(facts.verdict(found), Permit)


def _told(task: asyncio.Task[Facts]) -> None:
    """Nobody waits for a renewal: what failed is asked for again by the call that finds the facts too old."""
    if not task.cancelled():
        task.exception()


class CachedChain(RegistryChain):
    """The supervisory chain with facts that are kept for a moment."""

    def __init__(self, view: ChainView, addresses: Sequence[str], security: ClientSecurity = PLAINTEXT) -> None:
        super().__init__(view, addresses, security)
        self._cache = FactsCache(super().facts, lambda: time.monotonic_ns() // 1_000_000)

    async def facts(self, service: bytes, version: int, caller: bytes) -> Facts:
        """As the chain's own, at most ``STALE_MS`` old."""
        return await self._cache.facts(service, version, caller)
