"""The demonstration's evidence: written from verified answers, read back and verified again by anybody with the hashes.

    genesis/<chain>.bin        genesis documents
    headers/<chain>.jsonl      {height, header, certificate}
    receipts/<chain>.jsonl     {label, height, envelope, receipt, proof}; label: business id, as signed
    state/<chain>.jsonl        {name, height, key, value, proof}; value null: proven absent
    packets/<chain>.jsonl      {name, height, packet, proof}
    documents/*.json           reports and replies that carry signatures of their own
    inputs/*.csv               the input files as used
    summary.json               what the evidence amounts to
    manifest.json              every file but itself, with size and SM3

All bytes are hexadecimal. Nothing in here is believed: ``load`` checks every certificate, proof and signature.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.genesis import genesis_hash
from chain_core.codec.proofs import check_inclusion, decode_inclusion, decode_packet
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider
from chain_core.node.answers import CertifiedHeader, OutboxAnswer, ProvenReceipt, StateAnswer, StateItem
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError
from chain_core.types.packet import Packet
from chain_core.types.transaction import Envelope, Operation, Receipt
from dualchain.demo.inputs import copy_inputs

MANIFEST = "manifest.json"
SUMMARY = "summary.json"
MAX_FILE_BYTES = 256_000_000


class EvidenceRefused(DualchainError):
    """Evidence that does not hold."""

    code = "EVIDENCE_REFUSED"


Line = dict[str, Any]


def label_of(envelope: Envelope) -> str:
    """What a transaction goes by in the evidence: its business id, else its first operation; signed either way."""
    first = envelope.body.operations[0]
    return envelope.body.business_id or f"{first.contract}.{first.method}"


@dataclass(slots=True)
class EvidenceBook:
    """Collects verified answers while the story runs."""

    headers: dict[str, dict[int, CertifiedHeader]] = field(default_factory=dict)
    receipts: dict[str, list[Line]] = field(default_factory=dict)
    state: dict[str, list[Line]] = field(default_factory=dict)
    packets: dict[str, list[Line]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)

    def header(self, chain: str, certified: CertifiedHeader) -> int:
        """Keep a header once; its height."""
        height = decode_header(certified.header).height
        self.headers.setdefault(chain, {}).setdefault(height, certified)
        return height

    def receipt(self, chain: str, envelope: bytes, found: VerifiedReceipt) -> None:
        """A transaction with its proven receipt."""
        self.receipts.setdefault(chain, []).append(
            {
                "label": label_of(decode_envelope(envelope)),
                "height": self.header(chain, found.certified),
                "envelope": envelope.hex(),
                "receipt": found.proven.receipt.hex(),
                "proof": found.proven.proof.hex(),
            }
        )

    def values(self, chain: str, name: str, keys: Sequence[bytes], answer: StateAnswer) -> None:
        """Proven state values under one header."""
        height = self.header(chain, answer.header)
        self.state.setdefault(chain, []).extend(
            {
                "name": name,
                "height": height,
                "key": key.hex(),
                "value": None if item.value is None else item.value.hex(),
                "proof": item.proof.hex(),
            }
            for key, item in zip(keys, answer.items, strict=True)
        )

    def outbox(self, chain: str, name: str, answer: OutboxAnswer) -> None:
        """The packets that one block emitted."""
        height = self.header(chain, answer.header)
        self.packets.setdefault(chain, []).extend(
            {"name": name, "height": height, "packet": p.packet.hex(), "proof": p.proof.hex()} for p in answer.packets
        )

    def write(self, directory: Path, genesis: Mapping[str, bytes], inputs: Path) -> None:
        """All files but summary and manifest."""
        for folder in ("genesis", "headers", "receipts", "state", "packets", "documents"):
            (directory / folder).mkdir(parents=True)
        for chain, raw in genesis.items():
            (directory / "genesis" / f"{chain}.bin").write_bytes(raw)
        for chain, headers in self.headers.items():
            rows: list[Line] = [
                {"height": height, "header": c.header.hex(), "certificate": c.certificate.hex()}
                for height, c in sorted(headers.items())
            ]
            _write_lines(directory / "headers" / f"{chain}.jsonl", rows)
        for folder, kept in (("receipts", self.receipts), ("state", self.state), ("packets", self.packets)):
            for chain, rows in kept.items():
                _write_lines(directory / folder / f"{chain}.jsonl", rows)
        for name, document in self.documents.items():
            (directory / "documents" / f"{name}.json").write_text(_json(document), encoding="utf-8")
        copy_inputs(inputs, directory / "inputs")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def _write_lines(path: Path, rows: Sequence[Line]) -> None:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows), encoding="utf-8"
    )


def summary_bytes(summary: Mapping[str, Any]) -> bytes:
    """summary.json, to the byte: a verifier compares it so, because true and 1 are equal as values."""
    return _json(summary).encode("utf-8")


def write_summary(directory: Path, summary: Mapping[str, Any]) -> None:
    """summary.json among the evidence."""
    (directory / SUMMARY).write_bytes(summary_bytes(summary))


def write_manifest(directory: Path) -> bytes:
    """manifest.json over every other file; the SM3 of its bytes."""
    raw = _json({"format": 1, "files": _listing(directory)}).encode("utf-8")
    (directory / MANIFEST).write_bytes(raw)
    return sm3(raw)


def _listing(directory: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise EvidenceRefused("neither a file nor a folder", where=name, next_step="remove it")
        if path.is_file() and name != MANIFEST:
            raw = path.read_bytes()
            found[name] = {"size": len(raw), "sm3": sm3(raw).hex()}
    return found


def check_manifest(directory: Path, expected: bytes) -> int:
    """Every file is there, unchanged, and no other; how many. EvidenceRefused names the first that differs."""
    path = directory / MANIFEST
    if not path.is_file():
        raise EvidenceRefused("there is no manifest", where=str(path), next_step="name the evidence directory")
    raw = path.read_bytes()
    if sm3(raw) != expected:
        what = f"its SM3 is {sm3(raw).hex()}, not the one given"
        raise EvidenceRefused(what, where=MANIFEST, next_step="ask for the evidence again")
    with readable(MANIFEST):
        listed = dict(json.loads(raw)["files"])
    present = _listing(directory)
    for name in sorted(listed.keys() | present.keys()):
        if listed.get(name) != present.get(name):
            state = "added" if name not in listed else "removed" if name not in present else "changed"
            raise EvidenceRefused(f"a file was {state}", where=name, next_step="ask for the evidence again")
    return len(present)


@dataclass(frozen=True, slots=True)
class ProvenTransaction:
    """A transaction with its verified receipt."""

    label: str
    envelope: Envelope
    receipt: Receipt
    header: Header
    index: int
    """Its place in the block."""


@dataclass(slots=True)
class Evidence:
    """Verified evidence of one demonstration."""

    directory: Path
    views: dict[str, ChainView] = field(default_factory=dict)
    headers: dict[str, dict[int, Header]] = field(default_factory=dict)
    hashes: dict[str, dict[int, bytes]] = field(default_factory=dict)
    transactions: dict[str, list[ProvenTransaction]] = field(default_factory=dict)
    state: dict[str, dict[str, dict[bytes, bytes | None]]] = field(default_factory=dict)
    """chain -> name -> full key -> value (None: proven absent); every name's values stand under one header."""
    heights: dict[tuple[str, str], int] = field(default_factory=dict)
    packets: dict[str, list[tuple[int, Packet]]] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)

    def operations(self, chain: str, contract: str, method: str) -> Iterator[tuple[ProvenTransaction, Operation]]:
        """Operations of a method, refused ones included, each with its transaction."""
        for transaction in self.transactions[chain]:
            for operation in transaction.envelope.body.operations:
                if (operation.contract, operation.method) == (contract, method):
                    yield transaction, operation


def load(directory: Path) -> Evidence:
    """Read and verify everything. EvidenceRefused, InvalidProof or MalformedBytes at the first fault."""
    evidence = Evidence(directory)
    for path in sorted((directory / "genesis").glob("*.bin")):
        evidence.views[path.stem] = ChainView(path.read_bytes())
    for chain, view in evidence.views.items():
        certified: dict[int, CertifiedHeader] = {}
        for row in _lines(directory / "headers" / f"{chain}.jsonl"):
            found = CertifiedHeader(bytes.fromhex(row["header"]), bytes.fromhex(row["certificate"]))
            certified[row["height"]] = found
            evidence.headers.setdefault(chain, {})[row["height"]] = view.check_header(found)
            evidence.hashes.setdefault(chain, {})[row["height"]] = header_hash(found.header)
            if decode_header(found.header).height != row["height"]:
                raise EvidenceRefused("a header stands under another height", where=f"{chain}, height {row['height']}")
        _load_receipts(evidence, chain, certified)
        _load_state(evidence, chain, certified)
        _load_packets(evidence, chain)
    for path in sorted((directory / "documents").glob("*.json")):
        evidence.documents[path.stem] = json.loads(path.read_text(encoding="utf-8"))
    return evidence


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Evidence that is not even shaped like evidence is refused like any other that does not hold."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise EvidenceRefused(
            f"it is not shaped like evidence: {type(error).__name__} {error}",
            where=what,
            next_step="ask for the evidence again",
        ) from error


def _lines(path: Path) -> list[Line]:
    if not path.is_file():
        return []
    if path.stat().st_size > MAX_FILE_BYTES:
        raise EvidenceRefused(f"more than {MAX_FILE_BYTES} bytes", where=str(path))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _header_of(certified: Mapping[int, CertifiedHeader], chain: str, height: int) -> CertifiedHeader:
    found = certified.get(height)
    if found is None:
        where = f"headers/{chain}.jsonl"
        raise EvidenceRefused(f"there is no header of height {height}, which a proof needs", where=where)
    return found


def _load_receipts(evidence: Evidence, chain: str, certified: Mapping[int, CertifiedHeader]) -> None:
    view = evidence.views[chain]
    signatures: list[VerifyItem] = []
    found: list[ProvenTransaction] = []
    seen: set[bytes] = set()
    for row in _lines(evidence.directory / "receipts" / f"{chain}.jsonl"):
        envelope = decode_envelope(bytes.fromhex(row["envelope"]))
        if row["label"] != label_of(envelope):
            raise EvidenceRefused("a label is not the one its signer put into the transaction", where=row["label"])
        if envelope.transaction_id in seen:
            raise EvidenceRefused("a transaction stands there twice", where=row["label"])
        seen.add(envelope.transaction_id)
        proven = ProvenReceipt(row["height"], bytes.fromhex(row["receipt"]), bytes.fromhex(row["proof"]))
        verified = view.check_own_receipt(envelope, _header_of(certified, chain, row["height"]), proven)
        message = signed.message_of_hash(signed.TX, view.genesis_hash, envelope.transaction_id)
        signatures.extend((s.public_key, message, s.signature) for s in envelope.signers)
        found.append(
            ProvenTransaction(
                row["label"], envelope, verified.receipt, verified.header, decode_inclusion(proven.proof).index
            )
        )
    if not all(provider().sm2_verify_many(signatures)):
        raise EvidenceRefused("a submitter's signature does not verify", where=f"receipts/{chain}.jsonl")
    evidence.transactions[chain] = found


def _load_state(evidence: Evidence, chain: str, certified: Mapping[int, CertifiedHeader]) -> None:
    for row in _lines(evidence.directory / "state" / f"{chain}.jsonl"):
        place = (chain, row["name"])
        if evidence.heights.setdefault(place, row["height"]) != row["height"]:
            raise EvidenceRefused("values of one name stand under two headers", where=f"{chain}, {row['name']}")
        key = bytes.fromhex(row["key"])
        value = None if row["value"] is None else bytes.fromhex(row["value"])
        header = _header_of(certified, chain, row["height"])
        answer = StateAnswer(header, (StateItem(value, bytes.fromhex(row["proof"])),))
        evidence.views[chain].check_state([key], answer)
        evidence.state.setdefault(chain, {}).setdefault(row["name"], {})[key] = value


def _load_packets(evidence: Evidence, chain: str) -> None:
    for row in _lines(evidence.directory / "packets" / f"{chain}.jsonl"):
        raw, header = bytes.fromhex(row["packet"]), evidence.headers[chain][row["height"]]
        proof = decode_inclusion(bytes.fromhex(row["proof"]))
        check_inclusion(raw, proof, header.outbox_count, header.outbox_root, f"packet of {chain}, {row['height']}")
        evidence.packets.setdefault(chain, []).append((row["height"], decode_packet(raw)))


def check_genesis(directory: Path, expected: Sequence[bytes]) -> None:
    """The genesis documents are exactly the ones whose hashes were given."""
    found = {genesis_hash(path.read_bytes()) for path in (directory / "genesis").glob("*.bin")}
    if found != set(expected):
        missing = ", ".join(sorted(h.hex() for h in set(expected) ^ found))
        what = f"the evidence is about other chains than the hashes given: {missing}"
        raise EvidenceRefused(what, where="genesis", next_step="give the genesis hashes that the run printed")
