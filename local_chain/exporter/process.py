"""The exporter as a process: follows, writes, delivers, until it is told to stop (docs/spec/exporter.md §6)."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from chain_core.network.refusals import ServiceRefusal
from chain_core.node.config import ConfigRefused
from chain_core.node.log import event
from chain_core.types.errors import DualchainError
from local_chain.data.errors import StoreFault
from local_chain.exporter.chain import ExporterChain
from local_chain.exporter.config import Bench
from local_chain.exporter.core import Exporter
from local_chain.exporter.delivery import Delivery
from service_registry.chain import wall_clock_ms
from service_registry.serving import set_up_log

log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.2, 10.0


async def follow(chain: ExporterChain, exporter: Exporter, wake: asyncio.Event) -> None:
    """Takes every block as it becomes final. Raises ExporterFault, and what the nodes refuse, all of them."""
    async for height, time_ms, transactions in chain.blocks(exporter.next_height):
        if height < exporter.next_height:
            continue
        labels = await chain.labels(transactions)
        written = exporter.take(height, time_ms, transactions, labels)
        if written:
            event(log, logging.INFO, "BLOCK_EXPORTED", {"height": height, "snapshots": written})
        wake.set()


async def deliver(delivery: Delivery, wake: asyncio.Event) -> None:
    """Delivers what is ready, again after each block; what nodes or store refuse is tried again.

    Raises AnchorRefused.
    """
    pause = _FIRST_PAUSE_S
    while True:
        wake.clear()
        try:
            anchored = await delivery.run_once()
        except (ServiceRefusal, StoreFault) as refusal:
            event(log, logging.WARNING, "DELIVERY_WAITS", {"reason": str(refusal)[:300]})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)
            continue
        pause = _FIRST_PAUSE_S
        if anchored:
            event(log, logging.INFO, "ANCHORED", {"snapshots": anchored})
        await wake.wait()


async def run(bench: Bench, ready: Callable[[str], None] = lambda _: None) -> None:
    """Until SIGTERM or Ctrl-C, or a failure that does not pass. Raises ConfigRefused, ExporterFault, AnchorRefused."""
    set_up_log(bench.config.log, "local_chain")
    chain, seal = ExporterChain(bench.view(), bench.config.chain.nodes, bench.security()), bench.seal_key()
    database, attributes, who = bench.database(writing=True), bench.attributes(), bench.who()
    wake, stop, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        if not await chain.check_seal_key(who.account, seal.public):
            raise ConfigRefused(
                "the key is no active assertion key of the account on the chain",
                where="exporter.assertion_key",
                next_step="attach it: dualchain node submit ... accounts.attach_key, purpose assertion",
            )
        exporter = Exporter(database, attributes, bench.market(), seal)
        delivery = Delivery(database, bench.store(), chain, who, wall_clock_ms)
        ready(f"READY height={exporter.next_height - 1}")
        tasks = [
            asyncio.create_task(follow(chain, exporter, wake)),
            asyncio.create_task(deliver(delivery, wake)),
            asyncio.create_task(stop.wait()),
        ]
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in done:
            task.result()
    except DualchainError as refusal:
        event(log, logging.ERROR, "STOPPED", {"reason": str(refusal)[:300]})
        raise
    finally:
        await chain.close()
        database.close()
        attributes.close()
