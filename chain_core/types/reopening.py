"""Reopening a height at which votes were cast: the order, the validators' statements (docs/spec/reopening.md)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from chain_core.types.block import HeaderVote, SignedVote


@dataclass(frozen=True, slots=True)
class ReopenOrder:
    """The body of an order: which attempt of which height is to be closed, and why (for people)."""

    ledger: int
    epoch: int
    height: int
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Approval:
    """One officer's signature over an order's body."""

    account: bytes
    public_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedOrder:
    """An order with the bytes that were signed, its hash, and up to two approvals, accounts ascending."""

    order: ReopenOrder
    body: bytes
    order_hash: bytes
    approvals: tuple[Approval, ...]


class Cast(IntEnum):
    """What a validator cast at an attempt. The number is part of the format."""

    NOTHING = 0
    HEADER = 1
    SKIP = 2


@dataclass(frozen=True, slots=True)
class AttemptStatement:
    """The signer holds no certificate of the attempt, cast this in it, and casts nothing more in it.

    ``digest``: hash of the header, SM3 of the SKIP's body, zero for nothing. ``order``: hash of the order.
    """

    order: bytes
    ledger: int
    epoch: int
    height: int
    attempt: int
    signer: int
    cast: Cast
    digest: bytes


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with its signed bytes and the vote it names."""

    statement: AttemptStatement
    body: bytes
    evidence: HeaderVote | SignedVote | None
    signature: bytes


@dataclass(frozen=True, slots=True)
class Reopening:
    """What opened an attempt: the order and the statements of all n validators, signers ascending."""

    order: SignedOrder
    statements: tuple[SignedStatement, ...]
