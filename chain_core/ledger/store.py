"""The ledger store: one LevelDB database holds one ledger's blocks, state, seen set and vote log (docs/spec/ledger.md).

Only final state is in it. A block is staged (roots computed, nothing changed), certified, and committed in one atomic
synced batch. One thread uses a store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.seen import decode_seen
from chain_core.crypto.errors import MalformedTree
from chain_core.crypto.hashing import sm3
from chain_core.ledger import binding, evidence, keys
from chain_core.ledger.blocks import ArchivedBlock, BlockStore
from chain_core.ledger.bucket_tree import BucketTree, TreeChange
from chain_core.ledger.database import Batch, Database
from chain_core.ledger.digests import DigestLog
from chain_core.ledger.errors import BlockRefused, corrupt
from chain_core.ledger.history import HistoryStore
from chain_core.ledger.kept import KeptBodies
from chain_core.ledger.pruning import HEIGHTS_A_BATCH, Pruning
from chain_core.ledger.records import BlockRecord, Staged
from chain_core.ledger.reopenings import Reopenings
from chain_core.ledger.roots import SEEN_BUCKETS, STATE_BUCKETS
from chain_core.ledger.seen_index import EVERYTHING, Added, SeenIndex
from chain_core.ledger.snapshot_build import build_if_due
from chain_core.ledger.snapshot_import import SnapshotImport
from chain_core.ledger.snapshot_view import SnapshotView
from chain_core.ledger.value_cache import ValueCache
from chain_core.ledger.vote_log import VoteLog
from chain_core.types.block import CertifiedBlock, Header
from chain_core.types.errors import MalformedBytes
from chain_core.types.evidence import Equivocation
from chain_core.types.ids import MAX_U64, ZERO_HASH
from chain_core.types.packet import StateProof

__all__ = ["NO_HEIGHT", "BlockRecord", "LedgerStore", "Staged"]

KEPT_HEIGHTS = 128
"""Final heights that are never pruned: peers slightly behind fetch them."""
NO_HEIGHT = -1
"""Final height of a store whose genesis is not installed yet."""

_STATE_TREE, _SEEN_TREE = b"s", b"u"


class LedgerStore:
    """One open ledger. Any method may raise StoreCorrupt or StoreFailed."""

    def __init__(self, database: Database, bound: binding.Binding) -> None:
        """Use ``open``."""
        self._database = database
        self._binding = bound
        self._blocks = BlockStore(database)
        self.pruning = Pruning(database, self._blocks)
        self._seen = SeenIndex(database)
        # The final state alone: reads of what is in memory cost the least there.
        self.state = ValueCache(lambda key: database.get(keys.STATE + key))
        self._log, self.kept = VoteLog(database), KeptBodies(database)
        self._state_tree = BucketTree(database, _STATE_TREE, signed.STATE_ROOT, bound.state_buckets)
        self._seen_tree = BucketTree(database, _SEEN_TREE, signed.SEEN_ROOT, bound.seen_buckets)
        self._state_digests, self._seen_digests = DigestLog(database, _STATE_TREE), DigestLog(database, _SEEN_TREE)
        self.history, self.reopenings = HistoryStore(database), Reopenings(database)
        self._final_height = NO_HEIGHT
        self._final_hash = ZERO_HASH
        final, self.foundation = database.get(keys.META_FINAL), database.get(keys.META_FOUNDATION)
        if final is not None:
            self._restore(int.from_bytes(final, "big"))
        elif self.foundation is not None:
            self._restore_trees(self.foundation, NO_HEIGHT)

    @property
    def ledger(self) -> int:
        """Whose blocks these are."""
        return self._binding.ledger

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        genesis_hash: bytes,
        ledger: int = 0,
        state_buckets: int = STATE_BUCKETS,
        seen_buckets: int = SEEN_BUCKETS,
    ) -> LedgerStore:
        """Opens the ledger in directory ``path``, creating it when there is none.

        Raises OtherVersion, WrongGenesis, StoreLocked, StoreCorrupt, DiskFull, StoreFailed.
        """
        database = Database(Path(path))
        try:
            bound = binding.Binding(genesis_hash, ledger, state_buckets, seen_buckets)
            binding.bind(database, bound)
            build_if_due(database)
            return cls(database, bound)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Releases the directory; closing twice is harmless."""
        self._database.close()

    def measure_writes(self, told: Callable[[float], None]) -> None:
        """``told`` gets the seconds that each synced write takes."""
        self._database.measured = told

    def __enter__(self) -> LedgerStore:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- final chain

    @property
    def genesis_hash(self) -> bytes:
        """The chain it belongs to."""
        return self._binding.genesis_hash

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._database.path

    @property
    def final_height(self) -> int:
        """Height of the last final block; 0 right after ``install_genesis``, NO_HEIGHT before."""
        return self._final_height

    def header(self, height: int) -> bytes | None:
        """The final header's 408 bytes."""
        return self._blocks.header(height) if height <= self._final_height else None

    def certificate(self, height: int) -> bytes | None:
        """The encoded finality certificate; height 0 has none."""
        return self._blocks.certificate(height) if height <= self._final_height else None

    def block(self, height: int) -> CertifiedBlock | None:
        """The certified block; None for height 0, above the final height, and where bodies are pruned."""
        return self._blocks.block(height)

    def archived(self, height: int) -> ArchivedBlock | None:
        """The block with receipts, events and packets, as an archive holds it."""
        return self._blocks.archived(height)

    def prune(self, through: int, most: int = HEIGHTS_A_BATCH) -> int:
        """Removes bodies and receipts of at most ``most`` heights up to ``through``, the lowest first; how many.

        The last KEPT_HEIGHTS stay whatever ``through`` says. One synced batch; ``pruning.compact`` frees the disk.
        """
        return self.pruning.step(min(through, self._final_height - KEPT_HEIGHTS), most)

    def receipts(self, height: int) -> tuple[bytes, ...]:
        """Encoded receipts, one an envelope."""
        return self._blocks.items(keys.RECEIPTS, height)

    def events(self, height: int) -> tuple[bytes, ...]:
        """Encoded events, one value an envelope."""
        return self._blocks.items(keys.EVENTS, height)

    def outbox(self, height: int) -> tuple[bytes, ...]:
        """Encoded packets in emission order."""
        return self._blocks.items(keys.OUTBOX, height)

    def locate(self, transaction_id: bytes) -> tuple[int, int] | None:
        """(height, index) of a final transaction: where it used its nonce, else where it stood first."""
        return self._blocks.locate(transaction_id)

    def history_root_of(self, height: int) -> tuple[bytes, int]:
        """RFC 6962 root over the headers 0 .. ``height`` - 1, and their count. ``height`` is at most final + 1."""
        if height == self._final_height + 1:
            return self.history.tree.root, self.history.tree.count
        raw = self.header(height)
        if raw is None:
            self._refuse(f"the history root of height {height} is not known yet")
        header = decode_header(raw)
        return header.history_root, header.history_count

    # -- snapshots

    def view(self) -> SnapshotView:
        """The present final height as a snapshot serves it. Close it, and before the store."""
        header = self._blocks.header(self._final_height) or b""
        return SnapshotView(self._database.image(), header, (self._state_tree, self._seen_tree))

    def snapshot_import(self) -> SnapshotImport:
        """What is stored of a snapshot on its way in."""
        return SnapshotImport(self._database, self.history.tree, self._state_tree.empty_digest)

    # -- final state

    def get(self, key: bytes) -> bytes | None:
        """The final value of a full state key."""
        return self.state.get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[tuple[bytes, bytes]]:
        """At most ``limit`` pairs whose full key starts with ``prefix``, ascending, those above ``after`` only."""
        first = keys.STATE + prefix
        start = max(first, keys.STATE + after + b"\x00") if after else first
        found = self._database.scan(start, keys.after(first), limit)
        return [(key[1:], value) for key, value in found]

    def seen(self, key: bytes) -> bytes | None:
        """The encoded entry of a used nonce (codec/seen.py)."""
        return self._seen.get(key)

    def seen_expired(self, before_ms: int, limit: int = EVERYTHING) -> list[bytes]:
        """Seen keys whose valid_until_ms < ``before_ms``, ascending by (valid_until_ms, key); the first ``limit``."""
        return self._seen.expired(before_ms, limit)

    def prove_state(self, key: bytes) -> tuple[bytes | None, StateProof]:
        """The value of a full state key, or None, with its proof under the final header's state root."""
        return self._proven(key, self._database.get(keys.STATE + key), self._state_tree)

    def prove_seen(self, key: bytes) -> tuple[bytes | None, StateProof]:
        """The entry of a seen key, or None, with its proof under the final header's seen root."""
        return self._proven(key, self.seen(key), self._seen_tree)

    # -- the next block

    def stage(
        self,
        writes: Mapping[bytes, bytes | None],
        seen_added: Mapping[bytes, bytes],
        seen_removed: Sequence[bytes],
    ) -> Staged:
        """The roots after these writes (None removes a key) and changes of the seen set. Changes nothing."""
        seen_changes: dict[bytes, bytes | None] = dict.fromkeys(seen_removed)
        seen_changes.update(seen_added)
        may_grow = self._final_height != NO_HEIGHT  # the genesis root follows from the document alone
        state = self._state_tree.stage(writes, may_grow=may_grow)
        seen = self._seen_tree.stage(seen_changes, may_grow=may_grow)
        return Staged(
            self._final_height,
            state.root,
            seen.root,
            dict(writes),
            dict(seen_added),
            tuple(seen_removed),
            state,
            seen,
        )

    def install_genesis(self, header_bytes: bytes, writes: Mapping[bytes, bytes | None]) -> None:
        """Makes height 0 durable: the uncertified header and the state it commits to. Raises BlockRefused."""
        if self._final_height != NO_HEIGHT:
            self._refuse("the genesis is installed already")
        staged = self.stage(writes, {}, ())
        self._check_continues(header_bytes, staged)
        batch = self._database.batch()
        batch.put(keys.at_height(keys.HEADER, 0), header_bytes)
        self._commit(batch, header_bytes, staged, ())

    def commit_block(self, block: BlockRecord) -> None:
        """Makes the next block final in one atomic synced batch, and drops the vote log up to its height.

        Raises BlockRefused for a block that does not continue the chain or was staged on another height, DiskFull and
        StoreFailed when nothing of it has been taken.
        """
        header = self._check_continues(block.header_bytes, block.staged)
        if self._final_height == NO_HEIGHT:
            self._refuse("install the genesis first")
        count = header.transaction_count
        if not count == header.receipt_count == len(block.envelopes) == len(block.receipts) == len(block.events):
            self._refuse("envelopes, receipts and events are not one each for the header's transactions")
        if header.outbox_count != len(block.outbox):
            self._refuse("the packets are not as many as the header's outbox has")
        added = [(key, value, decode_seen(value)) for key, value in block.staged.seen_added.items()]
        first_uses = {entry.transaction_id: entry.index for _, _, entry in added}
        batch = self._database.batch()
        self._blocks.write(batch, header.height, block, first_uses)
        self._commit(batch, block.header_bytes, block.staged, added)

    # -- vote log

    def log_write(
        self,
        records: Sequence[tuple[bytes, bytes]],
        bodies: Mapping[bytes, bytes] | None = None,
        deletes: Sequence[bytes] = (),
    ) -> None:
        """One atomic synced write of log records (keys from vote_log.record_key), replacing those of equal keys.

        ``bodies`` (envelope id to raw envelope) are kept until the highest height among ``records`` is final, or
        the next height when no record has one. ``deletes`` are keys of records to drop.
        """
        heights = [height for key, _ in records if (height := int.from_bytes(key[:8], "big")) != MAX_U64]
        self._log.write(records, bodies or {}, deletes, max(heights, default=self._final_height + 1))

    def log_read(self) -> list[tuple[bytes, bytes]]:
        """All log records, ascending by key: by height, those without a height last."""
        return self._log.read()

    def logged_body(self, envelope_id: bytes) -> bytes | None:
        """A raw envelope from the log."""
        return self._log.body(envelope_id)

    def add_equivocation(self, proof: Equivocation) -> bool:
        """Keep a proof, synced: the first one a signer, epoch and kind. False when one is there, or too many are."""
        return evidence.add_proof(self._database, proof)

    def equivocations(self) -> list[bytes]:
        """Encoded proofs (codec/evidence.py), ascending by epoch, signer and kind; at most MAX_EQUIVOCATIONS."""
        return evidence.proofs(self._database)

    # -- inside

    def _restore(self, height: int) -> None:
        raw, frontier = self._blocks.header(height), self._database.get(keys.META_HISTORY)
        if raw is None or frontier is None:
            self._corrupt(f"the final height is {height}, but its header or the history is missing")
        try:
            self.history.restore(frontier)
            self._restore_trees(raw, height)
        except (MalformedBytes, MalformedTree) as error:
            self._corrupt(f"final header or history cannot be read: {error}")
        if self.history.tree.count != height + 1:
            self._corrupt(f"the history does not end at header {height}")
        self._final_height, self._final_hash = height, header_hash(raw)

    def _restore_trees(self, raw: bytes, height: int) -> None:
        self._state_digests.restore(self._state_tree, height)
        self._seen_digests.restore(self._seen_tree, height)
        header = decode_header(raw)
        if (self._state_tree.root, self._seen_tree.root) != (header.state_root, header.seen_root):
            self._corrupt(f"the stored trees do not have the roots of header {header.height}")

    def _check_continues(self, header_bytes: bytes, staged: Staged) -> Header:
        header = decode_header(header_bytes)
        root, count = self.history.tree.root, self.history.tree.count
        # A sub-ledger's first header names one of ledger 0, a successor's one of its predecessor.
        follows = header.height > 0 or not (self.ledger or self.foundation)
        checks = {
            "height": (header.height, self._final_height + 1),
            "height it was staged on": (staged.base_height, self._final_height),
            "genesis hash": (header.genesis_hash, self._binding.genesis_hash),
            "ledger": (header.ledger, self._binding.ledger),
            "previous header hash": (header.prev_hash, self._final_hash if follows else header.prev_hash),
            "history root": ((header.history_root, header.history_count), (root, count)),
            "state root": (header.state_root, staged.state_root),
            "seen root": (header.seen_root, staged.seen_root),
        }
        for name, (found, expected) in checks.items():
            if found != expected:
                self._refuse(f"the block's {name} is not what this ledger continues with")
        return header

    def _commit(self, batch: Batch, header_bytes: bytes, staged: Staged, seen_added: Sequence[Added]) -> None:
        """Adds state, trees, history, final height and the end of the vote log; writes; then takes it over."""
        height = self._final_height + 1
        history = self.history.append(batch, header_bytes)
        for key, value in staged.writes.items():
            if value is None:
                batch.delete(keys.STATE + key)
            else:
                batch.put(keys.STATE + key, value)
        self._seen.write(batch, seen_added, staged.seen_removed)
        for digests, tree, change in self._trees(staged):
            change.write(batch)
            digests.write(batch, tree, change, height)
        self._log.delete_through(batch, height)
        batch.put(keys.META_FINAL, height.to_bytes(8, "big"))
        self._database.write(batch)
        for digests, tree, change in self._trees(staged):
            tree.adopt(change)
            digests.adopt()
        self.state.committed(staged.writes)
        self._seen.adopt(seen_added)
        self._log.forget_through(height)
        self.history.tree = history
        self._final_height, self._final_hash = height, header_hash(header_bytes)

    def _trees(self, staged: Staged) -> tuple[tuple[DigestLog, BucketTree, TreeChange], ...]:
        return (
            (self._state_digests, self._state_tree, staged.state_change),
            (self._seen_digests, self._seen_tree, staged.seen_change),
        )

    def _proven(self, key: bytes, value: bytes | None, tree: BucketTree) -> tuple[bytes | None, StateProof]:
        proof = tree.prove(key)
        if proof.present != (value is not None) or (value is not None and proof.entries[0].value_hash != sm3(value)):
            self._corrupt(f"value and tree disagree at key {key.hex()}")
        return value, proof

    def _refuse(self, what: str) -> NoReturn:
        raise BlockRefused(
            what,
            where=f"{self._database.path}, final height {self._final_height}",
            next_step="stage the block again on the final height; if that repeats, stop and report it",
        )

    def _corrupt(self, what: str) -> NoReturn:
        corrupt(what, self._database.path)
