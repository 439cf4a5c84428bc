"""What the kernel tells about movements of shares: before one is made, to the guards; afterwards, to the hooks."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from contracts.kernel.records import Security, TradeDays


class MoveKind(IntEnum):
    """Why shares move; each kind is judged by its own rules."""

    REGISTRATION = 1
    TRADE = 2
    NON_TRADE = 3
    ISSUE = 4
    CANCELLATION = 5
    ENTITLEMENT = 6


class Intent(NamedTuple):
    """A movement about to be made, with the facts that guards ask for.

    ``holders_before`` and ``holders_after`` differ as the register would; both are 0 when nobody joins it. The two
    parties' ``TradeDays`` are those of this security, before the movement.
    """

    kind: MoveKind
    security: bytes
    record: Security
    source: bytes
    target: bytes
    quantity: int
    holders_before: int
    holders_after: int
    source_days: TradeDays
    target_days: TradeDays


class Move(NamedTuple):
    """A movement that was made. ``judged`` are the rules its guards checked before it."""

    kind: MoveKind
    security: bytes
    source: bytes
    target: bytes
    quantity: int
    judged: tuple[str, ...]


class CashMove(NamedTuple):
    """Client money that moved: ``cash_in``, ``cash_out`` at the bank, ``payment`` between parties (nobody: zeros)."""

    kind: str
    source: bytes
    target: bytes
    amount_fen: int
