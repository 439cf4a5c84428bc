"""The tree over all headers, kept whole: frontier for the next header, inner nodes for proofs at O(log n) reads.

Each perfect subtree of level 1 and above is written once, by the block that completes it: one value a block on
average. Level 0 are the leaf hashes of the stored headers.
"""

from __future__ import annotations

from typing import NoReturn

from chain_core.crypto.errors import MalformedTree
from chain_core.crypto.merkle import HistoryTree, consistency_path, inclusion_path, leaf_hash
from chain_core.ledger import keys
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.errors import corrupt
from chain_core.types.packet import ConsistencyProof, InclusionProof


class HistoryStore:
    """The history tree of one ledger: ``tree`` is over the headers 0 .. final."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.tree = HistoryTree()

    def restore(self, frontier: bytes) -> None:
        """Takes the stored frontier. Raises MalformedTree."""
        self.tree = HistoryTree.restore(frontier)

    def append(self, batch: Batch, header_bytes: bytes) -> HistoryTree:
        """Puts what a header adds into ``batch``; returns the grown tree, to be assigned once that is durable."""
        grown = self.tree.copy()
        add(batch, grown, header_bytes)
        batch.put(keys.META_HISTORY, grown.serialise())
        return grown

    def prove_header(self, height: int, count: int) -> InclusionProof:
        """Header ``height`` among the first ``count``; raises MalformedTree unless height < count <= final + 1."""
        self._check(count)
        return InclusionProof(height, count, inclusion_path(self._node, height, count))

    def prove_beginning(self, first: int, second: int) -> ConsistencyProof:
        """That the first ``second`` headers begin with the first ``first``; raises MalformedTree unless
        0 < first <= second <= final + 1.
        """
        self._check(second)
        return ConsistencyProof(first, second, consistency_path(self._node, first, second))

    def _check(self, count: int) -> None:
        if count > self.tree.count:
            raise MalformedTree(f"{count} headers asked for, {self.tree.count} are final", where="count")

    def _node(self, level: int, index: int) -> bytes:
        return _node(self._database, level, index)


def beginning(database: Database, count: int) -> HistoryTree:
    """The tree over the first ``count`` headers, from the nodes that longer ones left. Raises StoreCorrupt."""
    peaks, covered = [], 0
    for level in reversed(range(count.bit_length())):
        if count >> level & 1:
            peaks.append(_node(database, level, covered >> level))
            covered += 1 << level
    return HistoryTree.restore(count.to_bytes(8, "big") + b"".join(peaks))


def _node(database: Database, level: int, index: int) -> bytes:
    if level:
        return database.get(keys.history_node(level, index)) or _lost(database, f"node {index} of level {level}")
    header = database.get(keys.at_height(keys.HEADER, index))
    return leaf_hash(header) if header is not None else _lost(database, f"header {index}")


def _lost(database: Database, what: str) -> NoReturn:
    corrupt(f"{what} of the history is missing", database.path)


def add(batch: Batch, tree: HistoryTree, header_bytes: bytes) -> None:
    """Appends a header to ``tree`` and puts the subtrees it completes into ``batch``."""
    index = tree.count
    for level, node in enumerate(tree.grow(leaf_hash(header_bytes))):
        if level:
            batch.put(keys.history_node(level, index >> level), node)
