"""A publisher's host around a handler, as a process (docs/spec/publishing.md §3)."""

from __future__ import annotations

from chain_core.crypto.x509.roles import PUBLISHER
from chain_core.node.config import ConfigRefused
from chain_core.node.logged_refusals import LoggedRefusals
from service_registry.chain import RegistryChain, wall_clock_ms
from service_registry.config import UserConfig
from service_registry.host import Answer, ServiceHost
from service_registry.publishing.handlers import guarded
from service_registry.serving import RULES, Served, serve, service_id
from service_registry.session import Session


async def serve_handler(config: UserConfig, reference: str, listen: str, answer: Answer) -> None:
    """Until SIGTERM or Ctrl-C. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    try:
        config.host.check(listen, config.supervisory.credentials, "supervisory.credentials")
    except ValueError as error:
        raise ConfigRefused(str(error), where="[host]", next_step="see docs/spec/publishing.md §3") from error
    chain = RegistryChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    session = Session(config, chain)
    service = service_id(chain.genesis_hash, bytes.fromhex(session.actor.account), reference)
    host = ServiceHost(chain, service, session.assertion_key(), guarded(answer), wall_clock_ms)
    records = LoggedRefusals()
    port = config.port(config.host, PUBLISHER, records)
    served = Served(host.methods(), RULES, listen, port, records)
    await serve(served, {"service": service.hex(), "reference": reference}, chain.close)
