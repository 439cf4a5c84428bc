"""What a client knows of the chain it follows, and what it is shown (docs/spec/light-client.md §1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from chain_core.codec.validator_set import validator_set_hash
from chain_core.types.block import Certificate, Header
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER, ZERO_HASH
from chain_core.types.validator_set import ValidatorSet


@dataclass(frozen=True, slots=True)
class ClientState:
    """The last accepted header and the set that certifies the next one. Times are block times in milliseconds.

    ``header_hash`` is all zeros before the first header: that of height 0 is computed, never shown.
    """

    genesis_hash: bytes
    validators: ValidatorSet
    validators_hash: bytes
    time_ms: int
    ledger: int = MAIN_LEDGER
    epoch: int = 0
    height: int = 0
    header_hash: bytes = ZERO_HASH
    frozen: bool = False

    @classmethod
    def at_genesis(cls, genesis_hash: bytes, genesis: Genesis) -> ClientState:
        """The client of a chain of which only the genesis document is known."""
        validators = genesis.validators
        return cls(genesis_hash, validators, validator_set_hash(validators), genesis.time_ms)

    def advanced(self, shown: Shown) -> ClientState:
        """The client after it accepted ``shown`` (a finding with verdict OK of ``verify_next``)."""
        return replace(self, height=shown.header.height, header_hash=shown.hash, time_ms=shown.header.time_ms)


@dataclass(frozen=True, slots=True)
class Shown:
    """A header as it was handed over, decoded, with its hash and its certificate; nothing of it is believed yet."""

    header_bytes: bytes
    header: Header
    hash: bytes
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Examined:
    """A header for which every predicate but ``signatures`` holds before this client; nothing of it is final yet."""

    client: ClientState
    shown: Shown


class Verdict(Enum):
    """What a client says about a header."""

    OK = "ok"
    NOT_ENOUGH_TRUST = "not-enough-trust"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict; unless OK, the predicate that failed and the two values that disagree. ``shown`` when it decodes."""

    verdict: Verdict
    predicate: str = ""
    detail: str = ""
    shown: Shown | None = None
