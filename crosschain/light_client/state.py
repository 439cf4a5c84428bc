"""What a client knows of the chain it follows, and what it is shown (docs/spec/light-client.md §1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from chain_core.codec.validator_set import decode_validator_set, validator_set_hash
from chain_core.types.block import Certificate, Header
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER, ZERO_HASH
from chain_core.types.validator_set import ValidatorSet


@dataclass(frozen=True, slots=True)
class ClientState:
    """The last accepted header and the set that certifies the next one. Times are block times in milliseconds.

    ``header_hash`` is all zeros before the first header: that of height 0 is computed, never shown. Of a successor,
    whose document names its state root, it is known at once, and height 1 has to follow it. The epoch's heights begin
    at ``start``; ``end``, the first one after them, is known of an epoch of the past only (``closed``).
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
    start: int = 0
    end: int | None = None
    trusted_ms: int = 0
    max_age_ms: int | None = None

    @classmethod
    def at_genesis(cls, genesis_hash: bytes, genesis: Genesis) -> ClientState:
        """The client of a chain of which only the genesis document is known."""
        validators = genesis.validators
        return cls(genesis_hash, validators, validator_set_hash(validators), genesis.time_ms)

    def advanced(self, shown: Shown) -> ClientState:
        """The client after it accepted ``shown`` (a finding with verdict OK of ``verify_next``).

        The last header of an epoch brings the next one: its validators, from the height above.
        """
        header = shown.header
        moved = replace(self, height=header.height, header_hash=shown.hash, time_ms=header.time_ms)
        if not self.closed_by(header):
            return moved
        return replace(
            moved,
            epoch=self.epoch + 1,
            start=header.height + 1,
            validators=decode_validator_set(shown.next_set),
            validators_hash=header.next_validator_set_hash,
        )

    def closed_by(self, header: Header) -> bool:
        """Whether the header is the last one of the client's epoch: it names another set for the next height."""
        return header.next_validator_set_hash != self.validators_hash

    def closed(self, end: int) -> ClientState:
        """The epoch as one of the past, whose headers ``verify_past`` judges; it is moved no more."""
        return replace(self, end=end)


@dataclass(frozen=True, slots=True)
class Shown:
    """A header as it was handed over, decoded, with its hash and its certificate; nothing of it is believed yet.

    ``next_set``: the encoded validators of the next epoch, handed over with the last header of an epoch.
    """

    header_bytes: bytes
    header: Header
    hash: bytes
    certificate: Certificate
    next_set: bytes = b""


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
