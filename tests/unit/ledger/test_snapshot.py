"""A ledger handed over piece by piece: verified on arrival, resumed after a kill, the same when built."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core.codec import snapshot
from chain_core.codec.block import decode_header
from chain_core.codec.snapshot import SEEN, STATE, Manifest, check_manifest, decode_manifest, encode_manifest
from chain_core.ledger import keys, snapshot_build, snapshot_view
from chain_core.ledger.database import Database
from chain_core.ledger.errors import StoreCorrupt
from chain_core.ledger.snapshot_import import SnapshotImport
from chain_core.ledger.snapshot_view import SnapshotView
from chain_core.ledger.store import LedgerStore
from chain_core.ledger.vote_log import record_key
from chain_core.types.errors import InvalidProof, MalformedBytes
from tests.unit.ledger.support import COIN_KEYS, commit_many, make_block, new_store, open_store

BLOCKS = 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LedgerStore]:
    with new_store(tmp_path / "server") as store:
        commit_many(store, BLOCKS, random.Random(1))
        yield store


@pytest.fixture
def joining(tmp_path: Path) -> Path:
    new_store(tmp_path / "joining").close()
    return tmp_path / "joining"


def give_headers(incoming: SnapshotImport, server: LedgerStore, height: int) -> None:
    rows = [(server.header(h) or b"", server.certificate(h) or b"") for h in range(incoming.headers.count, height + 1)]
    incoming.add_headers(rows, {})


def fetch(incoming: SnapshotImport, view: SnapshotView, most: int = 1 << 30) -> int:
    """Everything that is missing, ``most`` parts of it; how many buckets."""
    fetched = 0
    for tree, number in incoming.missing_pages():
        incoming.add_page(tree, number, view.page(tree, number) or b"")
    while most and (due := next(iter(incoming.missing_buckets(7)), None)):
        tree, start, stop = due
        parts = view.buckets(tree, start, stop - start)
        incoming.add_buckets(tree, start, parts)
        fetched += len(parts)
        most -= 1
    return fetched


def same(one: LedgerStore, other: LedgerStore) -> None:
    """Equal in everything that is handed over, and in what comes next."""
    assert one.final_height == other.final_height
    for height in range(one.final_height + 1):
        assert one.header(height) == other.header(height) and one.certificate(height) == other.certificate(height)
    assert one.scan(b"", limit=100_000) == other.scan(b"", limit=100_000)
    assert one.seen_expired(1 << 50) == other.seen_expired(1 << 50)
    for key in one.seen_expired(1 << 50):
        assert one.prove_seen(key) == other.prove_seen(key)
    for key in [key for key, _ in one.scan(b"", limit=100_000)]:
        assert one.prove_state(key) == other.prove_state(key)
    assert one.history.prove_beginning(3, 20) == other.history.prove_beginning(3, 20)
    assert one.history.prove_header(2, 20) == other.history.prove_header(2, 20)


def joined(path: Path, server: LedgerStore, view: SnapshotView) -> None:
    with open_store(path) as store:
        incoming = store.snapshot_import()
        give_headers(incoming, server, view.height)
        incoming.aim_at(view.manifest)
        fetch(incoming, view)
        incoming.finish()


def test_a_ledger_is_handed_over(server: LedgerStore, joining: Path) -> None:
    view = server.view()
    check_manifest(decode_manifest(encode_manifest(view.manifest)), decode_header(server.header(BLOCKS) or b""))
    joined(joining, server, view)
    with open_store(joining) as store:
        same(store, server)
        assert store.pruning.height == BLOCKS and store.block(BLOCKS) is None
        block = make_block(server, {b"\x04coinx": b"y"}, nonces=(901,))
        again = make_block(store, {b"\x04coinx": b"y"}, nonces=(901,))
        assert block.header_bytes == again.header_bytes, "both go on alike"
        server.commit_block(block)
        store.commit_block(again)
        assert store.block(BLOCKS + 1) is not None
    with open_store(joining) as store:
        same(store, server)
    view.close()


def test_a_view_does_not_move(server: LedgerStore, joining: Path) -> None:
    """The chain goes on while its snapshot is served: other values, grown trees."""
    view = server.view()
    headers = [(server.header(h) or b"", server.certificate(h) or b"") for h in range(BLOCKS + 1)]
    commit_many(server, 30, random.Random(2), first_nonce=10_000)
    joined(joining, server, view)
    with open_store(joining) as store:
        assert store.final_height == BLOCKS
        assert [(store.header(h), store.certificate(h) or b"") for h in range(BLOCKS + 1)] == headers
    view.close()


def test_a_killed_import_goes_on(server: LedgerStore, joining: Path) -> None:
    view = server.view()
    total = 0
    with open_store(joining) as store:
        incoming = store.snapshot_import()
        incoming.aim_at(view.manifest)
        give_headers(incoming, server, 10)
    for _ in range(200):
        with open_store(joining) as store:
            assert store.final_height == 0 and store.header(5) is None, "nothing of it is final here yet"
            incoming = store.snapshot_import()
            assert incoming.manifest == view.manifest and incoming.headers.count >= 11
            fetched = fetch(incoming, view, most=2)
            total += fetched
            if not fetched:
                give_headers(incoming, server, BLOCKS)
                incoming.finish()
                break
    assert total <= sum(view.manifest.bucket_counts), "no bucket was fetched twice"
    with open_store(joining) as store:
        same(store, server)
    view.close()


def test_the_next_manifest_needs_only_what_differs(server: LedgerStore, joining: Path) -> None:
    old = server.view()
    with open_store(joining) as store:
        incoming = store.snapshot_import()
        incoming.aim_at(old.manifest)
        whole = fetch(incoming, old)
        server.commit_block(
            make_block(server, {next(iter(COIN_KEYS)): b"other", b"\x04coin gone": None}, nonces=(77_777,))
        )
        new = server.view()
        incoming.aim_at(new.manifest)
        assert 0 < fetch(incoming, new) < whole / 4
        give_headers(incoming, server, new.height)
        incoming.finish()
    with open_store(joining) as store:
        same(store, server)
    old.close()
    new.close()


@pytest.mark.parametrize("more", [1, 7, 24, 25])
def test_a_lower_manifest_when_headers_go_further(server: LedgerStore, joining: Path, more: int) -> None:
    old = server.view()
    commit_many(server, more, random.Random(2), first_nonce=10_000)
    new = server.view()
    with open_store(joining) as store:
        incoming = store.snapshot_import()
        incoming.aim_at(new.manifest)
        give_headers(incoming, server, new.height)
        fetch(incoming, new, most=3)
        incoming.aim_at(old.manifest)
    with open_store(joining) as store:  # killed there
        incoming = store.snapshot_import()
        assert incoming.headers.count == BLOCKS + 1 and incoming.header(BLOCKS + 1) is None
        fetch(incoming, old)
        incoming.finish()
    with open_store(joining) as store:
        assert store.final_height == BLOCKS and store.header(BLOCKS + 1) is None
        assert [store.history_root_of(h) for h in (1, BLOCKS)] == [server.history_root_of(h) for h in (1, BLOCKS)]
        commit_many(store, more, random.Random(2), first_nonce=10_000)  # and it goes on as the others did
        same(store, server)
    old.close()
    new.close()


@pytest.mark.parametrize("crash_after", range(6))
def test_a_crash_while_building(
    server: LedgerStore, joining: Path, crash_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_build, "_BATCH_BYTES", 2_000)
    view = server.view()
    with open_store(joining) as store:
        store.log_write([(record_key(BLOCKS, 1, 0), b"old"), (record_key(BLOCKS + 1, 1, 0), b"vote")])
    joined(joining, server, view)
    write, count = Database.write, 0

    def fail(database: Database, batch: object) -> None:
        nonlocal count
        count += 1
        if count > 3 * crash_after:
            raise KeyboardInterrupt
        write(database, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "write", fail)
    with pytest.raises(KeyboardInterrupt):
        open_store(joining)
    monkeypatch.setattr(Database, "write", write)
    with open_store(joining) as store:
        same(store, server)
        assert [value for _, value in store.log_read()] == [b"vote"], "votes above the height are kept"
        assert Database.scan(store._database, keys.IMPORT, keys.after(keys.IMPORT), 9) == []
    view.close()


class TestLies:
    """What a peer makes up is refused, named, and not stored."""

    def test_buckets(self, server: LedgerStore, joining: Path) -> None:
        view = server.view()
        with open_store(joining) as store:
            incoming = store.snapshot_import()
            incoming.aim_at(view.manifest)
            with pytest.raises(InvalidProof, match="page that is not here"):
                incoming.add_buckets(STATE, 0, view.buckets(STATE, 0, 1))
            for tree, number in incoming.missing_pages():
                incoming.add_page(tree, number, view.page(tree, number) or b"")
            honest = view.buckets(STATE, 0, 2)
            items = snapshot.decode_bucket(honest[0])
            assert len(items) > 1
            lies = (
                [honest[1], honest[0]],
                [snapshot.encode_bucket(items[:-1]), honest[1]],
                [snapshot.encode_bucket(items[::-1]), honest[1]],
                [snapshot.encode_bucket([(items[0][0], b"richer"), *items[1:]]), honest[1]],
                [snapshot.encode_bucket([*items, items[-1]]), honest[1]],
            )
            for lie in lies:
                with pytest.raises(InvalidProof):
                    incoming.add_buckets(STATE, 0, lie)
            for noise in (b"", honest[0][:-1], honest[0] + b"x", b"\xff" * 40):
                with pytest.raises(MalformedBytes):
                    incoming.add_buckets(STATE, 0, [noise])
            with pytest.raises(InvalidProof):
                incoming.add_buckets(STATE, view.manifest.bucket_counts[STATE] - 1, honest)
            assert next(iter(incoming.missing_buckets(1_000)))[:2] == (STATE, 0), "nothing of it was stored"
        view.close()

    def test_pages_and_manifests(self, server: LedgerStore, joining: Path) -> None:
        view = server.view()
        header = decode_header(server.header(BLOCKS) or b"")
        manifest = view.manifest
        with open_store(joining) as store:
            incoming = store.snapshot_import()
            incoming.aim_at(manifest)
            page = view.page(STATE, 0) or b""
            for lie in (page[:-32], page + bytes(32), page[32:] + page[:32], b""):
                with pytest.raises(InvalidProof):
                    incoming.add_page(STATE, 0, lie)
            assert (STATE, 0) in incoming.missing_pages()
        state, seen = manifest.page_roots
        counts = manifest.bucket_counts
        for forged in (
            Manifest(manifest.header, counts, (seen, state)),
            Manifest(manifest.header, (counts[0] + 1, counts[1]), manifest.page_roots),
            replace(manifest, page_roots=((bytes(32),), seen)),
        ):
            with pytest.raises(InvalidProof):
                check_manifest(forged, header)
        raw = encode_manifest(manifest)
        for noise in (b"", raw[:-1], raw + b"x", raw[:409] + b"\xff" * 8 + raw[417:]):
            with pytest.raises(MalformedBytes):
                decode_manifest(noise)
        view.close()

    def test_a_snapshot_without_the_seen_set_does_not_open(self, server: LedgerStore, joining: Path) -> None:
        """Should an import ever store less than it says: the roots are compared again when the ledger opens."""
        view = server.view()
        joined(joining, server, view)
        database = Database(joining)
        prefix = keys.IMPORT_PAGE + bytes((SEEN,))
        batch = database.batch()
        for key, page in database.scan(prefix, keys.after(prefix), 9):
            batch.put(key, page[32:] + page[:32])
        database.write(batch)
        database.close()
        with pytest.raises(StoreCorrupt):
            open_store(joining)
        view.close()


def test_parts_are_bounded(server: LedgerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    view = server.view()
    monkeypatch.setattr(snapshot_view, "PART_BYTES", 300)
    count = view.manifest.bucket_counts[STATE]
    first = view.buckets(STATE, 0, count)
    assert 0 < len(first) < count and sum(map(len, first[:-1])) <= 300
    monkeypatch.setattr(snapshot_view, "PART_BYTES", 1)
    assert len(view.buckets(STATE, 0, count)) == 1, "a bucket always travels whole"
    assert view.buckets(STATE, count, 5) == [] and view.buckets(2, 0, 5) == []
    assert view.page(STATE, 1) is None and view.page(7, 0) is None
    view.close()
