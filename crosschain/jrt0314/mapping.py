"""From a ledger's final state to the answers of JR/T 0314 §6.2 to §6.5 (docs/spec/node-interface.md §2), purely.

Answers are JSON values: heights and times integers, everything hashed or encoded lower-case hexadecimal. Nothing in an
answer about a height depends on the node that gives it, so that two nodes' answers can be compared byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from chain_core.codec import signed
from chain_core.codec.block import (
    HEADER_FIELDS,
    MAX_BLOCK_BYTES,
    decode_certificate,
    decode_header,
    encode_block,
    header_hash,
    header_message,
)
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.codec.values import decode_value
from chain_core.crypto.merkle import MerkleTree
from chain_core.execution.codes import Code
from chain_core.execution.contract import Contract
from chain_core.execution.epochs import epoch_by_number, set_key
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.sub_ledgers import SubLedger
from chain_core.network.refusals import NotFound, Oversize, Pruned
from chain_core.types.block import CertifiedBlock, Header
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER
from contracts.anchors.contract import ANCHORS

Json = dict[str, Any]

HEADER_FORMAT: Final = "dualchain/header/v1"
PROOF_FORMAT: Final = "dualchain/receipt/v1"
_SHOWN: Final = tuple(
    name
    for name, _ in HEADER_FIELDS
    if name not in ("format_version", "protocol_version", "genesis_hash", "history_count")
)


class FinalState(Protocol):
    """A ledger's final blocks and state (``LedgerStore``)."""

    @property
    def final_height(self) -> int:
        """The newest final one."""

    def header(self, height: int) -> bytes | None:
        """Its bytes."""

    def certificate(self, height: int) -> bytes | None:
        """None at height 0."""

    def block(self, height: int) -> CertifiedBlock | None:
        """None at height 0 and where it is pruned."""

    def receipts(self, height: int) -> tuple[bytes, ...]:
        """One an envelope."""

    def events(self, height: int) -> tuple[bytes, ...]:
        """One encoded list an envelope."""

    def get(self, key: bytes) -> bytes | None:
        """A state value."""


def network_id(chain_id: str, ledger: int) -> str:
    """``chain_id``, of a sub-ledger ``chain_id.k``; a chain id has no dot."""
    return chain_id if ledger == MAIN_LEDGER else f"{chain_id}.{ledger}"


def networks(genesis: Genesis, genesis_hash: bytes, sub_ledgers: Sequence[SubLedger]) -> Json:
    """Table 3, first row: the main ledger with its sub-ledgers as subnets, then each of these."""
    named = {MAIN_LEDGER: ""} | {one.ledger: one.name for one in sub_ledgers}
    rows = []
    for ledger, name in sorted(named.items()):
        info = {
            "chain_id": genesis.chain_id,
            "kind": genesis.kind,
            "market": genesis.market,
            "genesis_hash": genesis_hash.hex(),
            "ledger": ledger,
            "ledger_name": name,
            "consensus": "PBFT",
            "hash_algorithm": "SM3",
            "signature_algorithm": "SM2",
        }
        subnets = [network_id(genesis.chain_id, k) for k in sorted(named) if k != MAIN_LEDGER]
        rows.append(
            {
                "network_id": network_id(genesis.chain_id, ledger),
                "info": info,
                "subnets": subnets if ledger == MAIN_LEDGER else [],
            }
        )
    return {"networks": rows}


def options(node_version: str, contracts: Sequence[Contract]) -> Json:
    """Table 3, second row: every method of every contract, and what may become of a transaction that calls it."""
    statuses = sorted(code.name for code in Code)
    names = sorted(f"{contract.name}.{method}" for contract in contracts for method in contract.methods)
    return {"node_version": node_version, "operations": [{"type": name, "statuses": statuses} for name in names]}


def status(state: FinalState, peers: Sequence[str]) -> Json:
    """Table 3, third row: the newest final block. Of all answers this one alone is the node's own."""
    height = state.final_height
    raw, header = _header(state, height)
    return {"height": height, "hash": header_hash(raw).hex(), "timestamp": header.time_ms, "peers": sorted(peers)}


def block(state: FinalState, height: int) -> Json:
    """Table 4, first row. Raises NotFound, Pruned, Oversize."""
    raw, header = _header(state, height)
    found = _block(state, height)
    bodies = () if found is None else tuple(decode_envelope(one) for one in found.envelopes)
    size = len(raw) if found is None else len(encode_block(found))
    check_size(height, size)
    first = height == 0
    return {
        "height": height,
        "hash": header_hash(raw).hex(),
        "prev_height": None if first else height - 1,
        "prev_hash": None if first else header.prev_hash.hex(),
        "timestamp": header.time_ms,
        "tx_ids": [one.transaction_id.hex() for one in bodies],
        "header": {"format": HEADER_FORMAT, "encoded": raw.hex(), **_shown(header)},
        "tx_leaves": [one.envelope_id.hex() for one in bodies],
        "size_bytes": size,
    }


def check_size(height: int, size: int) -> None:
    """JR/T 0314 §6.1: a block is at most 16 MB. Raises Oversize."""
    if size > MAX_BLOCK_BYTES:
        raise Oversize(
            f"the block has {size} bytes, JR/T 0314 allows {MAX_BLOCK_BYTES}",
            where=f"height {height}",
            next_step="tell the operator: the chain's max_block_bytes is too large",
        )


def tx(state: FinalState, height: int, tx_id: str) -> Json:
    """Table 4, second row: the transaction's operations, with their one result. Raises NotFound, Pruned."""
    _header(state, height)
    found = _block(state, height)
    for index, raw in enumerate(() if found is None else found.envelopes):
        envelope = decode_envelope(raw)
        if envelope.transaction_id.hex() == tx_id:
            receipts, events = state.receipts(height), state.events(height)
            receipt = decode_receipt(receipts[index])
            result = Code(receipt.code).name
            return {
                "tx_id": tx_id,
                "operations": [
                    {"type": f"{one.contract}.{one.method}", "result": result} for one in envelope.body.operations
                ],
                "height": height,
                "rule": receipt.rule,
                "proof": _proof(MerkleTree(receipts), receipts, events, index),
            }
    raise NotFound("the block has no such transaction", where=f"tx_id {tx_id[:80]}", next_step="ask for its tx_ids")


def consensus(state: FinalState, height: int) -> Json:
    """Table 5: roots, validators with their keys, votes over the block's hash. Raises NotFound."""
    raw, header = _header(state, height)
    epoch = epoch_by_number(cast(Any, state), header.epoch)
    validators = () if epoch is None else epoch.validators.validators
    certificate = state.certificate(height)
    votes = decode_certificate(certificate).signatures if certificate else ()
    named = [(validators[index].name, signature) for index, signature in votes]
    closing = header.next_validator_set_hash != header.validator_set_hash
    following = state.get(state_key(GOVERNANCE, set_key(header.next_validator_set_hash))) if closing else None
    return {
        "height": height,
        "state_root": header.state_root.hex(),
        "tx_root": header.transaction_root.hex(),
        "receipt_root": header.receipt_root.hex(),
        "epoch": header.epoch,
        "validators": [{"id": one.name, "pub_key": "04" + one.consensus_key.hex()} for one in validators],
        "votes": {
            "participants": [name for name, _ in named],
            "signatures": [{"id": name, "signature": signature.hex()} for name, signature in named],
            "signed_data": header_message(header.genesis_hash, header_hash(raw)).hex() if votes else "",
        },
        "next_validators": (following or b"").hex(),
    }


def ids(state: FinalState, height: int) -> Json:
    """Table 6, first row: data objects of which the block anchors a snapshot, ascending. Raises NotFound, Pruned."""
    _header(state, height)
    _check_kept(state, height)
    return {"height": height, "object_ids": sorted({cast(str, row[0]) for _, row in _anchored(state, height)})}


def object_(state: FinalState, height: int, object_id: str) -> Json:
    """Table 6, second row: what the block anchors of one object, in ascending version: reference, hash, and the proof
    that the chain executed it. Raises NotFound, Pruned.
    """
    _header(state, height)
    _check_kept(state, height)
    rows = [(index, row) for index, row in _anchored(state, height) if row[0] == object_id]
    if not rows:
        raise NotFound(
            "the block has nothing of this data object",
            where=f"height {height}, object {object_id[:128]}",
            next_step="ask for the ids of the block",
        )
    receipts, events = state.receipts(height), state.events(height)
    tree = MerkleTree(receipts)
    items = [
        {
            "version": row[1],
            "content": None,
            "reference": reference(object_id, row[1]),
            "hash": row[3].hex(),
            "proof": _proof(tree, receipts, events, index),
            "operation": row[2],
        }
        for index, row in rows
    ]
    return {"items": sorted(items, key=lambda item: item["version"])}


def reference(object_id: str, version: int) -> str:
    """Where a snapshot is fetched, relative to any HTTPS endpoint of the chain (§4.1): the same on all of them."""
    return f"/objects/{object_id}/versions/{version}"


def _header(state: FinalState, height: int) -> tuple[bytes, Header]:
    raw = state.header(height)
    if raw is None:
        raise NotFound(
            f"height {height} is not final here; the latest is {state.final_height}",
            where="height",
            next_step="ask again later, or another node",
        )
    return raw, decode_header(raw)


def _block(state: FinalState, height: int) -> CertifiedBlock | None:
    """None at height 0, which has no transactions. Raises Pruned."""
    found = state.block(height)
    if found is None and height:
        raise Pruned(
            f"the block of height {height} is pruned here",
            where="height",
            next_step="ask another node, or look into an archive",
        )
    return found


def _check_kept(state: FinalState, height: int) -> None:
    if height and not state.receipts(height) and decode_header(state.header(height) or b"").receipt_count:
        _block(state, height)


def _shown(header: Header) -> Mapping[str, Any]:
    found = {name: getattr(header, name) for name in _SHOWN}
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in found.items()}


def _anchored(state: FinalState, height: int) -> Iterator[tuple[int, Sequence[Any]]]:
    """(index of the envelope, [object, version, operation, hash]) of each anchor that the block executed."""
    receipts = state.receipts(height)
    for index, raw in enumerate(state.events(height)):
        if b"anchored" not in raw or decode_receipt(receipts[index]).code != Code.OK:
            continue
        for contract, name, fields in cast(Sequence[tuple[str, str, Mapping[str, Any]]], decode_value(raw)):
            if (contract, name) == (ANCHORS, "anchored"):
                yield from ((index, row) for row in fields["rows"])


def _proof(tree: MerkleTree, receipts: Sequence[bytes], events: Sequence[bytes], index: int) -> Json:
    """The receipt as a leaf; its events digest is SM3 of ``record``, a tag and the encoded events."""
    return {
        "leaf": receipts[index].hex(),
        "path": _sides(index, tree.count, tree.path(index)),
        "root": tree.root.hex(),
        "record": (signed.EVENTS + events[index]).hex(),
        "format": PROOF_FORMAT,
    }


def _sides(index: int, count: int, path: Sequence[bytes]) -> list[Json]:
    """On which side each sibling stands (RFC 9162 §2.1.3.2)."""
    steps, siblings, last = [], iter(path), count - 1
    while last:
        if index & 1:
            steps.append({"side": "left", "hash": next(siblings).hex()})
        elif index < last:
            steps.append({"side": "right", "hash": next(siblings).hex()})
        index >>= 1
        last >>= 1
    return steps
