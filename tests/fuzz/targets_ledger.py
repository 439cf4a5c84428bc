"""Records of the chain: all with golden vectors, and what is made of them: proofs, archives, snapshots, recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from chain_core.codec import snapshot
from chain_core.codec.block import decode_block, decode_header, encode_block, encode_certificate, encode_header
from chain_core.codec.evidence import check_equivocation
from chain_core.codec.proofs import decode_packet, encode_inclusion, encode_packet, encode_state_proof
from chain_core.codec.validator_set import decode_validator_set, encode_validator_set, validator_set_hash
from chain_core.codec.values import encode_value
from chain_core.consensus.messages import PrePrepare
from chain_core.crypto.hashing import sm3
from chain_core.ledger import packing
from chain_core.ledger.archive_file import ArchiveFile, FileHead, encode_archived, encode_file
from chain_core.ledger.blocks import ArchivedBlock
from chain_core.ledger.snapshot_file import SnapshotFile, write_snapshot
from chain_core.node.answers import CertifiedHeader, OutboxAnswer, ProvenPacket, ProvenReceipt, StateAnswer, StateItem
from chain_core.node.archive_check import ArchiveCheck, check_block_contents
from chain_core.node.chain_view import ChainView
from chain_core.node.journal import decode_pre_prepare, encode_pre_prepare
from chain_core.types.block import Phase
from chain_core.types.errors import MalformedBytes
from crosschain.light_client import ClientState, verify_next
from crosschain.packets import read_directive
from tests.fuzz.target import Target, from_file, joined, scratch, split
from tests.unit.ledger.support import GENESIS, header, new_store
from tests.unit.ledger.test_snapshot_file import SETS, certified
from tests.vectors.keys import Signatures
from tests.vectors.records import kinds
from tests.vectors.samples import TIME_MS, Samples, local_genesis


@cache
def samples() -> Samples:
    """The chain of the golden vectors."""
    return Samples(Signatures(may_sign=False))


def _given(raws: Iterable[bytes]) -> Callable[[], Iterable[bytes]]:
    return lambda: raws


def _records() -> Iterator[Target]:
    for kind in kinds(samples()):
        raws = [raw for _, raw in kind.samples]
        largest = max(4_096, 2 * max(map(len, raws)))
        yield Target(kind.name, kind.decode, _given(raws), kind.rewrite, (MalformedBytes,), max_len=largest)


# ---- proofs, as clients and light clients take them


@cache
def _view() -> ChainView:
    return ChainView(samples().genesis_bytes)


@cache
def _top() -> CertifiedHeader:
    return CertifiedHeader(samples().header_bytes, encode_certificate(samples().certificate))


def _certified(data: bytes) -> Any:
    head, certificate = split(data, 2)
    return _view().check_header(CertifiedHeader(head, certificate))


def _receipt(data: bytes) -> Any:
    receipt, proof = split(data, 2)
    return _view().check_receipt(_top(), ProvenReceipt(1, receipt, proof))


def _receipt_seeds() -> list[bytes]:
    s = samples()
    return [joined(raw, encode_inclusion(s.inclusion(s.receipt_bytes, i))) for i, raw in enumerate(s.receipt_bytes)]


def _outbox(data: bytes) -> Any:
    one, its, two, other = split(data, 4)
    return _view().check_outbox(OutboxAnswer(_top(), (ProvenPacket(one, its), ProvenPacket(two, other))))


def _outbox_seeds() -> list[bytes]:
    s = samples()
    (one, two), proofs = s.outbox, [encode_inclusion(s.inclusion(s.outbox, i)) for i in range(2)]
    return [joined(one, proofs[0], two, proofs[1])]


def _state(data: bytes) -> Any:
    key, value, proof = split(data, 3)
    return _view().check_state([key], StateAnswer(_top(), (StateItem(value or None, proof),)))


def _state_seeds() -> list[bytes]:
    state = samples().state
    there, missing = next(iter(state.values)), b"\x06kernelnothing"
    return [
        joined(there, state.values[there], encode_state_proof(state.prove(there))),
        joined(missing, b"", encode_state_proof(state.prove(missing))),
    ]


def _followed(data: bytes) -> Any:
    """What the relayer brings of another chain; a verdict is the light client's refusal."""
    head, certificate, next_set = split(data, 3)
    client = ClientState.at_genesis(samples().chain, local_genesis())
    return verify_next(client, head, certificate, now_ms=TIME_MS + 60_000, next_set=next_set)


def _followed_seeds() -> list[bytes]:
    s = samples()
    return [joined(s.header_bytes, encode_certificate(s.certificate), encode_validator_set(s.validators))]


def _convicting(data: bytes) -> Any:
    return check_equivocation(data, samples().validators, samples().chain)


def _equivocations() -> Iterable[bytes]:
    return [raw for kind in kinds(samples()) if kind.name == "equivocation" for _, raw in kind.samples]


# ---- pieces and files


def _bucket_seeds() -> list[bytes]:
    items = sorted(samples().state.values.items())[:3]
    return [snapshot.encode_bucket(items), snapshot.encode_bucket([])]


def _manifest_seeds() -> list[bytes]:
    roots = (bytes(32),), (b"r" * 32,)
    return [snapshot.encode_manifest(snapshot.Manifest(samples().header_bytes, (6, 2), roots))]


def _archive(path: Path) -> Any:
    """With the digest that fits: whoever writes a file computes it."""
    path.write_bytes((data := path.read_bytes()) + sm3(data))
    return ArchiveCheck(local_genesis(), samples().chain, 0).check(ArchiveFile(path))


def _archive_seeds() -> list[bytes]:
    s = samples()
    events = packing.pack([encode_value([["kernel", "moved", {"quantity": 1_000}]]), encode_value([])])
    block = ArchivedBlock(s.block, packing.pack(s.receipt_bytes), events, packing.pack(s.outbox))
    head = FileHead(s.chain, 0, 1, 1, (encode_validator_set(s.validators),))
    return [encode_file(head, [encode_archived(block)])[:-32]]


@cache
def _snapshot() -> bytes:
    """A whole file of a small state, certified."""
    path = scratch() / "whole.dcs"
    with new_store(scratch() / "snapshot-store") as store:
        own = validator_set_hash(SETS[0][0])
        last = header(store, store.stage({}, {}, ()))
        raw = encode_header(replace(last, validator_set_hash=own, next_validator_set_hash=own))
        view = store.view()
        view.manifest = replace(view.manifest, header=raw)
        write_snapshot(path, view, certified(GENESIS, raw, SETS[0][1]), ())
        view.close()
    return path.read_bytes()


def _read_snapshot(path: Path) -> Any:
    with SnapshotFile(path, SETS[0][0], GENESIS) as file:
        return file.read_trees(lambda tree, items, size: None)


_TREES_AT = 16 + 4 + 408
"""Behind the header of a snapshot file."""


def _read_trees(path: Path) -> Any:
    """The trees behind a certified header, which nobody can make up."""
    whole = _snapshot()
    certificate = int.from_bytes(whole[_TREES_AT : _TREES_AT + 4], "big")
    path.write_bytes(whole[: _TREES_AT + 4 + certificate] + path.read_bytes())
    return _read_snapshot(path)


def _trees_seeds() -> list[bytes]:
    whole = _snapshot()
    return [whole[_TREES_AT + 4 + int.from_bytes(whole[_TREES_AT : _TREES_AT + 4], "big") :]]


def _packed(data: bytes) -> tuple[bytes, ...]:
    return packing.unpack(data, "fuzz")


def _pre_prepares() -> list[bytes]:
    s = samples()
    return [encode_pre_prepare(PrePrepare(s.vote(Phase.PRE_PREPARE, 0), s.next_batch))]


def targets() -> Iterator[Target]:
    """The rows of this part."""
    yield from _records()
    s = samples()
    yield Target(
        "validator-set", decode_validator_set, lambda: [encode_validator_set(s.validators)], encode_validator_set
    )
    yield Target("certified-header", _certified, lambda: [joined(s.header_bytes, encode_certificate(s.certificate))])
    yield Target("proven-receipt", _receipt, _receipt_seeds)
    yield Target("proven-outbox", _outbox, _outbox_seeds)
    yield Target("proven-state", _state, _state_seeds, compare=True)
    yield Target("light-client", _followed, _followed_seeds)
    yield Target("conviction", _convicting, _equivocations)
    yield Target("packed-list", _packed, lambda: [packing.pack(s.outbox), packing.pack([])], packing.pack)
    yield Target("snapshot-manifest", snapshot.decode_manifest, _manifest_seeds, snapshot.encode_manifest)
    yield Target("snapshot-bucket", snapshot.decode_bucket, _bucket_seeds, snapshot.encode_bucket)
    yield Target("snapshot-file", from_file(_read_snapshot), lambda: [_snapshot()], max_len=8_192)
    yield Target("snapshot-trees", from_file(_read_trees), _trees_seeds)
    yield Target("archive-file", from_file(_archive), _archive_seeds, max_len=8_192)
    yield Target("journal-pre-prepare", decode_pre_prepare, _pre_prepares, encode_pre_prepare)
    yield Target("directive-packet", _directive_packet, lambda: [encode_packet(s.directive)])
    yield Target("archived-block", _block_alone, lambda: [encode_block(s.block)])


def _directive_packet(data: bytes) -> Any:
    return read_directive(decode_packet(data).payload)


def _block_alone(data: bytes) -> Any:
    block = decode_block(data)
    return check_block_contents(block, decode_header(block.header))
