"""Typed refusals of exporter and adapter."""

from __future__ import annotations

from chain_core.types.errors import DualchainError, LocalFault


class ExporterFault(LocalFault):
    """The exporter's database, attributes or books contradict what the chain says."""

    code = "EXPORTER_FAULT"


class AnchorRefused(DualchainError):
    """The chain refused a batch of anchors: nothing is skipped, so the exporter stops."""

    code = "ANCHOR_REFUSED"


class UnknownObject(DualchainError):
    """No data object of this id, or no such version."""

    code = "UNKNOWN_OBJECT"
