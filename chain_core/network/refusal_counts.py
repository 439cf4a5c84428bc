"""How many calls, records and handshakes a port refused, by a reason of a fixed few (docs/spec/access.md §8).

Which code it was stands in the audit record: a label that a caller could draw names for would grow without end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from chain_core.network.sm_session.refused import Reason
from chain_core.types.errors import DualchainError


class Why(StrEnum):
    """The label's values."""

    SESSION = "session"
    """A handshake or a record that is not as it should be, or belongs to no session."""
    CERTIFICATE = "certificate"
    """Who shows it is not believed."""
    HANDSHAKES = "handshakes"
    """Too many of them, or too slow."""
    QUOTA = "quota"
    ROLE = "role"
    SIZE = "size"
    AUDIT = "audit"
    """A protected read that could not be recorded."""
    BUSY = "busy"
    """The node has no room now."""
    REQUEST = "request"
    """Whatever else: malformed, of another chain or ledger, not found."""


_CODES: Final[dict[str, Why]] = {
    **dict.fromkeys(Reason, Why.SESSION),
    Reason.BAD_CERTIFICATE_VERIFY: Why.CERTIFICATE,
    Reason.CERTIFICATE_REFUSED: Why.CERTIFICATE,
    Reason.NOT_A_VALIDATOR: Why.CERTIFICATE,
    Reason.OVERSIZE_MESSAGE: Why.SIZE,
    Reason.TOO_MANY_HANDSHAKES: Why.HANDSHAKES,
    Reason.TOO_SLOW: Why.HANDSHAKES,
    Reason.WRONG_ROLE: Why.ROLE,
    "AUDIT_UNAVAILABLE": Why.AUDIT,
    "OVERSIZE": Why.SIZE,
    "PERMISSION_DENIED": Why.ROLE,
    "QUOTA_EXCEEDED": Why.QUOTA,
    "RESOURCE_EXHAUSTED": Why.BUSY,
    "SLOW_READER": Why.BUSY,
    "UNAVAILABLE": Why.BUSY,
}


class RefusalCounts:
    """Of all ports of a node; ``ports`` are there from the start, for a series that is missing alarms nobody."""

    def __init__(self, *ports: str) -> None:
        self._ports = ports
        self._counts: Counter[tuple[str, Why]] = Counter()

    def count(self, port: str, refusal: DualchainError) -> None:
        """One more."""
        self._counts[port, _CODES.get(refusal.code, Why.REQUEST)] += 1

    def items(self) -> Iterator[tuple[str, Why, int]]:
        """Port, reason, count: every pair of them."""
        return ((port, why, self._counts[port, why]) for port in self._ports for why in Why)
