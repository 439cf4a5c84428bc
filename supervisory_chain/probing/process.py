"""Turns over all markets' endpoints, and their reports to the chain (docs/spec/drift.md §2)."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from chain_core.network.identity import require_loopback
from chain_core.node.log import event
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.looking.inquiry import Fresh
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.serving import set_up_log
from supervisory_chain.looking.markets import Market, fetch_document, fetch_markets
from supervisory_chain.probes import MAX_ENDPOINTS, PROBES
from supervisory_chain.probing.asking import UNREACHABLE, Observation, by_interface, by_status
from supervisory_chain.probing.config import ProbeConfig

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Endpoints asked at the same time."""
FRESH_MS = 600_000
"""How old the supervisory chain's answer about its markets may be."""


@dataclass(slots=True)
class Prober:
    """One inspector. ``turn`` asks every endpoint once and reports market by market."""

    config: ProbeConfig
    chain: RegistryChain
    who: Account
    documents: dict[bytes, bytes] = field(default_factory=dict)

    @classmethod
    def open(cls, config: ProbeConfig) -> Prober:
        """Raises ConfigRefused, KeyFileRefused, CertificateFileRefused, PassphraseRefused."""
        view = config.view(config.supervisory, "supervisory")
        chain = RegistryChain(view, config.supervisory.nodes, config.security(config.supervisory))
        key = config.key(config.actor.key)
        return cls(config, chain, Account(bytes.fromhex(config.actor.account), key.private, key.public))

    async def turn(self) -> dict[str, list[Observation]]:
        """What was seen, by region code; each market's report is final on the chain, or its refusal was logged.

        Raises what reading the list of markets raises.
        """
        now_ms = wall_clock_ms()
        fresh = Fresh(not_before_ms=now_ms - FRESH_MS, not_after_ms=now_ms + FRESH_MS)
        found, _ = await fetch_markets(self.chain.client, fresh)
        at_once = asyncio.Semaphore(AT_ONCE)
        seen: dict[str, list[Observation]] = {}
        for market in found.markets:
            asked = [self._ask(market, *endpoint, at_once) for endpoint in market.endpoints[:MAX_ENDPOINTS]]
            seen[market.market] = list(await asyncio.gather(*asked))
            await self._report(market, seen[market.market])
        return seen

    async def _ask(self, market: Market, node: str, address: str, at_once: asyncio.Semaphore) -> Observation:
        section, timeout_s = self.config.of_market(market.market), self.config.probe.timeout_s
        async with at_once:
            try:
                if section.interface:
                    credentials = self.config.interface_credentials(market.market)
                    return await by_interface(node, address, market.chain_id, credentials, timeout_s)
                if not section.credentials:
                    require_loopback(address)
                security = self.config.market_security(market.market, await self._document(market))
                return await by_status(node, address, security, timeout_s)
            except DualchainError as error:
                return Observation(node, address, UNREACHABLE, str(error)[:200])

    async def _document(self, market: Market) -> bytes:
        """Needed for a session alone: its certificates stand in it."""
        if not self.config.of_market(market.market).credentials:
            return b""
        if market.chain not in self.documents:
            self.documents[market.chain] = await fetch_document(self.chain.client, market)
        return self.documents[market.chain]

    async def _report(self, market: Market, seen: Sequence[Observation]) -> None:
        facts: dict[str, str | int] = {"market": market.market, "endpoints": len(seen)}
        for one in seen:
            if one.fault:
                told = {"market": market.market, "node": one.node, "fault": one.fault, "what": one.what}
                event(log, logging.WARNING, "ENDPOINT_FAULT", told)
        observations: list[Value] = [one.argument() for one in seen]
        arguments: dict[str, Value] = {"chain": market.chain, "observations": observations}
        try:
            await self.chain.submit(self.who, [Operation(PROBES, "report", arguments)])
        except DualchainError as refusal:
            event(log, logging.ERROR, "REPORT_REFUSED", {**facts, "what": str(refusal)[:300]})
            return
        event(log, logging.INFO, "PROBED", facts)


async def once(config: ProbeConfig) -> dict[str, list[Observation]]:
    """One turn."""
    prober = Prober.open(config)
    try:
        return await prober.turn()
    finally:
        await prober.chain.close()


async def run(config: ProbeConfig, ready: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or Ctrl-C. Raises ConfigRefused, and what keys and credentials raise."""
    set_up_log(config.log, "supervisory_chain")
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    prober = Prober.open(config)
    ready(f"READY every={config.probe.every_s}s")
    try:
        while not stop.is_set():
            try:
                await prober.turn()
            except DualchainError as refusal:
                event(log, logging.ERROR, "TURN_FAILED", {"what": str(refusal)[:300]})
            try:
                await asyncio.wait_for(stop.wait(), config.probe.every_s)
            except TimeoutError:
                continue
    finally:
        await prober.chain.close()
