"""The contract ``anchors``: (object id, version, SM3) of snapshots, with the life of JR/T 0314 enforced
(docs/spec/exporter.md §2). It sees hashes, never contents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.arguments import HASH, Choice, Integer, Kind, ListOf, Record, Text
from chain_core.execution.context import CallContext
from chain_core.execution.contract import Arguments, Contract, Lane, Method, RuleText
from chain_core.types.ids import ZERO_HASH
from chain_core.types.values import Value

ANCHORS, OPERATOR = "anchors", "operator"
MAX_ROWS = 64
CREATE, UPDATE, OVERWRITE, DELETE = "create", "update", "overwrite", "delete"

ROW: Mapping[str, Kind] = {
    "object": Text(128, 1, re.compile("[^/]+")),
    "kind": Text(32, 1),
    "version": Integer(0, (1 << 32) - 1),
    "operation": Choice(frozenset((CREATE, UPDATE, OVERWRITE, DELETE))),
    "hash": HASH,
}

RULES: Mapping[str, RuleText] = {
    "anchors.not_owner": RuleText("数据对象 {0} 由账户 {1} 存证", "object {0} is anchored by account {1}"),
    "anchors.deleted": RuleText("数据对象 {0} 已删除", "object {0} is deleted for good"),
    "anchors.cascade": RuleText(
        "数据对象 {0} 的重写未完成，下一个应重写版本 {1}", "object {0} is being rewritten: version {1} comes next"
    ),
    "anchors.exists": RuleText("数据对象 {0} 已存在", "object {0} exists"),
    "anchors.wrong_version": RuleText(
        "数据对象 {0}：版本 {1} 不能 {2}，最新版本为 {3}", "object {0}: version {1} cannot be {2}, the latest is {3}"
    ),
    "anchors.wrong_kind": RuleText("数据对象 {0} 的类型为 {1}", "object {0} is of kind {1}"),
}


@dataclass(frozen=True, slots=True)
class Head:
    """An object as far as it is anchored. ``rewriting``: the version its cascade owes next; 0: none is owed."""

    object: str
    kind: str
    owner: bytes
    latest: int = -1
    deleted: bool = False
    rewriting: int = 0


@dataclass(frozen=True, slots=True)
class Anchor:
    """One version's evidence in force. ``former`` chains the hashes that were replaced."""

    hash: bytes
    operation: str
    model: str
    height: int
    rewrites: int = 0
    former: bytes = ZERO_HASH


def head_key(object_id: str) -> bytes:
    """Own key of an object's head."""
    return b"o" + sm3(object_id.encode())


def version_key(object_id: str, version: int) -> bytes:
    """Own key of a version's anchor."""
    return b"v" + sm3(object_id.encode()) + version.to_bytes(4, "big")


def full_key(own: bytes) -> bytes:
    """The full state key of an own key, to be proven."""
    return state_key(ANCHORS, own)


def decode_head(raw: bytes | None) -> Head | None:
    """A head; None where there is none. Raises MalformedBytes."""
    if raw is None:
        return None
    row = decode_map(raw, "head")
    return Head(
        cast(str, row["object"]),
        cast(str, row["kind"]),
        cast(bytes, row["owner"]),
        cast(int, row["latest"]),
        cast(bool, row["deleted"]),
        cast(int, row["rewriting"]),
    )


def decode_anchor(raw: bytes | None) -> Anchor | None:
    """An anchor; None where there is none. Raises MalformedBytes."""
    if raw is None:
        return None
    row = decode_map(raw, "anchor")
    return Anchor(
        cast(bytes, row["hash"]),
        cast(str, row["operation"]),
        cast(str, row["model"]),
        cast(int, row["height"]),
        cast(int, row["rewrites"]),
        cast(bytes, row["former"]),
    )


class Anchors(Contract):
    """One method; each object is a complete list of versions under its head."""

    name = ANCHORS
    lane = Lane.BUSINESS
    rules = RULES

    def __init__(self) -> None:
        rows = ListOf(Record(ROW), MAX_ROWS, 1)
        self.methods = {"anchor": Method(self.anchor, {"model": Text(32, 1), "rows": rows}, frozenset((OPERATOR,)))}

    def anchor(self, ctx: CallContext, args: Arguments) -> None:
        """Rows in the order of business; all of them or none."""
        model = cast(str, args["model"])
        told: list[Value] = []
        for row in cast(Sequence[Mapping[str, Value]], args["rows"]):
            object_id, kind = cast(str, row["object"]), cast(str, row["kind"])
            version, operation = cast(int, row["version"]), cast(str, row["operation"])
            head = decode_head(ctx.get(head_key(object_id))) or Head(object_id, kind, ctx.principal)
            _store_head(ctx, _advanced(ctx, head, kind, version, operation))
            _store_version(ctx, object_id, version, operation, model, cast(bytes, row["hash"]))
            told.append([object_id, version, operation, row["hash"]])
        ctx.emit("anchored", model=model, rows=told)


def _advanced(ctx: CallContext, head: Head, kind: str, version: int, operation: str) -> Head:
    """The head after one row. Refuses what the life of a data object does not allow."""
    if head.owner != ctx.principal:
        ctx.refuse("anchors.not_owner", head.object, head.owner)
    if head.kind != kind:
        ctx.refuse("anchors.wrong_kind", head.object, head.kind)
    if head.deleted:
        ctx.refuse("anchors.deleted", head.object)
    if head.rewriting and (operation, version) != (OVERWRITE, head.rewriting):
        ctx.refuse("anchors.cascade", head.object, head.rewriting)
    new = version == head.latest + 1
    if operation == CREATE and head.latest >= 0:
        ctx.refuse("anchors.exists", head.object)
    fits = {
        CREATE: version == 0,
        UPDATE: new and head.latest >= 0,
        DELETE: new and head.latest >= 0,
        OVERWRITE: version <= head.latest + 1,
    }[operation]
    if not fits:
        ctx.refuse("anchors.wrong_version", head.object, version, operation, head.latest)
    if not new:
        return replace(head, rewriting=version + 1 if version < head.latest else 0)
    return replace(head, latest=version, deleted=operation == DELETE)


def _store_head(ctx: CallContext, head: Head) -> None:
    ctx.put(
        head_key(head.object),
        encode_value(
            {
                "object": head.object,
                "kind": head.kind,
                "owner": head.owner,
                "latest": head.latest,
                "deleted": head.deleted,
                "rewriting": head.rewriting,
            }
        ),
    )


def _store_version(ctx: CallContext, object_id: str, version: int, operation: str, model: str, digest: bytes) -> None:
    key = version_key(object_id, version)
    before = decode_anchor(ctx.get(key))
    rewrites, former = (0, ZERO_HASH) if before is None else (before.rewrites + 1, sm3(before.former + before.hash))
    row: dict[str, Value] = {
        "hash": digest,
        "operation": operation,
        "model": model,
        "height": ctx.block.height,
        "rewrites": rewrites,
        "former": former,
    }
    ctx.put(key, encode_value(row))
