"""Old blocks leave the disk for files that prove themselves, and come back."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.genesis import encode_genesis, genesis_hash
from chain_core.codec.transaction import decode_receipt
from chain_core.crypto.hashing import sm3
from chain_core.ledger.archive_file import ArchiveFile, encode_archived, encode_file, file_name
from chain_core.ledger.pruning import HEIGHTS_A_BATCH
from chain_core.ledger.store import KEPT_HEIGHTS, LedgerStore
from chain_core.network.identity import Caller
from chain_core.network.refusals import NotFound, Pruned
from chain_core.node.archive import Archive, ArchiveRefused, LedgerSource, put_back
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.ledger_files import LEDGER_DIRECTORY, open_ledger
from chain_core.node.queries import Queries
from chain_core.node.scope import OwnScope
from chain_core.types.errors import InvalidProof
from chain_core.types.genesis import Genesis
from chain_core.types.ids import HASH_SIZE
from local_chain.assembly import local_assembly
from tests.endurance.long_chain import grow

BLOCKS = KEPT_HEIGHTS + HEIGHTS_A_BATCH + 20
PRUNABLE = BLOCKS - KEPT_HEIGHTS


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Genesis, Path]:
    genesis, _, _, data = grow(tmp_path_factory.mktemp("chain"), 4, BLOCKS, 5 * BLOCKS, 1_800_000_000_000)
    return genesis, data


@pytest.fixture
def genesis(grown: tuple[Genesis, Path]) -> Genesis:
    return grown[0]


@pytest.fixture
def data(grown: tuple[Genesis, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(grown[1], tmp_path / "data"))


@pytest.fixture
def store(genesis: Genesis, data: Path) -> Iterator[LedgerStore]:
    with opened(genesis, data) as store:
        yield store


def opened(genesis: Genesis, data: Path) -> LedgerStore:
    return open_ledger(data, local_assembly(genesis), genesis, genesis_hash(encode_genesis(genesis)))


def written(genesis: Genesis, store: LedgerStore, to: Path, through: int = BLOCKS, each: int = 50) -> Archive:
    archive = Archive(to, encode_genesis(genesis))
    asyncio.run(archive.write(LedgerSource(store), through, each))
    return archive


def prune_all(store: LedgerStore) -> None:
    while store.prune(BLOCKS):
        pass


def test_archive_prune_import(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    """All is archived and verified, the most is pruned, and comes back as it was."""
    before = {height: store.archived(height) for height in range(1, BLOCKS + 1)}
    places = {
        decode_receipt(raw).transaction_id: store.locate(decode_receipt(raw).transaction_id)
        for height in before
        for raw in store.receipts(height)
    }
    archive = written(genesis, store, tmp_path / "archive")
    rows = Archive.open(tmp_path / "archive").verify()
    assert [(row.first, row.last) for row in rows] == [
        (first, min(first + 49, BLOCKS)) for first in range(1, BLOCKS + 1, 50)
    ]
    prune_all(store)
    assert store.pruning.height == PRUNABLE
    for height in range(1, BLOCKS + 1):
        kept = height > PRUNABLE
        assert (store.block(height) is not None, bool(store.receipts(height))) == (kept, kept)
        assert store.header(height) is not None and store.certificate(height) is not None
    assert {place is None for place in map(store.locate, places)} == {True, False}
    store.pruning.compact()
    assert put_back(archive, store) == PRUNABLE and store.pruning.height == 0
    assert {height: store.archived(height) for height in before} == before
    assert {name: store.locate(name) for name in places} == places


def test_the_directory_shrinks(genesis: Genesis, data: Path) -> None:
    def size() -> int:
        return sum(path.stat().st_size for path in (data / LEDGER_DIRECTORY).iterdir())

    with opened(genesis, data) as store:
        bodies = sum(len(encode_archived(block)) for h in range(1, PRUNABLE) if (block := store.archived(h)))
        store._database.compact(b"", None)
    before = size()
    with opened(genesis, data) as store:
        prune_all(store)
        store.pruning.compact()
    with opened(genesis, data) as store:
        assert before - size() > bodies / 4  # tables are compressed
        assert store.final_height == BLOCKS and store.pruning.height == PRUNABLE


def test_a_crash_while_pruning_leaves_one_range(genesis: Genesis, data: Path) -> None:
    with opened(genesis, data) as store:
        assert store.prune(BLOCKS) == HEIGHTS_A_BATCH
        assert store.prune(10) == 0  # below already
    with opened(genesis, data) as store:
        assert store.pruning.height == HEIGHTS_A_BATCH
        assert store.block(HEIGHTS_A_BATCH) is None and store.block(HEIGHTS_A_BATCH + 1) is not None
        assert store.prune(BLOCKS) == PRUNABLE - HEIGHTS_A_BATCH and store.prune(BLOCKS) == 0


def test_an_archive_goes_on_where_it_ended(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    written(genesis, store, tmp_path / "archive", through=70)
    (tmp_path / "archive" / "blocks-000000000071-000000000120.dca.part").write_bytes(b"a crash")
    archive = written(genesis, store, tmp_path / "archive", through=130)
    assert [(row.first, row.last) for row in archive.verify()] == [(1, 50), (51, 70), (71, 120), (121, 130)]
    other = Archive(tmp_path / "archive", encode_genesis(replace(genesis, time_ms=genesis.time_ms + 1)))
    with pytest.raises(ArchiveRefused):
        asyncio.run(other.write(LedgerSource(store), BLOCKS))


def test_what_is_pruned_cannot_be_archived_here(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    archive = written(genesis, store, tmp_path / "archive", through=10)
    prune_all(store)
    with pytest.raises(ArchiveRefused, match="heights below"):
        asyncio.run(archive.write(LedgerSource(store), BLOCKS))
    fresh = written(genesis, store, tmp_path / "later")  # begins where the ledger does
    assert fresh.verify()[0].first == PRUNABLE + 1
    with pytest.raises(ArchiveRefused, match="later files first"):
        put_back(archive, store)


def resealed(path: Path, change: "dict[int, bytes]") -> None:
    """Bytes changed by somebody who also writes a new digest."""
    data = bytearray(path.read_bytes()[:-HASH_SIZE])
    for at, value in change.items():
        data[at : at + len(value)] = value
    path.write_bytes(bytes(data) + sm3(bytes(data)))


def test_no_byte_can_change(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    archive = written(genesis, store, tmp_path / "archive", through=3)
    (path,) = archive.files()
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        with pytest.raises(InvalidProof):
            archive.verify()
        if at < len(whole) - HASH_SIZE:
            resealed(path, {})
            with pytest.raises(InvalidProof):
                archive.verify()
    path.write_bytes(whole[:-1])
    with pytest.raises(InvalidProof):
        archive.verify()
    path.write_bytes(whole)
    archive.verify()


def test_forged_files(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    """Whole files with right digests, made by somebody without the validators' keys."""
    archive = written(genesis, store, tmp_path / "archive", through=6, each=6)
    (path,) = archive.files()
    honest = path.read_bytes()
    file = ArchiveFile(path)
    head, blocks = file.head, [block for _, block in file.blocks()]
    swapped = [blocks[1], blocks[0], *blocks[2:]]
    no_events = [replace(blocks[0], events=blocks[0].outbox), *blocks[1:]]
    others = [replace(blocks[0], receipts=blocks[1].receipts), *blocks[1:]]
    foreign = [replace(blocks[0], block=replace(blocks[0].block, certificate=blocks[1].block.certificate)), *blocks[1:]]
    extra = [*blocks, blocks[0]]
    first = blocks[0].block
    (signer, signature), *signatures = first.certificate.signatures
    bad = replace(first.certificate, signatures=((signer, signature[::-1]), *signatures))
    unsigned = [replace(blocks[0], block=replace(first, certificate=bad)), *blocks[1:]]
    for forged in (swapped, no_events, others, foreign, unsigned, extra, blocks[:-1]):
        path.write_bytes(encode_file(head, [encode_archived(block) for block in forged]))
        with pytest.raises(InvalidProof):  # by its contents, whatever the manifest says
            archive.check().check(ArchiveFile(path))
    path.write_bytes(encode_file(replace(head, genesis_hash=bytes(32)), list(map(encode_archived, blocks))))
    with pytest.raises(InvalidProof, match="another chain"):
        archive.verify()
    path.write_bytes(honest)
    path.rename(path.with_name(file_name(2, 7)))
    with pytest.raises(InvalidProof, match="name"):
        archive.verify()


def test_a_manifest_that_says_otherwise(genesis: Genesis, store: LedgerStore, tmp_path: Path) -> None:
    archive = written(genesis, store, tmp_path / "archive", through=60)
    manifest = tmp_path / "archive" / "archive.json"
    document = json.loads(manifest.read_text("utf-8"))
    assert document["files"][0]["sm3"] == sm3(archive.files()[0].read_bytes()).hex()
    archive.files()[1].unlink()
    with pytest.raises(InvalidProof, match="manifest"):
        archive.verify()
    manifest.write_text("{")
    with pytest.raises(ArchiveRefused):
        archive.verify()
    with pytest.raises(ArchiveRefused):
        Archive.open(tmp_path / "nothing")


def test_an_archive_of_another_history_is_not_imported(
    genesis: Genesis, store: LedgerStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right certificates do not suffice: the headers must be those this ledger has."""
    archive = written(genesis, store, tmp_path / "archive")
    prune_all(store)
    header = store.header
    monkeypatch.setattr(store, "header", lambda height: header(height + 1) if height == 5 else header(height))
    with pytest.raises(InvalidProof, match="not this ledger's"):
        put_back(archive, store)


def test_a_node_says_what_it_has_pruned(genesis: Genesis, store: LedgerStore) -> None:
    receipt = decode_receipt(store.receipts(1)[0])
    prune_all(store)
    proofs = BlockProofs(store, local_assembly(genesis).messages())
    queries = Queries(OwnScope(genesis.chain_id, store.genesis_hash, 0), b"", store, proofs)
    caller = Caller("test", "anybody")
    nonce = pb.AccountNonce(account=receipt.account, nonce=receipt.nonce)
    gone = (
        queries.block(caller, pb.GetBlockRequest(height=1).SerializeToString()),
        queries.events(caller, pb.GetEventsRequest(height=PRUNABLE).SerializeToString()),
        queries.receipt(caller, pb.GetReceiptRequest(account_nonce=nonce).SerializeToString()),
    )
    for question in gone:
        with pytest.raises(Pruned, match=f"from {PRUNABLE + 1} on"):
            asyncio.run(question)
    asyncio.run(queries.block(caller, pb.GetBlockRequest(height=PRUNABLE + 1).SerializeToString()))
    asyncio.run(queries.outbox(caller, pb.GetOutboxRequest(height=1).SerializeToString()))
    for height in (0, BLOCKS + 1):
        with pytest.raises(NotFound):
            asyncio.run(queries.block(caller, pb.GetBlockRequest(height=height).SerializeToString()))
