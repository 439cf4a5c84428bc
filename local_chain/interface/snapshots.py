"""The snapshot query of JR/T 0314 §4.1: stored bytes, as the chain anchors them, from the object store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chain_core._pb.dualchain.jrt0314.v1 import jrt0314_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.network.identity import Caller
from chain_core.network.refusals import NotFound, ServiceRefusal
from chain_core.types.errors import MalformedBytes
from contracts.anchors.contract import Anchor, decode_anchor, decode_head, full_key, head_key, version_key
from contracts.data_model.json_text import canonical, merge_patch, parse
from contracts.data_model.snapshot import Operation, Snapshot, read_snapshot
from crosschain.jrt0314.service import checked

METHOD: Final = "/dualchain.jrt0314.v1.Snapshots/Get"
"""How a snapshot query is called in rules and audit record."""
LATEST: Final = "latest"
MAX_STEPS: Final = 1_000
"""Increments that one merged answer is made of."""


class StoreDiffers(ServiceRefusal):
    """The object store does not have the bytes that the chain anchors."""

    code = "STORE_DIFFERS"


class State(Protocol):
    """Proven state (``VerifyingClient``)."""

    async def state(self, keys: Sequence[bytes]) -> tuple[Any, list[bytes | None]]:
        """Header and values."""


class Store(Protocol):
    """The snapshots' store (``ObjectStore``)."""

    async def get_snapshot(self, name: str) -> bytes | None:
        """Stored bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """Which version it is, the hash of its stored bytes, and what is answered."""

    version: int
    hash: bytes
    content: bytes

    def packed(self) -> bytes:
        """As a method's response."""
        return self.version.to_bytes(4, "big") + self.hash + self.content

    @classmethod
    def unpacked(cls, raw: bytes) -> Found:
        """The reverse."""
        return cls(int.from_bytes(raw[:4], "big"), raw[4:36], raw[36:])


class Snapshots:
    """Raises NotFound, StoreDiffers, StoreFault, MalformedBytes, and what the node refuses."""

    def __init__(self, chain: State, store: Store) -> None:
        self._chain, self._store = chain, store

    async def get(self, _: Caller, data: bytes) -> bytes:
        """The method: a SnapshotRequest, a packed ``Found``."""
        request = checked(pb.SnapshotRequest, data)
        found = await self.find(request.object_id, request.version, materialised=request.materialised)
        return found.packed()

    async def find(self, object_id: str, version: str, *, materialised: bool) -> Found:
        """``version``: a number or ``latest``."""
        latest = await self._latest(object_id)
        number = latest if version == LATEST else _number(version)
        if number > latest:
            raise _not_found(object_id, number)
        anchor, raw = await self._stored(object_id, number)
        return Found(number, anchor.hash, await self._merged(object_id, number, raw) if materialised else raw)

    async def _latest(self, object_id: str) -> int:
        _, (raw,) = await self._chain.state([full_key(head_key(object_id))])
        head = decode_head(raw)
        if head is None or head.object != object_id:
            raise NotFound("no such data object is anchored", where=object_id[:128], next_step="check the id")
        return head.latest

    async def _stored(self, object_id: str, version: int) -> tuple[Anchor, bytes]:
        _, (proven,) = await self._chain.state([full_key(version_key(object_id, version))])
        anchor = decode_anchor(proven)
        if anchor is None:
            raise _not_found(object_id, version)
        raw = await self._store.get_snapshot(f"{object_id}/{version}")
        if raw is None or sm3(raw) != anchor.hash:
            raise StoreDiffers(
                "the object store does not have it" if raw is None else "the stored bytes are not those of the chain",
                where=f"{object_id}/{version}",
                next_step="the operator restores the store, or the exporter is about to anchor an overwrite: ask again",
            )
        return anchor, raw

    async def _merged(self, object_id: str, version: int, raw: bytes) -> bytes:
        """The snapshot with its whole body: increments on top of the last full one (docs/spec/data-objects.md §7)."""
        own, increments = read_snapshot(raw), []
        one: Snapshot = own
        while not (one.full or one.version == 0 or one.operation is Operation.DELETE):
            increments.append(one.body)
            if len(increments) > MAX_STEPS:
                raise NotFound("too many increments", where=f"{object_id}/{version}", next_step="ask for stored ones")
            one = read_snapshot((await self._stored(object_id, one.version - 1))[1])
        body = dict(one.body)
        for increment in reversed(increments):
            body = merge_patch(body, increment)
        return canonical(parse(raw) | {"body": body})


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise MalformedBytes(f"{text[:40]!r} is no version", where="version", next_step="a number, or latest")
    return int(text)


def _not_found(object_id: str, version: int) -> NotFound:
    return NotFound("no such version is anchored", where=f"{object_id[:128]}/{version}", next_step="ask for latest")
