"""A ledger's life: genesis, blocks, what can be read of them, and what is refused."""

import dataclasses
import random
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec import signed
from chain_core.codec.block import (
    decode_batch,
    decode_certificate,
    decode_header,
    encode_header,
    header_hash,
)
from chain_core.codec.proofs import check_consistency, check_inclusion, check_state_proof
from chain_core.codec.seen import seen_key
from chain_core.codec.transaction import decode_receipt
from chain_core.crypto.errors import MalformedTree
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root
from chain_core.ledger import blocks
from chain_core.ledger.errors import BlockRefused, StoreCorrupt
from chain_core.ledger.store import NO_HEIGHT, BlockRecord, LedgerStore
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import MAX_U64
from tests.unit.ledger.model import naive_root
from tests.unit.ledger.support import (
    ACCOUNT,
    GENESIS_STATE,
    header,
    make_block,
    new_store,
    open_store,
    receipt,
    transaction_id,
    used,
)

COIN = b"\x04coin"


def test_before_the_genesis(path: Path) -> None:
    with open_store(path) as store:
        assert store.final_height == NO_HEIGHT
        assert store.header(0) is None and store.block(0) is None and store.get(COIN + b"\0") is None
        assert store.history_root_of(0) == (merkle_root(()), 0)
        with pytest.raises(BlockRefused, match="genesis"):
            store.commit_block(make_block(store, {}))


def test_genesis(store: LedgerStore) -> None:
    assert store.final_height == 0
    genesis = decode_header(store.header(0) or b"")
    assert genesis.state_root == naive_root(GENESIS_STATE, 16)
    assert genesis.seen_root == naive_root({}, 32, signed.SEEN_ROOT)
    assert store.get(COIN + b"\x03") == b"103"
    assert store.certificate(0) is None and store.block(0) is None
    with pytest.raises(BlockRefused, match="already"):
        store.install_genesis(store.header(0) or b"", GENESIS_STATE)


def test_a_genesis_that_does_not_match_its_state(path: Path) -> None:
    with open_store(path) as store:
        raw = encode_header(header(store, store.stage(GENESIS_STATE, {}, ())))
        with pytest.raises(BlockRefused, match="state root"):
            store.install_genesis(raw, {**GENESIS_STATE, b"more": b""})
        store.install_genesis(raw, GENESIS_STATE)


def test_what_a_block_leaves(store: LedgerStore, path: Path) -> None:
    """Everything of a block is read back as it was handed in, now and after reopening."""
    seen = dict([used(7, 1, 0), used(8, 1, 1)])
    block = make_block(store, {COIN + b"\x01": b"1", COIN + b"\x02": None}, seen, nonces=(7, 8), outbox=(b"p0", b"p1"))
    store.commit_block(block)
    for opened in (store, None):
        if opened is None:
            store.close()
            opened = open_store(path)
        assert opened.final_height == 1
        assert opened.header(1) == block.header_bytes
        assert opened.certificate(1) == block.certificate_bytes
        certified = opened.block(1)
        assert certified is not None
        assert certified.header == block.header_bytes and certified.envelopes == block.envelopes
        assert certified.batch == decode_batch(block.batch_bytes)
        assert certified.certificate == decode_certificate(block.certificate_bytes)
        assert opened.receipts(1) == block.receipts
        assert opened.events(1) == (b"events of 7", b"events of 8")
        assert opened.outbox(1) == (b"p0", b"p1")
        assert opened.get(COIN + b"\x01") == b"1" and opened.get(COIN + b"\x02") is None
        assert opened.seen(seen_key(0, ACCOUNT, 7)) == seen[seen_key(0, ACCOUNT, 7)]
        assert opened.locate(transaction_id(8)) == (1, 1)
        assert opened.locate(transaction_id(9)) is None
        for height in (-1, 2):
            assert opened.header(height) is None and opened.block(height) is None
            assert opened.receipts(height) == opened.events(height) == opened.outbox(height) == ()
    opened.close()


def test_history_covers_all_earlier_headers(store: LedgerStore, path: Path) -> None:
    for height in range(1, 20):
        store.commit_block(make_block(store, {COIN: b"%d" % height}))
    headers = [store.header(height) or b"" for height in range(20)]
    store.close()
    with open_store(path) as again:
        for height in range(21):
            assert again.history_root_of(height) == (merkle_root(headers[:height]), height)
        with pytest.raises(BlockRefused, match="22"):
            again.history_root_of(22)


class TestScan:
    def test_prefix_after_and_limit(self, store: LedgerStore) -> None:
        keys = sorted(GENESIS_STATE)
        assert store.scan(COIN) == [(key, GENESIS_STATE[key]) for key in keys]
        assert [key for key, _ in store.scan(COIN, limit=3)] == keys[:3]
        assert [key for key, _ in store.scan(COIN, after=keys[2], limit=3)] == keys[3:6]
        assert store.scan(COIN, after=keys[-1]) == [] and store.scan(COIN, limit=0) == []
        assert store.scan(b"\x04coim") == [] and store.scan(b"\x04coio") == []

    def test_pages_give_everything_once(self, store: LedgerStore) -> None:
        store.commit_block(make_block(store, {b"\xff\xff%d" % i: b"v" for i in range(25)}))
        found: list[bytes] = []
        while page := store.scan(b"\xff\xff", after=found[-1] if found else b"", limit=7):
            found += [key for key, _ in page]
        assert found == sorted(b"\xff\xff%d" % i for i in range(25))

    def test_an_after_below_the_prefix_starts_at_the_prefix(self, store: LedgerStore) -> None:
        assert store.scan(COIN, after=b"\x01") == store.scan(COIN)


class TestLocate:
    """Several envelopes can carry one transaction; the index names the one that counts."""

    def test_a_duplicate_does_not_move_it(self, store: LedgerStore) -> None:
        store.commit_block(make_block(store, {}, dict([used(1, 1)]), nonces=(1,)))
        store.commit_block(make_block(store, {}, nonces=(1,)))
        assert store.locate(transaction_id(1)) == (1, 0)

    def test_without_a_use_of_its_nonce_the_first_place_counts(self, store: LedgerStore) -> None:
        store.commit_block(make_block(store, {}, nonces=(3, 1, 1)))
        store.commit_block(make_block(store, {}, nonces=(1,)))
        assert store.locate(transaction_id(1)) == (1, 1)

    def test_the_use_of_the_nonce_counts_not_an_unauthorised_copy_before_it(self, store: LedgerStore) -> None:
        store.commit_block(make_block(store, {}, nonces=(2, 1)))
        assert store.locate(transaction_id(1)) == (1, 1)
        store.commit_block(make_block(store, {}, dict([used(1, 2, 1)]), nonces=(1, 1)))
        assert store.locate(transaction_id(1)) == (2, 1)

    def test_equal_prefixes_are_told_apart(self, store: LedgerStore) -> None:
        store.commit_block(make_block(store, {}, nonces=(1,)))
        assert store.locate(transaction_id(1)[:12] + bytes(20)) is None


class TestSeen:
    def add(self, store: LedgerStore, *entries: tuple[int, int]) -> None:
        """One block that uses each (nonce, valid_until_ms)."""
        height = store.final_height + 1
        added = dict(used(nonce, height, i, until) for i, (nonce, until) in enumerate(entries))
        store.commit_block(make_block(store, {}, added))

    def due(self, store: LedgerStore, before_ms: int) -> list[int]:
        return [int.from_bytes(key[-8:], "big") for key in store.seen_expired(before_ms)]

    def test_expired_ascend_by_the_end_of_their_window(self, store: LedgerStore) -> None:
        self.add(store, (1, 500), (2, 300), (3, 400), (4, 300), (5, MAX_U64))
        assert self.due(store, 300) == []
        assert self.due(store, 301) == [2, 4]
        assert self.due(store, 10_000) == [2, 4, 3, 1]
        assert self.due(store, -5) == []
        assert self.due(store, MAX_U64 + 600_000) == [2, 4, 3, 1]

    def test_an_earlier_window_that_comes_later_is_found(self, store: LedgerStore, path: Path) -> None:
        self.add(store, (1, 500))
        assert self.due(store, 400) == []
        self.add(store, (2, 100))
        assert self.due(store, 400) == [2]
        assert self.due(store, 600) == [2, 1]
        store.close()
        with open_store(path) as again:
            assert self.due(again, 400) == [2]

    def test_removed_entries_are_gone_and_their_absence_is_proven(self, store: LedgerStore) -> None:
        self.add(store, (1, 100), (2, 200))
        gone = store.seen_expired(150)
        store.commit_block(make_block(store, {}, dict([used(3, 2)]), seen_removed=gone))
        assert store.seen_expired(150) == [] and store.seen(gone[0]) is None
        value, proof = store.prove_seen(gone[0])
        root = decode_header(store.header(2) or b"").seen_root
        assert value is None
        check_state_proof(gone[0], None, proof, root, signed.SEEN_ROOT)
        kept = seen_key(0, ACCOUNT, 2)
        value, proof = store.prove_seen(kept)
        check_state_proof(kept, value, proof, root, signed.SEEN_ROOT)
        assert value is not None

    def test_a_nonce_may_be_used_again_in_the_block_that_forgets_it(self, store: LedgerStore) -> None:
        self.add(store, (1, 100))
        key, entry = used(1, 2, 0, 900)
        store.commit_block(make_block(store, {}, {key: entry}, seen_removed=[key]))
        assert store.seen(key) == entry
        assert self.due(store, 800) == [] and self.due(store, 901) == [1]


def test_random_blocks_follow_the_model(path: Path) -> None:
    """State, seen set and both roots over many blocks with reopenings; every key proven at the end."""
    draw = random.Random(11)
    store = new_store(path)
    state, seen = dict(GENESIS_STATE), dict[bytes, bytes]()
    for height in range(1, 100):
        writes: dict[bytes, bytes | None] = {
            draw.choice([*state, draw.randbytes(3)]): None if draw.random() < 0.3 else draw.randbytes(2)
            for _ in range(draw.randint(0, 15))
        }
        nonces = range(1_000 * height, 1_000 * height + draw.randint(0, 6))
        added = dict(used(nonce, height, i, 1_000 + draw.randint(0, 40)) for i, nonce in enumerate(nonces))
        removed = store.seen_expired(1_000 + height // 3)
        assert sorted(removed) == sorted(
            k for k, v in seen.items() if int.from_bytes(v[-8:], "big") < 1_000 + height // 3
        )
        store.commit_block(make_block(store, writes, added, removed, nonces=list(nonces)))
        state.update({key: value for key, value in writes.items() if value is not None})
        for key, value in writes.items():
            if value is None:
                state.pop(key, None)
        seen = {key: value for key, value in {**seen, **added}.items() if key not in removed}
        final = decode_header(store.header(height) or b"")
        assert final.state_root == naive_root(state, 16)
        assert final.seen_root == naive_root(seen, 32, signed.SEEN_ROOT)
        if height % 17 == 0:
            store.close()
            store = open_store(path)
    assert store.scan(b"") == sorted(state.items())
    for key in [*state, b"absent", b""]:
        value, proof = store.prove_state(key)
        assert value == state.get(key)
        check_state_proof(key, value, proof, final.state_root)
    store.close()


def with_header(block: BlockRecord, **fields: object) -> BlockRecord:
    changed = dataclasses.replace(decode_header(block.header_bytes), **fields)  # type: ignore[arg-type]
    return dataclasses.replace(block, header_bytes=encode_header(changed))


class TestRefusedBlocks:
    @pytest.mark.parametrize(
        ("field", "value", "named"),
        [
            ("height", 2, "height"),
            ("height", 0, "height"),
            ("genesis_hash", sm3(b"another"), "genesis hash"),
            ("ledger", 1, "ledger"),
            ("prev_hash", bytes(32), "previous header"),
            ("history_root", bytes(32), "history root"),
            ("history_count", 2, "history root"),
            ("state_root", bytes(32), "state root"),
            ("seen_root", bytes(32), "seen root"),
            ("transaction_count", 2, "one each"),
            ("receipt_count", 0, "one each"),
            ("outbox_count", 1, "outbox"),
        ],
    )
    def test_a_header_that_does_not_continue(self, store: LedgerStore, field: str, value: object, named: str) -> None:
        good = make_block(store, {COIN: b"1"}, dict([used(1, 1)]), nonces=(1,))
        with pytest.raises(BlockRefused, match=named):
            store.commit_block(with_header(good, **{field: value}))
        assert store.final_height == 0 and store.get(COIN) is None
        store.commit_block(good)

    @pytest.mark.parametrize("part", ["envelopes", "receipts", "events"])
    def test_a_missing_part(self, store: LedgerStore, part: str) -> None:
        good = make_block(store, {}, nonces=(1,))
        with pytest.raises(BlockRefused, match="one each"):
            store.commit_block(dataclasses.replace(good, **{part: ()}))
        store.commit_block(good)

    def test_what_was_staged_on_an_earlier_height(self, store: LedgerStore) -> None:
        stale = store.stage({COIN: b"old"}, {}, ())
        store.commit_block(make_block(store, {COIN: b"1"}))
        block = make_block(store, {COIN: b"2"})
        late = with_header(dataclasses.replace(block, staged=stale), state_root=stale.state_root)
        with pytest.raises(BlockRefused, match="staged on"):
            store.commit_block(late)
        store.commit_block(block)

    def test_a_caller_who_changes_its_mapping_afterwards_changes_nothing(self, store: LedgerStore) -> None:
        writes: dict[bytes, bytes | None] = {COIN: b"1"}
        block = make_block(store, writes)
        writes[COIN] = b"2"
        store.commit_block(block)
        assert store.prove_state(COIN)[0] == b"1"

    def test_staging_twice_and_committing_one(self, store: LedgerStore) -> None:
        first, second = make_block(store, {COIN: b"1"}), make_block(store, {COIN: b"2"})
        store.commit_block(second)
        assert store.get(COIN) == b"2"
        with pytest.raises(BlockRefused):
            store.commit_block(first)
        assert header_hash(second.header_bytes) == decode_header(make_block(store, {}).header_bytes).prev_hash


def test_a_value_that_its_tree_does_not_know_is_corrupt(store: LedgerStore) -> None:
    for key, value in ((COIN + b"\x01", b"forged"), (b"forged", b"v")):
        batch = store._database.batch()
        batch.put(b"S" + key, value)
        store._database.write(batch)
        with pytest.raises(StoreCorrupt, match=key.hex()):
            store.prove_state(key)


def test_receipts_hold_the_transaction_id_where_the_store_reads_it() -> None:
    raw = receipt(5, b"an envelope")
    assert raw[blocks._TRANSACTION_ID] == decode_receipt(raw).transaction_id == transaction_id(5)


class TestHistoryProofs:
    """Any header, and any earlier history, is proven under any later header."""

    def test_headers_and_beginnings(self, tmp_path: Path) -> None:
        with new_store(tmp_path) as store:
            for nonce in range(1, 12):
                store.commit_block(make_block(store, {b"\x04coinx": b"%d" % nonce}, nonces=(nonce,)))
        with open_store(tmp_path) as store:
            headers = [decode_header(store.header(height) or b"") for height in range(12)]
            for newer in headers[1:]:
                for older in headers[: newer.height]:
                    proof = store.history.prove_header(older.height, newer.history_count)
                    raw = store.header(older.height) or b""
                    check_inclusion(raw, proof, newer.history_count, newer.history_root, "header")
                    if older.height:
                        check_consistency(
                            store.history.prove_beginning(older.history_count, newer.history_count), older, newer
                        )
            forged = replace(headers[5], history_root=bytes(32))
            with pytest.raises(InvalidProof):
                check_consistency(store.history.prove_beginning(5, 11), forged, headers[11])
            with pytest.raises(InvalidProof):
                check_consistency(store.history.prove_beginning(4, 11), headers[5], headers[11])
            for first, second in ((0, 5), (6, 5), (3, 13)):
                with pytest.raises(MalformedTree):
                    store.history.prove_beginning(first, second)
            with pytest.raises(MalformedTree):
                store.history.prove_header(13, 13)
