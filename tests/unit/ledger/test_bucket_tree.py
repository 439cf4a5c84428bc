"""The tree's root is that of the definition, and its proofs convince a stranger, whatever was written before."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec import signed
from chain_core.codec.proofs import bucket_of, check_state_proof, decode_state_proof, encode_state_proof
from chain_core.ledger import bucket_tree, digests, keys
from chain_core.ledger.bucket_tree import BucketTree, grown
from chain_core.ledger.database import Database
from chain_core.ledger.errors import StoreCorrupt
from chain_core.ledger.roots import root_of
from chain_core.types.errors import InvalidProof
from tests.unit.ledger.model import naive_root

NAME = b"s"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "tree")
    yield opened
    opened.close()


class Chain:
    """A tree with the heights of a chain around it, and the dictionary it should equal."""

    def __init__(self, database: Database, bucket_count: int, cache_bytes: int = 1 << 20) -> None:
        self.database, self.bucket_count, self.cache_bytes = database, bucket_count, cache_bytes
        self.tree = self._empty()
        self.digests = digests.DigestLog(database, NAME)
        self.model: dict[bytes, bytes] = {}
        self.height = -1

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        change = self.tree.stage(writes)
        before = self.tree.root
        batch = self.database.batch()
        change.write(batch)
        self.height += 1
        self.digests.write(batch, self.tree, change, self.height)
        assert self.tree.root == before, "staging and writing leave the committed tree alone"
        self.database.write(batch)
        self.tree.adopt(change)
        self.digests.adopt()
        self.model.update({key: value for key, value in writes.items() if value is not None})
        for key, value in writes.items():
            if value is None:
                self.model.pop(key, None)
        assert self.tree.entry_count == len(self.model)
        assert self.tree.bucket_count == grown(self.bucket_count, len(self.model))
        self.bucket_count = self.tree.bucket_count
        assert change.root == self.tree.root == naive_root(self.model, self.bucket_count)

    def reopen(self) -> None:
        self.tree = self._empty()
        self.digests = digests.DigestLog(self.database, NAME)
        self.digests.restore(self.tree, self.height)
        assert (self.tree.bucket_count, self.tree.entry_count) == (self.bucket_count, len(self.model))
        assert self.tree.root == naive_root(self.model, self.bucket_count)

    def prove_all(self, absent: list[bytes]) -> None:
        for key in [*self.model, *absent]:
            proof = self.tree.prove(key)
            assert proof.present == (key in self.model)
            check_state_proof(key, self.model.get(key), decode_state_proof(encode_state_proof(proof)), self.tree.root)

    def _empty(self) -> BucketTree:
        return BucketTree(self.database, NAME, signed.STATE_ROOT, self.bucket_count, cache_bytes=self.cache_bytes)


def random_writes(draw: random.Random, known: list[bytes], count: int, removed: float) -> dict[bytes, bytes | None]:
    writes: dict[bytes, bytes | None] = {}
    for _ in range(count):
        key = draw.choice(known) if known and draw.random() < 0.6 else draw.randbytes(draw.randint(0, 6))
        writes[key] = None if draw.random() < removed else draw.randbytes(draw.randint(0, 3))
    return writes


@pytest.mark.parametrize(
    ("bucket_count", "cache_bytes"), [(1, 1 << 20), (3, 0), (5, 1 << 20), (16, 2_000), (61, 0), (64, 1 << 20)]
)
def test_a_long_life(database: Database, bucket_count: int, cache_bytes: int) -> None:
    """Growth, churn, decline to nothing; reopened on the way, with and without room in memory."""
    draw = random.Random(bucket_count)
    chain = Chain(database, bucket_count, cache_bytes)
    for turn in range(90):
        removed = 0.1 if turn < 40 else 0.9
        chain.write(random_writes(draw, list(chain.model), draw.choice((0, 1, 2, 5, 40)), removed))
        if turn % 13 == 0:
            chain.reopen()
        if turn % 30 == 5:
            chain.prove_all([draw.randbytes(5) for _ in range(40)])
    chain.write(dict.fromkeys(chain.model))
    assert chain.tree.root == root_of({}, chain.bucket_count)
    chain.prove_all([b"", b"nothing is left"])
    chain.reopen()


steps = st.lists(
    st.dictionaries(st.binary(max_size=2), st.none() | st.binary(max_size=2), max_size=12), min_size=1, max_size=8
)


@given(bucket_count=st.integers(1, 9), batches=steps)
def test_any_writes(
    tmp_path_factory: pytest.TempPathFactory, bucket_count: int, batches: list[dict[bytes, bytes | None]]
) -> None:
    database = Database(tmp_path_factory.mktemp("tree"))
    chain = Chain(database, bucket_count)
    for writes in batches:
        chain.write(writes)
    chain.prove_all([bytes((i,)) for i in range(6) if bytes((i,)) not in chain.model])
    chain.reopen()
    database.close()


def test_a_dropped_change_leaves_no_trace(database: Database) -> None:
    chain = Chain(database, 8)
    chain.write({bytes((i,)): b"v" for i in range(50)})
    root, proof = chain.tree.root, chain.tree.prove(b"\x07")
    for other in ({b"\x07": b"w"}, {b"\x07": None}, {b"new": b"x"}, dict.fromkeys(chain.model)):
        chain.tree.stage(other)
        assert (chain.tree.root, chain.tree.prove(b"\x07")) == (root, proof)
    chain.write({b"\x07": b"later"})


def test_memory_is_bounded_and_costs_no_correctness(database: Database) -> None:
    chain = Chain(database, 64, cache_bytes=4_000)
    draw = random.Random(2)
    for _ in range(30):
        chain.write({draw.randbytes(4): b"v" for _ in range(40)})
        held = sum(len(entries) + len(nodes) for entries, nodes in chain.tree._cache.values())
        assert held <= 4_000
    assert 0 < len(chain.tree._cache) < 64


def test_root_of_is_the_definition() -> None:
    values = {b"%d" % i: b"%d" % (i * i) for i in range(300)}
    for bucket_count in (1, 2, 7, 128):
        assert root_of(values, bucket_count) == naive_root(values, bucket_count)
        assert root_of({}, bucket_count) == naive_root({}, bucket_count)
    assert root_of(values, 7, signed.SEEN_ROOT) != root_of(values, 7)


def test_proofs_do_not_prove_anything_else(database: Database) -> None:
    chain = Chain(database, 4)
    chain.write({bytes((i,)): b"v%d" % i for i in range(30)})
    root = chain.tree.root
    present, absent = chain.tree.prove(b"\x01"), chain.tree.prove(b"absent")
    for key, value, proof in (
        (b"\x01", b"v2", present),
        (b"\x01", None, present),
        (b"\x01", None, absent),
        (b"\x02", b"v2", present),
        (b"absent", b"", absent),
    ):
        with pytest.raises(InvalidProof):
            check_state_proof(key, value, proof, root)
    chain.write({b"\x01": b"changed"})
    with pytest.raises(InvalidProof):
        check_state_proof(b"\x01", b"v1", present, chain.tree.root)


class TestGrowth:
    """Buckets are split as entries come, a bounded number a block; nothing on disk moves."""

    def test_the_rule(self) -> None:
        load, most = bucket_tree.ENTRIES_A_BUCKET, bucket_tree.SPLITS_A_BLOCK
        for before, entries, after in (
            (4, 0, 4),
            (4, 4 * load, 4),
            (4, 4 * load + 1, 5),
            (4, 8 * load, 8),
            (4, 1_000_000, 4 + most),
            (4 + most, 1_000_000, 4 + 2 * most),
            (8, 1, 8),  # never merged again
            (bucket_tree.MAX_BUCKETS, 1 << 40, bucket_tree.MAX_BUCKETS),
        ):
            assert grown(before, entries) == after

    @pytest.mark.parametrize("start", [1, 2, 3, 7, 64])
    @pytest.mark.parametrize("cache_bytes", [0, 1 << 20])
    def test_a_tree_grows_through_powers_of_two(self, database: Database, start: int, cache_bytes: int) -> None:
        draw = random.Random(start)
        chain = Chain(database, start, cache_bytes)
        counts = set()
        for turn in range(40):
            writes: dict[bytes, bytes | None] = {draw.randbytes(5): draw.randbytes(3) for _ in range(turn)}
            writes.update(dict.fromkeys(draw.sample(sorted(chain.model), min(len(chain.model), 4))))
            chain.write(writes)
            counts.add(chain.bucket_count)
            if turn % 7 == 0:
                chain.reopen()
        assert max(counts) >= 32 and chain.bucket_count * bucket_tree.ENTRIES_A_BUCKET >= len(chain.model)
        chain.prove_all([draw.randbytes(6) for _ in range(30)])

    def test_a_burst_is_worked_off_over_the_next_blocks(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bucket_tree, "SPLITS_A_BLOCK", 12)
        draw = random.Random(9)
        chain = Chain(database, 1)
        wanted = 2 * bucket_tree.SPLITS_A_BLOCK + 10
        chain.write({draw.randbytes(6): b"v" for _ in range(wanted * bucket_tree.ENTRIES_A_BUCKET)})
        counts = [chain.bucket_count]
        for _ in range(3):
            chain.write({draw.choice(sorted(chain.model)): b"changed"})
            counts.append(chain.bucket_count)
        most = bucket_tree.SPLITS_A_BLOCK
        assert counts == [1 + most, 1 + 2 * most, wanted, wanted]
        chain.reopen()
        chain.prove_all([b"absent"])

    def test_a_genesis_keeps_the_count_it_names(self, database: Database) -> None:
        tree = Chain(database, 4).tree
        values: dict[bytes, bytes | None] = {b"%d" % i: b"v" for i in range(1_000)}
        assert tree.stage(values, may_grow=False).bucket_count == 4
        assert tree.stage(values).bucket_count > 4

    def test_a_dropped_growth_leaves_no_trace(self, database: Database) -> None:
        chain = Chain(database, 4)
        chain.write({b"%d" % i: b"v" for i in range(30)})
        root = chain.tree.root
        for size in (100, 5_000, 200):
            chain.tree.stage({b"more %d" % i: b"v" for i in range(size)})
            assert (chain.tree.root, chain.tree.bucket_count) == (root, 4)
        chain.prove_all([b"absent"])
        chain.write({b"later %d" % i: b"v" for i in range(90)})
        chain.reopen()

    def test_every_bucket_is_one_range_on_disk(self) -> None:
        draw = random.Random(3)
        for count in (1, 2, 3, 5, 8, 61, 64, 1_000):
            ranges = [keys.bucket(NAME, index, count) for index in range(count)]
            for _ in range(200):
                key_hash = draw.randbytes(32)
                key = keys.entry(NAME, key_hash)
                assert keys.entry_key_hash(key) == key_hash
                assert [start <= key < stop for start, stop in ranges].index(True) == bucket_of(key_hash, count)
            ordered = sorted(ranges)
            assert all(stop == start for (_, stop), (start, _) in zip(ordered, ordered[1:], strict=False))


class TestDigestsOnDisk:
    """Pages and deltas give every digest back at any height, and what is no longer needed goes."""

    def test_every_height_reopens(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(digests, "PAGE", 16)
        draw = random.Random(5)
        chain = Chain(database, 200)
        sizes = []
        for turn in range(120):
            chain.write({draw.randbytes(3): draw.randbytes(2) for _ in range(draw.randint(0, 60))})
            if turn % 3 == 0:
                chain.reopen()
            sizes.append(sum(len(value) for _, value in database.scan(b"Dd", b"De", 10_000)))
        assert chain.bucket_count > 200
        digests_bytes = 32 * chain.bucket_count
        assert max(sizes) < 2 * digests.PAGE_EVERY * digests_bytes, "deltas stay within a multiple of the digests"
        assert len(database.scan(b"Dp", b"Dq", 10_000)) >= 200 // 16

    def test_a_block_without_changes_writes_no_digests(self, database: Database) -> None:
        chain = Chain(database, 100)
        chain.write({b"k": b"v"})
        before = database.scan(b"D", b"E", 100)
        for _ in range(5):
            chain.write({})
            chain.write({b"k": b"v"})
        assert database.scan(b"D", b"E", 100) == before
        chain.reopen()

    @pytest.mark.parametrize("kind", [b"Dd", b"Dp", b"Dn"])
    def test_a_lost_record_is_noticed(self, database: Database, kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(digests, "PAGE", 8)
        chain = Chain(database, 100)
        for i in range(90):
            chain.write({b"%d" % (i * j): b"%d" % i for j in range(5)})
        batch = database.batch()
        found = database.scan(kind, keys.after(kind), 1_000)
        for key, _ in found if kind == b"Dp" else found[-1:]:
            batch.delete(key)
        database.write(batch)
        with pytest.raises((StoreCorrupt, AssertionError)):  # a store compares the root with its final header's
            chain.reopen()

    @pytest.mark.parametrize("damage", [b"", b"short", bytes(12), b"\xff" * 36, bytes(37)])
    @pytest.mark.parametrize("kind", [b"Dd", b"Dn"])
    def test_a_damaged_record_is_noticed(self, database: Database, damage: bytes, kind: bytes) -> None:
        chain = Chain(database, 100)
        for i in range(9):
            chain.write({b"%d" % i: b"v"})
        batch = database.batch()
        batch.put(database.scan(kind, None, 1)[0][0], damage)
        database.write(batch)
        with pytest.raises((StoreCorrupt, ValueError)):
            chain.reopen()
