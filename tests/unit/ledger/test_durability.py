"""What was reported durable is there after kill -9; what failed has changed nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chain_core.codec.block import decode_header
from chain_core.codec.proofs import check_state_proof
from chain_core.ledger.errors import DiskFull, StoreCorrupt, StoreFailed
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key
from tests.meta.sources import ROOT
from tests.unit.ledger.committer import PER_BLOCK, commit_next, writes_of
from tests.unit.ledger.model import naive_root
from tests.unit.ledger.support import ACCOUNT, GENESIS_STATE, make_block, new_store, open_store, transaction_id


def child(mode: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.unit.ledger.committer", mode, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("last_line", [1, 7, 70])
def test_kill_9(path: Path, last_line: int) -> None:
    """Killed at any moment after it said that a height is durable: that height is final, whole and provable."""
    with child("for-ever", path) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(last_line)]
        process.kill()
        said += [int(line) for line in process.stdout if line.endswith("\n")]
    with open_store(path) as store:
        height = store.final_height
        assert said[-1] <= height <= said[-1] + 1
        state = dict(GENESIS_STATE)
        for past in range(1, height + 1):
            for key, value in writes_of(past).items():
                if value is None:
                    state.pop(key)
                else:
                    state[key] = value
        root = decode_header(store.header(height) or b"").state_root
        assert root == naive_root(state, store.prove_state(b"")[1].bucket_count)
        assert dict(store.scan(b"", limit=10_000)) == state
        for i in range(PER_BLOCK):
            key = b"key %d/%d" % (height, i)
            value, proof = store.prove_state(key)
            check_state_proof(key, value, proof, root)
        assert store.locate(transaction_id(height * 10)) == (height, 0)
        assert store.block(height) is not None and len(store.receipts(height)) == 5
        assert all(key >= record_key(height + 1, 0, 0) for key, _ in store.log_read())
        commit_next(store)
        assert store.final_height == height + 1


class TestPowerLost:
    """What the log file may look like when the machine stopped inside the last write."""

    @pytest.fixture
    def roots(self, path: Path) -> list[bytes]:
        """The state roots of a closed ledger of six blocks, by height."""
        with new_store(path) as store:
            for _ in range(6):
                commit_next(store)
            return [decode_header(store.header(height) or b"").state_root for height in range(7)]

    @pytest.mark.parametrize("cut", [1, 7, 500, 2_000])
    def test_a_write_cut_short_is_dropped(self, path: Path, roots: list[bytes], cut: int) -> None:
        log = next(path.glob("*.log"))
        log.write_bytes(log.read_bytes()[:-cut])
        with open_store(path) as store:
            assert store.final_height == 5 and store.stage({}, {}, ()).state_root == roots[5]
            assert [key for key, _ in store.log_read()] == [record_key(6, kind, 0) for kind in (1, 2, 3)]
            assert store.logged_body(ACCOUNT * 2) == b"body" * 100
            commit_next(store)
            assert decode_header(store.header(6) or b"").state_root == roots[6]

    def test_room_that_was_never_written_is_ignored(self, path: Path, roots: list[bytes]) -> None:
        log = next(path.glob("*.log"))
        log.write_bytes(log.read_bytes() + bytes(4_096))
        with open_store(path) as store:
            assert store.final_height == 6 and store.stage({}, {}, ()).state_root == roots[6]

    def test_a_write_with_wrong_bytes_is_not_dropped_in_silence(self, path: Path, roots: list[bytes]) -> None:
        """It cannot be told from damage to a vote that was sent."""
        log = next(path.glob("*.log"))
        log.write_bytes(log.read_bytes()[:-500] + bytes(500))
        with pytest.raises(StoreCorrupt):
            open_store(path)


def test_disk_full(path: Path) -> None:
    """A file size limit stands in for a full disk: the same write fails in the same place."""
    with child("until-full", path) as process:
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(output)
    (code, step), *later = report["refusals"]
    assert code == DiskFull.code and "free disk space" in step
    assert {code for code, _ in later} == {StoreFailed.code}, "no further write until it is reopened"
    assert report["unchanged"]
    assert report["height"] > 5
    assert report["height_reopened"] == report["height"]
    assert report["height_after"] == report["height"] + 1


class BrokenBatch:
    """A batch whose write fails as the test says."""

    def __init__(self, batch: Any, error: Exception) -> None:
        self.batch, self.error = batch, error

    def put(self, key: bytes, value: bytes) -> None:
        self.batch.put(key, value)

    def delete(self, key: bytes) -> None:
        self.batch.delete(key)

    def write(self) -> None:
        raise self.error


class Spy:
    """Stands between the store and LevelDB: counts batches and how they are synced, fails on demand."""

    def __init__(self, raw: Any) -> None:
        self.raw, self.syncs, self.error = raw, list[bool](), None

    error: Exception | None

    def write_batch(self, *, sync: bool) -> Any:
        self.syncs.append(sync)
        batch = self.raw.write_batch(sync=sync)
        return batch if self.error is None else BrokenBatch(batch, self.error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@pytest.fixture
def spy(store: LedgerStore) -> Spy:
    spy = Spy(store._database._raw)
    store._database._raw = spy
    return spy


def test_four_writes_a_block_each_one_synced_batch(store: LedgerStore, spy: Spy) -> None:
    for blocks in range(1, 4):
        commit_next(store)
        assert spy.syncs == [True] * 4 * blocks


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO error: /ledger/000003.log: No space left on device", DiskFull),
        ("IO error: /ledger/000003.log: Disk quota exceeded", DiskFull),
        ("IO error: /ledger/000003.log: Input/output error", StoreFailed),
        ("Corruption: bad block", StoreCorrupt),
    ],
)
def test_a_failed_commit_changes_nothing_in_memory(
    store: LedgerStore, spy: Spy, path: Path, text: str, kind: type[StoreFailed]
) -> None:
    commit_next(store)
    block = make_block(store, {b"key": b"v"}, nonces=(1,))
    memory = (store.final_height, store.history_root_of(2), store.stage({}, {}, ()), store.prove_state(b"key"))
    spy.error = OSError(text)
    with pytest.raises(kind):
        store.commit_block(block)
    spy.error = None
    assert memory == (store.final_height, store.history_root_of(2), store.stage({}, {}, ()), store.prove_state(b"key"))
    with pytest.raises(StoreFailed, match="earlier write failed"):
        store.commit_block(block)
    with pytest.raises(StoreFailed, match="earlier write failed"):
        store.log_write([(record_key(2, 1, 1), b"vote")])
    assert store.get(b"key 1/1") is not None, "reading goes on"
    store.close()
    with open_store(path) as again:
        again.commit_block(block)


def test_a_failed_log_write_is_not_remembered(store: LedgerStore, spy: Spy) -> None:
    store.log_write([(record_key(None, 9, 1), b"kept")])
    spy.error = OSError("IO error: Input/output error")
    with pytest.raises(StoreFailed):
        store.log_write([(record_key(1, 1, 1), b"lost")], {b"i" * 32: b"body"}, deletes=[record_key(None, 9, 1)])
    assert store.log_read() == [(record_key(None, 9, 1), b"kept")]
    assert store.logged_body(b"i" * 32) is None
