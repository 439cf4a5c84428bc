"""What a puller or an examiner verifies of another chain's answers, from their bytes (docs/spec/node-interface.md §4).

It believes no node and knows nothing of how a node makes its answers: it does not import the mapping. Any chain is
judged by the general rules; ``dualchain`` formats besides to the byte. Each check raises ``VerificationFailed`` with
the name of its rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from chain_core.codec import signed
from chain_core.codec.block import decode_header, encode_certificate, header_message
from chain_core.codec.transaction import decode_receipt
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.merkle import merkle_root
from chain_core.crypto.providers import provider
from chain_core.types.block import Certificate, Header
from chain_core.types.errors import DualchainError, MalformedBytes
from contracts.data_model.faults import SnapshotRefused
from contracts.data_model.seals import verify_seals
from contracts.data_model.snapshot import Snapshot, read_snapshot

MAX_BLOCK_BYTES: Final = 16_000_000
"""JR/T 0314 §6.1: 16 MB, read as 16,000,000 bytes."""
DUALCHAIN_HEADER: Final = "dualchain/header/v1"
DUALCHAIN_RECEIPT: Final = "dualchain/receipt/v1"
MAX_VALIDATORS: Final = 1_024
_HEX = re.compile(r"([0-9a-f]{2})*")
_JSON_INTEGERS = 1 << 53


class VerificationFailed(DualchainError):
    """Answers that do not hold together. ``rule`` names the check, ``where`` the member."""

    code = "VERIFICATION_FAILED"

    def __init__(self, rule: str, what: str, *, where: str = "") -> None:
        self.rule = rule
        super().__init__(what, where=where, next_step="ask another node; tell the chain's operator")


def fail(rule: str, where: str, what: str) -> NoReturn:
    """Raises VerificationFailed."""
    raise VerificationFailed(rule, what, where=where)


@dataclass(frozen=True, slots=True)
class Block:
    """A block's answer, read. ``tx_leaves`` is empty where the chain gives none."""

    height: int
    hash: bytes
    prev_height: int | None
    prev_hash: bytes | None
    timestamp: int
    tx_ids: tuple[str, ...]
    format: str
    encoded: bytes
    size: int | None
    tx_leaves: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Consensus:
    """A consensus state's answer, read. Keys (64 bytes) by validator id, in the answer's order."""

    height: int
    state_root: bytes
    tx_root: bytes
    receipt_root: bytes | None
    validators: Mapping[str, bytes]
    participants: tuple[str, ...]
    signatures: tuple[tuple[str, bytes], ...]
    signed_data: bytes
    next_validators: bytes = b""


@dataclass(frozen=True, slots=True)
class Record:
    """What a chain has of one version of an object: a reference with the hash of the bytes, or the bytes."""

    object_id: str
    version: int
    operation: str
    hash: bytes
    reference: str | None
    content: bytes | None


# ---- reading


def member(row: Any, name: str, kind: type, where: str, *, missing: bool = False) -> Any:
    """A member of a JSON object, of this kind. ``missing``: it may be null or absent. Raises VerificationFailed."""
    if not isinstance(row, Mapping):
        fail("shape", where, "not a JSON object")
    value = row.get(name)
    place = f"{where}/{name}"
    if value is None:
        return None if missing else fail("shape", place, "the member is missing")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        fail("shape", place, f"not a {'JSON integer' if kind is int else kind.__name__}")
    if isinstance(value, int) and not 0 <= value < _JSON_INTEGERS:
        fail("shape", place, "an integer from 0 below 2^53 is expected")
    return value


def hexadecimal(row: Any, name: str, where: str, size: int = 0, *, missing: bool = False) -> Any:
    """Bytes of a lower-case hexadecimal member; ``size``: how many. Raises VerificationFailed."""
    text = member(row, name, str, where, missing=missing)
    if text is None:
        return None
    if not _HEX.fullmatch(text) or (size and len(text) != 2 * size):
        wanted = f"of {size} bytes " if size else ""
        fail("hexadecimal", f"{where}/{name}", f"lower-case hexadecimal {wanted}is expected")
    return bytes.fromhex(text)


def texts(row: Any, name: str, where: str) -> tuple[str, ...]:
    """A list of texts. Raises VerificationFailed."""
    found = member(row, name, list, where)
    if not all(isinstance(one, str) and one for one in found):
        fail("shape", f"{where}/{name}", "a list of texts is expected")
    return tuple(found)


def read_block(answer: Any, height: int) -> Block:
    """The answer about a block of this height. Raises VerificationFailed."""
    where = f"block {height}"
    found = member(answer, "height", int, where)
    if found != height:
        fail("shape", f"{where}/height", f"the block of height {found} was answered")
    header = member(answer, "header", dict, where)
    leaves = member(answer, "tx_leaves", list, where, missing=True) or []
    return Block(
        height,
        hexadecimal(answer, "hash", where, 32),
        member(answer, "prev_height", int, where, missing=height == 0),
        hexadecimal(answer, "prev_hash", where, 32, missing=height == 0),
        member(answer, "timestamp", int, where),
        texts(answer, "tx_ids", where),
        member(header, "format", str, f"{where}/header", missing=True) or "",
        hexadecimal(header, "encoded", f"{where}/header"),
        member(answer, "size_bytes", int, where, missing=True),
        tuple(hexadecimal({"leaf": one}, "leaf", f"{where}/tx_leaves") for one in leaves),
    )


def read_consensus(answer: Any, height: int) -> Consensus:
    """The answer about the consensus state of this height. Raises VerificationFailed."""
    where = f"state {height}"
    if member(answer, "height", int, where) != height:
        fail("shape", f"{where}/height", "another height was answered")
    rows = member(answer, "validators", list, where)
    if not 1 <= len(rows) <= MAX_VALIDATORS:
        fail("shape", f"{where}/validators", f"{len(rows)} validators")
    keys: dict[str, bytes] = {}
    for row in rows:
        name, key = member(row, "id", str, f"{where}/validators"), hexadecimal(row, "pub_key", f"{where}/validators")
        if len(key) != 65 or key[0] != 4:
            fail("shape", f"{where}/validators/pub_key", "04 || x || y of an SM2 key is expected")
        if name in keys or key[1:] in keys.values():
            fail("shape", f"{where}/validators", f"{name} or its key stands twice")
        keys[name] = key[1:]
    votes = member(answer, "votes", dict, where)
    listed = member(votes, "signatures", list, f"{where}/votes")
    return Consensus(
        height,
        hexadecimal(answer, "state_root", where, 32),
        hexadecimal(answer, "tx_root", where, 32),
        hexadecimal(answer, "receipt_root", where, 32, missing=True),
        keys,
        texts(votes, "participants", f"{where}/votes"),
        tuple(
            (member(row, "id", str, f"{where}/votes"), hexadecimal(row, "signature", f"{where}/votes", 64))
            for row in listed[: MAX_VALIDATORS + 1]
        ),
        hexadecimal(votes, "signed_data", f"{where}/votes"),
        hexadecimal(answer, "next_validators", where, missing=True) or b"",
    )


def read_records(answer: Any, object_id: str, height: int) -> list[tuple[Record, Mapping[str, Any]]]:
    """The items of an object's answer with their proofs, ascending by version. Raises VerificationFailed."""
    where = f"object {object_id} of {height}"
    found = []
    for row in member(answer, "items", list, where):
        content = hexadecimal(row, "content", where, missing=True)
        reference = member(row, "reference", str, where, missing=True)
        if content is None and reference is None:
            fail("reference", where, "neither content nor reference")
        record = Record(
            object_id,
            member(row, "version", int, where),
            member(row, "operation", str, where, missing=True) or "",
            hexadecimal(row, "hash", where, 32),
            reference,
            content,
        )
        found.append((record, member(row, "proof", dict, where)))
    versions = [record.version for record, _ in found]
    if not found or versions != sorted(versions):
        fail("shape", f"{where}/items", "at least one item, in ascending version, is expected")
    return found


# ---- checking, in the order of docs/spec/node-interface.md §4


def quorum(n: int) -> int:
    """Votes that make n validators with f = floor((n - 1) / 3) faulty ones agree: ceil((n + f + 1) / 2)."""
    return -(-(n + (n - 1) // 3 + 1) // 2)


def check_votes(state: Consensus) -> None:
    """Distinct validators of the set, a quorum of them."""
    where = f"state {state.height}/votes"
    named = [name for name, _ in state.signatures]
    if len(set(named)) != len(named) or sorted(named) != sorted(state.participants):
        fail("quorum", where, "participants and signatures do not name the same nodes, each once")
    if unknown := sorted(set(named) - state.validators.keys()):
        fail("quorum", where, f"{unknown[0]} is no validator")
    if len(named) < quorum(len(state.validators)):
        fail("quorum", where, f"{len(named)} of {len(state.validators)} voted, {quorum(len(state.validators))} must")


def check_signatures(state: Consensus) -> None:
    """Each voter's signature over the signed data, after ``check_votes``."""
    items = [(state.validators[name], state.signed_data, signature) for name, signature in state.signatures]
    for (name, _), holds in zip(state.signatures, provider().sm2_verify_many(items), strict=True):
        if not holds:
            fail("signature", f"state {state.height}/votes", f"the signature of {name} does not verify")


def check_quorum(state: Consensus) -> None:
    """A quorum of validators, each with a valid signature."""
    check_votes(state)
    check_signatures(state)


def check_header(block: Block, state: Consensus) -> None:
    """The hash is SM3 of the encoded header, and the votes are over it."""
    if sm3(block.encoded) != block.hash:
        fail("header_hash", f"block {block.height}/hash", "not the SM3 of the encoded header")
    if block.hash not in state.signed_data:
        fail("signed_data", f"state {block.height}/votes", "what was signed does not contain the block's hash")


def check_roots(block: Block, state: Consensus) -> None:
    """The roots stand in the header that was signed; a ``dualchain`` header has them where they belong."""
    for name, root in (
        ("state_root", state.state_root),
        ("tx_root", state.tx_root),
        ("receipt_root", state.receipt_root),
    ):
        if root is not None and root not in block.encoded:
            fail("roots", f"state {block.height}/{name}", "the root does not stand in the block's header")
    if block.prev_hash is not None and block.prev_hash not in block.encoded:
        fail("roots", f"block {block.height}/prev_hash", "it does not stand in the block's header")
    if block.format == DUALCHAIN_HEADER:
        _check_dualchain(block, state)
    if block.tx_leaves or block.format == DUALCHAIN_HEADER:
        if len(block.tx_leaves) != len(block.tx_ids) or merkle_root(block.tx_leaves) != state.tx_root:
            fail("transactions", f"block {block.height}/tx_leaves", "not the leaves of the transaction tree")


def dualchain_header(block: Block) -> Header:
    """The header of a chain like ours. Raises VerificationFailed."""
    try:
        return decode_header(block.encoded)
    except MalformedBytes as error:
        fail("header_hash", f"block {block.height}/header", f"{error.what}, {error.where}")


def _check_dualchain(block: Block, state: Consensus) -> None:
    header, where = dualchain_header(block), f"block {block.height}"
    rows = (
        ("height", header.height, block.height),
        ("timestamp", header.time_ms, block.timestamp),
        ("prev_hash", header.prev_hash, block.prev_hash or bytes(32) if block.height else header.prev_hash),
        ("state_root", header.state_root, state.state_root),
        ("tx_root", header.transaction_root, state.tx_root),
        ("receipt_root", header.receipt_root, state.receipt_root),
        ("transaction count", header.transaction_count, len(block.tx_ids)),
        ("signed_data", header_message(header.genesis_hash, block.hash), state.signed_data),
    )
    for name, expected, found in rows:
        if expected != found:
            fail("roots", f"{where}/{name}", "it differs from the signed header's")


def check_size(block: Block, answered_bytes: int) -> None:
    """A block is at most 16 MB: as the node counts it, and never below what the answer alone proves."""
    size = answered_bytes // 2 if block.size is None else block.size
    if size > MAX_BLOCK_BYTES:
        fail("block_size", f"block {block.height}", f"{size} bytes where {MAX_BLOCK_BYTES} are allowed")


def check_follows(block: Block, parent: Block) -> None:
    """One block is the other's successor."""
    if (block.prev_height, block.prev_hash) != (parent.height, parent.hash):
        fail("previous", f"block {block.height}/prev_hash", "it does not name the block before it")
    if block.timestamp < parent.timestamp:
        fail("previous", f"block {block.height}/timestamp", "it lies before that of the block before it")


def check_record(record: Record, proof: Mapping[str, Any], block: Block, state: Consensus) -> None:
    """The record is a leaf under one of the signed roots: the leaf, or what it commits to by SM3, has id and hash."""
    where = f"object {record.object_id} of {block.height}/proof"
    leaf = hexadecimal(proof, "leaf", where)
    node = sm3(b"\0" + leaf)
    for step in member(proof, "path", list, where)[:64]:
        sibling, side = hexadecimal(step, "hash", where, 32), member(step, "side", str, where)
        if side not in ("left", "right"):
            fail("merkle_proof", where, "a sibling stands left or right")
        node = sm3(b"\1" + (sibling + node if side == "left" else node + sibling))
    root = hexadecimal(proof, "root", where, 32)
    if node != root:
        fail("merkle_proof", where, "leaf and path do not lead to the root")
    if root not in (state.state_root, state.tx_root, state.receipt_root):
        fail("merkle_proof", where, "the root is none of the block's")
    held = hexadecimal(proof, "record", where, missing=True)
    if held is not None and sm3(held) not in leaf:
        fail("record", where, "the leaf does not commit to the record")
    text = leaf if held is None else held
    if record.object_id.encode() not in text or not (record.hash in text or record.hash.hex().encode() in text):
        fail("record", where, "the record does not hold the object's id and hash")
    if proof.get("format") == DUALCHAIN_RECEIPT or block.format == DUALCHAIN_HEADER:
        _check_receipt(record, leaf, text, state, root, where)


def _check_receipt(record: Record, leaf: bytes, held: bytes, state: Consensus, root: bytes, where: str) -> None:
    """Of a chain like ours: a receipt with code OK, whose events anchor exactly this."""
    row = [record.object_id, record.version, record.operation, record.hash]
    try:
        receipt = decode_receipt(leaf)
        tag, events = held[: len(signed.EVENTS)], decode_value(held[len(signed.EVENTS) :])
    except MalformedBytes as error:
        fail("record", where, f"{error.what}, {error.where}")
    executed = root == state.receipt_root and receipt.code == 0 and receipt.events_digest == sm3(held)
    if not executed or tag != signed.EVENTS or row not in _anchored(events):
        fail("record", where, "the chain did not execute this anchor")


def _anchored(events: Any) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for contract, name, fields in events:
        if (contract, name) == ("anchors", "anchored"):
            rows += fields["rows"]
    return rows


def check_bytes(record: Record, raw: bytes) -> None:
    """The fetched bytes are those whose hash is on the chain."""
    if sm3(raw) != record.hash:
        fail("hash", f"{record.object_id}/{record.version}", "the bytes have another SM3 than the chain's record")


def check_snapshot(record: Record, raw: bytes) -> Snapshot:
    """The snapshot of these bytes: of the object and version on the chain, sealed by its owner.

    Raises VerificationFailed; SnapshotRefused for an envelope that is none.
    """
    snapshot = read_snapshot(raw)
    where = snapshot.reference
    if (snapshot.object_id, snapshot.version) != (record.object_id, record.version):
        fail("envelope", where, f"the chain anchors it as {record.object_id}/{record.version}")
    if record.operation and snapshot.operation.value != record.operation:
        fail("envelope", where, f"the chain anchors it as {record.operation}, it says {snapshot.operation.value}")
    if not snapshot.seals:
        fail("seal", where, "the snapshot is unsigned")
    if not verify_seals(snapshot):
        fail("seal", where, "a seal does not verify")
    return snapshot


def certificate_of(state: Consensus, block_hash: bytes) -> bytes:
    """The finality certificate of a chain like ours, from the votes. Raises VerificationFailed."""
    order = {name: index for index, name in enumerate(state.validators)}
    rows = sorted((order[name], signature) for name, signature in state.signatures)
    try:
        return encode_certificate(Certificate(block_hash, tuple(rows)))
    except ValueError as error:
        raise VerificationFailed("quorum", str(error), where=f"state {state.height}/votes") from error


def faults_of(refusal: VerificationFailed | SnapshotRefused) -> Sequence[Mapping[str, str]]:
    """Rows {path, rule, message} of the cross-chain log."""
    if isinstance(refusal, SnapshotRefused):
        return [{"path": one.path, "rule": one.rule, "message": one.message} for one in refusal.faults]
    return [{"path": refusal.where, "rule": refusal.rule, "message": refusal.what}]
