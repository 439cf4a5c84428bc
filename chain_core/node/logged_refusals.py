"""Refusals of a service that keeps no audit record of its own: log lines, bounded in rate (docs/spec/access.md §6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from chain_core.network.quota import Bucket
from chain_core.network.refusals import AuditUnavailable
from chain_core.node.audit import REFUSALS_A_SECOND
from chain_core.node.log import event

log = logging.getLogger(__name__)


class LoggedRefusals:
    """For ports whose protected reads are recorded on chain: gateway, publishers, custodians."""

    def __init__(self) -> None:
        self._rate = Bucket(REFUSALS_A_SECOND, time.monotonic_ns())
        self._suppressed = 0

    async def read(self, facts: Mapping[str, Any]) -> None:
        """No rule of such a port asks for a record here. Raises AuditUnavailable."""
        raise AuditUnavailable("this service keeps no audit record", where=str(facts.get("method")))

    def refused(self, facts: Mapping[str, Any]) -> None:
        """One line, or a count of those that were left out."""
        if self._rate.take(1, time.monotonic_ns()):
            self._suppressed += 1
            return
        by = facts.get("by", {})
        told: dict[str, str | int] = {f"by_{key}": str(value) for key, value in by.items()}
        told |= {key: str(value) for key, value in facts.items() if key != "by"}
        if self._suppressed:
            told["suppressed"], self._suppressed = self._suppressed, 0
        event(log, logging.WARNING, "REFUSED", told)
