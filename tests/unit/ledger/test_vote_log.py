"""The vote log: one synced write each, found again after a crash, gone when its height is final."""

from pathlib import Path

import pytest

from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key, split_record_key
from tests.unit.ledger.support import make_block, new_store, open_store

PRE_PREPARE, PREPARED, HEADER_VOTE, VIEW_CHANGE = range(1, 5)


def name(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


@pytest.mark.parametrize("parts", [(0, 0, 0), (7, 255, 9), (None, 4, 1 << 63), ((1 << 64) - 2, 1, (1 << 64) - 1)])
def test_record_keys_round_trip(parts: tuple[int | None, int, int]) -> None:
    assert split_record_key(record_key(*parts)) == parts


def test_records_sort_by_height_those_without_one_last() -> None:
    ordered = [(0, 9, 9), (1, 0, 0), (1, 0, 1), (1, 1, 0), (300, 0, 0), (None, 0, 0)]
    assert sorted(record_key(*parts) for parts in ordered) == [record_key(*parts) for parts in ordered]


def test_a_block_s_three_writes(store: LedgerStore, path: Path) -> None:
    """Pre-prepare with bodies, prepared certificate, header vote; the commit deletes them, the view change stays."""
    view_change = (record_key(None, VIEW_CHANGE, 2), b"view change 2")
    store.log_write([view_change])
    store.log_write([(record_key(1, PRE_PREPARE, 2), b"pre-prepare")], {name("a"): b"body a", name("b"): b"body b"})
    store.log_write([(record_key(1, PREPARED, 2), b"prepared")])
    store.log_write([(record_key(1, HEADER_VOTE, 0), b"header vote")])
    block = make_block(store, {})
    store.close()
    with open_store(path) as again:
        assert again.log_read() == [
            (record_key(1, PRE_PREPARE, 2), b"pre-prepare"),
            (record_key(1, PREPARED, 2), b"prepared"),
            (record_key(1, HEADER_VOTE, 0), b"header vote"),
            view_change,
        ]
        assert [again.logged_body(name(x)) for x in "abc"] == [b"body a", b"body b", None]
        again.commit_block(block)
        assert again.log_read() == [view_change]
        assert again.logged_body(name("a")) is None
    with open_store(path) as again:
        assert again.log_read() == [view_change]
        assert again.logged_body(name("a")) is None


def test_a_record_replaces_its_predecessor_and_can_be_deleted(store: LedgerStore, path: Path) -> None:
    key, old = record_key(None, VIEW_CHANGE, 1), record_key(None, VIEW_CHANGE, 0)
    store.log_write([(old, b"first"), (key, b"one")])
    store.log_write([(key, b"another")], deletes=[old, record_key(9, 1, 1)])
    assert store.log_read() == [(key, b"another")]
    store.log_write([(old, b"written again wins over its deletion")], deletes=[old])
    assert len(store.log_read()) == 2
    store.close()
    with open_store(path) as again:
        assert [value for _, value in again.log_read()] == [b"written again wins over its deletion", b"another"]


class TestBodies:
    """Bodies stay as long as the highest height they were logged for is open, and no longer."""

    def test_those_of_lost_proposals_go_with_their_height(self, store: LedgerStore, path: Path) -> None:
        for view, which in enumerate(("lost", "lost too", "ordered")):
            store.log_write([(record_key(1, PRE_PREPARE, view), b"p")], {name(which): which.encode()})
        store.commit_block(make_block(store, {}))
        store.close()
        with open_store(path) as again:
            assert [again.logged_body(name(x)) for x in ("lost", "lost too", "ordered")] == [None] * 3
            assert again._database.scan(b"P", b"Q", 10) == []

    def test_one_proposed_again_at_a_later_height_stays(self, store: LedgerStore, path: Path) -> None:
        store.log_write([(record_key(1, PRE_PREPARE, 0), b"p")], {name("a"): b"A", name("b"): b"B"})
        store.log_write([(record_key(2, PRE_PREPARE, 0), b"p")], {name("b"): b"B"})
        store.commit_block(make_block(store, {}))
        for _ in range(2):
            assert [store.logged_body(name(x)) for x in "ab"] == [None, b"B"]
            assert store.log_read() == [(record_key(2, PRE_PREPARE, 0), b"p")]
            store.close()
            store = open_store(path)
        store.commit_block(make_block(store, {}))
        assert store.logged_body(name("b")) is None
        store.close()

    def test_heights_may_come_in_any_order(self, store: LedgerStore) -> None:
        store.log_write([(record_key(2, PRE_PREPARE, 0), b"p")], {name("other"): b"O"})
        store.log_write([(record_key(1, PRE_PREPARE, 0), b"p")], {name("a"): b"A"})
        store.log_write([(record_key(2, PRE_PREPARE, 1), b"p")], {name("a"): b"A", name("other"): b"O"})
        store.commit_block(make_block(store, {}))
        assert [store.logged_body(name(x)) for x in ("a", "other")] == [b"A", b"O"]
        store.commit_block(make_block(store, {}))
        assert [store.logged_body(name(x)) for x in ("a", "other")] == [None, None]
        assert store.log_read() == [] and store._database.scan(b"P", b"Q", 10) == []

    def test_the_same_body_is_written_once_a_height(self, store: LedgerStore) -> None:
        for view in range(3):
            store.log_write([(record_key(1, PRE_PREPARE, view), b"p")], {name("a"): b"A" * 1_000})
        assert len(store._database.scan(b"P", b"Q", 10)) == 1

    def test_a_write_for_several_heights_keeps_them_until_the_last(self, store: LedgerStore) -> None:
        records = [(record_key(height, PRE_PREPARE, 0), b"p") for height in (2, 1)]
        store.log_write([*records, (record_key(None, VIEW_CHANGE, 1), b"v")], {name("a"): b"A"})
        store.commit_block(make_block(store, {}))
        assert store.logged_body(name("a")) == b"A"
        store.commit_block(make_block(store, {}))
        assert store.logged_body(name("a")) is None

    def test_without_a_height_they_belong_to_the_next_one(self, store: LedgerStore) -> None:
        store.log_write([(record_key(None, VIEW_CHANGE, 1), b"v")], {name("a"): b"A"})
        assert store.logged_body(name("a")) == b"A"
        store.commit_block(make_block(store, {}))
        assert store.logged_body(name("a")) is None


def test_logging_before_the_genesis(path: Path) -> None:
    with open_store(path) as store:
        store.log_write([(record_key(1, PRE_PREPARE, 0), b"p")])
        assert len(store.log_read()) == 1
    with new_store(path) as store:
        assert len(store.log_read()) == 1, "installing height 0 deletes nothing above it"
