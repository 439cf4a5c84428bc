"""The tree's root is that of the definition, and its proofs convince a stranger, whatever was written before."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec import signed
from chain_core.codec.proofs import check_state_proof, decode_state_proof, encode_state_proof
from chain_core.ledger import digests
from chain_core.ledger.bucket_tree import BucketTree
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
        self.model: dict[bytes, bytes] = {}
        self.height = -1

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        change = self.tree.stage(writes)
        before = self.tree.root
        batch = self.database.batch()
        change.write(batch)
        self.height += 1
        digests.write(batch, NAME, self.tree, change, self.height)
        assert self.tree.root == before, "staging and writing leave the committed tree alone"
        self.database.write(batch)
        self.tree.adopt(change)
        self.model.update({key: value for key, value in writes.items() if value is not None})
        for key, value in writes.items():
            if value is None:
                self.model.pop(key, None)
        assert change.root == self.tree.root == naive_root(self.model, self.bucket_count)

    def reopen(self) -> None:
        self.tree = self._empty()
        digests.restore(self.database, NAME, self.tree, self.height)
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
    assert chain.tree.root == root_of({}, bucket_count)
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


class TestDigestsOnDisk:
    """Pages and deltas give every digest back at any height, before and after the ring has turned."""

    def test_every_height_reopens(self, database: Database) -> None:
        draw = random.Random(5)
        chain = Chain(database, 200)
        for _ in range(2 * digests.RING + 9):
            chain.write({draw.randbytes(3): draw.randbytes(2) for _ in range(draw.randint(0, 5))})
            chain.reopen()

    @pytest.mark.parametrize("height", [5, digests.RING + 5])
    @pytest.mark.parametrize("kind", [b"Dd", b"Dp"])
    def test_a_lost_record_is_noticed(self, database: Database, height: int, kind: bytes) -> None:
        chain = Chain(database, 100)
        for i in range(height):
            chain.write({b"%d" % i: b"v"})
        batch = database.batch()
        batch.delete(kind + NAME + b"\x00\x03")
        database.write(batch)
        with pytest.raises(StoreCorrupt):
            chain.reopen()

    @pytest.mark.parametrize(
        "damage", [b"", b"short", bytes(12), bytes(7) + b"\x03" + bytes(3) + b"\x01" + b"\xff" * 36]
    )
    def test_a_damaged_delta_is_noticed(self, database: Database, damage: bytes) -> None:
        chain = Chain(database, 100)
        for i in range(9):
            chain.write({b"%d" % i: b"v"})
        batch = database.batch()
        batch.put(b"Dd" + NAME + b"\x00\x03", damage)
        database.write(batch)
        with pytest.raises(StoreCorrupt):
            chain.reopen()
