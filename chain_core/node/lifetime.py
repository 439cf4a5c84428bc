"""One process: a node, run until a signal or a fault; one more after a snapshot was built into its ledger.

Exit codes of ``run_node``: 0 stopped on request; 3 stopped by a fault of this machine or a defect (the last log line
names it, nothing final is lost). What cannot be started at all is raised as a refusal: exit code 1 of the command line.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys

from chain_core.crypto.passphrase import Source
from chain_core.node.assembly import Assemblies, Assembly, assembly_for
from chain_core.node.config import Membership, NodeConfig, join
from chain_core.node.log import event, set_up
from chain_core.node.process import Node
from chain_core.types.errors import DualchainError

log = logging.getLogger(__name__)

SWITCH_S = 0.0001
"""A thread that has verified a signature gets the interpreter back within this time. With the default of 5 ms the event
loop, while it executes a block, held verification to a tenth of its rate (benchmarks/threads.py)."""
EXIT_STOPPED = 0
EXIT_FAULT = 3


def run_node(config: NodeConfig, assemblies: Assemblies, passphrase_from: Source | None = None) -> int:
    """Runs the node until SIGTERM, SIGINT or a fault, and returns the exit code.

    ``passphrase_from``: in place of what the file says. Raises what keeps it from starting: ConfigRefused,
    KeyFileRefused, PassphraseRefused, SignerAway, PortTaken, the store's refusals, InvalidGenesis, UnknownKind.
    """
    set_up(config.log.level, config.log.format)
    membership = join(config, passphrase_from)
    _calm_collector()
    sys.setswitchinterval(SWITCH_S)
    return asyncio.run(_main(config, membership, assembly_for(membership.genesis, assemblies)))


def _calm_collector() -> None:
    """A pool holds hundreds of thousands of small values that form no cycles: look through them seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _main(config: NodeConfig, membership: Membership, assembly: Assembly) -> int:
    life = _Life(config, membership, assembly)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, life.end)
    while (code := await life.run()) is None:
        pass
    return code


class _Life:
    """A process's nodes: one, and one more after each snapshot that was built into the ledger."""

    def __init__(self, config: NodeConfig, membership: Membership, assembly: Assembly) -> None:
        self._config, self._membership, self._assembly = config, membership, assembly
        self._node: Node | None = None
        self._ending = False
        self._first = True

    def end(self) -> None:
        """No further node, and the end of this one."""
        self._ending = True
        if self._node is not None:
            self._node.ask_to_stop()

    async def run(self) -> int | None:
        """One node from start to end: the exit code, or None when another one is to follow."""
        node = self._node = Node(self._config, self._membership, self._assembly)
        await node.start(say=self._first)
        self._first = False
        if self._ending:
            node.ask_to_stop()
        try:
            await node.serve()
        except DualchainError as fault:
            log.error("FAULT %s", fault)
            return EXIT_FAULT
        except Exception:
            log.exception("DEFECT the node stops; report this with the log")
            return EXIT_FAULT
        finally:
            await node.stop()
            event(log, logging.INFO, "STOPPED", {"node": self._config.node.name, "height": node.store.final_height})
        return None if node.again and not self._ending else EXIT_STOPPED
