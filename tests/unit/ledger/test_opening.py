"""Opening a directory that is not this ledger's, not free or not whole: a typed refusal that says what to do."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import plyvel
import pytest

from chain_core.crypto.hashing import sm3
from chain_core.ledger.database import Database
from chain_core.ledger.errors import (
    LedgerFault,
    OtherVersion,
    StoreCorrupt,
    StoreFailed,
    StoreLocked,
    WrongGenesis,
)
from chain_core.ledger.store import LedgerStore
from chain_core.types.errors import LocalFault
from tests.meta.sources import ROOT
from tests.unit.ledger.support import GENESIS, make_block, new_store, open_store


def put(path: Path, key: bytes, value: bytes | None) -> None:
    """Sets or removes one raw key of a closed database."""
    database = Database(path)
    batch = database.batch()
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)
    database.write(batch)
    database.close()


@pytest.fixture
def written(path: Path) -> Path:
    """A closed ledger of three blocks."""
    with new_store(path) as store:
        for height in range(1, 4):
            store.commit_block(make_block(store, {b"key": b"%d" % height}))
    return path


def refusal(path: Path, kind: type[LedgerFault], **options: int) -> LedgerFault:
    with pytest.raises(kind) as refused:
        open_store(path, **options)
    assert isinstance(refused.value, LocalFault)
    assert str(path) in refused.value.where and refused.value.next_step
    return refused.value


def test_parents_are_made(tmp_path: Path) -> None:
    new_store(tmp_path / "a" / "b" / "ledger").close()


def test_another_format_version(written: Path) -> None:
    put(written, b"Mformat", b"dualchain/ledger" + (3).to_bytes(4, "big"))
    refused = refusal(written, OtherVersion)
    assert "format 3" in refused.what and "format 2" in refused.what
    put(written, b"Mformat", b"dualchain/ledger" + (2).to_bytes(4, "big"))
    assert open_store(written).final_height == 3


def test_a_leveldb_of_something_else(path: Path) -> None:
    plyvel.DB(str(path), create_if_missing=True).put(b"some", b"thing")
    refusal(path, OtherVersion)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"genesis_hash": sm3(b"another chain")}, sm3(b"another chain").hex()),
        ({"ledger": 1}, "ledger 1"),
        ({"state_buckets": 17}, "17 state"),
        ({"seen_buckets": 33}, "33 seen"),
    ],
)
def test_another_chain_or_ledger(written: Path, options: dict[str, object], named: str) -> None:
    wanted: dict[str, object] = {"genesis_hash": GENESIS, "state_buckets": 16, "seen_buckets": 32, **options}
    with pytest.raises(WrongGenesis) as refused:
        LedgerStore.open(written, **wanted)  # type: ignore[arg-type]
    assert named in refused.value.what and GENESIS.hex() in refused.value.what
    assert open_store(written).final_height == 3


def test_held_by_this_process(store: LedgerStore, path: Path) -> None:
    refusal(path, StoreLocked)
    store.close()
    store.close()
    open_store(path).close()


def test_held_by_another_process(written: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom tests.unit.ledger.support import open_store\n"
        "store = open_store(Path(sys.argv[1]))\nprint('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(written)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        assert "stop the other" in refusal(written, StoreLocked).next_step
        other.communicate()
    open_store(written).close()


def test_a_path_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        refusal(path, StoreFailed)


def flip(file: Path, offset: int) -> None:
    data = bytearray(file.read_bytes())
    data[offset] ^= 0xFF
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a byte in the middle of the write-ahead log": lambda path: flip(next(path.glob("*.log")), 2_000),
    "a byte of the manifest": lambda path: flip(next(path.glob("MANIFEST-*")), 20),
    "no manifest": lambda path: next(path.glob("MANIFEST-*")).unlink(),
    "CURRENT cut short": lambda path: (path / "CURRENT").write_bytes(b"MANI"),
}


@pytest.mark.parametrize("damage", DAMAGES, ids=str)
def test_damaged_files(written: Path, damage: str) -> None:
    DAMAGES[damage](written)
    with pytest.raises((StoreCorrupt, StoreFailed)):
        open_store(written)


LOSSES = {
    "the header": b"H" + (3).to_bytes(8, "big"),
    "the history": b"Mhistory",
    "the size of a tree": b"Dns",
    "the last digests": b"Dds" + (3).to_bytes(8, "big"),
}


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_lost_value(written: Path, loss: str) -> None:
    put(written, LOSSES[loss], None)
    refusal(written, StoreCorrupt)


@pytest.mark.parametrize(
    ("key", "value"), [(b"Mhistory", bytes(8)), (b"Mhistory", b"\1"), (b"H" + bytes(7) + b"\3", b"x")]
)
def test_a_damaged_value(written: Path, key: bytes, value: bytes) -> None:
    put(written, key, value)
    refusal(written, StoreCorrupt)


def test_digests_of_another_state(written: Path) -> None:
    """The trees are rebuilt from their digests, and their roots must be the final header's."""
    database = Database(written)
    delta = database.get(b"Dds" + (3).to_bytes(8, "big")) or b""
    database.close()
    put(written, b"Dds" + (3).to_bytes(8, "big"), delta[:-1] + bytes((delta[-1] ^ 1,)))
    assert "roots of header 3" in refusal(written, StoreCorrupt).what


def test_a_refused_opening_leaves_the_directory_free(written: Path) -> None:
    refusal(written, WrongGenesis, state_buckets=8)
    with open_store(written) as store:
        assert store.final_height == 3
