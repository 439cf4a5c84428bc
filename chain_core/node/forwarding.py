"""Which pooled bodies the primary was given, and when: what a backup's timer may count (PBFT §4.4).

A body that reached only this node would be late without the primary's fault, so it is given to the primary before it
counts; and given again, since frames get lost. A primary that orders other bodies and leaves one out is deposed too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

FORWARD_LIMIT = 512
"""Bodies forwarded at once, the oldest first."""


@dataclass(slots=True)
class _Waiting:
    since_ms: int
    """When the body arrived, then when a primary was last given it."""
    given: bool = False
    counted_ms: int | None = None
    """Since when the present primary is late with it."""


class Forwarding:
    """Bounded by the pool: an entry for each pooled body, in order of arrival."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, _Waiting] = OrderedDict()
        self._given = 0
        self._view = self._asked_ms = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def any_given(self) -> bool:
        """Whether the primary has anything that a correct one would propose."""
        return self._given > 0

    def arrived(self, envelope_id: bytes, now_ms: int) -> None:
        """A body was pooled."""
        self._waiting.setdefault(envelope_id, _Waiting(now_ms))

    def gone(self, envelope_ids: Iterable[bytes]) -> None:
        """These are final, or expired."""
        for envelope_id in envelope_ids:
            entry = self._waiting.pop(envelope_id, None)
            if entry is not None and entry.given:
                self._given -= 1

    def give(self, envelope_ids: Iterable[bytes], now_ms: int) -> None:
        """These were sent to the primary, or pushed to all."""
        for envelope_id in envelope_ids:
            entry = self._waiting.get(envelope_id)
            if entry is None:
                continue
            if not entry.given:
                self._given += 1
            entry.given, entry.since_ms = True, now_ms
            if entry.counted_ms is None:
                entry.counted_ms = now_ms

    def oldest(self) -> list[bytes]:
        """The bodies that waited longest, at most FORWARD_LIMIT."""
        return list(islice(self._waiting, FORWARD_LIMIT))

    def due(self, now_ms: int, after_ms: int) -> list[bytes]:
        """Of the oldest, those that arrived or were given ``after_ms`` ago (or later, if the clock was set back)."""
        oldest = islice(self._waiting.items(), FORWARD_LIMIT)
        return [envelope_id for envelope_id, entry in oldest if not 0 <= now_ms - entry.since_ms < after_ms]

    def given(self) -> list[bytes]:
        """The bodies that the primary was given, in order of arrival."""
        return [envelope_id for envelope_id, entry in self._waiting.items() if entry.given]

    def overdue(self, view: int, now_ms: int, after_ms: int) -> bool:
        """Whether the primary of ``view`` has been given one of the oldest ``after_ms`` ago.

        A new view starts anew, and so does a clock that was set back: it would excuse the primary for as long."""
        if view != self._view or now_ms < self._asked_ms:
            self._view = view
            for entry in self._waiting.values():
                entry.counted_ms = now_ms if entry.given else None
        self._asked_ms = now_ms
        oldest = islice(self._waiting.values(), FORWARD_LIMIT)
        return any(e.counted_ms is not None and now_ms - e.counted_ms >= after_ms for e in oldest)
