"""The genesis document: everything a chain is, in one canonical value (docs/spec/formats.md §5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value

KINDS = ("local", "supervisory")


@dataclass(frozen=True, slots=True)
class GenesisAccount:
    """An account that exists from the first block: its roles and keys, each key with one purpose."""

    account: bytes
    entity: str
    roles: tuple[str, ...]
    keys: dict[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The chain that a successor takes the place of (docs/spec/successor.md).

    ``header``: its last certified header, 408 bytes; ``lineage``: hash over the whole line of chains up to that header;
    ``state_root``: of the successor's height 0, the predecessor's state with other validators.
    """

    header: bytes
    lineage: bytes
    state_root: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """One chain's genesis. ``market`` is the JR/T 0326 region code of a local chain, empty for the
    supervisory one.

    ``documents`` holds what system contracts read at height 0 (calendar, templates, securities ...), by
    contract name. ``supervisory_genesis`` is the whole encoded supervisory genesis document in a local
    chain, empty elsewhere. ``predecessor`` is there in a successor's document only.
    """

    chain_id: str
    kind: str
    market: str
    time_ms: int
    validators: ValidatorSet
    parameters: dict[str, int]
    flags: tuple[str, ...]
    accounts: tuple[GenesisAccount, ...]
    documents: dict[str, Value] = field(default_factory=dict)
    supervisory_genesis: bytes = b""
    predecessor: Predecessor | None = None


DEFAULT_PARAMETERS: dict[str, int] = {
    "window_heights": 1,
    "max_block_transactions": 2000,
    "max_block_bytes": 16_000_000,
    "max_window_ms": 600_000,
    "seen_retention_ms": 600_000,
    "clock_tolerance_ms": 5_000,
    "order_timeout_ms": 2_000,
    "order_timeout_max_ms": 8_000,
    "resend_ms": 500,
    "idle_block_ms": 10_000,
    "pool_transactions": 20_000,
    "pool_bytes": 64_000_000,
    "pool_reserved_transactions": 1_000,
    "state_buckets": 4_096,
    "governance_approvals": 1,
    "governance_delay": 10,
    "governance_expiry": 20_000,
}
"""Consensus and execution parameters; governance changes them, every header commits to them."""
