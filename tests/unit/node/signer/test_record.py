"""The record on disk: nothing leaves before it is written, and what was written is found again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.ledger.errors import DiskFull, StoreLocked
from chain_core.node.safe_signer import SigningRefused
from chain_core.node.signer.record import MAX_LEDGERS, Record, RecordRefused, create_record
from chain_core.node.signer.rules import Item, Marks
from tests.unit.node.signer.test_rules import B, asks, commit, header, leads, prepare, propose

CHAIN, KEY, OTHER = b"c" * 32, b"k" * 64, b"o" * 64


class Hand:
    """Signs with a number, so that two signatures differ as SM2's do."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, item: Item) -> bytes:
        self.count += 1
        return self.count.to_bytes(64, "big")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    create_record(tmp_path / "record", CHAIN)
    return tmp_path / "record"


@pytest.fixture
def record(directory: Path) -> Iterator[Record]:
    made = Record(directory, CHAIN)
    yield made
    made.close()


ALL = [propose(4, 2), prepare(5, 2), commit(5, 2), header(5), leads(2, propose(4, 2)), asks(3)]


def test_it_is_found_again_after_a_restart(directory: Path) -> None:
    first, hand = Record(directory, CHAIN), Hand()
    given = {item: first.sign(KEY, 0, [item], hand) for item in ALL}
    first.close()
    again = Record(directory, CHAIN)
    assert again.marks(KEY) == {0: Marks(0, 3, 5, 0)}
    assert again.sign(KEY, 0, [header(5)], hand) == given[ALL[3]]
    assert again.sign(KEY, 0, [asks(3)], hand) == given[ALL[5]]
    assert hand.count == len(ALL)
    for contradiction in (header(5, body=B), asks(3, B), prepare(5, 2, B), prepare(6, 2)):
        with pytest.raises(SigningRefused):
            again.sign(KEY, 0, [contradiction], hand)
    again.close()


def test_keys_and_ledgers_have_each_their_own(record: Record) -> None:
    hand = Hand()
    record.sign(KEY, 0, [header(5)], hand)
    record.sign(KEY, 1, [header(5, body=B)], hand)
    record.sign(OTHER, 0, [header(5, body=B)], hand)
    assert set(record.marks(KEY)) == {0, 1} and set(record.marks(OTHER)) == {0}
    with pytest.raises(SigningRefused):
        record.sign(KEY, 0, [header(5, body=B)], hand)


def test_the_number_of_ledgers_is_bounded(record: Record) -> None:
    for ledger in range(MAX_LEDGERS):
        record._tracks[record_name(KEY, ledger)] = record._tracks.setdefault(record_name(KEY, 0), _track())
    with pytest.raises(SigningRefused, match="1024 ledgers"):
        record.sign(KEY, MAX_LEDGERS, [header(5)], Hand())
    record.sign(OTHER, MAX_LEDGERS, [header(5)], Hand())


def record_name(key: bytes, ledger: int) -> bytes:
    from chain_core.crypto.hashing import sm3

    return sm3(key)[:16] + ledger.to_bytes(4, "big")


def _track():  # type: ignore[no-untyped-def]
    from chain_core.node.signer.rules import Track

    return Track()


def test_a_write_that_fails_gives_no_signature_and_no_memory(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(batch: object) -> None:
        raise DiskFull("no room", where="disk", next_step="make room")

    with monkeypatch.context() as patch:
        patch.setattr(type(record._database), "write", lambda self, batch: full(batch))
        with pytest.raises(DiskFull):
            record.sign(KEY, 0, [header(5)], Hand())
    assert record.marks(KEY) == {}


def test_a_request_is_one_write(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[object] = []
    real = type(record._database).write
    monkeypatch.setattr(type(record._database), "write", lambda self, batch: (writes.append(1), real(self, batch))[1])
    record.sign(KEY, 0, [propose(height, 0) for height in range(1, 65)], Hand())
    record.sign(KEY, 0, [propose(5, 0)], Hand())
    assert len(writes) == 1, "what is signed already is not written again"


def test_old_entries_leave_the_disk(directory: Path) -> None:
    record, hand = Record(directory, CHAIN), Hand()
    for height in (1, 2, 3):
        record.sign(KEY, 0, [header(height), prepare(height)], hand)
    record.sign(KEY, 0, [header(2_000)], hand)
    record.close()
    again = Record(directory, CHAIN)
    assert [len(track.signed) for track in again._tracks.values()] == [1]
    again.close()


def test_a_missing_record_is_never_a_new_one(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(RecordRefused, match=r"no record.*signer init"):
            Record(path, CHAIN)


def test_refusals(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordRefused, match="already"):
        create_record(directory, CHAIN)
    with pytest.raises(RecordRefused, match="another chain"):
        Record(directory, b"x" * 32)
    open_one = Record(directory, CHAIN)
    with pytest.raises(StoreLocked):
        Record(directory, CHAIN)
    open_one.close()


def test_a_key_that_has_voted_before(tmp_path: Path) -> None:
    create_record(tmp_path / "r", CHAIN, above=1_064)
    record = Record(tmp_path / "r", CHAIN)
    with pytest.raises(SigningRefused, match="at or below height 1064"):
        record.sign(KEY, 0, [header(1_064)], Hand())
    assert record.sign(KEY, 0, [header(1_065)], Hand())
    record.close()
