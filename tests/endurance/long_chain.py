"""A long chain with much state, made in minutes: blocks executed, certified by the validators' own keys, committed.

Every block is what consensus would have made of it, so that a node that gets the ledger serves it as its own; only
the votes were never sent. The same directory is copied to several nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.market_load import lay_out
from chain_core.codec.block import decode_header, encode_certificate, header_hash, header_message
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.providers import signing_provider
from chain_core.ledger.store import LedgerStore
from chain_core.network.signing import sign_transaction
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.ledger_files import open_ledger
from chain_core.node.provision import NodePlan, account_key
from chain_core.types.block import Batch, Certificate
from chain_core.types.genesis import Genesis
from chain_core.types.transaction import Operation, TransactionBody
from local_chain.assembly import local_assembly

BLOCK_MS = 1_000
WINDOW_MS = 60_000


def certified(genesis_hash: bytes, header_bytes: bytes, keys: list[bytes]) -> bytes:
    """A finality certificate over the header by the validators with these keys (index: place)."""
    digest = header_hash(header_bytes)
    message = header_message(genesis_hash, digest)
    sign = signing_provider().sm2_sign
    return encode_certificate(Certificate(digest, tuple((i, sign(key, message)) for i, key in enumerate(keys))))


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
    chain = genesis_hash(encode_genesis(genesis))
    data = directory / plans[0].name / "data"
    assembly = local_assembly(genesis)
    store = open_ledger(data, assembly, genesis, chain)
    builder = BlockBuilder(store, assembly.executor(), chain)
    signers = [load_private_key(directory / plan.name / "consensus.key") for plan in plans[: genesis.validators.q]]
    registrar, private = account_key(directory, "registrar")
    key = (private, signing_provider().sm2_public_key(private))
    each = -(-state_keys // (blocks * transactions))
    for height in range(1, blocks + 1):
        time_ms = start_ms + height * BLOCK_MS
        raws = []
        for nonce in range(height * transactions, (height + 1) * transactions):
            operations = tuple(_registration(nonce * each + i) for i in range(each))
            body = TransactionBody(0, registrar, nonce, time_ms + WINDOW_MS, operations)
            raws.append(sign_transaction(chain, body, [key]))
        _append(store, builder, chain, signers, height, time_ms, raws)
        tell(height)
    store.close()
    return genesis, chain, plans, data


def _registration(number: int) -> Operation:
    name = f"A{number}"
    return Operation("accounts", "register", {"reference": name, "entity": name, "roles": [], "keys": {}})


def _append(
    store: LedgerStore,
    builder: BlockBuilder,
    chain: bytes,
    signers: list[bytes],
    height: int,
    time_ms: int,
    raws: Sequence[bytes],
) -> None:
    envelopes = tuple(map(decode_envelope, raws))
    built = builder.build(Batch(0, 0, height, 0, time_ms, tuple(e.envelope_id for e in envelopes)), envelopes)
    if any(built.result.codes):
        raise RuntimeError(f"block {height}: code {built.result.codes}")
    assert decode_header(built.header_bytes).height == height
    store.commit_block(built.record(certified(chain, built.header_bytes, signers)))
