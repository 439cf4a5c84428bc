"""Packets, inclusion proofs and state proofs, with their verification (docs/spec/formats.md §9-§10)."""

from __future__ import annotations

from collections.abc import Sequence

from chain_core.codec import signed
from chain_core.codec.values import decode_map
from chain_core.codec.wire import U32, Layout, Reader, Writer, malformed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import leaf_hash, merkle_root, root_from_path, verify_consistency
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import FORMAT_VERSION, HASH_SIZE
from chain_core.types.packet import BucketEntry, ConsistencyProof, InclusionProof, Packet, StateProof

MAX_PATH = 64
MAX_PACKET_BYTES = 196_608
"""A packet with its proof, header and certificate has to fit into one envelope, or its channel would stall.
"""
MAX_KEY_BYTES = 255
_PACKET_HEAD = Layout("B32sI32sI")


def encode_packet(packet: Packet) -> bytes:
    """Canonical packet: a leaf of its block's outbox tree. Checked by reading it back: MalformedBytes."""
    try:
        w = Writer()
        w.parts.append(
            _PACKET_HEAD.pack(
                FORMAT_VERSION,
                packet.source_genesis,
                packet.source_ledger,
                packet.destination_genesis,
                packet.destination_ledger,
            )
        )
        raw = w.name(packet.channel).u64(packet.sequence).name(packet.kind).blob(packet.payload).take()
    except ValueError as error:
        malformed("packet", 0, str(error))
    decode_packet(raw)
    return raw


def decode_packet(data: bytes) -> Packet:
    """A packet from its one encoding; its payload is the encoding of a map with text keys."""
    r = Reader(data, "packet")
    version, source, source_ledger, destination, destination_ledger = r.unpack(_PACKET_HEAD)
    if version != FORMAT_VERSION:
        r.fail(f"unknown format version {version}")
    channel, sequence, kind, payload = r.identifier(), r.u64(), r.identifier(), r.blob(MAX_PACKET_BYTES)
    r.end()
    decode_map(payload, "packet payload")
    return Packet(source, source_ledger, destination, destination_ledger, channel, sequence, kind, payload)


def packet_hash(packet_bytes: bytes) -> bytes:
    """SM3 of the packet: what an acknowledgement names."""
    return sm3(packet_bytes)


def _write_path(w: Writer, path: tuple[bytes, ...]) -> None:
    w.u8(len(path))
    for item in path:
        w.fixed(item, HASH_SIZE)


def _read_path(r: Reader) -> tuple[bytes, ...]:
    return tuple(r.fixed(HASH_SIZE) for _ in range(r.count(0, MAX_PATH, r.u8())))


def encode_inclusion(proof: InclusionProof) -> bytes:
    """Canonical inclusion proof."""
    w = Writer().u8(FORMAT_VERSION).u64(proof.index).u64(proof.count)
    _write_path(w, proof.path)
    return w.take()


def decode_inclusion(data: bytes) -> InclusionProof:
    """An inclusion proof from its one encoding."""
    r = Reader(data, "inclusion proof")
    r.version()
    index, count, path = r.u64(), r.u64(), _read_path(r)
    r.end()
    return InclusionProof(index, count, path)


def check_inclusion(leaf: bytes, proof: InclusionProof, count: int, root: bytes, where: str) -> None:
    """InvalidProof unless ``leaf`` stands at the proof's index under ``root`` of a tree of ``count``
    leaves.
    """
    if proof.count != count:
        raise InvalidProof(f"the proof is for {proof.count} leaves, the header says {count}", where=where)
    if root_from_path(leaf_hash(leaf), proof.index, proof.count, proof.path) != root:
        raise InvalidProof("the path does not lead to the root in the header", where=where)


def check_leaves(leaves: Sequence[bytes], count: int, root: bytes, where: str) -> None:
    """InvalidProof unless these are all ``count`` leaves under ``root``, in order."""
    if len(leaves) != count or merkle_root(leaves) != root:
        raise InvalidProof("they do not lead to the root in the header", where=where)


def encode_consistency(proof: ConsistencyProof) -> bytes:
    """Canonical consistency proof."""
    w = Writer().u8(FORMAT_VERSION).u64(proof.first).u64(proof.second)
    _write_path(w, proof.path)
    return w.take()


def decode_consistency(data: bytes) -> ConsistencyProof:
    """A consistency proof from its one encoding."""
    r = Reader(data, "consistency proof")
    r.version()
    first, second, path = r.u64(), r.u64(), _read_path(r)
    r.end()
    return ConsistencyProof(first, second, path)


def check_consistency(proof: ConsistencyProof, older: Header, newer: Header) -> None:
    """InvalidProof unless the history ``newer`` commits to begins with the one ``older`` commits to."""
    where = f"history of height {newer.height} over that of {older.height}"
    if (proof.first, proof.second) != (older.history_count, newer.history_count):
        raise InvalidProof(f"the proof is from {proof.first} to {proof.second} headers", where=where)
    if not verify_consistency(proof.first, proof.second, older.history_root, newer.history_root, proof.path):
        raise InvalidProof("the path does not lead from one history root to the other", where=where)


def state_root(bucket_count: int, upper_root: bytes, kind: bytes = signed.STATE_ROOT) -> bytes:
    """A state or seen root: commits to the number of buckets and to the tree over their digests."""
    return sm3(kind + U32.pack(bucket_count) + upper_root)


def bucket_digest(entry_count: int, entries_root: bytes) -> bytes:
    """Digest of a bucket: its leaf *hash* in the upper tree (prefix 02 keeps it apart from leaves and
    nodes).
    """
    return sm3(b"\x02" + U32.pack(entry_count) + entries_root)


def bucket_of(key_hash: bytes, bucket_count: int) -> int:
    """Bucket of a key by linear hashing over ``bucket_count`` buckets."""
    h = int.from_bytes(key_hash[:8], "big")
    low = 1 << (bucket_count.bit_length() - 1)
    index = h & (2 * low - 1)
    return index if index < bucket_count else index - low


def encode_state_proof(proof: StateProof) -> bytes:
    """Canonical state proof."""
    w = Writer().u8(FORMAT_VERSION).u8(1 if proof.present else 0).u32(proof.bucket_count)
    w.u32(proof.bucket_index).u32(proof.entry_count).u8(len(proof.entries))
    for entry in proof.entries:
        w.u32(entry.position).fixed(entry.key_hash, HASH_SIZE).fixed(entry.value_hash, HASH_SIZE)
        _write_path(w, entry.path)
    _write_path(w, proof.bucket_path)
    return w.take()


def decode_state_proof(data: bytes) -> StateProof:
    """A state proof from its one encoding."""
    r = Reader(data, "state proof")
    r.version()
    present = r.count(0, 1, r.u8()) == 1
    bucket_count, bucket_index, entry_count = r.u32(), r.u32(), r.u32()
    entries = tuple(
        BucketEntry(r.u32(), r.fixed(HASH_SIZE), r.fixed(HASH_SIZE), _read_path(r))
        for _ in range(r.count(0, 2, r.u8()))
    )
    bucket_path = _read_path(r)
    r.end()
    return StateProof(bucket_count, bucket_index, entry_count, present, entries, bucket_path)


def check_state_proof(
    key: bytes, value: bytes | None, proof: StateProof, root: bytes, kind: bytes = signed.STATE_ROOT
) -> None:
    """InvalidProof unless under ``root`` the full ``key`` has exactly ``value`` (None: the key is absent)."""
    where = f"state key {key.hex()}"
    key_hash = sm3(key)
    if proof.present != (value is not None):
        raise InvalidProof("presence is claimed where absence is to be shown, or the reverse", where=where)
    if proof.bucket_count < 1 or bucket_of(key_hash, proof.bucket_count) != proof.bucket_index:
        raise InvalidProof("the key does not belong to the proof's bucket", where=where)
    entries_root = _entries_root(proof, where)
    if value is not None:
        (entry,) = proof.entries if len(proof.entries) == 1 else (None,)
        if entry is None or entry.key_hash != key_hash or entry.value_hash != sm3(value):
            raise InvalidProof("the proven entry is another key or another value", where=where)
    else:
        _check_absent(key_hash, proof, where)
    digest = bucket_digest(proof.entry_count, entries_root)
    upper = root_from_path(digest, proof.bucket_index, proof.bucket_count, proof.bucket_path)
    if upper is None or state_root(proof.bucket_count, upper, kind) != root:
        raise InvalidProof("the path does not lead to the root in the header", where=where)


def _entries_root(proof: StateProof, where: str) -> bytes:
    if not proof.entries:
        if proof.entry_count:
            raise InvalidProof("no entry is shown of a bucket that has some", where=where)
        return merkle_root(())
    roots = {
        root_from_path(leaf_hash(e.key_hash + e.value_hash), e.position, proof.entry_count, e.path)
        for e in proof.entries
    }
    root = roots.pop()
    if roots or root is None:
        raise InvalidProof("the entries' paths do not lead to one bucket root", where=where)
    return root


def _check_absent(key_hash: bytes, proof: StateProof, where: str) -> None:
    """Neighbours: two adjacent entries around the key, or the first or last entry alone, or an empty
    bucket.
    """
    entries = proof.entries
    if not entries:
        return
    if len(entries) == 2:
        left, right = entries
        adjacent = left.position + 1 == right.position
        if adjacent and left.key_hash < key_hash < right.key_hash:
            return
    elif entries[0].position == 0 and key_hash < entries[0].key_hash:
        return
    elif entries[0].position == proof.entry_count - 1 and entries[0].key_hash < key_hash:
        return
    raise InvalidProof("the entries shown do not exclude the key", where=where)
