"""The peer port of a node with several ledgers: a link's Hello says whose it is (docs/spec/network.md §3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from chain_core.network.hello import decode_hello
from chain_core.network.identity import Caller
from chain_core.network.links import LINK_METHOD, PeerLinks
from chain_core.network.raw_rpc import Method, Stream
from chain_core.types.errors import PeerFault

HELLO_PATIENCE_S = 5.0


class WrongLedger(PeerFault):
    """The caller means a ledger that does not run here: not yet, perhaps."""

    code = "WRONG_LEDGER"


class LinkDoor:
    """``links`` by ledger; more of them may come while it serves."""

    def __init__(self) -> None:
        self.links: dict[int, PeerLinks] = {}

    def methods(self) -> dict[str, Method]:
        """What the peer port serves."""
        return {LINK_METHOD: Stream(self._serve)}

    async def _serve(self, caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            async with asyncio.timeout(HELLO_PATIENCE_S):
                first = await anext(requests, None)
        except TimeoutError:
            raise PeerFault("no Hello in time", where="first message", next_step="see docs/spec/network.md") from None
        if first is None:
            return
        hello = decode_hello(first)
        links = self.links.get(hello.ledger)
        if links is None:
            raise WrongLedger(
                f"ledger {hello.ledger} does not run here; {', '.join(map(str, sorted(self.links)))} do",
                where="hello.ledger",
                next_step="dial again later: this node may not have the block that creates it yet",
            )
        async for message in links.serve(caller, hello, requests):
            yield message
