"""Who waits for which transactions to become final: one wait a call, woken by final blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from chain_core.node import receipt_view
from chain_core.node.ports import FinalBlock


class Wait:
    """The transactions of one call, each with the envelope it was handed in as.

    ``found`` maps transaction ids to (height, index) of their receipts.
    """

    __slots__ = ("_done", "found", "missing")

    def __init__(self, envelope_ids: Mapping[bytes, bytes]) -> None:
        self.missing = dict(envelope_ids)
        self.found: dict[bytes, tuple[int, int]] = {}
        self._done = asyncio.Event()
        self._check()

    def settle(self, transaction_id: bytes, height: int, index: int) -> None:
        """A receipt of the transaction is final."""
        if self.missing.pop(transaction_id, None) is not None:
            self.found[transaction_id] = (height, index)
            self._check()

    def forget(self, transaction_id: bytes) -> None:
        """This one will not become final by this call: it was refused."""
        self.missing.pop(transaction_id, None)
        self._check()

    async def until(self, timeout_s: float) -> None:
        """Returns when nothing is missing, or after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._done.wait()
        except TimeoutError:
            return

    def _check(self) -> None:
        if not self.missing:
            self._done.set()


class FinalityWaits:
    """All waits of this node. Bounded by the calls in progress, each of which is bounded."""

    def __init__(self) -> None:
        self._waits: dict[bytes, list[Wait]] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def add(self, wait: Wait) -> None:
        """Tell ``wait`` about what it misses, until ``remove``."""
        for transaction_id in wait.missing:
            self._waits.setdefault(transaction_id, []).append(wait)

    def remove(self, wait: Wait, transaction_ids: Iterable[bytes]) -> None:
        """The call is over."""
        for transaction_id in transaction_ids:
            waits = self._waits.get(transaction_id)
            if waits is not None and wait in waits:
                waits.remove(wait)
                if not waits:
                    del self._waits[transaction_id]

    def finalised(self, block: FinalBlock) -> None:
        """Wake who waits for a receipt of this block."""
        if not self._waits:
            return
        for index, receipt in enumerate(block.receipts):
            transaction_id = receipt_view.transaction_id(receipt)
            for wait in self._waits.get(transaction_id, ()):
                own = wait.missing.get(transaction_id)
                if own is not None and receipt_view.settles(receipt, own):
                    wait.settle(transaction_id, block.height, index)
