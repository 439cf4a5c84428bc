"""Packets between chains and the proofs under a header (docs/spec/formats.md §9-§10)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packet:
    """A message from one ledger of one chain to another; ``payload`` is an encoded value (map)."""

    source_genesis: bytes
    source_ledger: int
    destination_genesis: bytes
    destination_ledger: int
    channel: str
    sequence: int
    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """RFC 6962 audit path of the leaf at ``index`` of ``count``."""

    index: int
    count: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """RFC 9162 consistency path: the tree over ``second`` leaves begins with the tree over ``first`` of them."""

    first: int
    second: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """A revealed entry of a state bucket with its audit path inside the bucket."""

    position: int
    key_hash: bytes
    value_hash: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StateProof:
    """Presence or absence of one key under a state or seen root.

    ``entries`` holds the key's own entry (presence), or its neighbours in the bucket's order (absence: two
    adjacent ones, one at an edge, none when the bucket is empty). ``bucket_path`` leads from the bucket's
    digest to the upper root.
    """

    bucket_count: int
    bucket_index: int
    entry_count: int
    present: bool
    entries: tuple[BucketEntry, ...]
    bucket_path: tuple[bytes, ...]
