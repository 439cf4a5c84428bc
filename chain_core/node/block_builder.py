"""From an ordered batch to a header: execute on the final state, stage the roots, assemble the header."""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.codec.block import decode_header, encode_batch
from chain_core.execution.context import BlockContext
from chain_core.execution.executor import BlockResult, Executor
from chain_core.execution.roots import StoreRoots, block_time, build_header
from chain_core.ledger.store import BlockRecord, LedgerStore, Staged
from chain_core.types.block import Batch
from chain_core.types.transaction import Envelope


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """An executed batch: its header, and all that is written with it once it is certified."""

    header_bytes: bytes
    batch: Batch
    envelopes: tuple[Envelope, ...]
    result: BlockResult
    staged: Staged

    def record(self, certificate_bytes: bytes) -> BlockRecord:
        """What the atomic batch of the finalisation holds."""
        return BlockRecord(
            self.header_bytes,
            certificate_bytes,
            encode_batch(self.batch),
            tuple(e.raw for e in self.envelopes),
            self.result.receipts,
            self.result.events,
            self.result.outbox,
            self.staged,
        )


class BlockBuilder:
    """Builds the block above the final height of one ledger."""

    def __init__(self, store: LedgerStore, executor: Executor, genesis_hash: bytes) -> None:
        self._store = store
        self._executor = executor
        self._genesis_hash = genesis_hash

    def build(self, batch: Batch, envelopes: tuple[Envelope, ...]) -> BuiltBlock:
        """Run ``batch`` on the state of height-1. Block time: max(batch time, parent's + 1), so that it only grows."""
        store = self._store
        parent_bytes = store.header(batch.height - 1)
        if parent_bytes is None or batch.height != store.final_height + 1:
            raise ValueError(f"height {batch.height} cannot be built on final height {store.final_height}")
        parent = decode_header(parent_bytes)
        context = BlockContext(
            self._genesis_hash,
            batch.ledger,
            batch.height,
            batch.epoch,
            batch.attempt,
            block_time(batch.time_ms, parent.time_ms),
        )
        skipped = (batch.skipped,) if batch.skipped else ()
        result = self._executor.execute(context, envelopes, store.state, store, *skipped)
        staged = store.stage(result.writes, result.seen_added, result.seen_removed)
        roots = StoreRoots(staged.state_root, staged.seen_root, *store.history_root_of(batch.height))
        header_bytes = build_header(
            parent_bytes,
            context,
            batch.envelope_ids,
            result,
            roots,
            self._executor.epoch_at(store, batch.height).set_hash,
            self._executor.epoch_at(store, batch.height + 1).set_hash,
        )
        return BuiltBlock(header_bytes, batch, envelopes, result, staged)
