"""The market behind the real HTTPS application (here: HTTP on the loopback interface), in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from chain_core.crypto.hashing import sm3
from chain_core.network.access import Access, by_certificate
from chain_core.network.methods import Unary
from chain_core.network.quota import Quotas
from crosschain.jrt0314.endpoint import Credentials, HttpEndpoint
from crosschain.jrt0314.service import RegionalChain
from local_chain.interface.app import Interface
from local_chain.interface.callers import Callers, Token
from local_chain.interface.process import RULES
from local_chain.interface.snapshots import METHOD, Snapshots
from tests.unit.crosschain.jrt0314.market import Market

SECRET = "the-regulator-s-own-token"
TOKENS = {
    sm3(SECRET.encode()): Token("csrc", ("client", "regulator")),
    sm3(b"a client without reading role"): Token("somebody", ("client",)),
}


class Recorded:
    """The audit record, kept in a list."""

    def __init__(self) -> None:
        self.reads: list[dict[str, Any]] = []
        self.refusals: list[dict[str, Any]] = []

    async def read(self, facts: Any) -> None:
        self.reads.append(dict(facts))

    def refused(self, facts: Any) -> None:
        self.refusals.append(dict(facts))


class StoredState:
    """State without proofs, of the market's ledger."""

    def __init__(self, market: Market) -> None:
        self._market = market

    async def state(self, keys: Sequence[bytes]) -> tuple[Any, list[bytes | None]]:
        return None, [self._market.chain.store.get(key) for key in keys]


class Kept:
    def __init__(self, snapshots: dict[str, bytes]) -> None:
        self._snapshots = snapshots

    async def get_snapshot(self, name: str) -> bytes | None:
        return self._snapshots.get(name)


def interface(market: Market, records: Recorded, quotas: Quotas | None = None) -> Interface:
    methods = dict(RegionalChain().methods(market.views))
    methods[METHOD] = Unary(Snapshots(StoredState(market), Kept(market.snapshots)).get)
    clock = time.monotonic_ns if quotas is None else lambda: 0  # a quota that is tested does not fill again
    access = Access(RULES, Quotas() if quotas is None else quotas, by_certificate, records, clock, hold_s=0)
    guarded = access.guard(methods)
    return Interface(guarded, Callers(market.network, TOKENS))


@contextmanager
def in_thread(make: Callable[[], web.Application]) -> Iterator[str]:
    """The application's URL while it is served."""
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[str] = []

    async def main() -> None:
        runner = web.AppRunner(make(), handle_signals=False, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


@contextmanager
def served(market: Market, records: Recorded | None = None, quotas: Quotas | None = None) -> Iterator[HttpEndpoint]:
    """An endpoint of the market, asked with the regulator's token."""
    with in_thread(lambda: interface(market, records or Recorded(), quotas).application()) as url:
        endpoint = HttpEndpoint(url, Credentials(token=SECRET))
        try:
            yield endpoint
        finally:
            endpoint.close()
