"""What a successor's ledger stands on: its predecessor's last state, laid before height 0 (docs/spec/successor.md §4).

The record ``Mfoundation`` is written last: a crash before it leaves a ledger without one, and the laying begins anew.
"""

from __future__ import annotations

from pathlib import Path

from chain_core.codec.snapshot import SEEN, STATE
from chain_core.ledger import binding, digests, keys
from chain_core.ledger.database import Database
from chain_core.ledger.errors import BlockRefused
from chain_core.ledger.snapshot_build import EntryWriter
from chain_core.ledger.snapshot_file import SnapshotFile
from chain_core.ledger.snapshot_import import clear
from chain_core.ledger.snapshot_view import TREE_NAMES

_BEFORE_HEIGHT_0 = -1


def lay_foundation(path: Path, bound: binding.Binding, snapshot: SnapshotFile) -> None:
    """Makes ``path`` a ledger that holds the snapshot's state and no height yet; what an earlier attempt left goes.

    Raises InvalidProof when the file does not hold what its header commits to, BlockRefused when the ledger has begun,
    and the store's own refusals.
    """
    database = Database(path)
    try:
        binding.bind(database, bound)
        if database.get(keys.META_FINAL) is not None:
            raise BlockRefused(
                "this ledger has begun already", where=str(path), next_step="start the node, or name an empty directory"
            )
        for prefix in (keys.META_FOUNDATION, keys.STATE, keys.SEEN, keys.EXPIRY, keys.ENTRY, *digests.PREFIXES):
            clear(database, prefix)
        writers = (EntryWriter(database, STATE), EntryWriter(database, SEEN))
        found = snapshot.read_trees(lambda tree, items, size: writers[tree].add(items, size))
        for tree in (STATE, SEEN):
            entries = writers[tree].finish()
            digests.write_pages(database, TREE_NAMES[tree], found[tree], entries, _BEFORE_HEIGHT_0)
        batch = database.batch()
        batch.put(keys.META_FOUNDATION, snapshot.header_bytes)
        database.write(batch)
    finally:
        database.close()
