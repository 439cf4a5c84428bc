"""Where ``directives`` keeps its records, along a line of successors (docs/spec/directives.md §2)."""

from __future__ import annotations

from chain_core.execution.overlay import Namespace


def place(kind: bytes, chain: bytes, sequence: int) -> bytes:
    """Key of one directive: ``d`` its packet, ``s`` its record."""
    return kind + chain + sequence.to_bytes(8, "big")


def record_in_line(space: Namespace, chain: bytes, sequence: int) -> tuple[bytes, bytes | None]:
    """(chain, record) of a directive where it went last: ``chain``, or of old ones a predecessor."""
    at: bytes | None = chain
    while at is not None:
        raw = space.get(place(b"s", at, sequence))
        if raw is not None:
            return at, raw
        at = space.get(b"l" + at)
    return chain, None
