"""Transactions, envelopes and receipts (docs/spec/formats.md §4)."""

from __future__ import annotations

from dataclasses import dataclass

from chain_core.types.ids import NO_ACCOUNT
from chain_core.types.values import Value

MAX_OPERATIONS = 64
MAX_COSIGNERS = 7
MAX_BUSINESS_ID_BYTES = 64
MAX_NAME_BYTES = 64
MAX_ENVELOPE_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of a contract's method; ``args`` are named arguments."""

    contract: str
    method: str
    args: dict[str, Value]


@dataclass(frozen=True, slots=True)
class TransactionBody:
    """What a submitter signs. Times are milliseconds since the Unix epoch, UTC."""

    ledger: int
    account: bytes
    nonce: int
    valid_until_ms: int
    operations: tuple[Operation, ...]
    on_behalf_of: bytes = NO_ACCOUNT
    business_id: str = ""
    business_time_ms: int = 0
    cosigners: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """A full public key (x||y, 64 bytes) and its signature (r||s, 64 bytes) over the transaction's message
    M.
    """

    public_key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A transaction as it travels: body bytes as signed, decoded body, signers (account first, then
    cosigners).

    ``raw`` is the canonical encoding; ``envelope_id`` and ``transaction_id`` are its two ids.
    """

    raw: bytes
    body_bytes: bytes
    body: TransactionBody
    signers: tuple[Signer, ...]
    envelope_id: bytes
    transaction_id: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one ordered envelope; ``code`` 0 is success, ``rule`` names the rule behind a refusal."""

    ledger: int
    envelope_id: bytes
    transaction_id: bytes
    account: bytes
    nonce: int
    code: int
    rule: str
    parameters: tuple[Value, ...]
    events_digest: bytes
