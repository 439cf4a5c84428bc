"""On-chain parameters and feature flags: bounds, relations between fields, reading (docs/spec/execution.md §8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from chain_core.codec.block import MAX_BATCH_IDS, MAX_BLOCK_BYTES
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, decode_value, encode_value
from chain_core.codec.votes import MAX_WINDOW
from chain_core.execution.codes import EngineFault
from chain_core.execution.overlay import StateReader
from chain_core.types.genesis import DEFAULT_PARAMETERS
from chain_core.types.transaction import MAX_ENVELOPE_BYTES

GOVERNANCE = "governance"
PARAMETERS_KEY = state_key(GOVERNANCE, b"parameters")
FLAGS_KEY = state_key(GOVERNANCE, b"flags")

MAX_FUTURE_MS = 86_400_000
_BLOCK_OVERHEAD = 65_536

BOUNDS: dict[str, tuple[int, int]] = {
    "window_heights": (1, MAX_WINDOW),
    "max_block_transactions": (1, MAX_BATCH_IDS),
    "max_block_bytes": (MAX_ENVELOPE_BYTES + _BLOCK_OVERHEAD, MAX_BLOCK_BYTES),
    "max_window_ms": (1_000, MAX_FUTURE_MS),
    "seen_retention_ms": (1_000, 30 * MAX_FUTURE_MS),
    "clock_tolerance_ms": (1, 600_000),
    "order_timeout_ms": (10, 600_000),
    "order_timeout_max_ms": (10, 3_600_000),
    "resend_ms": (1, 600_000),
    "idle_block_ms": (0, 86_400_000),
    "pool_transactions": (4, 10_000_000),
    "pool_bytes": (4 * MAX_ENVELOPE_BYTES, 1 << 40),
    "pool_reserved_transactions": (1, 1_000_000),
    "state_buckets": (1, 1 << 24),
    "governance_approvals": (1, 16),
    "governance_delay": (1, 10_000_000),
    "governance_expiry": (1, 100_000_000),
}
"""Lowest and highest value of each parameter of the engine."""

FIXED = frozenset(("state_buckets",))
"""Set at genesis for good: the state tree is built on it."""

_AT_MOST = (
    ("order_timeout_ms", "order_timeout_max_ms"),
    ("resend_ms", "order_timeout_ms"),
    ("clock_tolerance_ms", "max_window_ms"),
    ("max_block_transactions", "pool_transactions"),
    ("max_block_bytes", "pool_bytes"),
)


def wrong_parameter(
    parameters: Mapping[str, int],
    extra_bounds: Mapping[str, tuple[int, int]],
    before: Mapping[str, int] | None = None,
) -> tuple[str, int, int] | None:
    """The first parameter that is unknown, out of bounds or at odds with another, as (name, low, high); else None.

    ``before`` are the parameters in force: a fixed one must not change, none may be lost.
    """
    for name in sorted(DEFAULT_PARAMETERS):
        if name not in parameters:
            return name, *BOUNDS[name]
    for name, value in sorted(parameters.items()):
        low, high = BOUNDS.get(name) or extra_bounds.get(name) or (1, 0)
        if not low <= value <= high:
            return name, low, high
    for low_name, high_name in _AT_MOST:
        if parameters[low_name] > parameters[high_name]:
            return low_name, BOUNDS[low_name][0], parameters[high_name]
    reserved = (parameters["pool_transactions"] - 1) // 2
    if parameters["pool_reserved_transactions"] > reserved:
        return "pool_reserved_transactions", BOUNDS["pool_reserved_transactions"][0], reserved
    if before is not None:
        for name in sorted(before):
            if name not in parameters or (name in FIXED and parameters[name] != before[name]):
                return name, before[name], before[name]
    return None


def encode_parameters(parameters: Mapping[str, int]) -> bytes:
    """The state value of all parameters."""
    return encode_value(dict(parameters))


def encode_flags(flags: tuple[str, ...]) -> bytes:
    """The state value of all flags in force, ascending."""
    return encode_value(sorted(flags))


class ChainSettings:
    """Reads parameters and flags from state; the last decoded values are remembered by their bytes."""

    __slots__ = ("_flags", "_parameters")

    def __init__(self) -> None:
        self._parameters: tuple[bytes, dict[str, int]] = (b"", {})
        self._flags: tuple[bytes, tuple[str, ...]] = (b"", ())

    def parameters(self, state: StateReader) -> dict[str, int]:
        """The parameters in force; the caller does not change the dict. EngineFault on a state without genesis."""
        raw = state.get(PARAMETERS_KEY)
        if raw is None:
            raise EngineFault("the state holds no parameters: install the genesis writes first")
        if raw != self._parameters[0]:
            self._parameters = raw, cast(dict[str, int], decode_map(raw, "parameters"))
        return self._parameters[1]

    def flags(self, state: StateReader) -> tuple[str, ...]:
        """The flags in force, ascending."""
        raw = state.get(FLAGS_KEY)
        if raw is None:
            raise EngineFault("the state holds no flags: install the genesis writes first")
        if raw != self._flags[0]:
            self._flags = raw, tuple(cast(list[str], decode_value(raw, "flags")))
        return self._flags[1]
