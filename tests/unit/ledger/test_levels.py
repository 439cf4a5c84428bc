"""Flat trees are RFC 6962 trees, however they come about."""

import random

import numpy as np
import pytest

from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree, root_of_hashes
from chain_core.ledger import levels
from chain_core.ledger.upper_tree import UpperTree


def flat(leaves: list[bytes]) -> levels.Rows:
    """A tree of these leaf hashes, hashed by declaring every leaf changed."""
    count = len(leaves)
    nodes = np.zeros((levels.level_starts(count)[-1], 32), dtype=np.uint8)
    base = np.zeros(count, dtype=np.int64)
    rows = levels.rows_of(b"".join(leaves))
    levels.apply(nodes, levels.rehash(nodes, base, base + count, np.arange(count), rows))
    return nodes


def leaves(count: int, salt: int = 0) -> list[bytes]:
    return [sm3(b"%d/%d" % (salt, i)) for i in range(count)]


@pytest.mark.parametrize("count", [*range(1, 18), 31, 32, 33, 100])
def test_root_and_paths_are_those_of_the_merkle_tree(count: int) -> None:
    reference = MerkleTree.from_hashes(leaves(count))
    nodes = flat(leaves(count))
    assert nodes[-1].tobytes() == reference.root
    assert [levels.path(nodes, count, i) for i in range(count)] == [reference.path(i) for i in range(count)]


def upper(leaves: list[bytes]) -> UpperTree:
    tree = UpperTree(sm3(b"x"), 1)
    rows = levels.rows_of(b"".join(leaves))
    tree.adopt(tree.stage(np.arange(len(leaves)), rows, len(leaves)))
    return tree


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 64, 97])
def test_a_new_upper_tree_is_the_tree_of_equal_leaves(count: int) -> None:
    tree = UpperTree(sm3(b"x"), count)
    reference = MerkleTree.from_hashes([sm3(b"x")] * count)
    assert tree.root == reference.root
    assert [tree.path(i) for i in range(count)] == [reference.path(i) for i in range(count)]


def test_an_upper_tree_grows_in_place() -> None:
    draw = random.Random(4)
    contents = leaves(1)
    tree = upper(contents)
    for turn in range(60):
        added = draw.choice((0, 1, 2, 7))
        touched = sorted(draw.sample(range(len(contents)), draw.randint(0 if added else 1, min(3, len(contents)))))
        after = [*contents, *leaves(added, turn + 1)]
        for index in touched:
            after[index] = sm3(b"%d %d" % (turn, index))
        touched.extend(range(len(contents), len(after)))
        rows = levels.rows_of(b"".join(after[index] for index in touched))
        before = tree.root
        change = tree.stage(np.array(touched), rows, len(after))
        assert tree.root == before
        if turn % 3 == 0:  # dropped: another change is staged instead
            continue
        tree.adopt(change)
        contents = after
        reference = MerkleTree.from_hashes(contents)
        assert tree.root == change.root == reference.root
        assert [tree.path(i) for i in range(len(contents))] == [reference.path(i) for i in range(len(contents))]
        assert tree.digests(0, tree.count).tobytes() == b"".join(contents)
        pages = [contents[start : start + 4] for start in range(0, len(contents), 4)]
        assert tree.nodes(2).tobytes() == b"".join(root_of_hashes(page) for page in pages)
        assert root_of_hashes(tree.nodes(2).tobytes()) == tree.root


def test_many_trees_change_together() -> None:
    """Trees of all sizes lie one after the other; random leaves of them change in one call."""
    draw = random.Random(7)
    counts = [1, 2, 3, 4, 7, 8, 9, 21, 1, 5]
    contents = [leaves(count, salt) for salt, count in enumerate(counts)]
    nodes = np.concatenate([flat(items) for items in contents])
    bases = np.cumsum([0, *(levels.level_starts(count)[-1] for count in counts)])
    for turn in range(20):
        picked = sorted(
            (tree, position)
            for tree, count in enumerate(counts)
            for position in draw.sample(range(count), draw.randint(0, min(3, count)))
        )
        for tree, position in picked:
            contents[tree][position] = sm3(b"%d %d %d" % (turn, tree, position))
        trees = [tree for tree, _ in picked]
        delta = levels.rehash(
            nodes,
            bases[trees],
            np.array(counts)[trees],
            np.array([position for _, position in picked], dtype=np.int64),
            levels.rows_of(b"".join(contents[tree][position] for tree, position in picked)),
        )
        levels.apply(nodes, delta)
        assert nodes.tobytes() == b"".join(flat(items).tobytes() for items in contents)
