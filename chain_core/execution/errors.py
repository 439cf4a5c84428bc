"""Refusals of execution that are not about a transaction."""

from __future__ import annotations

from chain_core.types.errors import DualchainError


class InvalidGenesis(DualchainError):
    """A genesis document that the chain's contracts cannot start from."""

    code = "INVALID_GENESIS"
