"""The puller as a process: every chain in turn, alarms, log service, metrics (docs/spec/node-interface.md §6)."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from chain_core.network.access import Access, by_certificate
from chain_core.network.quota import Quotas
from chain_core.network.raw_rpc import RawServer
from chain_core.node.log import event
from chain_core.node.logged_refusals import LoggedRefusals
from chain_core.node.metrics_port import MetricsPort
from chain_core.node.service_port import ServicePort
from chain_core.types.errors import DualchainError
from crosschain.jrt0314.endpoint import EndpointAway
from crosschain.jrt0314.verifier import VerificationFailed
from service_registry.chain import wall_clock_ms
from service_registry.serving import set_up_log
from supervisory_chain.puller.config import PullerConfig
from supervisory_chain.puller.log import REJECTED, Book
from supervisory_chain.puller.pulling import EndpointsDiffer, Market, SnapshotAway, pull, step, tip
from supervisory_chain.puller.service import RULES, LogService

log = logging.getLogger(__name__)

ALARMS = ("ENDPOINT_AWAY", "ENDPOINTS_DIFFER", "NOT_VERIFIED", "SNAPSHOT_AWAY")
HEIGHTS_A_TURN = 32
ROTATE_EVERY_S = 60.0


def alarm_of(refusal: DualchainError) -> str:
    """Which alarm a refusal raises."""
    if isinstance(refusal, EndpointsDiffer | SnapshotAway | EndpointAway):
        return refusal.code
    return "NOT_VERIFIED"


@dataclass(slots=True)
class Puller:
    """``turn`` goes on with one chain as far as it can; asking runs in a thread, entering in the event loop."""

    book: Book
    now_ms: Callable[[], int] = wall_clock_ms
    tips: dict[str, int] = field(default_factory=dict)

    async def turn(self, market: Market) -> int:
        """How many heights were entered. What stops the chain is alarmed and kept, never raised."""
        entered = 0
        try:
            final = self.tips[market.network_id] = await asyncio.to_thread(tip, market)
            while entered < HEIGHTS_A_TURN:
                cursor = self.book.cursor(market.network_id)
                if cursor.height >= final:
                    break
                now = self.now_ms()
                pulled = await asyncio.to_thread(pull, market, cursor, now)
                for entry in step(self.book, market, pulled, now):
                    if entry.result == REJECTED:
                        facts: dict[str, str | int] = {"network": entry.network_id, "height": entry.height}
                        facts |= {"object": entry.object_id, "version": entry.version, "rule": entry.faults[0]["rule"]}
                        event(log, logging.WARNING, "SNAPSHOT_REJECTED", facts)
                entered += 1
        except DualchainError as refusal:
            self._alarm(market, alarm_of(refusal), refusal)
            return entered
        except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
            # An answer of a form that nothing above foresaw: the chain's fault as long as it is not shown to be ours.
            told = VerificationFailed("shape", f"{type(error).__name__}: {error}"[:200], where=market.network_id)
            self._alarm(market, "NOT_VERIFIED", told)
            return entered
        self._alarm(market, "", None)
        return entered

    def _alarm(self, market: Market, code: str, refusal: DualchainError | None) -> None:
        """Told once when it begins, or changes, and when it ends."""
        name, before = market.network_id, self.book.alarm(market.network_id)
        after = None if refusal is None else (code, str(refusal)[:600])
        if after == before:
            return
        with self.book.transaction():
            self.book.set_alarm(name, after)
        if after is not None:
            event(log, logging.ERROR, code, {"network": name, "what": after[1]})
        elif before is not None:
            event(log, logging.INFO, "ALARM_OVER", {"network": name, "code": before[0]})

    def metrics(self, markets: list[Market]) -> str:
        """The page."""
        lines = [f"# TYPE dualchain_puller_{name} gauge" for name in ("height", "tip", "alarm", "log_entries")]
        for market in markets:
            name, alarm = market.network_id, self.book.alarm(market.network_id)
            lines.append(f'dualchain_puller_height{{network="{name}"}} {self.book.cursor(name).height}')
            lines.append(f'dualchain_puller_tip{{network="{name}"}} {self.tips.get(name, 0)}')
            for code in ALARMS:
                on = int(alarm is not None and alarm[0] == code)
                lines.append(f'dualchain_puller_alarm{{network="{name}",code="{code}"}} {on}')
            for result, count in self.book.counts(name).items():
                lines.append(f'dualchain_puller_log_entries{{network="{name}",result="{result}"}} {count}')
        return "\n".join(lines) + "\n"


async def _follow(puller: Puller, market: Market, poll_s: float) -> None:
    while True:
        if await puller.turn(market) < HEIGHTS_A_TURN:
            await asyncio.sleep(poll_s)


async def _rotate(book: Book, keep: int) -> None:
    while True:
        written = book.rotate(keep)
        if written is not None:
            event(log, logging.INFO, "LOG_ROTATED", {"file": str(written)})
        await asyncio.sleep(ROTATE_EVERY_S)


async def _serve_log(config: PullerConfig, book: Book) -> tuple[str, Callable[[], Awaitable[None]], ServicePort | None]:
    """Where the log is asked, and how that ends. Raises PortTaken, and what the credentials raise."""
    section = config.log_service
    if section is None:

        async def nothing() -> None:
            return

        return "", nothing, None
    records = LoggedRefusals()
    port = config.port(records)
    service = LogService(book, {one.network_id: one.entities for one in config.chain})
    access = Access(RULES, Quotas(), by_certificate, records, time.monotonic_ns)
    server = RawServer(access.guard(service.methods()), security=port.security)
    address = server.bind(section.listen)
    await server.start()

    async def stop() -> None:
        await server.stop(1.0)

    return address, stop, port


async def run(config: PullerConfig, ready: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or Ctrl-C. Raises ConfigRefused, PortTaken, and what the log's credentials raise."""
    set_up_log(config.log, "supervisory_chain")
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    markets, book = config.markets(), Book(config.path(config.database))
    puller = Puller(book)
    address, end, port = await _serve_log(config, book)
    metrics = MetricsPort(lambda: puller.metrics(markets))
    if config.metrics:
        await metrics.start(config.metrics)
    work = [_follow(puller, market, config.poll_ms / 1_000) for market in markets]
    reporter = config.reporter(book)
    work += [reporter.run(markets, puller.tips)] if reporter is not None else []
    work += [_rotate(book, config.keep_entries), *([port.watch()] if port is not None else [])]
    tasks = [asyncio.create_task(one) for one in work]
    ready(f"READY chains={len(markets)} log={address or 'none'}")
    try:
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await end()
        if reporter is not None:
            await reporter.chain.close()
        await metrics.stop()
        book.close()
