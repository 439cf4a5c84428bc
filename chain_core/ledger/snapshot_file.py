"""A certified state in one file: written from a ledger, read with everything checked (docs/spec/successor.md §2)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from chain_core.codec.block import HEADER_SIZE, decode_certificate, decode_header
from chain_core.codec.certificates import check_certificate
from chain_core.codec.proofs import state_root
from chain_core.codec.snapshot import (
    KINDS,
    MAX_BUCKET_BYTES,
    MAX_BUCKETS,
    SEEN,
    STATE,
    Items,
    bucket_digests,
    decode_bucket,
)
from chain_core.codec.validator_set import MAX_SET_BYTES, decode_validator_set, hash_of_encoded_set, validator_set_hash
from chain_core.crypto.merkle import root_of_hashes
from chain_core.ledger.archive_file import sync_directory
from chain_core.ledger.snapshot_view import SnapshotView
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import MAIN_LEDGER
from chain_core.types.validator_set import ValidatorSet

MAGIC = b"dualchain/state\0"
VERSION = 1
MAX_CERTIFICATE_BYTES = 20_000
_BUCKETS_AT_ONCE = 256
_NEXT = "take the file from another node; it proves nothing as it is"

Sink = Callable[[int, Items, int], None]
"""Gets the tree, the entries of a bucket and their encoded size; nothing of it is verified before the last one."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The last header of an epoch with its certificate, and the encoded set that it names as the next one."""

    header: bytes
    certificate: bytes
    next_set: bytes


def write_snapshot(path: Path, view: SnapshotView, certificate: bytes, closings: Sequence[Closing]) -> int:
    """Writes the file, whole or not at all; its bytes. Raises OSError, StoreCorrupt."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(MAGIC + VERSION.to_bytes(4, "big") + view.manifest.header + _blob(certificate))
        file.write(len(closings).to_bytes(2, "big"))
        for closing in closings:
            file.write(closing.header + _blob(closing.certificate) + _blob(closing.next_set))
        for tree in (STATE, SEEN):
            count, at = view.manifest.bucket_counts[tree], 0
            file.write(count.to_bytes(4, "big"))
            while at < count:
                buckets = view.buckets(tree, at, count - at)
                file.writelines(_blob(bucket) for bucket in buckets)
                at += len(buckets)
        size = file.tell()
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_directory(path.parent)
    return size


def _blob(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class SnapshotFile:
    """An open file, its header certified: by the validators of the genesis document, or those that followed from them.

    Raises InvalidProof for whatever does not hold. Close it, or use it in a ``with``.
    """

    def __init__(self, path: Path, validators: ValidatorSet, genesis_hash: bytes) -> None:
        """``validators``: of epoch 0 of the chain with this ``genesis_hash``."""
        self.path = path
        self._file: BinaryIO = path.open("rb")
        try:
            if self._take(len(MAGIC)) != MAGIC:
                self._refuse("no snapshot of a state")
            version = self._number(4)
            if version != VERSION:
                self._refuse(f"snapshot format {version}; this build reads format {VERSION}")
            self.header_bytes, self.certificate = self._take(HEADER_SIZE), self._take_blob(MAX_CERTIFICATE_BYTES)
            self.header = self._certified(validators, genesis_hash)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def __enter__(self) -> SnapshotFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def read_trees(self, sink: Sink) -> tuple[bytes, bytes]:
        """All buckets of state and seen set to ``sink``, once; the digests of both, when they lead to the header's
        roots and nothing follows.
        """
        found = []
        for tree, root in ((STATE, self.header.state_root), (SEEN, self.header.seen_root)):
            count, digests = self._number(4), bytearray()
            if not 1 <= count <= MAX_BUCKETS:
                self._refuse(f"a tree of {count} buckets")
            for start in range(0, count, _BUCKETS_AT_ONCE):
                encoded = [self._take_blob(MAX_BUCKET_BYTES) for _ in range(min(_BUCKETS_AT_ONCE, count - start))]
                try:
                    buckets = [decode_bucket(one) for one in encoded]
                except MalformedBytes as error:
                    self._refuse(error.what)
                digests += b"".join(bucket_digests(start, count, buckets))
                for items, raw in zip(buckets, encoded, strict=True):
                    sink(tree, items, len(raw))
            if state_root(count, root_of_hashes(bytes(digests)), KINDS[tree]) != root:
                self._refuse(f"the {('state', 'seen set')[tree]} is not the one the header commits to")
            found.append(bytes(digests))
        if self._file.read(1):
            self._refuse("more than a snapshot is in it")
        return found[STATE], found[SEEN]

    def _certified(self, validators: ValidatorSet, genesis_hash: bytes) -> Header:
        """The last header, which the epochs lead to from ``validators`` on."""
        for epoch in range(self._number(2)):
            raw, certificate = self._take(HEADER_SIZE), self._take_blob(MAX_CERTIFICATE_BYTES)
            closed, next_set = self._checked(raw, certificate, validators, genesis_hash), self._take_blob(MAX_SET_BYTES)
            named = closed.next_validator_set_hash
            if (closed.epoch, hash_of_encoded_set(next_set)) != (epoch, named) or named == closed.validator_set_hash:
                self._refuse(f"header {closed.height} does not lead from epoch {epoch} to the next")
            validators = decode_validator_set(next_set)
        header = self._checked(self.header_bytes, self.certificate, validators, genesis_hash)
        if header.ledger != MAIN_LEDGER or header.validator_set_hash != validator_set_hash(validators):
            self._refuse("the last header is not of ledger 0, or of another epoch")
        return header

    def _checked(self, raw: bytes, certificate: bytes, validators: ValidatorSet, genesis_hash: bytes) -> Header:
        try:
            decode_header(raw)
            return check_certificate(raw, decode_certificate(certificate), validators, genesis_hash)
        except (MalformedBytes, InvalidProof) as error:
            self._refuse(f"{error.what} ({error.where})")

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _take_blob(self, limit: int) -> bytes:
        size = self._number(4)
        if size > limit:
            self._refuse(f"a part of {size} bytes, at most {limit}")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            self._refuse("the file is cut")
        return data

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidProof(what, where=f"{self.path}, byte {self._file.tell()}", next_step=_NEXT)
