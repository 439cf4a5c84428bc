"""Archives of old blocks: written from a ledger or a running node, verified, put back (docs/spec/archive.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from chain_core.codec.block import decode_block, decode_header, header_hash
from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.seen import state_key
from chain_core.execution.epochs import set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.ledger import packing
from chain_core.ledger.archive_file import (
    FILE_BYTES,
    ArchiveFile,
    FileHead,
    encode_archived,
    encode_file,
    file_name,
    write_whole,
)
from chain_core.ledger.blocks import ArchivedBlock
from chain_core.ledger.pruning import HEIGHTS_A_BATCH
from chain_core.ledger.store import LedgerStore
from chain_core.node.archive_check import ArchiveCheck
from chain_core.node.client import NodeClient
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof, LocalFault
from chain_core.types.ids import MAIN_LEDGER

MANIFEST, GENESIS = "archive.json", "genesis.bin"
FORMAT, VERSION = "dualchain/archive", 1
BLOCKS_A_FILE = 1_000
Tell = Callable[[str], None]


class ArchiveRefused(LocalFault):
    """What was asked for cannot be done with this archive or this ledger."""

    code = "ARCHIVE_REFUSED"


class Source(Protocol):
    """Where blocks to archive come from; not trusted, every file is verified before it is kept."""

    async def heights(self) -> tuple[int, int]:
        """First and last height it has."""
        ...

    async def block(self, height: int) -> ArchivedBlock:
        """One of them."""
        ...

    async def validator_set(self, set_hash: bytes) -> bytes:
        """The encoded set with this hash."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerSource:
    """A ledger whose node is stopped."""

    store: LedgerStore

    async def heights(self) -> tuple[int, int]:
        """All that is not pruned."""
        return self.store.pruning.height + 1, self.store.final_height

    async def block(self, height: int) -> ArchivedBlock:
        """From the ledger."""
        found = self.store.archived(height)
        if found is None:
            raise ArchiveRefused("this height is pruned", where=f"height {height}", next_step="name another node")
        return found

    async def validator_set(self, set_hash: bytes) -> bytes:
        """From the state of governance."""
        return self.store.get(_set_key(set_hash)) or b""


@dataclass(frozen=True, slots=True)
class NodeSource:
    """A running node's API. It says PRUNED for what it has no more."""

    client: NodeClient

    async def heights(self) -> tuple[int, int]:
        """Up to its final height."""
        return 1, decode_header((await self.client.header()).header).height

    async def block(self, height: int) -> ArchivedBlock:
        """Three questions."""
        answer = await self.client.block(height)
        events, outbox = await self.client.events(height), await self.client.outbox(height)
        packets = [item.packet for item in outbox.packets]
        return ArchivedBlock(
            decode_block(answer.block),
            packing.pack(answer.receipts),
            packing.pack(events.events),
            packing.pack(packets),
        )

    async def validator_set(self, set_hash: bytes) -> bytes:
        """From the state of governance; a wrong one does not have the hash."""
        (item,) = (await self.client.state([_set_key(set_hash)])).items
        return item.value or b""


def _set_key(set_hash: bytes) -> bytes:
    return state_key(GOVERNANCE, set_key(set_hash))


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file in the manifest; hashes in hexadecimal."""

    name: str
    first: int
    last: int
    bytes: int
    sm3: str
    previous_header: str
    last_header: str


class Archive:
    """An archive's directory with its genesis document."""

    def __init__(self, directory: Path, genesis: bytes) -> None:
        self.directory, self.genesis_bytes = directory, genesis
        self.genesis, self.genesis_hash = decode_genesis(genesis), genesis_hash(genesis)

    @classmethod
    def open(cls, directory: Path, genesis: bytes | None = None) -> Archive:
        """An archive that exists. Raises ArchiveRefused, MalformedBytes."""
        path = directory / GENESIS
        if not path.is_file():
            raise ArchiveRefused(
                "no archive is here", where=str(directory), next_step=f"name the directory that holds {GENESIS}"
            )
        return cls(directory, path.read_bytes() if genesis is None else genesis)

    def files(self) -> list[Path]:
        """Its whole files, ascending by height."""
        return sorted(self.directory.glob("blocks-*.dca"))

    def check(self, *, own_headers: bool = False) -> ArchiveCheck:
        """A check that begins before the first file."""
        return ArchiveCheck(self.genesis, self.genesis_hash, MAIN_LEDGER, own_headers=own_headers)

    def verify(self, tell: Tell = lambda line: None) -> list[FileRow]:
        """Verifies all files, and that the manifest describes them. Raises InvalidProof, ArchiveRefused."""
        check, rows = self.check(), []
        for path in self.files():
            rows.append(_checked(check, path))
            tell(f"{path.name}: heights {rows[-1].first} to {rows[-1].last} verified")
        if not rows or self._manifest() != json.loads(_manifest_text(self, rows)):
            raise InvalidProof(
                "the manifest does not describe the files",
                where=str(self.directory / MANIFEST),
                next_step="a file is missing or was added: compare with another copy of the archive",
            )
        return rows

    async def write(
        self, source: Source, through: int, blocks_a_file: int = BLOCKS_A_FILE, tell: Tell = lambda line: None
    ) -> list[FileRow]:
        """Writes what the source has up to ``through``, behind what is there already; all rows of the archive."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if not (self.directory / GENESIS).exists():
            write_whole(self.directory / GENESIS, self.genesis_bytes)
        elif (self.directory / GENESIS).read_bytes() != self.genesis_bytes:
            raise ArchiveRefused(
                "the archive is another chain's", where=str(self.directory), next_step="name another directory"
            )
        check = self.check()
        rows = [_checked(check, path) for path in self.files()]
        first, last = await source.heights()
        height = rows[-1].last + 1 if rows else first
        if height < first:
            raise ArchiveRefused(
                f"the archive ends at {height - 1}, and heights below {first} are pruned here",
                where=str(self.directory),
                next_step="take the heights between from another node",
            )
        while height <= min(last, through):
            path = await self._write_file(source, height, min(last, through, height + blocks_a_file - 1))
            try:
                rows.append(_checked(check, path))
            except InvalidProof:
                path.unlink()
                raise
            tell(f"{path.name}: {rows[-1].bytes} bytes written and verified")
            height = rows[-1].last + 1
            write_whole(self.directory / MANIFEST, _manifest_text(self, rows).encode())
        return rows

    async def _write_file(self, source: Source, first: int, most: int) -> Path:
        parts: list[bytes] = []
        sets: dict[bytes, None] = {}
        size, height = 0, first
        while height <= most and size < FILE_BYTES:
            archived = await source.block(height)
            sets[decode_header(archived.block.header).validator_set_hash] = None
            parts.append(encode_archived(archived))
            size += len(parts[-1])
            height += 1
        encoded = tuple([await source.validator_set(set_hash) for set_hash in sets])
        head = FileHead(self.genesis_hash, MAIN_LEDGER, first, height - 1, encoded)
        path = self.directory / file_name(head.first, head.last)
        write_whole(path, encode_file(head, parts))
        return path

    def _manifest(self) -> object:
        path = self.directory / MANIFEST
        try:
            return json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise ArchiveRefused(
                f"the manifest cannot be read: {error}", where=str(path), next_step="take it from another copy"
            ) from error


def put_back(archive: Archive, store: LedgerStore, tell: Tell = lambda line: None) -> int:
    """Puts archived blocks back where the ledger has pruned them; how many heights.

    Raises InvalidProof, and ArchiveRefused when the archive lacks the highest pruned heights.
    """
    done = 0
    check = archive.check(own_headers=True)
    for path in reversed(archive.files()):
        file = ArchiveFile(path)
        if file.head.first > store.pruning.height:
            continue
        if file.head.last < store.pruning.height:
            raise ArchiveRefused(
                f"the ledger is pruned up to {store.pruning.height}, and this file ends at {file.head.last}",
                where=str(path),
                next_step="import the later files first",
            )
        blocks = check.check(file)
        for header, archived in blocks:
            if store.header(header.height) != archived.block.header:
                raise InvalidProof(
                    "the archived header is not this ledger's",
                    where=f"{path}, height {header.height}",
                    next_step="one of the two is forged: compare both with other nodes' headers",
                )
        wanted = [(header.height, block) for header, block in blocks if header.height <= store.pruning.height]
        for start in range(0, len(wanted), HEIGHTS_A_BATCH):
            end = len(wanted) - start
            part = dict(wanted[max(0, end - HEIGHTS_A_BATCH) : end])
            store.pruning.restore(part)
            done += len(part)
        tell(f"{path.name}: heights {wanted[0][0]} to {wanted[-1][0]} put back")
    return done


def _checked(check: ArchiveCheck, path: Path) -> FileRow:
    file = ArchiveFile(path)
    head = file.head
    if path.name != file_name(head.first, head.last):
        raise InvalidProof(
            "the name does not say what it holds", where=str(path), next_step="give the file its own name back"
        )
    blocks: list[tuple[Header, ArchivedBlock]] = check.check(file)
    return FileRow(
        path.name,
        head.first,
        head.last,
        file.size_bytes,
        file.digest.hex(),
        blocks[0][0].prev_hash.hex(),
        header_hash(blocks[-1][1].block.header).hex(),
    )


def _manifest_text(archive: Archive, rows: list[FileRow]) -> str:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "chain_id": archive.genesis.chain_id,
        "genesis_hash": archive.genesis_hash.hex(),
        "ledger": MAIN_LEDGER,
        "files": [asdict(row) for row in rows],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
