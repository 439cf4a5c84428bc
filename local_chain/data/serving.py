"""Running a custodian's service as a process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from chain_core.network.access import CLIENT, Rule
from chain_core.network.quota import Quota
from chain_core.node.config import ConfigRefused
from chain_core.node.logged_refusals import LoggedRefusals
from local_chain.data.config import Desk
from local_chain.data.release import FETCH, Releaser
from service_registry.chain import wall_clock_ms
from service_registry.serving import Served, serve, set_up_log

RULES: Mapping[str, Rule] = {FETCH: Rule(CLIENT, Quota.READ)}
"""What is released to whom, the chain decides (docs/spec/data-tiers.md §8)."""


async def serve_releases(desk: Desk) -> None:
    """Releases and sweeps. Raises ConfigRefused, KeyFileRefused, PortTaken."""
    section = desk.config.custodian
    if section is None or not section.listen:
        raise ConfigRefused("needed to serve", where="custodian.listen", next_step="see docs/spec/data-tiers.md §11")
    set_up_log(desk.config.log, "local_chain")
    records = LoggedRefusals()
    port = desk.port(section, records)
    chain = desk.chain()
    releaser = Releaser(chain, desk.custodian(), wall_clock_ms)
    sweeping = asyncio.create_task(releaser.sweep_for_ever(section.sweep_s))

    async def close() -> None:
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        await chain.close()

    served = Served(releaser.methods(), RULES, section.listen, port, records)
    await serve(served, {"custodian": section.account}, close, sweeping)
