"""Which indicators there are, and when an alarm stands (docs/spec/risk.md §1-§2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from chain_core.codec.values import decode_map, encode_value
from chain_core.types.values import Value

SYSTEM, DATA, BUSINESS = "system", "data", "business"


@dataclass(frozen=True, slots=True)
class Threshold:
    """An alarm is raised at ``raise_at`` or above (0: never), cleared at ``clear_at`` or below."""

    raise_at: int
    clear_at: int
    severity: int

    def row(self) -> dict[str, Value]:
        """As kept."""
        return {"raise_at": self.raise_at, "clear_at": self.clear_at, "severity": self.severity}


@dataclass(frozen=True, slots=True)
class Indicator:
    """Its kind, and the threshold that holds until another one is set."""

    kind: str
    default: Threshold


INDICATORS: Mapping[str, Indicator] = {
    "lag_ms": Indicator(SYSTEM, Threshold(600_000, 120_000, 2)),
    "open_cases": Indicator(SYSTEM, Threshold(10, 5, 2)),
    "grave_cases": Indicator(SYSTEM, Threshold(0, 0, 3)),
    "overdue_directives": Indicator(SYSTEM, Threshold(3, 0, 2)),
    "failing_endpoints": Indicator(SYSTEM, Threshold(2, 0, 2)),
    "equivocators": Indicator(SYSTEM, Threshold(0, 0, 3)),
    "rejected_snapshots": Indicator(DATA, Threshold(5, 0, 2)),
    "puller_alarm": Indicator(DATA, Threshold(1, 0, 3)),
    "unpulled_heights": Indicator(DATA, Threshold(500, 50, 1)),
    "observation_age_ms": Indicator(DATA, Threshold(3_600_000, 600_000, 1)),
    "business_alarms": Indicator(BUSINESS, Threshold(20, 5, 2)),
    "refused_permille": Indicator(BUSINESS, Threshold(300, 150, 1)),
    "failed_calls_permille": Indicator(BUSINESS, Threshold(100, 50, 2)),
}


def stands(active: bool, value: int, threshold: Threshold) -> bool:
    """Whether the alarm stands after an assessment; ``active``: whether it did before."""
    if not threshold.raise_at:
        return False
    return value > threshold.clear_at if active else value >= threshold.raise_at


def decode_threshold(raw: bytes) -> Threshold:
    """The reverse of ``encode_threshold``."""
    row = cast(Mapping[str, int], decode_map(raw, "threshold"))
    return Threshold(row["raise_at"], row["clear_at"], row["severity"])


def encode_threshold(threshold: Threshold) -> bytes:
    """Canonical map."""
    return encode_value(threshold.row())
