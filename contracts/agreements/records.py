"""What the chain keeps of deposits and agreements (docs/spec/agreements.md §2, §3, §5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.provider import SIGNATURE_SIZE
from chain_core.execution.arguments import ACCOUNT, HASH, Choice, Integer, Kind, ListOf, Octets, Record
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, PUBLIC_KEY_SIZE
from chain_core.types.values import Value
from contracts.agreements.machines import STATES

AGREEMENTS = "agreements"
"""The contract's name: part of proven state keys."""
STATEMENT = signed.tag("dualchain/agreement/v1")
KINDS = ("agreement", "disclosure", "identity", "financial", "evidence", "other")
FREE, SEQUENTIAL = "free", "sequential"
BY_TRANSACTION, BY_ASSERTION = "transaction", "assertion"
MIN_PARTIES, MAX_PARTIES = 2, 16
MAX_DEADLINE_MS = 366 * 86_400_000
DEPOSITS_A_DAY, PROPOSALS_A_DAY = 1_000, 100


@dataclass(frozen=True, slots=True)
class Deposit:
    """``depositor`` is empty when the owner deposits for itself."""

    owner: bytes
    depositor: bytes
    kind: str
    commitment: bytes
    time_ms: int
    height: int


@dataclass(frozen=True, slots=True)
class Signature:
    """One party's; ``key`` and ``signature`` are empty when the transaction is the signature. ``chain``: the genesis
    hash it was made for, this chain's or that of an earlier one of its line.
    """

    party: bytes
    method: str
    key: bytes
    signature: bytes
    transaction: bytes
    time_ms: int
    height: int
    chain: bytes


@dataclass(frozen=True, slots=True)
class Agreement:
    """``parties`` as they were listed, ``signatures`` as they came."""

    proposer: bytes
    commitment: bytes
    parties: tuple[bytes, ...]
    order: str
    deadline_ms: int
    status: str
    time_ms: int
    height: int
    signatures: tuple[Signature, ...] = ()

    @property
    def signed(self) -> tuple[bytes, ...]:
        """Who has signed."""
        return tuple(one.party for one in self.signatures)

    @property
    def next_party(self) -> bytes | None:
        """Whose turn it is where the order counts; None where it does not, or when all have signed."""
        if self.order == FREE or len(self.signatures) == len(self.parties):
            return None
        return self.parties[len(self.signatures)]


def statement(identity: bytes, agreement: Agreement, party: bytes) -> bytes:
    """The body that a party's assertion key signs: this text, this circle, this party."""
    return encode_value(
        {
            "agreement": identity,
            "commitment": agreement.commitment,
            "parties": list(agreement.parties),
            "order": agreement.order,
            "deadline_ms": agreement.deadline_ms,
            "party": party,
        }
    )


def statement_message(genesis_hash: bytes, identity: bytes, agreement: Agreement, party: bytes) -> bytes:
    """M of ``statement``."""
    return signed.message(STATEMENT, genesis_hash, statement(identity, agreement, party))


def deposit_place(identity: bytes) -> bytes:
    """Key inside the contract."""
    return b"d" + identity


def agreement_place(identity: bytes) -> bytes:
    """Key inside the contract."""
    return b"a" + identity


def quota_place(account: bytes) -> bytes:
    """Key inside the contract of what an account has made today."""
    return b"q" + account


def deposit_key(identity: bytes) -> bytes:
    """Full state key."""
    return state_key(AGREEMENTS, deposit_place(identity))


def agreement_key(identity: bytes) -> bytes:
    """Full state key."""
    return state_key(AGREEMENTS, agreement_place(identity))


def encode_deposit(row: Deposit) -> bytes:
    """State value."""
    return encode_value(_map(row))


def encode_agreement(row: Agreement) -> bytes:
    """State value."""
    signatures: list[Value] = [_map(one) for one in row.signatures]
    return encode_value({**_map(row), "parties": list(row.parties), "signatures": signatures})


def decode_deposit(raw: bytes) -> Deposit:
    """Raises MalformedBytes."""
    return Deposit(**_fields(raw, _DEPOSIT, "deposit"))


def decode_agreement(raw: bytes) -> Agreement:
    """Raises MalformedBytes."""
    row = dict(_fields(raw, _AGREEMENT, "agreement"))
    row["signatures"] = tuple(Signature(**one) for one in row["signatures"])
    row["parties"] = tuple(row["parties"])
    return Agreement(**row)


def _map(row: Any) -> dict[str, Value]:
    return {name: getattr(row, name) for name in row.__slots__}


_TIME = Integer()
_DEPOSIT = Record(
    {
        "owner": ACCOUNT,
        "depositor": Octets(0, ACCOUNT_ID_SIZE),
        "kind": Choice(frozenset(KINDS)),
        "commitment": HASH,
        "time_ms": _TIME,
        "height": _TIME,
    }
)
_SIGNATURE = Record(
    {
        "party": ACCOUNT,
        "method": Choice(frozenset((BY_TRANSACTION, BY_ASSERTION))),
        "key": Octets(0, PUBLIC_KEY_SIZE),
        "signature": Octets(0, SIGNATURE_SIZE),
        "transaction": HASH,
        "time_ms": _TIME,
        "height": _TIME,
        "chain": HASH,
    }
)
_AGREEMENT = Record(
    {
        "proposer": ACCOUNT,
        "commitment": HASH,
        "parties": ListOf(ACCOUNT, MAX_PARTIES, MIN_PARTIES, distinct=True),
        "order": Choice(frozenset((FREE, SEQUENTIAL))),
        "deadline_ms": _TIME,
        "status": Choice(STATES),
        "time_ms": _TIME,
        "height": _TIME,
        "signatures": ListOf(_SIGNATURE, MAX_PARTIES),
    }
)


def _fields(raw: bytes, kind: Kind, what: str) -> Mapping[str, Any]:
    """The map, when it is of this kind: another market's chain wrote it."""
    row = decode_map(raw, what)
    if not kind.admits(cast(Value, row)):
        raise MalformedBytes(f"{what}: other fields", where=AGREEMENTS, next_step="ask another node")
    return row
