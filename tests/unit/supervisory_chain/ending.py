"""A market's chain that ended, and what its successor is made from (docs/spec/successor.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from chain_core.codec.block import decode_header, encode_header
from chain_core.codec.genesis import decode_genesis, encode_genesis, genesis_hash, lineage
from chain_core.codec.proofs import encode_state_proof
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.ledger.store import LedgerStore
from chain_core.node.ledger_files import LEDGER_DIRECTORY
from chain_core.node.succession import Bequest, begin, bequeath, successor_document
from chain_core.types.genesis import Predecessor
from chain_core.types.transaction import Operation, Receipt
from chain_core.types.validator_set import ValidatorSet
from chain_core.types.values import Value
from local_chain.assembly import local_assembly
from supervisory_chain.handover import carried_keys
from tests.unit.crosschain.chains import BUCKETS, Chain, Layers, op, private_key, validators

NAMES = "second"


@dataclass
class End:
    """A market's chain that ended, its snapshot, and the successor's document made from it."""

    layers: Layers
    bequest: Bequest
    document: bytes
    certificate: bytes
    counters: list[Value]
    scratch: Path

    @property
    def before(self) -> bytes:
        return self.bequest.genesis_hash

    @property
    def chain(self) -> bytes:
        return genesis_hash(self.document)

    def proposal(self, genesis: bytes = b"", **changes: Value) -> Operation:
        args: dict[str, Value] = {
            "genesis": genesis or self.document,
            "technology": "dualchain",
            "consensus": "PBFT",
            "endpoints": [{"node": f"{NAMES}-{i}", "address": f"127.0.0.1:{20_100 + i}"} for i in range(2)],
            "certificate": self.certificate,
            "counters": self.counters,
            "give_up": False,
            **changes,
        }
        return Operation("successors", "propose", args)

    def by(self, who: str, operation: Operation) -> Receipt:
        return self.layers.supervisory.one(who, operation)

    def confirm(self, who: str = "csrc-1", *, give_up: bool = False) -> Receipt:
        return self.by(who, op("successors", "confirm", chain=self.chain, give_up=give_up))

    def moved(self) -> Chain:
        """Both institutions agreed; the successor, begun, in the place of the local chain."""
        assert self.by("operator", self.proposal()).code == Code.OK
        assert self.confirm().code == Code.OK
        genesis = decode_genesis(self.document)
        data = self.scratch / "successor"
        begin(data, local_assembly(genesis), self.document, self.bequest)
        store = LedgerStore.open(data / LEDGER_DIRECTORY, genesis_hash=self.chain, state_buckets=BUCKETS)
        made = [private_key(f"{NAMES} consensus {i}") for i in range(genesis.validators.n)]
        keys = dict(zip((v.consensus_key for v in genesis.validators.validators), made, strict=True))
        old = self.layers.local
        old.store.close()
        chain = Chain(self.document, local_assembly(genesis).executor(), store, keys, genesis.time_ms, old.nonces)
        self.layers.local = chain
        return chain

    def value(self, contract: str, key: bytes) -> dict[str, Value]:
        return cast(dict[str, Value], self.layers.supervisory.value(state_key(contract, key)))


def ended(layers: Layers, directory: Path, members: ValidatorSet | None = None) -> End:
    local = layers.local
    bequeath(local.store, local.genesis_bytes, directory / "bequest")
    bequest = Bequest.open(directory / "bequest")
    document = successor_document(
        bequest, members or validators(NAMES), local.time_ms + 5_000, local_assembly(local.genesis), directory
    )
    with bequest.state() as state:
        certificate = state.certificate
    proofs = [local.store.prove_state(key) for key in carried_keys(layers.supervisory.hash)]
    counters: list[Value] = [{"value": value or b"", "proof": encode_state_proof(proof)} for value, proof in proofs]
    return End(layers, bequest, encode_genesis(document), certificate, counters, directory)


def near_the_end(layers: Layers, directory: Path) -> End:
    """All reports were delivered; of three directives one was carried out and acknowledged."""
    height = layers.business("S1")
    assert layers.supervisory.one("courier", layers.headers_up(height), layers.packets_up(height)).code == Code.OK
    layers.direct("freeze_holder", "holder")
    assert layers.local.one("courier", layers.update_down(0, 1)).code == Code.OK
    acknowledged = layers.local.height
    assert layers.supervisory.one("courier", layers.headers_up(acknowledged), layers.packets_up(acknowledged)).code == 0
    layers.direct("freeze_holder", "buyer")
    layers.direct("freeze_holder", "issuer")
    return ended(layers, directory)


def changed(end: End, **changes: object) -> bytes:
    return encode_genesis(replace(decode_genesis(end.document), **changes))  # type: ignore[arg-type]


def with_past(end: End, **changes: object) -> bytes:
    past = cast(Predecessor, decode_genesis(end.document).predecessor)
    return changed(end, predecessor=replace(past, **changes))  # type: ignore[arg-type]


def other_header(end: End, **changes: object) -> tuple[bytes, bytes]:
    """A document upon another header of the predecessor, and the header."""
    past = cast(Predecessor, decode_genesis(end.document).predecessor)
    header = encode_header(replace(decode_header(past.header), **changes))  # type: ignore[arg-type]
    return with_past(end, header=header, lineage=lineage(end.layers.local.genesis, header)), header


def upon(end: End, **changes: object) -> Operation:
    genesis, header = other_header(end, **changes)
    return end.proposal(genesis, certificate=end.layers.local.certify(header))
