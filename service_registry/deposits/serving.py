"""Running a deposit service as a process (docs/spec/agreements.md §6)."""

from __future__ import annotations

from chain_core.crypto.x509.roles import PUBLISHER
from chain_core.node.logged_refusals import LoggedRefusals
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.config import LookupConfig
from service_registry.deposits.service import DepositService
from service_registry.govdata.config import OperatorSection
from service_registry.host import ServiceHost
from service_registry.serving import RULES, Served, serve, service_id

SEE = "see docs/spec/agreements.md §6"


class DepositConfig(LookupConfig):
    """deposits.toml: as lookup.toml, with [operator]."""

    operator: OperatorSection


async def serve_deposits(config: DepositConfig) -> None:
    """Until SIGTERM or Ctrl-C. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    assertion, operator = config.key(config.publisher.assertion_key), config.key(config.operator.key)
    above = RegistryChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    chain = RegistryChain(config.view(config.market, "local"), config.market.nodes, config.security(config.market))
    who = Account(bytes.fromhex(config.operator.account), operator.private, operator.public)
    service = service_id(above.genesis_hash, bytes.fromhex(config.publisher.account), config.publisher.reference)
    host = ServiceHost(above, service, assertion, DepositService(chain, who).answer, wall_clock_ms)
    records = LoggedRefusals()
    port = config.port(config.publisher, PUBLISHER, records)

    async def close() -> None:
        await chain.close()
        await above.close()

    served = Served(host.methods(), RULES, config.publisher.listen, port, records)
    await serve(served, {"service": service.hex()}, close)
