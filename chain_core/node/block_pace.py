"""How many transactions a primary puts into a block: what the chain lately finalised in a part of the ordering timeout.

A block is not final before every voter has verified and executed it. Filled to the chain's limit while more waits than
the machines can verify in that time, blocks outlast the ordering timeout, and every one of them costs a view change.
A policy of the primary alone: replicas judge a proposal by the chain's limits, whatever this says.
"""

from __future__ import annotations

from collections import OrderedDict, deque

WORK_PART = 1 / 2
"""What a block takes longer than the quickest ones should be within this part of the ordering timeout, ..."""
WHOLE_PART = 3 / 4
"""... and all it takes, the links' delay with it, within this one."""
LEAST = 128
"""Never fewer: what a block costs beside its transactions must not be most of it."""
FIRST = 256
"""Before anything is known: a burst after a start or a quiet time must not make the first block the slowest."""
_QUICKEST_OF = 64
"""Blocks."""
_FOLLOWED = 128
"""Heights whose proposal was seen and that are not final yet: more than the widest window."""


class BlockPace:
    """Learns from every block of whoever leads, so that a new primary need not overload the chain to know its limit."""

    __slots__ = ("_last_final_ms", "_limit", "_seen_ms", "_took_ms")

    def __init__(self) -> None:
        self._limit = FIRST
        self._seen_ms: OrderedDict[int, int] = OrderedDict()
        self._took_ms: deque[int] = deque(maxlen=_QUICKEST_OF)
        self._last_final_ms = 0

    def limit(self, most: int) -> int:
        """How many transactions the next block should hold at most; ``most`` is the chain's own limit."""
        return min(most, self._limit)

    def proposed(self, height: int, now_ms: int) -> None:
        """The first proposal at a height was made or seen."""
        self._seen_ms.setdefault(height, now_ms)
        if len(self._seen_ms) > _FOLLOWED:
            self._seen_ms.popitem(last=False)

    def finalised(self, height: int, count: int, now_ms: int, order_timeout_ms: int) -> None:
        """A height with ``count`` transactions is final. Counted from the end of the height before, if it was in flight
        then already: heights in flight together share the machines. A clock that was set back counts as no time.
        """
        seen_ms = self._seen_ms.pop(height, None)
        began_ms = now_ms if seen_ms is None else max(seen_ms, self._last_final_ms)
        self._last_final_ms = now_ms
        if seen_ms is None or count == 0:
            return
        took_ms = max(0, now_ms - began_ms)
        self._took_ms.append(took_ms)
        work_ms = took_ms - min(self._took_ms)  # the rest is what a round takes with anything in it
        target_ms, most_ms = int(order_timeout_ms * WORK_PART), int(order_timeout_ms * WHOLE_PART)
        if work_ms > target_ms or took_ms > most_ms:
            if 2 * count >= self._limit:  # few that took long did so for another reason
                self._limit = max(LEAST, min(count * target_ms // max(work_ms, 1), count // 2))
        elif count >= self._limit and 2 * work_ms <= target_ms:
            self._limit *= 2
