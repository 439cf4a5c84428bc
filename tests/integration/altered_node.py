"""A node of the toy chain, or of a market's, with one fault of its build, as a program.

python -m tests.integration.altered_node FAULT run --config FILE

Faults: ``diverge`` (the first block that moves coins to ODD leaves another balance there, once), ``diverge-always``
(each such block does), ``poison`` (executing a transfer of POISON coins breaks the engine), ``newer`` (the build knows
the flag NEW_FLAG, which the plain one does not), ``die-reading`` (it kills itself where a scan would be answered),
``censor-border`` (as primary it orders everything but what crosses the border), ``none``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.node.assembly import Assembly
from chain_core.node.cli import make_app
from chain_core.types.errors import DualchainError
from chain_core.types.genesis import Genesis
from local_chain.assembly import local_assembly
from tests.integration.network import assembly, other_account

ODD = other_account("odd")
ODD_KEY = state_key("coins", ODD)
POISON = 13
NEW_FLAG = "stricter"


def diverge(times: int) -> None:
    """So many executions of blocks that pay ODD leave another balance there."""
    from chain_core.execution.block_run import BlockRun

    run = BlockRun.run
    left = [times]

    def altered(self: Any) -> Any:
        result = run(self)
        if left[0] and ODD_KEY in result.writes:
            left[0] -= 1
            result.writes[ODD_KEY] = encode_value(666)
        return result

    BlockRun.run = altered  # type: ignore[method-assign]


def poison() -> None:
    """A transfer of POISON coins divides by zero."""
    from tests.unit.execution.world import Coins

    transfer = Coins.transfer

    def broken(self: Any, ctx: Any, args: Any) -> None:
        if args["amount"] == POISON:
            raise ZeroDivisionError("a fault of this build")
        transfer(self, ctx, args)

    Coins.transfer = broken  # type: ignore[method-assign]


def die_reading() -> None:
    """Power is lost where a scan would be answered."""
    from chain_core.node.queries import Queries

    async def dying(self: Any, caller: Any, data: bytes) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    Queries.scan = dying  # type: ignore[method-assign]


def censor_border() -> None:
    """The pool, from which a primary proposes, takes nothing of the border lane."""
    from chain_core.execution.contract import Lane
    from chain_core.execution.pool import KNOWN, TransactionPool

    add = TransactionPool.add

    def picky(self: Any, envelope_id: bytes, lane: Lane, *rest: Any) -> Any:
        return KNOWN if lane is Lane.BORDER else add(self, envelope_id, lane, *rest)

    TransactionPool.add = picky  # type: ignore[method-assign]


def newer(genesis: Genesis) -> Assembly:
    """The next release."""
    return replace(assembly(genesis), known_flags=(NEW_FLAG,))


FAULTS: dict[str, Callable[[], None]] = {
    "diverge": lambda: diverge(1),
    "diverge-always": lambda: diverge(1_000_000),
    "poison": poison,
    "die-reading": die_reading,
    "censor-border": censor_border,
    "none": lambda: None,
    "newer": lambda: None,
}


def main() -> None:
    """Alter, then be the node."""
    fault = sys.argv.pop(1)
    FAULTS[fault]()
    make_app(lambda: {"supervisory": newer if fault == "newer" else assembly, "local": local_assembly})()


if __name__ == "__main__":
    try:
        main()
    except DualchainError as refusal:
        print(refusal, file=sys.stderr)
        raise SystemExit(1) from refusal
