"""A book of one epoch, for tests of what does not change its validators."""

from dataclasses import dataclass

from chain_core.codec.validator_set import validator_set_hash
from chain_core.execution.epochs import EpochInfo
from chain_core.types.validator_set import ValidatorSet


@dataclass(frozen=True)
class OneEpoch:
    """Epoch 0, for ever."""

    validators: ValidatorSet

    def current(self) -> EpochInfo:
        return EpochInfo(0, 0, self.validators, validator_set_hash(self.validators))

    def by_number(self, epoch: int) -> EpochInfo | None:
        return self.current() if epoch == 0 else None
