"""Typed refusals of the adapter: they name file and line, and what to do."""

from __future__ import annotations

from chain_core.types.errors import DualchainError


class RollRefused(DualchainError):
    """A line of a roll that cannot be brought in."""

    code = "ROLL_REFUSED"


class BusinessIdReused(DualchainError):
    """A business id that stands for other business already."""

    code = "BUSINESS_ID_REUSED"


class ImportStopped(DualchainError):
    """The chain refused part of an import; what is final stays, the rest can be brought in after mending."""

    code = "IMPORT_STOPPED"


class OutboxFault(DualchainError):
    """The relational table of a business system cannot be read or written."""

    code = "OUTBOX_FAULT"
