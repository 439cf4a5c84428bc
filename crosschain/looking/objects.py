"""A data object's history in one market: every version that was anchored, or the descriptor of a tiered object
(docs/spec/see-through.md §7).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chain_core.codec.seen import state_key
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from contracts.anchors.contract import Anchor, Head, decode_anchor, decode_head, full_key, head_key, version_key
from contracts.data.records import (
    DATA,
    PUBLIC,
    Deletion,
    Descriptor,
    Grant,
    body_key,
    decode_readers,
    deletion_key,
    find,
    grant_key,
    object_key,
    readers_key,
)
from crosschain.complete_lists import ListEvidence, Values
from crosschain.looking.inquiry import Fresh, Inquiry, TooLarge, prove

MAX_VERSIONS = 50_000


@dataclass(frozen=True, slots=True)
class AnchoredObject:
    """An object with its versions 0 to latest, complete; no ``head``: proven that the market anchored none."""

    header: Header
    object_id: str
    head: Head | None
    versions: tuple[Anchor, ...] = ()


@dataclass(frozen=True, slots=True)
class AnchorsInquiry(Inquiry):
    """What is asked about an object of JR/T 0314."""

    object_id: str

    @property
    def what(self) -> str:
        return f"object {self.object_id}"

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        first = full_key(head_key(self.object_id))
        yield [first]
        head = decode_head(known[first])
        if head is not None:
            if not 0 <= head.latest < MAX_VERSIONS:
                raise TooLarge(f"{head.latest + 1} versions", where=self.what, next_step="ask the market's exporter")
            yield [full_key(version_key(self.object_id, number)) for number in range(head.latest + 1)]


def check_anchored(
    view: ChainView, object_id: str, evidence: ListEvidence, fresh: Fresh | None = None
) -> AnchoredObject:
    """The history that the evidence proves, complete. Raises InvalidProof, MalformedBytes."""
    inquiry = AnchorsInquiry(object_id)
    header, values = prove(view, inquiry, evidence, fresh or Fresh())
    head = decode_head(values[full_key(head_key(object_id))])
    if head is None:
        return AnchoredObject(header, object_id, None)
    if head.object != object_id:
        raise inquiry.refuse(f"the head is that of {head.object}")
    versions = []
    for number in range(head.latest + 1):
        anchor = decode_anchor(values[full_key(version_key(object_id, number))])
        if anchor is None:
            raise inquiry.refuse(f"version {number} of {head.latest} is missing")
        versions.append(anchor)
    return AnchoredObject(header, object_id, head, tuple(versions))


@dataclass(frozen=True, slots=True)
class TieredObject:
    """An object of contract ``data`` with its readers; ``grant`` is the asking reader's, ``body`` a public one's."""

    header: Header
    object_id: bytes
    descriptor: Descriptor | None
    readers: tuple[bytes, ...] = ()
    deletion: Deletion | None = None
    grant: Grant | None = None
    body: bytes | None = None

    def authorised(self) -> bool:
        """Whether the reader who was named holds a grant in force at the header's time."""
        return self.grant is not None and self.grant.expires_ms > self.header.time_ms


@dataclass(frozen=True, slots=True)
class TieredInquiry(Inquiry):
    """What is asked about an object of contract ``data``; ``contents``: the body too, which only a public one has
    in plain. ``reader`` may be empty.
    """

    object_id: bytes
    reader: bytes = b""
    contents: bool = False

    @property
    def what(self) -> str:
        return f"data object {self.object_id.hex()}"

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        first = _data(object_key(self.object_id))
        yield [first]
        descriptor = find(Descriptor, known[first])
        if descriptor is None:
            return
        yield [_data(readers_key(self.object_id)), _data(deletion_key(self.object_id))]
        if self.reader:
            yield [_data(grant_key(self.object_id, self.reader))]
        if self.contents and descriptor.tier == PUBLIC:
            yield [_data(body_key(self.object_id))]


def check_tiered(
    view: ChainView, inquiry: TieredInquiry, evidence: ListEvidence, fresh: Fresh | None = None
) -> TieredObject:
    """The descriptor that the evidence proves, with all readers. Raises InvalidProof, MalformedBytes."""
    header, values = prove(view, inquiry, evidence, fresh or Fresh())
    identity = inquiry.object_id
    descriptor = find(Descriptor, values[_data(object_key(identity))])
    if descriptor is None:
        return TieredObject(header, identity, None)
    readers = tuple(decode_readers(values[_data(readers_key(identity))]))
    grant = find(Grant, values.get(_data(grant_key(identity, inquiry.reader))))
    if inquiry.reader and (grant is not None) != (inquiry.reader in readers):
        raise inquiry.refuse("the list of readers and the grants contradict each other")
    return TieredObject(
        header,
        identity,
        descriptor,
        readers,
        find(Deletion, values[_data(deletion_key(identity))]),
        grant,
        values.get(_data(body_key(identity))),
    )


def _data(key: bytes) -> bytes:
    return state_key(DATA, key)
