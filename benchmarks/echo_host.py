"""A publisher's host that answers at once, as a process: ``python -m benchmarks.echo_host lookup.toml RUNS``.

RUNS is a file to which it appends one line a call that it carries out: the call's id.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from chain_core.crypto.x509.roles import PUBLISHER
from chain_core.node.logged_refusals import LoggedRefusals
from service_registry.chain import wall_clock_ms
from service_registry.config import LookupConfig, load
from service_registry.facts_cache import CachedChain
from service_registry.host import ANSWERING, ServiceHost
from service_registry.serving import RULES, Served, serve, service_id, set_up_log


async def main(config: LookupConfig, runs: Path) -> None:
    """Until SIGTERM."""
    chain = CachedChain(
        config.view(config.supervisory, "supervisory"), config.supervisory.nodes, config.security(config.supervisory)
    )
    told = os.open(runs, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def answer(request: Any) -> Any:
        os.write(told, b"%d\n" % ANSWERING.get().call_id)
        return {"answer": request["question"]}

    service = service_id(chain.genesis_hash, bytes.fromhex(config.publisher.account), config.publisher.reference)
    host = ServiceHost(chain, service, config.key(config.publisher.assertion_key), answer, wall_clock_ms)
    records = LoggedRefusals()
    port = config.port(config.publisher, PUBLISHER, records)
    served = Served(host.methods(), RULES, config.publisher.listen, port, records)
    await serve(served, {"service": service.hex()}, chain.close)


if __name__ == "__main__":
    loaded = load(LookupConfig, Path(sys.argv[1]))
    set_up_log(loaded.log)
    asyncio.run(main(loaded, Path(sys.argv[2])))
