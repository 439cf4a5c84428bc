"""A long chain with much state, made in minutes: blocks executed, certified by the validators' own keys, committed.

The same directory is copied to several nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.grown_chain import GrownChain
from benchmarks.market_load import lay_out
from chain_core.crypto.providers import signing_provider
from chain_core.network.signing import sign_transaction
from chain_core.node.provision import NodePlan, account_key
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation, TransactionBody

BLOCK_MS = 1_000
WINDOW_MS = 60_000


def grow(
    directory: Path,
    nodes: int,
    blocks: int,
    state_keys: int,
    now_ms: int,
    tell: Callable[[int], None] = lambda height: None,
    parameters: Mapping[str, int] | None = None,
    transactions: int = 1,
) -> tuple[Genesis, bytes, tuple[NodePlan, ...], Path]:
    """A network directory of ``nodes`` nodes, and the data directory of its first one with ``blocks`` blocks.

    About ``state_keys`` accounts are registered, equally over the blocks and the ``transactions`` of each, one block a
    second up to ``now_ms``.
    """
    retention = {"max_window_ms": 10 * WINDOW_MS, "seen_retention_ms": 10 * WINDOW_MS}
    start_ms = now_ms - (blocks + 60) * BLOCK_MS
    genesis, plans = lay_out(directory, nodes, {**retention, **(parameters or {})}, start_ms)
    chain = GrownChain(directory, genesis, plans)
    registrar, private = account_key(directory, "registrar")
    key = (private, signing_provider().sm2_public_key(private))
    each = -(-state_keys // (blocks * transactions))
    for height in range(1, blocks + 1):
        time_ms = start_ms + height * BLOCK_MS
        raws = []
        for nonce in range(height * transactions, (height + 1) * transactions):
            operations = tuple(_registration(nonce * each + i) for i in range(each))
            body = TransactionBody(0, registrar, nonce, time_ms + WINDOW_MS, operations)
            raws.append(sign_transaction(chain.hash, body, [key]))
        chain.append(height, time_ms, raws)
        tell(height)
    chain.close()
    return genesis, chain.hash, plans, chain.data


def _registration(number: int) -> Operation:
    name = f"A{number}"
    return Operation("accounts", "register", {"reference": name, "entity": name, "roles": [], "keys": {}})
