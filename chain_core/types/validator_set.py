"""Validators and all quorum arithmetic (PBFT §4.2); nobody else writes ``2*f + 1``."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property

from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import PUBLIC_KEY_SIZE

MIN_VALIDATORS = 4
MAX_VALIDATORS = 256
_MEND = "correct the list of validators"


class InvalidValidatorSet(MalformedBytes):
    """A validator list that cannot run PBFT; bytes that list it encode no set."""

    code = "INVALID_VALIDATOR_SET"


def max_faulty(n: int) -> int:
    """f: how many of ``n`` replicas may be Byzantine."""
    return (n - 1) // 3


def quorum(n: int) -> int:
    """q = ceil((n + f + 1) / 2): any two quorums meet in at least f + 1 replicas."""
    return (n + max_faulty(n) + 2) // 2


def same_entity(name: str) -> str:
    """One spelling of an entity's name: NFKC (full-width forms, ligatures), white space collapsed and stripped.

    By the tables of Unicode 3.2, which every Python carries: nodes on different ones must not differ in what is equal.
    """
    return " ".join(unicodedata.ucd_3_2_0.normalize("NFKC", name).split())


@dataclass(frozen=True, slots=True)
class Validator:
    """One validator: ``entity`` is the legal entity that runs it (guideline art. 10, 16)."""

    name: str
    entity: str
    consensus_key: bytes
    transport_key: bytes


@dataclass(frozen=True)
class ValidatorSet:
    """The ordered validators of one epoch; a validator's index is its place in the list."""

    validators: tuple[Validator, ...]

    def __post_init__(self) -> None:
        n = len(self.validators)
        if not MIN_VALIDATORS <= n <= MAX_VALIDATORS:
            raise InvalidValidatorSet(
                f"{n} validators; PBFT here takes {MIN_VALIDATORS} to {MAX_VALIDATORS}",
                where="validators",
                next_step="name at least four consensus nodes (guideline art. 7)",
            )
        for kind in ("consensus_key", "transport_key", "name"):
            values = [getattr(v, kind) for v in self.validators]
            if len(set(values)) != n:
                raise InvalidValidatorSet(f"two validators share a {kind}", where=f"validators.{kind}", next_step=_MEND)
        for v in self.validators:
            if len(v.consensus_key) != PUBLIC_KEY_SIZE or len(v.transport_key) != PUBLIC_KEY_SIZE:
                what = "a public key is not 64 bytes x||y"
                raise InvalidValidatorSet(what, where=f"validators[{v.name}]", next_step=_MEND)

    @property
    def n(self) -> int:
        """Number of replicas."""
        return len(self.validators)

    @cached_property
    def f(self) -> int:
        """Number of Byzantine replicas tolerated."""
        return max_faulty(self.n)

    @cached_property
    def q(self) -> int:
        """Quorum size."""
        return quorum(self.n)

    def primary(self, view: int) -> int:
        """Index of the primary of ``view`` (PBFT §4.1)."""
        return view % self.n

    def key(self, index: int) -> bytes:
        """Consensus public key of the validator at ``index``."""
        return self.validators[index].consensus_key

    def index_of_key(self, consensus_key: bytes) -> int | None:
        """Index of the validator with this consensus key, None when it is no member."""
        for index, validator in enumerate(self.validators):
            if validator.consensus_key == consensus_key:
                return index
        return None

    def entity_votes(self) -> dict[str, int]:
        """Votes per legal entity in one spelling (guideline art. 16: none may hold a third or more)."""
        votes: dict[str, int] = {}
        for v in self.validators:
            entity = same_entity(v.entity)
            votes[entity] = votes.get(entity, 0) + 1
        return votes
