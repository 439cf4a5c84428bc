"""Which numbers were seen: a sliding window in the manner of RFC 6479, for numbers that may come out of order."""

from __future__ import annotations

from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.suite import WINDOW_CALLS


class ReplayWindow:
    """Remembers the ``size`` numbers up to the highest one taken."""

    __slots__ = ("_mask", "_next", "_seen", "_size")

    def __init__(self, size: int = WINDOW_CALLS) -> None:
        self._size = size
        self._mask = (1 << size) - 1
        self._next = 0
        self._seen = 0  # bit i: number _next - 1 - i

    def check(self, number: int) -> None:
        """Raises SessionRefused: REPLAYED, TOO_OLD. Changes nothing: the record may still fail to open."""
        behind = self._next - 1 - number
        if behind >= self._size:
            what = f"call {number} is older than the last {self._size}"
            raise SessionRefused(Reason.TOO_OLD, what, where="call")
        if behind >= 0 and self._seen >> behind & 1:
            raise SessionRefused(Reason.REPLAYED, f"call {number} was taken before", where="call")

    def take(self, number: int) -> None:
        """Marks a number that ``check`` let pass and whose record opened."""
        ahead = number + 1 - self._next
        if ahead > 0:
            # A leap past the whole window must not shift by an attacker-sized count.
            self._seen = (self._seen << ahead) & self._mask if ahead < self._size else 0
            self._next = number + 1
        self._seen |= 1 << (self._next - 1 - number)
