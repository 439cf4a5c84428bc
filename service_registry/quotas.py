"""Calls of the day at this gateway: ahead of what the chain has counted, so that a quota holds between batches
(docs/spec/service-registry.md §7).
"""

from __future__ import annotations

from collections import OrderedDict

from service_registry.usage import DayCount

MAX_PAIRS = 65_536
Pair = tuple[bytes, bytes]


class DayQuota:
    """Per (service, consumer): the day, and calls taken in it; bounded, the least recently used leave first."""

    def __init__(self) -> None:
        self._taken: OrderedDict[Pair, DayCount] = OrderedDict()

    def take(self, pair: Pair, day: int, counted: DayCount, limit: int) -> bool:
        """Whether one more call of the day is within ``limit`` (0: none); it is counted if so."""
        known = self._of(pair, day)
        calls = max(known.calls, counted.calls if counted.day == day else 0)
        if limit and calls >= limit:
            return False
        self._put(pair, DayCount(day, calls + 1))
        return True

    def give_back(self, pair: Pair, day: int) -> None:
        """A call that was taken and that the publisher did not answer."""
        known = self._of(pair, day)
        if known.calls:
            self._put(pair, DayCount(day, known.calls - 1))

    def _of(self, pair: Pair, day: int) -> DayCount:
        known = self._taken.get(pair)
        return known if known is not None and known.day == day else DayCount(day, 0)

    def _put(self, pair: Pair, count: DayCount) -> None:
        self._taken[pair] = count
        self._taken.move_to_end(pair)
        if len(self._taken) > MAX_PAIRS:
            self._taken.popitem(last=False)
