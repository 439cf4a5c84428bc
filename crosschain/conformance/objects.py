"""Checks of a joint test that are about data objects: ids, proofs, stored bytes, their contents and their life."""

from __future__ import annotations

from itertools import pairwise

from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.schemas import check_body
from contracts.data_model.seals import verify_seals
from contracts.data_model.snapshot import Operation, Snapshot, read_snapshot
from crosschain.conformance.examination import MAX_OBJECTS, Anchored, Examination, Failed
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.endpoint import snapshot_path

_LIVES = 16
"""Objects whose versions are all read."""
_VERSIONS = 256


def ids(exam: Examination) -> str:
    """Table 6, first row."""
    for height in exam.heights:
        answer, where = exam.json(exam.paths.ids(height)), f"ids {height}"
        found = verifier.texts(answer, "object_ids", where)
        if verifier.member(answer, "height", int, where) != height or list(found) != sorted(set(found)):
            raise Failed(f"{where}: of another height, not ascending, or with doubles", "sort the ids")
        exam.ids[height] = found
    return f"{sum(map(len, exam.ids.values()))} data objects in {len(exam.heights)} blocks"


def object_(exam: Examination) -> str:
    """Table 6, second row: content or reference, of every id; what is not of the block is not found."""
    for height, names in exam.ids.items():
        for name in names[:MAX_OBJECTS]:
            answer = exam.json(exam.paths.object(height, name))
            exam.anchored += [Anchored(height, *one) for one in verifier.read_records(answer, name, height)]
    if not exam.anchored:
        raise Failed("no block looked at has a data object", "have some business done, then test again")
    exam.refuses(exam.paths.object(exam.anchored[0].height, "no-such-object"))
    return f"{len(exam.anchored)} records"


def merkle_proof(exam: Examination) -> str:
    """Table 6: the record's membership in the block."""
    for one in exam.anchored:
        verifier.check_record(one.record, one.proof, exam.blocks[one.height], exam.states[0, one.height])
    return f"{len(exam.anchored)} proofs verify"


def off_chain_hash(exam: Examination) -> str:
    """§4: the chain record holds the hash of the snapshot, wherever that lies."""
    for one in exam.newest():
        record, raw = one.record, one.record.content
        if raw is None:
            path = record.reference or ""
            if not path.startswith("/") or path.startswith("//"):
                raise Failed(f"reference {path[:100]} is none on the endpoint", "answer a path of the snapshot query")
            answer = exam.ask(path)
            if answer.status != 200:
                raise Failed(f"GET {path}: status {answer.status} where the chain has a reference")
            raw = answer.body
            if answer.headers.get("x-content-sm3", "") != record.hash.hex():
                raise Failed(f"GET {path}: the header X-Content-SM3 is not the chain's hash")
        verifier.check_bytes(record, raw)
        exam.snapshots[record.object_id, record.version] = raw
    return f"{len(exam.snapshots)} snapshots have the hash on the chain"


def snapshot_query(exam: Examination) -> str:
    """§4.1: by object id and version."""
    for object_id, version in list(exam.snapshots)[:_LIVES]:
        answer = exam.ask(snapshot_path(object_id, version))
        if answer.status != 200 or answer.body != exam.snapshots[object_id, version]:
            raise Failed(f"{object_id}/{version}: not the stored bytes", "answer the bytes as they are stored")
        exam.refuses(snapshot_path(object_id, version + 1_000_000))
    exam.refuses(snapshot_path("no-such-object", 0))
    return "stored bytes by id and version; what is not there is 404"


def envelope(exam: Examination) -> str:
    """Tables 1 and 2: header and body."""
    for one in exam.newest():
        record, raw = one.record, exam.snapshots[one.record.object_id, one.record.version]
        found = read_snapshot(raw)
        said = (found.object_id, found.version, found.operation.value)
        if said != (record.object_id, record.version, record.operation or said[2]):
            raise Failed(f"{record.object_id}/{record.version}: the snapshot says {said}, the chain another")
    return f"{len(exam.snapshots)} envelopes"


def seal(exam: Examination) -> str:
    """Table 1: the owner's signature, SM2 over SM3."""
    for (object_id, version), raw in exam.snapshots.items():
        found = read_snapshot(raw)
        if not found.seals or not verify_seals(found):
            what = "does not verify" if found.seals else "is missing"
            raise Failed(f"{object_id}/{version}: the seal {what}", "sign RFC 8785 of header without seal, and body")
    return f"{len(exam.snapshots)} seals verify"


def _life(exam: Examination, object_id: str, latest: int) -> list[Snapshot]:
    found = []
    for version in range(min(latest, _VERSIONS) + 1):
        answer = exam.ask(snapshot_path(object_id, version))
        if answer.status != 200:
            raise Failed(
                f"{object_id}/{version}: status {answer.status}", "versions are never removed and have no gaps"
            )
        found.append(read_snapshot(answer.body))
    return found


def lifecycle(exam: Examination) -> str:
    """Annex C: versions from 0 without gaps, a delete is the last, times do not run backwards."""
    latest: dict[str, int] = {}
    for object_id, version in exam.snapshots:
        latest[object_id] = max(version, latest.get(object_id, 0))
    for object_id, last in list(latest.items())[:_LIVES]:
        life = _life(exam, object_id, last)
        for number, one in enumerate(life):
            first = one.operation in (Operation.CREATE, Operation.OVERWRITE)
            fits = first if number == 0 else one.operation is not Operation.CREATE
            if one.version != number or not fits:
                raise Failed(f"{object_id}/{number}: {one.operation.value} of version {one.version} stands there")
        if any(one.operation is Operation.DELETE for one in life[:-1]):
            raise Failed(f"{object_id}: a version comes after its deletion", "a delete is for good")
        rewritten = any(one.operation is Operation.OVERWRITE for one in life)
        if not rewritten and any(after.timestamp < before.timestamp for before, after in pairwise(life)):
            raise Failed(f"{object_id}: a version is older than the one before", "write the time of the operation")
    return f"{min(len(latest), _LIVES)} objects from version 0 on"


def schema(exam: Examination) -> str:
    """§5: what is brought to the chain passes the JSON schema of its model version and type."""
    for object_id, version in exam.snapshots:
        merged = exam.ask(snapshot_path(object_id, version) + "?materialised=true")
        if merged.status != 200:
            raise Failed(f"{object_id}/{version}: no merged form, status {merged.status}")
        found = read_snapshot(merged.body)
        if found.operation is Operation.DELETE:
            continue
        try:
            check_body(found.model, found.type, found.body)
        except SnapshotRefused as refusal:
            first = refusal.faults[0]
            told = f"{object_id}/{version} {first.path}: {first.message}"
            raise Failed(told, "correct by overwrite; validate before anything goes on chain") from refusal
    return f"{len(exam.snapshots)} bodies fit their schemas"
