"""Views of sub-ledgers, from what ledger 0 proves: which there are, and under whose certificates each begins.

From its first validators on, a sub-ledger's own headers lead from epoch to epoch (docs/spec/sub-ledgers.md §5).
"""

from __future__ import annotations

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.execution.epochs import decode_epoch
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.sub_ledgers import (
    COUNT,
    MAX_LEDGERS,
    VALIDATORS,
    SubLedger,
    decode_sub_ledger,
    ledger_key,
    origin_key,
)
from chain_core.network.refusals import NotFound
from chain_core.node.chain_view import ChainView
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.ids import MAIN_LEDGER


async def named_ledgers(main: VerifyingClient) -> list[SubLedger]:
    """The sub-ledgers that ledger 0's proven state names, ascending. Raises as ``VerifyingClient``."""
    _, (raw,) = await main.state([state_key(GOVERNANCE, COUNT)])
    count = 0 if raw is None else decode_value(raw, "number of ledgers")
    if not count or not isinstance(count, int):
        return []
    keys = [state_key(GOVERNANCE, ledger_key(ledger)) for ledger in range(1, min(count, MAX_LEDGERS) + 1)]
    _, values = await main.state(keys)
    # The second answer may be another node's, of a lower height.
    return [decode_sub_ledger(value, ledger) for ledger, value in enumerate(values, 1) if value is not None]


async def sub_ledger_view(main: VerifyingClient, ledger: int) -> ChainView:
    """A view of ledger ``ledger`` at its beginning. Raises NotFound where ledger 0 names none of this number."""
    if ledger == MAIN_LEDGER:
        raise ValueError("ledger 0 is viewed from the genesis document alone")
    header, (raw,) = await main.state([state_key(GOVERNANCE, origin_key(ledger, VALIDATORS))])
    if raw is None:
        raise NotFound(
            f"{main.view.genesis.chain_id} has no ledger {ledger}",
            where=f"state of height {header.height}",
            next_step="list them, or wait until the proposal that creates it takes effect",
        )
    return ChainView(main.view.genesis_bytes, ledger=ledger, first=decode_epoch(raw).validators)


async def sub_ledger_client(main: VerifyingClient, ledger: int) -> VerifyingClient:
    """A client of a sub-ledger at the nodes of ``main``; close it by itself. Raises as ``sub_ledger_view``."""
    return VerifyingClient(await sub_ledger_view(main, ledger), [node.address for node in main.nodes], main.security)
