"""What the evidence says of services: none yet."""

from __future__ import annotations

from typing import Any

from dualchain.demo.evidence import Evidence


def services_summary(evidence: Evidence) -> dict[str, Any]:
    """Calls and access records."""
    return {}
