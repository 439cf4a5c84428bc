"""What becomes of a pulled snapshot: bytes, envelope, seal, life, schema; then its entry and the object's view
(docs/spec/node-interface.md §4, rules 8 to 11; §6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, NoReturn

from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.json_text import merge_patch
from contracts.data_model.schemas import check_body
from contracts.data_model.snapshot import Operation, Snapshot
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.verifier import Record, VerificationFailed
from supervisory_chain.puller.log import ACCEPTED, REJECTED, Accepted, Arrived, Book, Entry, View

QUEUED: Final = "queued"
MAX_MESSAGE: Final = 300


class Judge:
    """Enters snapshots into a book, within the transaction of their height."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def enter(self, arrived: Arrived, raw: bytes, received_ms: int) -> list[Entry]:
        """The entries that this snapshot makes: its own, and of those that waited for it."""
        made = [self._one(arrived, raw, received_ms, kept=False)]
        place = arrived.network_id, arrived.object_id
        while made[-1].result == ACCEPTED and self._book.view(*place).blocked is None:
            waited = self._book.next_kept(*place)
            if waited is None:
                break
            made.append(self._one(*waited, received_ms, kept=True))
        return made

    def _one(self, arrived: Arrived, raw: bytes, received_ms: int, *, kept: bool) -> Entry:
        place = arrived.network_id, arrived.object_id
        view = self._book.view(*place)
        if _waits(view, arrived):
            self._book.keep(arrived, raw)
            told = f"version {view.blocked} was rejected: correct it by overwrite"
            return self._log(arrived, "", received_ms, [_fault("", QUEUED, told)])
        kind = ""
        try:
            record = Record(
                arrived.object_id, arrived.version, arrived.operation, bytes.fromhex(arrived.hash), None, None
            )
            verifier.check_bytes(record, raw)
            snapshot = verifier.check_snapshot(record, raw)
            kind = snapshot.type
            accepted = self._accepted(view, arrived, snapshot, kept=kept)
        except (VerificationFailed, SnapshotRefused) as refusal:
            blocked = arrived.version if view.blocked is None else min(view.blocked, arrived.version)
            self._book.put_view(*place, replace(view, blocked=blocked))
            return self._log(arrived, kind, received_ms, verifier.faults_of(refusal))
        self._book.put_version(*place, arrived.version, accepted)
        self._book.put_view(*place, _advanced(view, arrived.version, snapshot))
        return self._log(arrived, kind, received_ms, [])

    def _accepted(self, view: View, arrived: Arrived, snapshot: Snapshot, *, kept: bool) -> Accepted:
        """The version with its whole body. Raises VerificationFailed, SnapshotRefused."""
        _check_life(view, snapshot)
        before = self._book.version(arrived.network_id, arrived.object_id, snapshot.version - 1)
        changed = snapshot.operation in (Operation.UPDATE, Operation.DELETE)
        rewritten = before is not None and before.operation == Operation.OVERWRITE.value
        if changed and before is not None and not rewritten and not kept and snapshot.timestamp < before.timestamp:
            _refuse(snapshot, f"its time lies before that of version {snapshot.version - 1}")
        body = _whole(snapshot, before)
        if snapshot.operation is not Operation.DELETE:
            check_body(snapshot.model, snapshot.type, body)
        return Accepted(snapshot.operation.value, snapshot.timestamp, bytes.fromhex(arrived.hash), body)

    def _log(self, arrived: Arrived, kind: str, received_ms: int, faults: Any) -> Entry:
        entry = Entry(
            received_ms,
            arrived.network_id,
            arrived.height,
            arrived.tx_id,
            arrived.object_id,
            arrived.version,
            arrived.operation,
            kind,
            arrived.hash,
            REJECTED if faults else ACCEPTED,
            tuple(faults),
        )
        self._book.append(entry)
        return entry


def _waits(view: View, arrived: Arrived) -> bool:
    """Whether a rejected version holds this one up; its own overwrite, and what lies before it, goes on."""
    if view.blocked is None or arrived.version < view.blocked:
        return False
    return arrived.version > view.blocked or arrived.operation != Operation.OVERWRITE.value


def _check_life(view: View, snapshot: Snapshot) -> None:
    """Annex C, over what is accepted; the first writing of a rejected version may be its overwrite."""
    version, latest, operation = snapshot.version, view.latest, snapshot.operation
    if view.deleted:
        _refuse(snapshot, "the object is deleted for good")
    if view.kind and view.kind != snapshot.type:
        _refuse(snapshot, f"the object is of type {view.kind}")
    if view.owed and (operation, version) != (Operation.OVERWRITE, view.owed):
        _refuse(snapshot, f"a rewrite goes on: version {view.owed} comes next")
    fits = {
        Operation.CREATE: version == 0 and latest < 0,
        Operation.UPDATE: version == latest + 1 and latest >= 0,
        Operation.DELETE: version == latest + 1 and latest >= 0,
        Operation.OVERWRITE: version <= latest + 1,
    }[operation]
    if not fits:
        _refuse(snapshot, f"{operation.value} of version {version} where the latest is {latest}")


def _advanced(view: View, version: int, snapshot: Snapshot) -> View:
    """The view with this version accepted."""
    return View(
        snapshot.type,
        max(version, view.latest),
        snapshot.operation is Operation.DELETE,
        None if view.blocked == version else view.blocked,
        version + 1 if version < view.latest else 0,
    )


def _whole(snapshot: Snapshot, before: Accepted | None) -> Mapping[str, Any]:
    if snapshot.operation is Operation.DELETE:
        return {}
    if snapshot.full:
        return snapshot.body
    if before is None:
        _refuse(snapshot, "nothing precedes it: the body must be full")
    merged: Mapping[str, Any] = merge_patch(dict(before.body), dict(snapshot.body))
    return merged


def _refuse(snapshot: Snapshot, what: str) -> NoReturn:
    raise VerificationFailed("lifecycle", what, where=f"{snapshot.object_id}/{snapshot.version}")


def _fault(path: str, rule: str, message: str) -> Mapping[str, str]:
    return {"path": path, "rule": rule, "message": message[:MAX_MESSAGE]}
