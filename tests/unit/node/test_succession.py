"""A chain that lost too many nodes goes on as another one, with the state it had (docs/spec/successor.md)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from benchmarks.grown_chain import certified
from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash, lineage
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.execution.codes import Code
from chain_core.execution.epochs import current_epoch
from chain_core.execution.errors import InvalidGenesis
from chain_core.execution.line import PREDECESSOR_KEY
from chain_core.ledger import foundation
from chain_core.ledger.errors import BlockRefused
from chain_core.ledger.store import LedgerStore
from chain_core.network.identity import Caller
from chain_core.network.refusals import NotFound
from chain_core.network.signing import sign_transaction
from chain_core.node.block_builder import BlockBuilder
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.ledger_files import LEDGER_DIRECTORY, NotBegun, open_ledger
from chain_core.node.provision import account_key
from chain_core.node.queries import Queries
from chain_core.node.scope import OwnScope
from chain_core.node.succession import (
    GENESIS,
    STATE_FILE,
    Bequest,
    SuccessionRefused,
    begin,
    bequeath,
    successor_document,
)
from chain_core.types.block import Batch, CertifiedBlock
from chain_core.types.errors import InvalidProof, MalformedBytes
from chain_core.types.genesis import Genesis, Predecessor
from chain_core.types.transaction import Receipt
from chain_core.types.validator_set import Validator, ValidatorSet
from local_chain.assembly import local_assembly
from tests.endurance.long_chain import BLOCK_MS, grow

BLOCKS = 12
NOW_MS = 1_800_000_000_000
LATER_MS = NOW_MS - 59 * BLOCK_MS
"""A second after the last header: windows that were open still are."""


def validators(names: str = "abcd", salt: str = "new") -> ValidatorSet:
    def key(kind: str, name: str) -> bytes:
        return signing_provider().sm2_public_key(sm3(f"{salt} {kind} {name}".encode()))

    return ValidatorSet(
        tuple(Validator(name, f"entity {name}", key("consensus", name), key("transport", name)) for name in names)
    )


@dataclass(frozen=True)
class Past:
    """A chain that ended, its snapshot and its last state."""

    genesis: Genesis
    data: Path
    bequest: Bequest
    state: dict[bytes, bytes]


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    directory = tmp_path_factory.mktemp("past")
    genesis, _, _, data = grow(directory / "network", 4, BLOCKS, 5 * BLOCKS, NOW_MS)
    raw = encode_genesis(genesis)
    with open_ledger(data, local_assembly(genesis), genesis, genesis_hash(raw)) as store:
        header = bequeath(store, raw, directory / "bequest")
        assert header.height == store.final_height == BLOCKS
        return Past(genesis, data, Bequest.open(directory / "bequest"), everything(store))


def everything(store: LedgerStore) -> dict[bytes, bytes]:
    return dict(store.scan(b"", limit=1_000_000))


@pytest.fixture(scope="module")
def document(past: Past, tmp_path_factory: pytest.TempPathFactory) -> Genesis:
    scratch = tmp_path_factory.mktemp("scratch")
    found = successor_document(past.bequest, validators(), LATER_MS, local_assembly(past.genesis), scratch)
    assert not list(scratch.iterdir())
    return found


@pytest.fixture
def bequest(past: Past, tmp_path: Path) -> Bequest:
    """A copy that a test may change."""
    return Bequest.open(Path(shutil.copytree(past.bequest.directory, tmp_path / "bequest")))


def begun(document: Genesis, bequest: Bequest, data: Path) -> LedgerStore:
    raw = encode_genesis(document)
    begin(data, local_assembly(document), raw, bequest)
    return open_ledger(data, local_assembly(document), document, genesis_hash(raw))


def test_the_successor_has_what_the_predecessor_had(past: Past, document: Genesis, tmp_path: Path) -> None:
    last = past.bequest.verify()
    with begun(document, past.bequest, tmp_path / "data") as store:
        now = everything(store)
        header = decode_header(store.header(0) or b"")
        epoch = current_epoch(store)
        seen = store.seen_expired(1 << 62)
    assert store.final_height == 0 and header.genesis_hash == genesis_hash(encode_genesis(document))
    assert header.prev_hash == header_hash(cast(Predecessor, document.predecessor).header)
    assert (header.seen_root, header.time_ms) == (last.seen_root, LATER_MS) and header.time_ms > last.time_ms
    assert header.state_root != last.state_root and len(seen) == BLOCKS
    assert (epoch.epoch, epoch.start, epoch.validators) == (0, 0, document.validators)

    changed = {key for key in now.keys() | past.state.keys() if now.get(key) != past.state.get(key)}
    assert changed and all(key.startswith(b"\x0agovernance") for key in changed)
    assert decode_map(now[PREDECESSOR_KEY]) == {
        "genesis_hash": past.bequest.genesis_hash,
        "height": BLOCKS,
        "header_hash": header.prev_hash,
        "lineage": lineage(past.genesis, cast(Predecessor, document.predecessor).header),
        "earlier": [],
    }


def test_a_successor_may_have_a_successor(past: Past, document: Genesis, tmp_path: Path) -> None:
    """Two documents of one line have different lineages; the first one's is part of the second's."""
    raw = cast(Predecessor, document.predecessor).header
    assert lineage(document, raw) != lineage(past.genesis, raw)


def test_a_node_started_before_it_began_says_what_is_missing(document: Genesis, tmp_path: Path) -> None:
    with pytest.raises(NotBegun, match="dualchain node begin"):
        open_ledger(tmp_path / "data", local_assembly(document), document, genesis_hash(encode_genesis(document)))


def test_a_ledger_begins_once(past: Past, document: Genesis, tmp_path: Path) -> None:
    begun(document, past.bequest, tmp_path / "data").close()
    with pytest.raises(BlockRefused, match="has begun already"):
        begun(document, past.bequest, tmp_path / "data")


def test_a_crash_while_the_state_is_laid_begins_anew(
    past: Past, document: Genesis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(foundation.digests, "write_pages", crash)
        with pytest.raises(Crash):
            begun(document, past.bequest, tmp_path / "data")
    with pytest.raises(NotBegun):
        open_ledger(tmp_path / "data", local_assembly(document), document, genesis_hash(encode_genesis(document)))
    with begun(document, past.bequest, tmp_path / "data") as store:
        assert decode_map(everything(store)[PREDECESSOR_KEY])["height"] == BLOCKS


def refused(document: Genesis, bequest: Bequest, data: Path, what: str) -> None:
    with pytest.raises((InvalidProof, MalformedBytes), match=what):
        begun(document, bequest, data)
    with pytest.raises(NotBegun):  # whatever was read, nothing can be started from it
        open_ledger(data, local_assembly(document), document, genesis_hash(encode_genesis(document)))


def offset_of(data: bytes, part: bytes) -> int:
    at = data.find(part)
    assert at >= 0
    return at


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (lambda data: 0, "no snapshot"),
        (lambda data: 19, "snapshot format"),
        (lambda data: 20 + 250, "certifies"),
        (lambda data: 20 + 408 + 4 + 40, "certif|decode|verify|signer|unknown"),
        (lambda data: 20 + 408 + 4 + 120, "verif|signer|ascending"),
        (lambda data: offset_of(data, b"governance") + 30, "state|entr|cut|part|bucket"),
        (lambda data: len(data) - 1, "seen set|entr|cut|part|bucket"),
        (lambda data: len(data) // 2, "state|seen|entr|cut|part|bucket"),
    ],
)
def test_a_changed_byte_is_found(
    document: Genesis, bequest: Bequest, tmp_path: Path, place: Callable[[bytes], int], what: str
) -> None:
    path = bequest.directory / STATE_FILE
    data = bytearray(path.read_bytes())
    data[place(bytes(data))] ^= 1
    path.write_bytes(data)
    with pytest.raises((InvalidProof, MalformedBytes), match=what):
        bequest.verify()
    refused(document, bequest, tmp_path / "data", what)


@pytest.mark.parametrize(("change", "what"), [(b"", "cut"), (b"more", "more than a snapshot")])
def test_neither_cut_nor_longer(document: Genesis, bequest: Bequest, tmp_path: Path, change: bytes, what: str) -> None:
    path = bequest.directory / STATE_FILE
    data = path.read_bytes()
    path.write_bytes(data + change if change else data[:-7])
    refused(document, bequest, tmp_path / "data", what)


def test_another_chain_s_state_is_refused(document: Genesis, bequest: Bequest, tmp_path: Path) -> None:
    forged = replace(bequest.genesis, validators=validators(salt="a forger's"))
    (bequest.directory / GENESIS).write_bytes(encode_genesis(forged))
    with pytest.raises(InvalidProof, match="another chain"):
        Bequest.open(bequest.directory).verify()
    refused(document, Bequest.open(bequest.directory), tmp_path / "data", "another chain")


def changed(document: Genesis, **past: bytes) -> Genesis:
    return replace(document, predecessor=replace(cast(Predecessor, document.predecessor), **past))


def test_the_document_binds_header_lineage_and_root(past: Past, document: Genesis, tmp_path: Path) -> None:
    with pytest.raises(InvalidProof, match="lineage"):
        begun(changed(document, lineage=sm3(b"another line")), past.bequest, tmp_path / "lineage")
    with pytest.raises(InvalidGenesis, match="root"):
        begun(changed(document, state_root=sm3(b"another state")), past.bequest, tmp_path / "root")
    header = bytearray(cast(Predecessor, document.predecessor).header)
    header[250] ^= 1
    other = changed(document, header=bytes(header), lineage=lineage(past.genesis, bytes(header)))
    with pytest.raises(InvalidProof, match="another header"):
        begun(other, past.bequest, tmp_path / "header")
    with pytest.raises(SuccessionRefused, match="no predecessor"):
        begun(replace(document, predecessor=None), past.bequest, tmp_path / "none")


@pytest.mark.parametrize("change", [{"chain_id": "rem-tianjin"}, {"market": "TJ"}, {"accounts": ()}, {"documents": {}}])
def test_the_document_changes_nothing_else(
    past: Past, document: Genesis, tmp_path: Path, change: dict[str, object]
) -> None:
    with pytest.raises(InvalidProof, match="more of the predecessor's document"):
        begun(replace(document, **change), past.bequest, tmp_path / "data")  # type: ignore[arg-type]


def test_parameters_and_flags_are_those_in_force(past: Past, document: Genesis, tmp_path: Path) -> None:
    with pytest.raises(InvalidGenesis, match="parameters and flags"):
        begun(
            replace(document, parameters={**document.parameters, "window_heights": 8}), past.bequest, tmp_path / "data"
        )


def test_no_key_of_the_predecessor_s_validators_serves_again(past: Past, tmp_path: Path) -> None:
    with pytest.raises(InvalidGenesis, match="was a validator's"):
        successor_document(past.bequest, past.genesis.validators, LATER_MS, local_assembly(past.genesis), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"time_ms": NOW_MS - 120 * BLOCK_MS}, "before the header"),
        ({"predecessor": Predecessor(b"", bytes(32), bytes(32))}, "header has 0 bytes"),
        ({"predecessor": Predecessor(bytes(408), bytes(32), bytes(32))}, "predecessor.header"),
    ],
)
def test_what_the_codec_refuses(document: Genesis, change: dict[str, object], what: str) -> None:
    with pytest.raises(MalformedBytes, match=what):
        encode_genesis(replace(document, **change))  # type: ignore[arg-type]


def test_the_document_has_one_encoding(document: Genesis) -> None:
    assert decode_genesis(encode_genesis(document)) == document


def test_nothing_certified_is_nothing_to_bequeath(past: Past, tmp_path: Path) -> None:
    raw = encode_genesis(past.genesis)
    with (
        open_ledger(tmp_path / LEDGER_DIRECTORY, local_assembly(past.genesis), past.genesis, genesis_hash(raw)) as new,
        pytest.raises(SuccessionRefused, match="nothing is certified"),
    ):
        bequeath(new, raw, tmp_path / "bequest")
    with pytest.raises(SuccessionRefused, match="no snapshot is here"):
        Bequest.open(tmp_path / "bequest")


def test_what_was_executed_is_not_executed_again(past: Past, document: Genesis, tmp_path: Path) -> None:
    """Ordered by whomever, the old body is a duplicate; asked for it, a node says where it is to be looked for."""
    with open_ledger(past.data, local_assembly(past.genesis), past.genesis, past.bequest.genesis_hash) as before:
        old = decode_envelope(cast(CertifiedBlock, before.block(3)).envelopes[0])
    chain, body = genesis_hash(encode_genesis(document)), old.body
    _, private = account_key(past.data.parent.parent, "registrar")
    again = decode_envelope(sign_transaction(chain, body, [(private, signing_provider().sm2_public_key(private))]))
    assembly = local_assembly(document)
    with begun(document, past.bequest, tmp_path / "data") as store:
        builder = BlockBuilder(store, assembly.executor(), chain)
        built = builder.build(Batch(0, 0, 1, 0, LATER_MS + 1, (again.envelope_id,)), (again,))
        receipt = decode_receipt(built.result.receipts[0])
        assert (receipt.code, receipt.parameters) == (Code.DUPLICATE, (old.transaction_id, 3, 0))
        proofs = BlockProofs(store, assembly.messages())
        queries = Queries(OwnScope(document.chain_id, chain, 0), b"", store, proofs)
        asked = pb.GetReceiptRequest(account_nonce=pb.AccountNonce(account=body.account, nonce=body.nonce))
        with pytest.raises(NotFound, match="predecessor"):
            asyncio.run(queries.receipt(Caller("", ""), asked.SerializeToString()))


def test_a_receipt_of_the_predecessor_is_not_somebody_else_s_of_the_same_place(
    past: Past, document: Genesis, tmp_path: Path
) -> None:
    """The old body stood first in block 1; here it is ordered behind another one, which stands there now."""
    with open_ledger(past.data, local_assembly(past.genesis), past.genesis, past.bequest.genesis_hash) as before:
        body = decode_envelope(cast(CertifiedBlock, before.block(1)).envelopes[0]).body
    chain, (_, private) = genesis_hash(encode_genesis(document)), account_key(past.data.parent.parent, "registrar")
    key = (private, signing_provider().sm2_public_key(private))
    other = replace(body, nonce=1_000_000, valid_until_ms=LATER_MS + BLOCK_MS)
    ordered = tuple(decode_envelope(sign_transaction(chain, each, [key])) for each in (other, body))
    signers = [sm3(f"new consensus {name}".encode()) for name in "abc"]
    assembly = local_assembly(document)
    with begun(document, past.bequest, tmp_path / "data") as store:
        built = BlockBuilder(store, assembly.executor(), chain).build(
            Batch(0, 0, 1, 0, LATER_MS + 1, tuple(each.envelope_id for each in ordered)), ordered
        )
        store.commit_block(built.record(certified(chain, built.header_bytes, signers)))
        assert store.locate(ordered[1].transaction_id) == (1, 1)
        queries = Queries(OwnScope(document.chain_id, chain, 0), b"", store, BlockProofs(store, assembly.messages()))

        def receipt(nonce: int) -> Receipt:
            asked = pb.GetReceiptRequest(account_nonce=pb.AccountNonce(account=body.account, nonce=nonce))
            raw = asyncio.run(queries.receipt(Caller("", ""), asked.SerializeToString()))
            return decode_receipt(pb.GetReceiptResponse.FromString(raw).receipt.receipt)

        assert receipt(other.nonce).transaction_id == ordered[0].transaction_id
        with pytest.raises(NotFound, match="predecessor"):
            receipt(body.nonce)
