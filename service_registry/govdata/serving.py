"""Running the publisher's host as a process (docs/spec/government-data.md §8)."""

from __future__ import annotations

from chain_core.crypto.x509.roles import PUBLISHER
from chain_core.node.logged_refusals import LoggedRefusals
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.govdata.bureau import HttpBureau
from service_registry.govdata.channel import Bounds, Channel
from service_registry.govdata.config import HostConfig
from service_registry.host import ServiceHost
from service_registry.serving import RULES, Served, serve, service_id


async def serve_govdata(config: HostConfig) -> None:
    """Until SIGTERM or Ctrl-C. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    assertion, operator = config.key(config.publisher.assertion_key), config.key(config.operator.key)
    above = RegistryChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    chain = RegistryChain(config.view(config.market, "local"), config.market.nodes, config.security(config.market))
    who = Account(bytes.fromhex(config.operator.account), operator.private, operator.public)
    ca = config.path(config.bureau.ca) if config.bureau.ca else None
    bureau = HttpBureau(config.bureau.url, chain.genesis_hash, assertion.private, ca)
    bounds = Bounds(wall_clock_ms, config.bureau.max_age_ms)
    channel = Channel(chain, above, who, bureau, config.bureau.credit_code, bounds)
    service = service_id(above.genesis_hash, bytes.fromhex(config.publisher.account), config.publisher.reference)
    host = ServiceHost(above, service, assertion, channel.answer, wall_clock_ms)
    records = LoggedRefusals()
    port = config.port(config.publisher, PUBLISHER, records)

    async def close() -> None:
        await chain.close()
        await above.close()

    served = Served(host.methods(), RULES, config.publisher.listen, port, records)
    await serve(served, {"service": service.hex(), "bureau": config.bureau.credit_code}, close)
