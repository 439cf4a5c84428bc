"""Files of archived blocks: written whole or not at all, read with their digest checked (docs/spec/archive.md §1).

Reading proves only that the file is as it was written; what its blocks prove is checked by node/archive.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import NoReturn

from chain_core.codec.block import MAX_BLOCK_BYTES, decode_block, encode_block
from chain_core.crypto.hashing import sm3
from chain_core.ledger.blocks import ArchivedBlock
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.ids import HASH_SIZE

MAGIC = b"dualchain/blocks"
VERSION = 1
FILE_BYTES = 32_000_000
"""A file is closed when it has reached this size."""
MAX_FILE_BYTES = FILE_BYTES + 16 * MAX_BLOCK_BYTES
_HEAD = Struct(">16sI32sIQQH")
_LENGTH = Struct(">I")
_NEXT = "take the file from another copy of the archive; it proves nothing as it is"


@dataclass(frozen=True, slots=True)
class FileHead:
    """What a file says it holds: ``validator_sets`` are encoded sets, in the order of their epochs."""

    genesis_hash: bytes
    ledger: int
    first: int
    last: int
    validator_sets: tuple[bytes, ...]


def file_name(first: int, last: int) -> str:
    """blocks-FIRST-LAST.dca"""
    return f"blocks-{first:012}-{last:012}.dca"


def encode_archived(block: ArchivedBlock) -> bytes:
    """One block's four parts."""
    parts = (encode_block(block.block), block.receipts, block.events, block.outbox)
    return b"".join([item for part in parts for item in (_LENGTH.pack(len(part)), part)])


def encode_file(head: FileHead, blocks: Sequence[bytes]) -> bytes:
    """A whole file around encoded blocks."""
    sets = head.validator_sets
    start = _HEAD.pack(MAGIC, VERSION, head.genesis_hash, head.ledger, head.first, head.last, len(sets))
    data = start + b"".join([_LENGTH.pack(len(item)) + item for item in sets]) + b"".join(blocks)
    return data + sm3(data)


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all, also after a crash. Raises OSError."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes a renaming durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class ArchiveFile:
    """One file in memory, its digest checked: head and blocks. Raises InvalidProof for what is no such file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.stat().st_size > MAX_FILE_BYTES:
            self._refuse(f"more than {MAX_FILE_BYTES} bytes")
        self._data = path.read_bytes()
        self.digest = sm3(self._data)
        self._end = len(self._data) - HASH_SIZE
        if self._end < _HEAD.size or not self._data.startswith(MAGIC):
            self._refuse("no archive of blocks")
        _, version, genesis_hash, ledger, first, last, count = _HEAD.unpack_from(self._data)
        if version != VERSION:
            self._refuse(f"archive format {version}; this build reads format {VERSION}")
        if sm3(self._data[: self._end]) != self._data[self._end :]:
            self._refuse("the file is cut or changed: its digest does not fit")
        if not 1 <= first <= last:
            self._refuse(f"heights {first} to {last}")
        self._at = _HEAD.size
        self.head = FileHead(genesis_hash, ledger, first, last, tuple(self._blob() for _ in range(count)))

    @property
    def size_bytes(self) -> int:
        """Bytes of the file."""
        return len(self._data)

    def blocks(self) -> Iterator[tuple[int, ArchivedBlock]]:
        """(height it should have, block), ascending, decoded and not verified; once."""
        for height in range(self.head.first, self.head.last + 1):
            try:
                block = decode_block(self._blob())
            except MalformedBytes as error:
                self._refuse(f"no block: {error.what}")
            yield height, ArchivedBlock(block, self._blob(), self._blob(), self._blob())
        if self._at != self._end:
            self._refuse("more than its blocks is in it")

    def _blob(self) -> bytes:
        start = self._at + _LENGTH.size
        size = int.from_bytes(self._data[self._at : start], "big")
        self._at = start + size
        if self._at > self._end:
            self._refuse("a part of it is cut")
        return self._data[start : self._at]

    def _refuse(self, what: str) -> NoReturn:
        raise InvalidProof(what, where=str(self.path), next_step=_NEXT)
