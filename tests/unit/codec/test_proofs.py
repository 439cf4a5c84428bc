"""Packets and proofs: nothing but the truth verifies, and each truth has one proof (formats.md §9-§10)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.codec.proofs import (
    MAX_PACKET_BYTES,
    bucket_of,
    check_inclusion,
    check_state_proof,
    decode_inclusion,
    decode_packet,
    decode_state_proof,
    encode_inclusion,
    encode_packet,
    encode_state_proof,
)
from chain_core.codec.signed import SEEN_ROOT, STATE_ROOT
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import MerkleTree, merkle_root
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.packet import BucketEntry, InclusionProof, StateProof
from tests.vectors.samples import SECURITY, Samples
from tests.vectors.state_model import StateModel

# ---- packets


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"source_genesis": b"g" * 31}, "31 bytes"),
        ({"destination_genesis": b"g" * 33}, "33 bytes"),
        ({"destination_ledger": 1 << 32}, "does not fit"),
        ({"sequence": -1}, "does not fit"),
        ({"channel": ""}, "lower-case"),
        ({"channel": "Directive"}, "lower-case"),
        ({"channel": "c" * 65}, "65 bytes"),
        ({"kind": "ack "}, "lower-case"),
        ({"payload": b""}, "ends too early"),
        ({"payload": encode_value([1])}, "text keys"),
        ({"payload": encode_value({}) + b"\0"}, "trailing"),
        ({"payload": encode_value({"x": b"p" * MAX_PACKET_BYTES})}, "at most 196608"),
    ],
)
def test_a_packet_nobody_would_take_is_not_written(samples: Samples, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(MalformedBytes, match=reason):
        encode_packet(replace(samples.directive, **change))


def test_an_acknowledgement_names_what_it_answers(samples: Samples) -> None:
    directive, answer = samples.directive, samples.acknowledgement
    assert decode_map(answer.payload) == {
        "sequence": directive.sequence,
        "packet": sm3(encode_packet(directive)),
        "code": 0,
    }
    assert (answer.kind, answer.channel) == ("ack", directive.channel)
    assert (answer.source_genesis, answer.destination_genesis) == (
        directive.destination_genesis,
        directive.source_genesis,
    )
    assert decode_packet(encode_packet(answer)) == answer


# ---- inclusion


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=24), st.data())
def test_every_leaf_is_proven_and_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = MerkleTree(leaves)
    proof = decode_inclusion(encode_inclusion(InclusionProof(index, len(leaves), tree.path(index))))
    check_inclusion(leaves[index], proof, len(leaves), tree.root, "leaf")
    with pytest.raises(InvalidProof, match="does not lead"):
        check_inclusion(leaves[index] + b"\0", proof, len(leaves), tree.root, "leaf")
    with pytest.raises(InvalidProof, match="leaves, the header says"):
        check_inclusion(leaves[index], proof, len(leaves) + 1, tree.root, "leaf")


def test_no_byte_of_an_inclusion_proof_can_change(samples: Samples) -> None:
    leaves = tuple(bytes([n]) * 40 for n in range(11))
    root = merkle_root(leaves)
    for index in (0, 4, 10):
        raw = encode_inclusion(samples.inclusion(leaves, index))
        check_inclusion(leaves[index], decode_inclusion(raw), 11, root, "leaf")
        for position in range(len(raw)):
            for mask in (1, 0x80):
                altered = bytearray(raw)
                altered[position] ^= mask
                with pytest.raises((InvalidProof, MalformedBytes)):
                    check_inclusion(leaves[index], decode_inclusion(bytes(altered)), 11, root, "leaf")


def test_nothing_is_under_an_empty_tree() -> None:
    for proof in (InclusionProof(0, 0, ()), InclusionProof(0, 1, ())):
        with pytest.raises(InvalidProof):
            check_inclusion(b"", proof, 0, merkle_root(()), "leaf")


# ---- state

key_sets = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(max_size=6), max_size=24)


@given(key_sets, st.integers(1, 9), st.lists(st.binary(min_size=1, max_size=6), max_size=6))
def test_every_key_is_proven_present_or_absent(values: dict[bytes, bytes], buckets: int, others: list[bytes]) -> None:
    state = StateModel(values, buckets)
    root = state.root
    for key in [*list(values)[:6], *others]:
        proof = decode_state_proof(encode_state_proof(state.prove(key)))
        check_state_proof(key, values.get(key), proof, root)
        for lie in ({None, b"", b"a lie"} | {values.get(key, b"x") + b"\0"}) - {values.get(key)}:
            with pytest.raises(InvalidProof):
                check_state_proof(key, lie, proof, root)
        with pytest.raises(InvalidProof, match="does not lead"):
            check_state_proof(key, values.get(key), proof, root, SEEN_ROOT)


@given(st.binary(min_size=32, max_size=32), st.integers(1, 70_000))
def test_linear_hashing_splits_one_bucket_at_a_time(key_hash: bytes, count: int) -> None:
    """A key's bucket exists, and growing by one bucket moves it only into the new one."""
    before, after = bucket_of(key_hash, count), bucket_of(key_hash, count + 1)
    assert 0 <= before < count
    assert after in (before, count)


def model() -> StateModel:
    """Sixty keys in three buckets: entries at both edges and in the middle."""
    return StateModel({b"key-%d" % n: b"value-%d" % n for n in range(60)}, 3)


def absences(state: StateModel) -> dict[str, bytes]:
    """A key for each form of absence."""
    found: dict[str, bytes] = {}
    for number in range(2_000):
        key = b"absent-%d" % number
        proof = state.prove(key)
        if len(proof.entries) == 2:
            found.setdefault("between two", key)
        elif proof.entries[0].position == 0:
            found.setdefault("before the first", key)
        else:
            found.setdefault("after the last", key)
    assert len(found) == 3
    return found


def cases() -> list[tuple[str, StateModel, bytes]]:
    state = model()
    listed = [(name, state, key) for name, key in absences(state).items()]
    listed.append(("present", state, b"key-7"))
    listed.append(("in an empty bucket", StateModel({}, 5), b"key"))
    listed.append(("the only key", StateModel({b"key": b"value"}, 1), b"key"))
    return listed


@pytest.mark.parametrize(("state", "key"), [row[1:] for row in cases()], ids=[row[0] for row in cases()])
def test_no_byte_of_a_state_proof_can_change(state: StateModel, key: bytes) -> None:
    """Each fact has one proof: whatever else decodes is refused, for the true value and for the opposite."""
    root, value = state.root, state.values.get(key)
    raw = encode_state_proof(state.prove(key))
    check_state_proof(key, value, decode_state_proof(raw), root)
    for position in range(len(raw)):
        for mask in (1, 2, 0x80, 0xFF):
            altered = bytearray(raw)
            altered[position] ^= mask
            for claim in (value, b"value" if value is None else None):
                with pytest.raises((InvalidProof, MalformedBytes)):
                    check_state_proof(key, claim, decode_state_proof(bytes(altered)), root)


def forged(proof: StateProof, name: str) -> list[StateProof]:
    """The proof with one field replaced by plausible lies."""
    entry = proof.entries[0]
    path = proof.bucket_path
    lies: dict[str, list[Any]] = {
        "bucket_count": [0, 1, proof.bucket_count + 1, 2**32 - 1],
        "bucket_index": [(proof.bucket_index + 1) % proof.bucket_count, proof.bucket_count, 2**32 - 1],
        "entry_count": [0, 1, proof.entry_count - 1, proof.entry_count + 1],
        "present": [not proof.present],
        "entries": [
            (),
            (entry, entry),
            (*proof.entries, entry)[:2][::-1],
            (replace(entry, position=entry.position + 1), *proof.entries[1:]),
            (replace(entry, position=2**32 - 1), *proof.entries[1:]),
            (replace(entry, key_hash=sm3(b"x")), *proof.entries[1:]),
            (replace(entry, value_hash=sm3(b"x")), *proof.entries[1:]),
            (replace(entry, path=entry.path[:-1]), *proof.entries[1:]),
            (replace(entry, path=(*entry.path, bytes(32))), *proof.entries[1:]),
            (BucketEntry(0, entry.key_hash, entry.value_hash, ()),),
        ],
        "bucket_path": [path[:-1], (*path, bytes(32)), path[::-1], ()],
    }
    return [replace(proof, **{name: lie}) for lie in lies[name] if lie != getattr(proof, name)]


FIELDS = ("bucket_count", "bucket_index", "entry_count", "present", "entries", "bucket_path")


@pytest.mark.parametrize("name", FIELDS)
def test_a_forged_field_is_refused(name: str) -> None:
    state = model()
    root = state.root
    for key in [b"key-7", *absences(state).values()]:
        for proof in forged(state.prove(key), name):
            for claim in (state.values.get(key), None, b"value"):
                with pytest.raises(InvalidProof):
                    check_state_proof(key, claim, proof, root)


def test_neighbours_that_are_not_adjacent_hide_a_key() -> None:
    """The classic forgery: leave out the entry between two others."""
    state = model()
    index = bucket_of(sm3(b"key-7"), 3)
    entries, tree = state.buckets[index], state.bucket_trees[index]
    position = [key_hash for key_hash, _ in entries].index(sm3(b"key-7"))
    assert 0 < position < len(entries) - 1
    around = tuple(BucketEntry(p, *entries[p], tree.path(p)) for p in (position - 1, position + 1))
    edge_before, edge_after = around[:1], around[1:]
    honest = state.prove(b"key-7")
    for shown in (around, edge_before, edge_after, ()):
        with pytest.raises(InvalidProof):
            check_state_proof(b"key-7", None, replace(honest, present=False, entries=shown), state.root)


def test_another_key_of_the_same_value_cannot_answer() -> None:
    state = StateModel({b"key-%d" % n: b"value" for n in range(8)}, 1)
    for other in state.values.keys() - {b"key-0"}:
        with pytest.raises(InvalidProof, match="another key or another value"):
            check_state_proof(b"key-0", b"value", state.prove(other), state.root)


def test_a_bucket_with_entries_shows_some() -> None:
    state = model()
    hidden = replace(state.prove(b"key-7"), present=False, entries=())
    with pytest.raises(InvalidProof, match="no entry is shown"):
        check_state_proof(b"key-7", None, hidden, state.root)


def test_no_proof_shows_more_than_a_fact_needs() -> None:
    """Counts are refused before what they count is read."""
    head = b"\x01" + bytes(16)
    with pytest.raises(MalformedBytes, match=r"count 65 outside 0\.\.64"):
        decode_inclusion(head + b"\x41")
    with pytest.raises(MalformedBytes, match=r"count 3 outside 0\.\.2"):
        decode_state_proof(b"\x01\x00" + bytes(12) + b"\x03")


def test_another_bucket_cannot_answer() -> None:
    """An empty bucket elsewhere does not prove the absence of a key that belongs to a full one."""
    state = StateModel({b"key": b"value"}, 4)
    full = bucket_of(sm3(b"key"), 4)
    empty = (full + 1) % 4
    elsewhere = StateProof(4, empty, 0, False, (), state.upper_tree.path(empty))
    with pytest.raises(InvalidProof, match="does not belong to the proof's bucket"):
        check_state_proof(b"key", None, elsewhere, state.root)


def test_a_bucket_count_of_its_own_does_not_help() -> None:
    """The root commits to the number of buckets: a tree read as another size is another root."""
    state = StateModel({}, 2)
    for count in (1, 3, 4):
        index = bucket_of(sm3(b"key"), count)
        proof = replace(state.prove(b"key"), bucket_count=count, bucket_index=index)
        with pytest.raises(InvalidProof, match="does not lead"):
            check_state_proof(b"key", None, proof, state.root)


# ---- a list that nobody can shorten


def check_roll(samples: Samples, chunks: list[bytes], head: bytes) -> list[Any]:
    """A roll as formats.md §11 has clients read it: head and every chunk proven, count and digest compared."""
    root = samples.header.state_root
    head_key = b"\x06kernelR" + SECURITY
    check_state_proof(head_key, head, samples.state.prove(head_key), root)
    facts = decode_map(head)
    if facts["chunks"] != len(chunks) or facts["digest"] != merkle_root(chunks):
        raise InvalidProof("the chunks are not those of the head")
    for number, chunk in enumerate(chunks):
        key = b"\x06kernelr" + SECURITY + number.to_bytes(4, "big")
        check_state_proof(key, chunk, samples.state.prove(key), root, STATE_ROOT)
    return chunks


def test_a_roll_is_complete_or_refused(samples: Samples) -> None:
    head_key = b"\x06kernelR" + SECURITY
    head = samples.state.values[head_key]
    chunks = list(samples.chunks)
    check_roll(samples, chunks, head)
    shorter = encode_value({"count": 64, "chunks": 1, "digest": merkle_root(chunks[:1])})
    for claimed, claimed_head in ((chunks[:1], head), (chunks[::-1], head), (chunks[:1], shorter), ([], head)):
        with pytest.raises(InvalidProof):
            check_roll(samples, claimed, claimed_head)
