"""From a final block to snapshots in the database: one transaction with the cursor (docs/spec/exporter.md §1, §5, §6).

No network and no store in here. What is written here has left nowhere yet, so a block may be taken again after a crash.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from chain_core.crypto.hashing import sm3, sm3_many
from chain_core.node.log import event
from chain_core.types.values import Value
from contracts.data_model import lifecycle
from contracts.data_model.emission import check_emission, check_whole_body
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.json_text import Json, canonical, merge_patch
from contracts.data_model.lifecycle import Change, Version
from contracts.data_model.references import references
from contracts.data_model.seals import seal_many
from contracts.data_model.snapshot import CONTENT_MODE, FULL, Operation, Snapshot
from local_chain.exporter import bodies
from local_chain.exporter.attributes import Attributes
from local_chain.exporter.bindings import parts_of
from local_chain.exporter.database import Database, Row, Status
from local_chain.exporter.errors import ExporterFault, UnknownObject
from local_chain.exporter.finishing import finish
from local_chain.exporter.mapping import apply_event
from local_chain.exporter.signing import sign_on_all_cores
from local_chain.exporter.working import Label, Market, Working

log = logging.getLogger(__name__)

Events = Sequence[tuple[str, Sequence[Value]]]
"""Of each successful transaction of a block: its id in hexadecimal, its events as [contract, name, fields]."""

_EMPTY = canonical({})
_BLOCKED = (Status.HELD, Status.WAITING)

Failpoint = Callable[[str], None]
"""Tests crash here; in a process nothing happens."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """The owner's key of purpose ``assertion``."""

    private: bytes
    public: bytes


@dataclass(frozen=True, slots=True)
class Pending:
    """A snapshot that is decided and not sealed yet."""

    snapshot: Snapshot
    body: bytes
    status: Status
    faults: str


class Exporter:
    """Decides what is written. Used by one process, on one thread."""

    def __init__(
        self,
        database: Database,
        attributes: Attributes,
        market: Market,
        key: SealKey,
        failpoint: Failpoint = lambda _: None,
    ) -> None:
        self._database, self._attributes, self._market, self._key = database, attributes, market, key
        self._failpoint = failpoint
        self._blocked = database.blocked()
        self._noted: set[str] = set()

    @property
    def next_height(self) -> int:
        """The block to take next."""
        return self._database.meta("height") + 1

    def take(self, height: int, time_ms: int, transactions: Events, labels: Mapping[bytes, Label]) -> int:
        """Everything of one block, and of attributes that changed before it; how many snapshots were written.

        Raises ExporterFault for a block that does not follow the last one, or that contradicts the books.
        """
        if height != self.next_height:
            raise ExporterFault(f"block {height} is not block {self.next_height}", where="cursor")
        blocked = set(self._blocked)
        try:
            with self._database.transaction():
                work = Working(self._database, self._attributes, self._market, labels, height, time_ms)
                for transaction, events in transactions:
                    work.begin_transaction(transaction, parts_of(events))
                    for one in events:
                        contract, name, fields = cast(tuple[str, str, Mapping[str, Value]], one)
                        apply_event(work, contract, name, fields)
                        work.place += 1
                    work.end_transaction()
                self._refresh(work)
                finish(work)
                written = self._write(work)
                self._database.set_meta("height", height)
                self._database.set_meta("time_ms", time_ms)
                self._failpoint("block written")
        except BaseException:
            self._blocked = blocked
            raise
        for name in work.unmapped - self._noted:
            self._noted.add(name)
            event(log, logging.WARNING, "EVENT_NOT_MAPPED", {"event": name, "height": height})
        for object_id in sorted(work.gone):
            event(log, logging.WARNING, "OBJECT_DELETED", {"object": object_id, "height": height})
        return written

    def _refresh(self, work: Working) -> None:
        """Objects whose private attributes changed get a version with them."""
        changed = self._attributes.changed_after(self._database.meta("attributes"))
        for seq, object_id in changed:
            stored = self._database.object(object_id)
            if stored is not None and not stored.deleted:
                work.touch(object_id, stored.kind, {})
            self._database.set_meta("attributes", seq)

    def _write(self, work: Working) -> int:
        """The next version of every object about which something changed, in the order of references."""
        seconds, pending = work.time_ms // 1_000, list[Pending]()
        versions, objects = list[tuple[str, int, Version, bytes, bytes]](), list[tuple[str, str, int, bool]]()
        work.know(work.touched)
        for one in work.in_order():
            number = one.latest + 1
            if one.deleted:
                versions.append(
                    (one.object_id, number, Version(Operation.DELETE, seconds, seconds, {}), _EMPTY, _EMPTY)
                )
                objects.append((one.object_id, one.kind, number, True))
                shot = _snapshot(one.kind, one.object_id, number, Operation.DELETE, seconds, {}, one.deleted)
                pending.append(self._judged(shot, _EMPTY))
                continue
            whole = bodies.whole(one.kind, work.private(one.object_id), one.facts)
            body = canonical(whole)
            facts = body if whole is one.facts else canonical(one.facts)
            if one.latest >= 0 and not one.new and self._database.has_body(one.object_id, one.latest, body):
                self._database.put_facts(one.object_id, one.latest, facts)
                continue
            operation = Operation.UPDATE if number else Operation.CREATE
            versions.append((one.object_id, number, Version(operation, seconds, seconds, whole), body, facts))
            objects.append((one.object_id, one.kind, number, False))
            shot = _snapshot(one.kind, one.object_id, number, operation, seconds, whole)
            pending.append(self._judged(shot, body))
        work.flush()
        self._database.put_versions(versions)
        self._database.put_objects(objects)
        self._add(pending, work.height)
        return len(pending)

    def _judged(self, snapshot: Snapshot, body: bytes) -> Pending:
        """Held when it is wrong, waiting when what comes before it is held."""
        place = snapshot.object_id, snapshot.version
        try:
            check_emission(snapshot)
        except SnapshotRefused as refusal:
            self._blocked.add(place)
            faults = json.dumps([fault.row() for fault in refusal.faults], ensure_ascii=False)
            facts: dict[str, str | int] = {"object": snapshot.object_id, "version": snapshot.version, "faults": faults}
            event(log, logging.WARNING, "SNAPSHOT_HELD", facts)
            return Pending(snapshot, body, Status.HELD, faults)
        if self._waits(snapshot):
            self._blocked.add(place)
            return Pending(snapshot, body, Status.WAITING, "")
        return Pending(snapshot, body, Status.READY, "")

    def _waits(self, snapshot: Snapshot) -> bool:
        if not self._blocked:
            return False
        if any(name == snapshot.object_id and version < snapshot.version for name, version in self._blocked):
            return True
        return any((ref.object_id, ref.version) in self._blocked for _, ref in references(snapshot.body))

    def _add(self, pending: Sequence[Pending], height: int) -> list[Row]:
        """Seals all but the held ones at once, and stores the rows in order."""
        sealing = [one for one in pending if one.status is not Status.HELD]
        raws = seal_many(
            [one.snapshot for one in sealing],
            self._key.private,
            self._key.public,
            bodies=[one.body for one in sealing],
            signing=sign_on_all_cores,
        )
        sealed = iter(zip(raws, sm3_many(raws), strict=True))
        rows, first = [], self._database.reserve(len(pending))
        for seq, one in enumerate(pending, first):
            raw, digest = (b"", b"") if one.status is Status.HELD else next(sealed)
            shot = one.snapshot
            rows.append(
                Row(
                    seq,
                    shot.object_id,
                    shot.version,
                    shot.type,
                    shot.operation.value,
                    height,
                    one.status,
                    raw,
                    digest,
                    one.faults,
                    0,
                )
            )
        self._database.add(rows)
        return rows

    # ---- correcting

    def correct(self, object_id: str, version: int | None = None, patch: Json | None = None) -> list[Row]:
        """Overwrites a version, the first held one when none is named, and each later one by the cascade.

        The body is made again of present attributes and the facts of then, or of ``patch`` on what it was. Raises
        UnknownObject, SnapshotRefused (nothing is written), LifecycleRefused.
        """
        stored = self._database.object(object_id)
        if stored is None:
            raise UnknownObject(
                "there is no such data object", where=object_id, next_step="dualchain local exporter held"
            )
        kind = stored.kind
        history = self._database.history(object_id)
        if lifecycle.is_deleted(history) and (object_id, stored.latest) in self._blocked:
            history = history[:-1]  # the delete waits for just this: it has left nowhere
        latest = lifecycle.latest(history)
        own = sorted(number for name, number in self._blocked if name == object_id)
        first = version if version is not None else (own[0] if own else latest)
        found = self._database.body(object_id, first)
        if found is None:
            raise UnknownObject(f"there is no version {first}", where=object_id, next_step=f"the latest is {latest}")
        old, facts = found
        body = (
            merge_patch(old, patch) if patch is not None else bodies.whole(kind, self._attributes.get(object_id), facts)
        )
        seconds = max(self._database.meta("time_ms") // 1_000, history[-1].timestamp)
        change = Change(Operation.OVERWRITE, seconds, body, version=first)
        written = lifecycle.apply(history, change, lambda whole: check_whole_body(kind, whole))
        blocked = set(self._blocked)
        try:
            with self._database.transaction():
                rows = self._rewrite(kind, object_id, written)
        except BaseException:
            self._blocked = blocked
            raise
        event(
            log,
            logging.INFO,
            "SNAPSHOT_CORRECTED",
            {"object": object_id, "from": first, "to": first + len(written) - 1},
        )
        return rows

    def _rewrite(self, kind: str, object_id: str, written: Sequence[lifecycle.Written]) -> list[Row]:
        numbers = {one.number for one in written}
        replaced = [
            row for row in self._database.rows_of(object_id) if row.version in numbers and row.status in _BLOCKED
        ]
        self._database.set_status([row.seq for row in replaced], Status.SUPERSEDED)
        self._blocked -= {(object_id, number) for number in numbers}
        pending = []
        for one in written:
            shot = _snapshot(kind, object_id, one.number, Operation.OVERWRITE, one.version.timestamp, one.version.body)
            kept = self._database.body(object_id, one.number)
            assert kept is not None, "a version that is rewritten is there"
            body = canonical(one.version.body)
            self._database.put_versions([(object_id, one.number, one.version, body, canonical(kept[1]))])
            pending.append(self._judged(shot, body))
        rows = self._add(pending, self._database.meta("height"))
        self._release()
        return rows

    def _release(self) -> None:
        """What waited and waits for nothing any more follows, in its old order, behind what it waited for."""
        moved = True
        while moved:
            moved = False
            after = 0
            while found := self._database.rows(Status.WAITING, after=after):
                after = found[-1].seq
                moved = [self._released(row) for row in found].count(True) > 0 or moved

    def _released(self, row: Row) -> bool:
        body = self._database.body(row.object, row.version)
        assert body is not None, "a snapshot's version is there"
        place = row.object, row.version
        self._blocked.discard(place)
        if self._waits(_snapshot(row.kind, *place, Operation(row.operation), 0, body[0])):
            self._blocked.add(place)
            return False
        self._database.move_back(row, Status.READY)
        return True


def _snapshot(
    kind: str,
    object_id: str,
    number: int,
    operation: Operation,
    seconds: int,
    body: Mapping[str, Any],
    remark: str | None = None,
) -> Snapshot:
    metadata: Json = {} if operation in (Operation.CREATE, Operation.DELETE) else {CONTENT_MODE: FULL}
    return Snapshot(kind, object_id, number, operation, seconds, body, metadata, remark=remark)


def digest_of(raw: bytes) -> bytes:
    """The hash that is anchored: SM3 of the stored bytes."""
    return sm3(raw)
