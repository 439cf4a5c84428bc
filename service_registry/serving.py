"""Running gateway and look-up as processes: READY on standard output, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from chain_core.codec.signed import derive_id
from chain_core.crypto.x509.roles import GATEWAY, PUBLISHER
from chain_core.network.access import CLIENT, Access, Rule, by_certificate
from chain_core.network.quota import Quota, Quotas
from chain_core.network.raw_rpc import Method, RawChannel, RawServer
from chain_core.network.secured.security import PLAINTEXT
from chain_core.node import log as node_log
from chain_core.node import render
from chain_core.node.log import event
from chain_core.node.logged_refusals import LoggedRefusals
from chain_core.node.service_port import ServicePort
from service_registry.batcher import Batcher
from service_registry.calls import GATEWAY_CALL, GATEWAY_RECORDS, GATEWAY_STREAM, SERVICE_CALL, SERVICE_STREAM
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.config import GatewayConfig, LogSection, LookupConfig
from service_registry.facts_cache import CachedChain
from service_registry.gateway import Gateway
from service_registry.host import ServiceHost
from service_registry.lookup import Lookup
from service_registry.record_store import RecordStore
from service_registry.recorder import Recorder

log = logging.getLogger(__name__)

_GRACE_S = 2.0
RULES: Mapping[str, Rule] = {
    GATEWAY_CALL: Rule(CLIENT, Quota.READ),
    GATEWAY_STREAM: Rule(CLIENT, Quota.READ),
    GATEWAY_RECORDS: Rule(CLIENT, Quota.BULK),
    SERVICE_CALL: Rule(CLIENT, Quota.READ, frozenset((GATEWAY,))),
    SERVICE_STREAM: Rule(CLIENT, Quota.READ, frozenset((GATEWAY,))),
}
"""Who may call at all; what a call may do is decided by its signature and the chain, and recorded there."""


def set_up_log(section: LogSection, package: str = "service_registry") -> None:
    """The package's lines go where a node's would."""
    node_log.set_up(section.level, section.format)
    engine, own = logging.getLogger(node_log.ROOT), logging.getLogger(package)
    own.handlers[:], own.propagate = engine.handlers, False
    own.setLevel(engine.level)


async def serve_gateway(config: GatewayConfig) -> None:
    """Runs a gateway. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    key = config.key(config.gateway.key)
    chain = CachedChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    who = Account(bytes.fromhex(config.gateway.account), key.private, key.public)
    recorder = Recorder(chain, who)
    records = LoggedRefusals()
    port = config.port(config.gateway, GATEWAY, records)
    batcher = None
    if config.gateway.store:
        store = RecordStore(config.path(config.gateway.store))
        batcher = Batcher(chain, who, config.key(config.gateway.assertion_key), store, wall_clock_ms)
    gateway = Gateway(chain, recorder, wall_clock_ms, config.security(config.supervisory, PUBLISHER), batcher)
    needed = [recorder.start(), *(batcher.start() if batcher is not None else ())]

    async def close() -> None:
        await recorder.stop()
        if batcher is not None:
            await batcher.stop()
        await gateway.close()
        await chain.close()

    facts = {"gateway": config.gateway.account, "supervisory": chain.genesis_hash.hex()}
    served = Served(gateway.methods(), RULES, config.gateway.listen, port, records)
    await serve(served, facts, close, *needed)


async def answer_claim(config: GatewayConfig, promise: str) -> render.Row:
    """The gateway's account answers a claim with what its running process shows. Raises as ``settlement.answer``."""
    from service_registry.settlement import answer

    key, above = config.key(config.gateway.key), config.supervisory
    chain = RegistryChain(config.view(above, "supervisory"), above.nodes, config.security(above))
    protected = config.gateway.security == "sm"
    channel = RawChannel(config.gateway.listen, config.security(above, GATEWAY) if protected else PLAINTEXT)
    try:
        who = Account(bytes.fromhex(config.gateway.account), key.private, key.public)
        return await answer(chain, who, channel, promise)
    finally:
        await channel.close()
        await chain.close()


async def serve_lookup(config: LookupConfig) -> None:
    """Runs a holder-roll look-up. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    key = config.key(config.publisher.assertion_key)
    chain = CachedChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    lookup = Lookup(config.view(config.market, "local"), config.market.nodes, config.security(config.market))
    service = service_id(chain.genesis_hash, bytes.fromhex(config.publisher.account), config.publisher.reference)
    host = ServiceHost(chain, service, key, lookup.answer, wall_clock_ms)
    records = LoggedRefusals()
    port = config.port(config.publisher, PUBLISHER, records)

    async def close() -> None:
        await lookup.close()
        await chain.close()

    await serve(
        Served(host.methods(), RULES, config.publisher.listen, port, records), {"service": service.hex()}, close
    )


def service_id(genesis_hash: bytes, publisher: bytes, reference: str) -> bytes:
    """The id under which the publisher's account drafts, or has drafted, ``reference``."""
    return derive_id(genesis_hash, "service", publisher, reference)


@dataclass(frozen=True, slots=True)
class Served:
    """A service's method table, the rules before it, where it listens and behind what."""

    methods: Mapping[str, Method]
    rules: Mapping[str, Rule]
    listen: str
    port: ServicePort
    records: LoggedRefusals

    def server(self) -> RawServer:
        """Its port, not bound yet."""
        access = Access(self.rules, Quotas(), by_certificate, self.records, time.monotonic_ns)
        return RawServer(access.guard(self.methods), security=self.port.security)


async def serve(
    served: Served, facts: dict[str, str], close: Callable[[], Awaitable[None]], *needed: asyncio.Task[None]
) -> None:
    """Until told to stop, or until a task that is ``needed`` fails: then its failure is raised."""
    server = served.server()
    watching = asyncio.create_task(served.port.watch())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        facts = facts | {"listen": server.bind(served.listen)}
        await server.start()
        event(log, logging.INFO, "READY", facts)
        print("READY", *(f"{key}={value}" for key, value in facts.items()), flush=True)
        stopped = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopped, watching, *needed], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        watching.cancel()
        await server.stop(_GRACE_S)
        await close()
    event(log, logging.INFO, "STOPPED", {})
