"""Evidence against a validator: what it signed twice, provable to anybody who knows the validator set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Statement(IntEnum):
    """What was signed twice. The number is part of the format."""

    ORDERING = 1
    """Two ordering votes of one ledger, epoch, height, view, attempt and phase."""
    HEADER = 2
    """Two headers of one ledger, epoch, height and attempt."""
    VIEW_CHANGE = 3
    """Two VIEW-CHANGEs of one ledger and epoch to one view."""
    NEW_VIEW = 4
    """Two NEW-VIEWs of one ledger, epoch and view."""
    DENIAL = 5
    """A statement on an attempt, and a header or SKIP of that attempt that it does not name."""


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Two signed bodies of one signer that no correct replica signs both; ``first`` is the bytewise lower body."""

    statement: Statement
    ledger: int
    epoch: int
    signer: int
    first: bytes
    first_signature: bytes
    second: bytes
    second_signature: bytes
