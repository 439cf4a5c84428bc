"""Typed refusals around limited and private data."""

from __future__ import annotations

from chain_core.network.refusals import ServiceRefusal
from chain_core.types.errors import DualchainError, LocalFault


class DataRefused(DualchainError):
    """A payload, wrap or package that is not what the chain says it is."""

    code = "DATA_REFUSED"


class CommitmentDiffers(DataRefused):
    """The content is not the one that was committed to."""

    code = "COMMITMENT_DIFFERS"


class VaultFault(LocalFault):
    """The vault's folders are missing, in use, damaged, or lack an item."""

    code = "VAULT_FAULT"


class StoreFault(LocalFault):
    """The object store cannot be reached or refuses."""

    code = "STORE_FAULT"


class NotReleased(ServiceRefusal):
    """The custodian does not release; ``code`` says why (docs/spec/data-tiers.md §8)."""

    code = "NOT_RELEASED"
