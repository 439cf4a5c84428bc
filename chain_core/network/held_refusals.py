"""Refusals for going too fast are held back a little: who asks again at once is slowed to a call a second for each it
has open, and costs next to nothing meanwhile (docs/spec/access.md §4).

Bounded: what does not fit is refused at once, so that held calls never crowd out a port's others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final

HOLD_S: Final = 1.0
OF_ONE = 64
IN_ALL = 512


class HeldRefusals:
    """``hold_s`` 0: nothing is held."""

    def __init__(self, hold_s: float = HOLD_S) -> None:
        self._hold_s = hold_s
        self._held: Counter[str] = Counter()

    async def hold(self, key: str, retry_after_ms: int) -> None:
        """Returns when the refusal may go out: after its own hint, at most ``hold_s``; at once without room."""
        held_s = min(self._hold_s, retry_after_ms / 1_000)
        # A Counter answers 0 for keys it does not have, and does not keep them.
        if held_s <= 0 or self._held[key] >= OF_ONE or self._held.total() >= IN_ALL:
            return
        self._held[key] += 1
        try:
            await asyncio.sleep(held_s)
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]

    @property
    def held(self) -> int:
        """Now."""
        return self._held.total()
