"""From a batch's result to the header's 408 bytes (docs/spec/execution.md §10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.block import decode_header, encode_header, header_hash, params_hash
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import decode_map, decode_value
from chain_core.crypto.merkle import merkle_root
from chain_core.execution.block_run import BlockResult
from chain_core.execution.codes import EngineFault
from chain_core.execution.context import BlockContext
from chain_core.execution.sub_ledgers import Origin
from chain_core.types.block import Header
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER, ZERO_HASH


@dataclass(frozen=True, slots=True)
class StoreRoots:
    """What the ledger contributes: roots after the block's writes, and the history of the headers before it."""

    state_root: bytes
    seen_root: bytes
    history_root: bytes
    history_count: int


def block_time(batch_time_ms: int, parent_time_ms: int) -> int:
    """Block time: never before the batch's, always after the parent's."""
    return max(batch_time_ms, parent_time_ms + 1)


def build_header(
    previous: bytes,
    block: BlockContext,
    envelope_ids: Sequence[bytes],
    result: BlockResult,
    roots: StoreRoots,
    validators_hash: bytes,
    next_validators_hash: bytes,
) -> bytes:
    """The header of the block after ``previous`` (its bytes).

    Raises EngineFault when the pieces are not of one block: that is a mistake of this node, never of a peer.
    """
    before = decode_header(previous)
    if (before.genesis_hash, before.ledger, before.height + 1) != (block.genesis_hash, block.ledger, block.height):
        raise EngineFault(f"height {block.height} does not follow the header of height {before.height}")
    if block.time_ms <= before.time_ms:
        raise EngineFault(f"block time {block.time_ms} is not after the parent's {before.time_ms}")
    if len(envelope_ids) != len(result.receipts) or roots.history_count != block.height:
        raise EngineFault("envelopes, receipts and history do not belong to one block")
    return encode_header(
        Header(
            block.genesis_hash,
            block.ledger,
            block.epoch,
            block.height,
            block.attempt,
            block.time_ms,
            header_hash(previous),
            roots.history_root,
            roots.history_count,
            merkle_root(envelope_ids),
            len(envelope_ids),
            merkle_root(result.receipts),
            len(result.receipts),
            merkle_root(result.outbox),
            len(result.outbox),
            roots.state_root,
            roots.seen_root,
            validators_hash,
            next_validators_hash,
            params_hash(result.parameters, result.flags),
        )
    )


def build_genesis_header(
    genesis: Genesis, genesis_hash: bytes, state_root: bytes, seen_root: bytes, origin: Origin | None = None
) -> bytes:
    """The uncertified header of height 0: everyone computes it from the genesis document, and a sub-ledger's from its
    ``origin`` too.
    """
    empty = merkle_root(())
    validators = validator_set_hash(genesis.validators)
    parameters, flags = genesis.parameters, genesis.flags
    ledger, time_ms, previous = MAIN_LEDGER, genesis.time_ms, ZERO_HASH
    if genesis.predecessor is not None:
        previous = header_hash(genesis.predecessor.header)
    if origin is not None:
        validators, ledger = origin.epoch.set_hash, origin.sub_ledger.ledger
        time_ms, previous = origin.time_ms, origin.header_hash
        parameters = cast(dict[str, int], decode_map(origin.parameters, "parameters"))
        flags = tuple(cast(list[str], decode_value(origin.flags, "flags")))
    return encode_header(
        Header(
            genesis_hash,
            ledger,
            0,
            0,
            0,
            time_ms,
            previous,
            empty,
            0,
            empty,
            0,
            empty,
            0,
            empty,
            0,
            state_root,
            seen_root,
            validators,
            validators,
            params_hash(parameters, flags),
        )
    )
