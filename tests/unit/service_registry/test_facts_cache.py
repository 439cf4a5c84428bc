"""Facts are used again for a moment; what refuses a call is never remembered."""

from __future__ import annotations

import asyncio

import pytest

from chain_core.network.refusals import NotFound
from service_registry import facts_cache
from service_registry.authority import Denied
from service_registry.chain import Facts
from service_registry.facts_cache import FRESH_MS, STALE_MS, FactsCache
from tests.unit.execution.world import account
from tests.unit.service_registry.house import SERVICE, prepared
from tests.unit.service_registry.stage import HouseChain

WHO = account("consumer")


class Asked(HouseChain):
    """Counts questions; ``broken``: they are not answered."""

    asked = 0
    broken = False

    async def facts(self, service: bytes, version: int, caller: bytes) -> Facts:
        self.asked += 1
        await asyncio.sleep(0)
        if self.broken:
            raise NotFound("no node", where="nodes")
        return await super().facts(service, version, caller)


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


def setting(recording: str = "batch") -> tuple[Asked, FactsCache, Clock]:
    chain, clock = Asked(prepared(lambda house: house.confirmed(recording=recording))), Clock()
    return chain, FactsCache(chain.facts, clock), clock


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_calls_at_once_ask_once_and_others_soon_after_ask_nothing() -> None:
    async def main() -> None:
        chain, cache, clock = setting()
        await asyncio.gather(*(cache.facts(SERVICE, 1, WHO) for _ in range(5)))
        clock.now_ms += FRESH_MS
        await cache.facts(SERVICE, 1, WHO)
        await settle()
        assert chain.asked == 1

    asyncio.run(main())


def test_calls_recorded_each_are_judged_each() -> None:
    async def main() -> None:
        chain, cache, _ = setting("each")
        for _ in range(3):
            await cache.facts(SERVICE, 1, WHO)
        assert chain.asked == 3

    asyncio.run(main())


def test_older_facts_are_renewed_beside_the_call() -> None:
    async def main() -> None:
        chain, cache, clock = setting()
        await cache.facts(SERVICE, 1, WHO)
        chain.house.halt(SERVICE)
        clock.now_ms += FRESH_MS + 1
        facts = await cache.facts(SERVICE, 1, WHO)
        assert facts.found is not None and not isinstance(facts.verdict(facts.found), Denied), "still the kept ones"
        await settle()
        assert chain.asked == 2
        facts = await cache.facts(SERVICE, 1, WHO)
        assert facts.found is not None and facts.verdict(facts.found) is Denied.SUSPENDED
        assert chain.asked == 3, "a refusal is not remembered"

    asyncio.run(main())


def test_nothing_is_older_than_the_bound_whatever_the_nodes_do() -> None:
    async def main() -> None:
        chain, cache, clock = setting()
        await cache.facts(SERVICE, 1, WHO)
        chain.broken = True
        clock.now_ms += STALE_MS
        await cache.facts(SERVICE, 1, WHO)
        await settle()
        clock.now_ms += 1
        with pytest.raises(NotFound):
            await cache.facts(SERVICE, 1, WHO)
        chain.broken = False
        await cache.facts(SERVICE, 1, WHO)

    asyncio.run(main())


def test_who_is_confirmed_now_may_call_now() -> None:
    async def main() -> None:
        chain, cache, _ = setting()
        house = chain.house
        house.certify("second consumer")
        house.ok("second consumer", "apply", service=SERVICE, market="ZJ")
        who = account("second consumer")
        facts = await cache.facts(SERVICE, 1, who)
        assert facts.found is not None and facts.verdict(facts.found) is Denied.NOT_CONFIRMED
        house.ok("publisher", "confirm", service=SERVICE, consumer=who)
        facts = await cache.facts(SERVICE, 1, who)
        assert facts.found is not None and not isinstance(facts.verdict(facts.found), Denied)

    asyncio.run(main())


def test_it_keeps_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_cache, "MAX_KEPT", 1)

    async def main() -> None:
        chain, cache, _ = setting()
        chain.house.certify("second consumer")
        chain.house.ok("second consumer", "apply", service=SERVICE, market="ZJ")
        chain.house.ok("publisher", "confirm", service=SERVICE, consumer=account("second consumer"))
        for _ in range(2):
            await cache.facts(SERVICE, 1, WHO)
            await cache.facts(SERVICE, 1, account("second consumer"))
        assert chain.asked == 4

    asyncio.run(main())
