"""What a caller hands to the store and gets from it around one block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain_core.ledger.bucket_tree import TreeChange


@dataclass(frozen=True, slots=True)
class Staged:
    """A block's effect on the ledger, computed on final height ``base_height`` and good for the next block only."""

    base_height: int
    state_root: bytes
    seen_root: bytes
    writes: Mapping[bytes, bytes | None]
    seen_added: Mapping[bytes, bytes]
    seen_removed: tuple[bytes, ...]
    state_change: TreeChange
    seen_change: TreeChange


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """A certified block and its staged effect; ``receipts`` and ``events`` have one item an envelope."""

    header_bytes: bytes
    certificate_bytes: bytes
    batch_bytes: bytes
    envelopes: tuple[bytes, ...]
    receipts: tuple[bytes, ...]
    events: tuple[bytes, ...]
    outbox: tuple[bytes, ...]
    staged: Staged
