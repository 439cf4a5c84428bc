"""What a relayer measures, on one page (docs/spec/relayer.md, metrics)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from chain_core.node.metrics import SECONDS, Family, Histogram, Sample, page
from chain_core.types.transaction import Operation
from chain_core.types.values import Value

UP, DOWN, SERVICES = "up", "down", "services"
WAYS = (UP, DOWN, SERVICES)
CARRIED, OVERTAKEN, FAILED = "carried", "overtaken", "failed"
OUTCOMES = (CARRIED, OVERTAKEN, FAILED)
NEWS, POLL = "news", "poll"
_PREFIX = "dualchain_relayer_"


def load_of(plan: Sequence[Operation]) -> tuple[int, int]:
    """Headers and packets (downward: directives) that a transaction brings."""
    headers = packets = 0
    for operation in plan:
        args = operation.args
        headers += len(cast(Sequence[Value], args["headers"])) if "headers" in args else "header" in args
        packets += sum(len(cast(Sequence[Value], args.get(name, ()))) for name in ("packets", "directives"))
    return headers, packets


class RelayerMetrics:
    """Counters that the relayer feeds; gauges hold what it saw when it looked last."""

    def __init__(self) -> None:
        self.submit = Histogram(
            f"{_PREFIX}submit_seconds", "From handing in a transaction to its proven receipt.", SECONDS, "way"
        )
        self._transactions: Counter[tuple[str, str]] = Counter({(w, o): 0 for w in WAYS for o in OUTCOMES})
        self._headers: Counter[str] = Counter(dict.fromkeys(WAYS, 0))
        self._packets: Counter[str] = Counter(dict.fromkeys(WAYS, 0))
        self._wakes: Counter[tuple[str, str]] = Counter({(w, by): 0 for w in WAYS for by in (NEWS, POLL)})
        self._bad: Counter[str] = Counter({"supervisory": 0, "local": 0})
        self._seen: dict[str, dict[str, int]] = {}

    def carried(self, way: str, plan: Sequence[Operation], seconds: float) -> None:
        """A transaction is final and took effect."""
        headers, packets = load_of(plan)
        self._transactions[way, CARRIED] += 1
        self._headers[way] += headers
        self._packets[way] += packets
        self.submit.observe(seconds, way)

    def missed(self, way: str, outcome: str) -> None:
        """A round ended otherwise: OVERTAKEN or FAILED."""
        self._transactions[way, outcome] += 1

    def woken(self, way: str, by: str) -> None:
        """It looks again, by NEWS or by POLL."""
        self._wakes[way, by] += 1

    def bad_answer(self, chain: str) -> None:
        """A node's answer did not verify."""
        self._bad[chain] += 1

    def saw(self, way: str, seen: Mapping[str, int]) -> None:
        """Proven state: ``source_height``, ``followed_height``, ``pending`` and ``frozen``."""
        self._seen[way] = dict(seen)

    def text(self) -> str:
        """The page."""
        return page([*self._counters(), *(self._gauge(*row) for row in _GAUGES), self.submit])

    def _counters(self) -> Iterable[Family]:
        def pairs(counter: Counter[tuple[str, str]], second: str) -> list[Sample]:
            return [({"way": way, second: name}, count) for (way, name), count in sorted(counter.items())]

        def singles(counter: Counter[str], label: str) -> list[Sample]:
            return [({label: name}, count) for name, count in sorted(counter.items())]

        rows = (
            ("transactions", "Transactions handed in, by outcome.", lambda: pairs(self._transactions, "outcome")),
            ("headers", "Headers brought.", lambda: singles(self._headers, "way")),
            ("packets", "Packets brought; downward directives.", lambda: singles(self._packets, "way")),
            ("wakes", "Looks at the chains after a pause, by reason.", lambda: pairs(self._wakes, "by")),
            ("bad_answers", "Answers of nodes that did not verify.", lambda: singles(self._bad, "chain")),
        )
        return [Family(f"{_PREFIX}{name}_total", "counter", text, read) for name, text, read in rows]

    def _gauge(self, name: str, text: str) -> Family:
        return Family(
            f"{_PREFIX}{name}",
            "gauge",
            text,
            lambda: [({"way": way}, seen[name]) for way, seen in sorted(self._seen.items()) if name in seen],
        )


_GAUGES = (
    ("source_height", "Final height of the chain that sends."),
    ("followed_height", "Height of it that the other chain has verified."),
    ("pending", "Packets, downward directives, sent and not arrived."),
    ("frozen", "1: the other chain has stopped following."),
)
