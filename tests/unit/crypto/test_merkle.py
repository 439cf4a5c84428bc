"""RFC 6962 trees: public vectors with SHA-256, our own with SM3, and properties against the RFC's recursive text."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.crypto.errors import MalformedTree
from chain_core.crypto.merkle import (
    SM3,
    Hasher,
    HistoryTree,
    MerkleTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    merkle_root,
    path_length,
    root_from_path,
    root_of_hashes,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.crypto.support import load


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


SHA256 = Hasher(
    "sha256",
    one=sha256,
    many=lambda messages: [sha256(message) for message in messages],
    records=lambda data, size: b"".join(sha256(data[i : i + size]) for i in range(0, len(data), size)),
)
HASHERS = {"sha256": SHA256, "sm3": SM3}
FILES = [load("merkle/certificate-transparency-sha256.json"), load("merkle/sm3.json")]
LEAVES = st.lists(st.binary(max_size=40), max_size=70)


def recursive_root(leaves: Sequence[bytes], hasher: Hasher = SM3) -> bytes:
    """MTH(D[n]) as RFC 6962 section 2.1 writes it."""
    if not leaves:
        return hasher.one(b"")
    if len(leaves) == 1:
        return hasher.one(b"\x00" + leaves[0])
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hasher.one(b"\x01" + recursive_root(leaves[:k], hasher) + recursive_root(leaves[k:], hasher))


def recursive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]) as RFC 6962 section 2.1.1 writes it."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*recursive_path(index, leaves[:k]), recursive_root(leaves[k:])]
    return [*recursive_path(index - k, leaves[k:]), recursive_root(leaves[:k])]


def recursive_consistency(first: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[n], b) as RFC 9162 section 2.1.4.1 writes it."""
    if first == len(leaves):
        return [] if whole else [recursive_root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if first <= k:
        return [*recursive_consistency(first, leaves[:k], whole), recursive_root(leaves[k:])]
    return [*recursive_consistency(first - k, leaves[k:], False), recursive_root(leaves[:k])]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["hash"])
def test_vectors(file: dict[str, Any]) -> None:
    hasher = HASHERS[file["hash"]]
    leaves = [bytes.fromhex(leaf) for leaf in file["leaves"]]
    assert merkle_root([], hasher=hasher).hex() == file["empty_root"]
    history = HistoryTree(hasher)
    for count, root in enumerate(file["roots"], 1):
        assert merkle_root(leaves[:count], hasher=hasher).hex() == root
        assert MerkleTree(leaves[:count], hasher=hasher).root.hex() == root
        assert history.append(leaves[count - 1]).hex() == root
    for case in file["paths"]:
        index, count = case["index"], case["count"]
        path = MerkleTree(leaves[:count], hasher=hasher).path(index)
        assert [sibling.hex() for sibling in path] == case["path"]
        root = bytes.fromhex(file["roots"][count - 1])
        assert verify_inclusion(leaves[index], index, count, path, root, hasher=hasher)


def test_consistency_vectors() -> None:
    file = FILES[0]
    tree = MerkleTree([bytes.fromhex(leaf) for leaf in file["leaves"]], hasher=SHA256)
    for case in file["consistency"]:
        first, second = case["first"], case["second"]
        path = consistency_path(tree.subtree, first, second, hasher=SHA256)
        assert [item.hex() for item in path] == case["path"]
        roots = [bytes.fromhex(file["roots"][count - 1]) for count in (first, second)]
        assert verify_consistency(first, second, *roots, path, hasher=SHA256)


@pytest.mark.parametrize("second", [*range(1, 20), 32, 33])
def test_a_consistency_path_shows_one_beginning_only(second: int) -> None:
    leaves = [b"%d" % i for i in range(second)]
    tree = MerkleTree(leaves)
    roots = [merkle_root(leaves[:count]) for count in range(second + 1)]
    for first in range(1, second + 1):
        path = consistency_path(tree.subtree, first, second)
        assert list(path) == recursive_consistency(first, leaves)
        assert verify_consistency(first, second, roots[first], roots[second], path)
        for other in range(second + 1):  # neither another beginning nor another length
            assert verify_consistency(first, second, roots[other], roots[second], path) is (other == first)
            assert verify_consistency(other, second, roots[first], roots[second], path) is (other == first)
        assert not verify_consistency(first, second, roots[first], bytes(32), path)
        assert not verify_consistency(first, second, roots[first], roots[second], (*path, bytes(32)))
        if path:
            assert not verify_consistency(first, second, roots[first], roots[second], path[:-1])
            assert not verify_consistency(first, second, roots[first], roots[second], (path[0][:-1], *path[1:]))
            flipped = bytes([path[0][0] ^ 1]) + path[0][1:]
            assert not verify_consistency(first, second, roots[first], roots[second], (flipped, *path[1:]))


def test_paths_from_perfect_subtrees_are_those_of_the_tree() -> None:
    """A store keeps perfect subtrees only; paths for any count up to its own come from them."""
    leaves = [b"%d" % i for i in range(37)]
    history, nodes = HistoryTree(), {}
    for index, leaf in enumerate(leaves):
        for level, node in enumerate(history.grow(leaf_hash(leaf))):
            nodes[level, index >> level] = node
    for count in range(1, len(leaves) + 1):
        tree = MerkleTree(leaves[:count])
        for index in range(count):
            assert inclusion_path(lambda level, at: nodes[level, at], index, count) == tree.path(index)
        assert consistency_path(lambda level, at: nodes[level, at], count, 37) == consistency_path(
            MerkleTree(leaves).subtree, count, 37
        )
    for first, second in ((0, 4), (5, 4), (-1, 4)):
        with pytest.raises(MalformedTree):
            consistency_path(lambda level, at: nodes[level, at], first, second)


@given(LEAVES)
def test_every_way_to_the_root_is_the_rfcs(leaves: list[bytes]) -> None:
    root = recursive_root(leaves)
    hashes = leaf_hashes(leaves)
    assert hashes == b"".join(leaf_hash(leaf) for leaf in leaves)
    assert merkle_root(leaves) == root
    assert root_of_hashes(hashes) == root_of_hashes([leaf_hash(leaf) for leaf in leaves]) == root
    tree = MerkleTree(leaves)
    assert (tree.root, tree.count) == (root, len(leaves))
    assert MerkleTree.from_hashes(hashes).root == root
    history = HistoryTree()
    for leaf in leaves:
        history.append(leaf)
    assert (history.root, history.count) == (root, len(leaves))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=70, unique=True), st.data())
def test_a_path_proves_its_leaf_at_its_place_only(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree, count = MerkleTree(leaves), len(leaves)
    path, root = tree.path(index), tree.root
    assert list(path) == recursive_path(index, leaves)
    assert len(path) == path_length(index, count)
    assert verify_inclusion(leaves[index], index, count, path, root)
    assert root_from_path(tree.leaf_hash_at(index), index, count, path) == root

    assert not verify_inclusion(leaves[index] + b"x", index, count, path, root)
    assert not verify_inclusion(leaves[index], index, count, (*path, root), root)
    assert not verify_inclusion(leaves[index], count, count, path, root)
    assert not verify_inclusion(leaves[index], -1, count, path, root)
    assert not verify_inclusion(leaves[index], index, count, path, root[:-1])
    if path:
        assert not verify_inclusion(leaves[index], index, count, path[:-1], root)
        assert root_from_path(leaf_hash(leaves[index]), index, count, (path[0][:-1], *path[1:])) is None
        flipped = bytes([path[-1][0] ^ 1]) + path[-1][1:]
        assert not verify_inclusion(leaves[index], index, count, (*path[:-1], flipped), root)
    other = data.draw(st.integers(0, count - 1))
    assert verify_inclusion(leaves[index], other, count, path, root) is (other == index)


def test_a_node_is_no_leaf() -> None:
    """The prefixes keep two hashes of the level above from posing as one leaf."""
    leaves = [b"a", b"b", b"c", b"d"]
    tree = MerkleTree(leaves)
    inner = tree.leaf_hash_at(0) + tree.leaf_hash_at(1)
    assert not verify_inclusion(inner, 0, 2, tree.path(0)[1:], tree.root)
    assert root_of_hashes(leaf_hashes([inner])) != root_of_hashes(inner)


@given(LEAVES, LEAVES)
def test_a_restored_history_goes_on_alike(before: list[bytes], after: list[bytes]) -> None:
    history = HistoryTree()
    for leaf in before:
        history.append(leaf)
    frontier = history.serialise()
    assert len(frontier) == 8 + 32 * len(before).bit_count()
    restored, tried = HistoryTree.restore(frontier), history.copy()
    for leaf in after:
        assert restored.append(leaf) == tried.append(leaf)
    assert restored.root == merkle_root(before + after)
    assert history.serialise() == frontier


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(9), (3).to_bytes(8, "big") + bytes(32), bytes(40)])
def test_a_frontier_that_does_not_fit_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedTree):
        HistoryTree.restore(data)


def test_partial_hashes_and_absent_leaves_are_refused() -> None:
    for hashes in (bytes(33), [bytes(32), bytes(31)]):
        with pytest.raises(MalformedTree):
            root_of_hashes(hashes)
        with pytest.raises(MalformedTree):
            MerkleTree.from_hashes(hashes)
    with pytest.raises(MalformedTree):
        HistoryTree().append_hash(bytes(31))
    tree = MerkleTree([b"a", b"b"])
    for index in (-1, 2):
        with pytest.raises(MalformedTree):
            tree.path(index)
    with pytest.raises(MalformedTree):
        MerkleTree([]).path(0)
