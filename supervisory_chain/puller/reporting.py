"""The puller tells the supervisory chain how each market's data stand, for its risk indicators (docs/spec/risk.md)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chain_core.codec.genesis import genesis_hash
from chain_core.node.log import event
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from service_registry.chain import Account
from supervisory_chain.puller.log import REJECTED, Book
from supervisory_chain.puller.pulling import Market
from supervisory_chain.risk.indicators import RISK

log = logging.getLogger(__name__)


class Chain(Protocol):
    """Where reports go (``service_registry.chain.RegistryChain``)."""

    async def submit(self, who: Account, operations: Sequence[Operation]) -> object:
        """Final, or a refusal is raised."""

    async def close(self) -> None:
        """Ends the connections."""


@dataclass(slots=True)
class Reporter:
    """Reports of all markets like ours; of others the chain's identity is not known here."""

    chain: Chain
    who: Account
    book: Book
    every_s: int

    async def turn(self, markets: Sequence[Market], tips: Mapping[str, int]) -> int:
        """One report a market, each by itself so that one refusal hinders no other; how many became final."""
        done = 0
        for market in markets:
            if not market.genesis:
                continue
            arguments = observation(self.book, market, tips.get(market.network_id, 0))
            try:
                await self.chain.submit(self.who, [Operation(RISK, "observe", arguments)])
                done += 1
            except DualchainError as refusal:
                told = {"network": market.network_id, "what": str(refusal)[:300]}
                event(log, logging.ERROR, "OBSERVATION_REFUSED", told)
        return done

    async def run(self, markets: Sequence[Market], tips: Mapping[str, int]) -> None:
        """Until it is cancelled."""
        while True:
            await self.turn(markets, tips)
            await asyncio.sleep(self.every_s)


def observation(book: Book, market: Market, tip: int) -> dict[str, Value]:
    """What the book knows of a chain, as ``risk.observe`` takes it."""
    name = market.network_id
    alarm, height = book.alarm(name), book.cursor(name).height
    return {
        "chain": genesis_hash(market.genesis),
        "height": height,
        "tip": max(tip, height),
        "rejected": book.counts(name)[REJECTED],
        "alarm": "" if alarm is None else alarm[0],
    }
