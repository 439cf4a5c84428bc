"""Histograms, and counters and gauges read when asked for, in the Prometheus text exposition format (version 0.0.4).

Written here rather than taken from a library: it is a page of code, and a signer carries little foreign code.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COUNTS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000)

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


@dataclass(slots=True)
class Histogram:
    """Observations sorted into buckets (upper bounds, ascending) by one label's value."""

    name: str
    help: str
    bounds: Sequence[float]
    label: str = ""
    _counts: dict[str, list[int]] = field(default_factory=dict)
    _sums: dict[str, float] = field(default_factory=dict)

    def observe(self, value: float, of: str = "") -> None:
        """Count ``value`` under the label value ``of``, one of a fixed few."""
        counts = self._counts.get(of)
        if counts is None:
            counts = self._counts[of] = [0] * (len(self.bounds) + 1)
        counts[bisect_left(self.bounds, value)] += 1
        self._sums[of] = self._sums.get(of, 0.0) + value

    def count(self, of: str = "") -> int:
        """How many were observed."""
        return sum(self._counts.get(of, ()))

    def lines(self) -> list[str]:
        """Its part of the page."""
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} histogram"]
        for value, counts in sorted(self._counts.items()):
            own = {self.label: value} if self.label else {}
            total = 0
            for bound, count in zip((*self.bounds, None), counts, strict=True):
                total += count
                edge = "+Inf" if bound is None else f"{bound:g}"
                lines.append(f"{self.name}_bucket{_labels(own | {'le': edge})} {total}")
            lines.append(f"{self.name}_sum{_labels(own)} {self._sums[value]:.9g}")
            lines.append(f"{self.name}_count{_labels(own)} {total}")
        return lines


@dataclass(frozen=True, slots=True)
class Family:
    """A counter or gauge whose samples are read when the page is made."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[], Iterable[Sample]]

    def lines(self) -> list[str]:
        """Its part of the page."""
        lines = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {self.kind}"]
        lines += [f"{self.name}{_labels(labels)} {value:.15g}" for labels, value in self.read()]
        return lines


def page(parts: Iterable[Histogram | Family]) -> str:
    """The whole exposition."""
    return "\n".join(line for part in parts for line in part.lines()) + "\n"


def gauge(name: str, help_text: str, read: Callable[[], float]) -> Family:
    """A gauge without labels."""
    return Family(name, "gauge", help_text, lambda: [({}, read())])


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
