"""A snapshot: header and body of one version of a data object (JR/T 0314 clause 6.2; docs/spec/data-objects.md §2).

Read leniently, emitted strictly: what published snapshots leave out is accepted and said, never left out by us.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from contracts.data_model.faults import refuse
from contracts.data_model.json_text import Json, canonical, parse, without_nulls
from contracts.data_model.schemas import check_header

PROTOCOL = "区域性股权市场跨链业务数据模型"
VERSION = "2.0.0"
TIMESTAMP_END = 10**11
"""Timestamps are seconds; what is as large as this is in milliseconds, and refused."""
CONTENT_MODE, FULL, INCREMENT = "content_mode", "full", "increment"


class Operation(StrEnum):
    """What a snapshot is the result of (annex C)."""

    CREATE = "create"
    UPDATE = "update"
    OVERWRITE = "overwrite"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Seal:
    """One owner's signature: 64-byte SM2 public key and signature."""

    public_key: bytes
    signature: bytes

    def encoded(self) -> bytes:
        """As it stands in ``header.seal``, canonical: lower-case hex, the point as 04 || x || y."""
        key, signature = self.public_key.hex(), self.signature.hex()
        text = f'{{"digest_algo":"SM3","pub_key":{{"type":"SM2","value":"04{key}"}},"signature":"{signature}"}}'
        return text.encode("ascii")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A snapshot's canonical bytes: what the owner signs, and what stands before and after its seals."""

    signed: bytes
    before: bytes
    after: bytes

    def sealed(self, seals: Sequence[Seal]) -> bytes:
        """What is stored."""
        return self.before + b"[" + b",".join(seal.encoded() for seal in seals) + b"]" + self.after


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``extra`` are unknown header members, ``unknown`` unknown members beside header and body: kept as they came.

    ``metadata`` may be None and ``seals`` empty in what was read; never in what is emitted.
    """

    type: str
    object_id: str
    version: int
    operation: Operation
    timestamp: int
    body: Mapping[str, Any]
    metadata: Mapping[str, Any] | None = field(default_factory=dict)
    seals: tuple[Seal, ...] = ()
    remark: str | None = None
    protocol: str = PROTOCOL
    model: str = VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        """Whether the body is a full one: said so, or a create; without a word an increment."""
        said = (self.metadata or {}).get(CONTENT_MODE)
        return self.operation is Operation.CREATE or said == FULL

    @property
    def reference(self) -> str:
        """``<object_id>/<version>``: the value of a reference, and the key in the object store."""
        return f"{self.object_id}/{self.version}"

    def header(self) -> Json:
        """The header without its seal."""
        header: Json = dict(self.extra)
        header["model"] = {"protocol": self.protocol, "version": self.model}
        header["content"] = {
            "type": self.type,
            "object_id": self.object_id,
            "version": self.version,
            "operation": self.operation.value,
            "timestamp": self.timestamp,
        }
        if self.remark is not None:
            header["remark"] = self.remark
        header["metadata"] = None if self.metadata is None else dict(self.metadata)
        return header

    def encoded(self, body: bytes | None = None) -> Encoded:
        """Its canonical bytes, each member encoded once for what is signed and what is stored; ``body`` where the
        caller has its canonical bytes already.
        """
        header = self.header()
        if not self.extra and not self.unknown:  # whatever we emit: the seal is the last member of the header
            raw = canonical(self.body) if body is None else body
            start = b'{"body":' + raw + b',"header":' + canonical(header)[:-1]
            return Encoded(start + b"}}", start + b',"seal":', b"}}")
        whole = {**self.unknown, "body": self.body}
        signed, mark = canonical({**whole, "header": header}), "sealed"
        while mark.encode("ascii") in signed:
            mark += "x"  # what the bytes without it do not have stands in those with it just once
        sealed = canonical({**whole, "header": {**header, "seal": mark}})
        before, _, after = sealed.partition(f'"{mark}"'.encode("ascii"))
        return Encoded(signed, before, after)

    def signed_bytes(self) -> bytes:
        """What the owner signs: RFC 8785 of header without seal, and body."""
        return self.encoded().signed

    def encode(self) -> bytes:
        """The canonical bytes that are stored once and hashed."""
        encoded = self.encoded()
        return encoded.sealed(self.seals) if self.seals else encoded.signed

    def with_seals(self, *seals: Seal) -> Snapshot:
        """The same, sealed."""
        return replace(self, seals=seals)


_KNOWN = ("content", "metadata", "model", "remark")


def read_snapshot(raw: bytes) -> Snapshot:
    """A snapshot from outside. Raises SnapshotRefused. Unsigned ones are read: ``seals`` is empty then."""
    return from_document(parse(raw))


def from_document(document: Mapping[str, Any]) -> Snapshot:
    """A snapshot from its JSON value. Raises SnapshotRefused."""
    header = document.get("header")
    check_header(header)
    assert isinstance(header, Mapping)
    content, model = header["content"], header["model"]
    operation = Operation(content["operation"])
    if content["timestamp"] >= TIMESTAMP_END:
        raise refuse("/header/content/timestamp", "maximum", "a time in seconds is below 10^11: not milliseconds")
    body = document.get("body")
    if operation is Operation.DELETE:
        if body:
            raise refuse("/body", "empty", "a delete snapshot has an empty body")
        body = {}
    if not isinstance(body, Mapping):
        raise refuse("/body", "type", "the body is no JSON object")
    metadata = header.get("metadata")
    full = operation is Operation.CREATE or (metadata or {}).get(CONTENT_MODE) == FULL
    known = (*_KNOWN, "seal")
    return Snapshot(
        content["type"],
        content["object_id"],
        content["version"],
        operation,
        content["timestamp"],
        without_nulls(body) if full else body,
        metadata,
        _seals(header.get("seal")),
        header.get("remark"),
        model["protocol"],
        model["version"],
        {name: value for name, value in header.items() if name not in known},
        {name: value for name, value in document.items() if name not in ("header", "body")},
    )


def _seals(found: Any) -> tuple[Seal, ...]:
    """An array, one object as an array of one, or nothing."""
    if found is None:
        return ()
    listed = found if isinstance(found, list | tuple) else [found]
    seals = []
    for place, row in enumerate(listed):
        key, signature = row["pub_key"]["value"].lower(), row["signature"].lower()
        try:
            point, raw = bytes.fromhex(key), bytes.fromhex(signature)
        except ValueError:
            point = raw = b""
        if len(point) == 65 and point[0] == 4:
            point = point[1:]
        if len(point) != 64 or len(raw) != 64:
            raise refuse(f"/header/seal/{place}", "encoding", "04||x||y and r||s in hexadecimal are expected")
        seals.append(Seal(point, raw))
    return tuple(seals)
