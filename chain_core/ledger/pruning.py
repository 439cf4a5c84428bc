"""Removing the bodies and receipts of old blocks, and putting them back (docs/spec/archive.md).

What a ledger has stays one range of heights, from ``height`` + 1 up to the final one, whatever moment a crash picks.
"""

from __future__ import annotations

from chain_core.ledger import keys
from chain_core.ledger.blocks import ArchivedBlock, BlockStore
from chain_core.ledger.database import Batch, Database

HEIGHTS_A_BATCH = 64


class Pruning:
    """The lower end of what a ledger has of its blocks."""

    def __init__(self, database: Database, blocks: BlockStore) -> None:
        self._database, self._blocks = database, blocks
        stored = database.get(keys.META_PRUNED)
        self.height = 0 if stored is None else int.from_bytes(stored, "big")

    def step(self, through: int, most: int = HEIGHTS_A_BATCH) -> int:
        """Removes at most ``most`` heights, the lowest first, none above ``through``. How many it removed."""
        heights = range(self.height + 1, min(through, self.height + most) + 1)
        if not heights:
            return 0
        batch = self._database.batch()
        for height in heights:
            self._blocks.remove(batch, height)
        self._set(batch, heights[-1])
        return len(heights)

    def restore(self, blocks: dict[int, ArchivedBlock]) -> None:
        """Puts back consecutive blocks that end at the highest pruned height. Their contents were verified."""
        if sorted(blocks) != list(range(self.height - len(blocks) + 1, self.height + 1)):
            raise ValueError("only the highest pruned heights can be put back")
        batch = self._database.batch()
        for height, block in blocks.items():
            self._blocks.put_back(batch, height, block)
        self._set(batch, min(blocks) - 1)

    def compact(self) -> None:
        """Gives the room of removed values back to the file system; takes seconds a gigabyte."""
        for kind in (keys.BATCH, keys.ENVELOPES, keys.RECEIPTS, keys.EVENTS):
            self._database.compact(kind, keys.at_height(kind, self.height + 1))
        self._database.compact(keys.TRANSACTION, keys.after(keys.TRANSACTION))

    def _set(self, batch: Batch, height: int) -> None:
        batch.put(keys.META_PRUNED, height.to_bytes(8, "big"))
        self._database.write(batch)
        self.height = height
