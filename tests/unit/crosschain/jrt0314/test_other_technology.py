"""A chain of another make is judged by the general rules alone: its own header, its own leaves, no format of ours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.verifier import Block, Consensus, Record, VerificationFailed

KEYS = {f"node-{i}": sm3(b"key %d" % i) for i in range(4)}
DIGEST = sm3(b"stored bytes")
LEAF = json.dumps({"id": "object-1", "sm3": DIGEST.hex()}).encode()
SIBLING = sm3(b"another leaf")
ROOT = sm3(b"\1" + sm3(b"\0" + LEAF) + SIBLING)
PROOF: dict[str, Any] = {"leaf": LEAF.hex(), "path": [{"side": "right", "hash": SIBLING.hex()}], "root": ROOT.hex()}
RECORD = Record("object-1", 0, "create", DIGEST, "/objects/object-1/versions/0", None)


def made() -> tuple[Block, Consensus]:
    previous, tx_root = sm3(b"block 6"), sm3(b"transactions")
    encoded = b"header of another make" + previous + ROOT + tx_root
    block = Block(7, sm3(encoded), 6, previous, 1_000, ("tx",), "", encoded, 900)
    signed = b"vote for " + block.hash
    voters = list(KEYS)[:3]
    signatures = tuple((name, signing_provider().sm2_sign(KEYS[name], signed)) for name in voters)
    public = {name: signing_provider().sm2_public_key(key) for name, key in KEYS.items()}
    return block, Consensus(7, ROOT, tx_root, None, public, tuple(voters), signatures, signed)


def verify(block: Block, state: Consensus, record: Record, proof: dict[str, Any]) -> None:
    verifier.check_quorum(state)
    verifier.check_header(block, state)
    verifier.check_roots(block, state)
    verifier.check_size(block, 0)
    verifier.check_record(record, proof, block, state)


def test_it_is_believed_by_what_it_shows() -> None:
    verify(*made(), RECORD, PROOF)


@pytest.mark.parametrize(
    ("rule", "of", "changes"),
    [
        ("quorum", "state", {"participants": ("node-0", "node-1", "node-3")}),
        ("quorum", "state", {"participants": ("node-0",), "signatures": (("node-0", bytes(64)),)}),
        ("quorum", "state", {"participants": ("x", "y", "z"), "signatures": (("x", b""), ("y", b""), ("z", b""))}),
        ("signature", "state", {"signed_data": b"vote for another"}),
        ("header_hash", "block", {"encoded": b"another header"}),
        ("roots", "state", {"tx_root": sm3(b"others")}),
        ("roots", "block", {"prev_hash": sm3(b"another parent")}),
        ("transactions", "block", {"tx_leaves": (b"leaf",)}),
        ("block_size", "block", {"size": 16_000_001}),
        ("record", "record", {"hash": sm3(b"other bytes")}),
        ("record", "record", {"object_id": "object-2"}),
        ("merkle_proof", "proof", {"root": sm3(b"nowhere").hex()}),
        ("merkle_proof", "proof", {"path": [{"side": "left", "hash": SIBLING.hex()}]}),
        ("merkle_proof", "proof", {"path": [{"side": "above", "hash": SIBLING.hex()}]}),
        ("record", "proof", {"record": b"something else".hex()}),
        ("hexadecimal", "proof", {"leaf": LEAF.hex().upper()}),
    ],
)
def test_each_rule_has_its_name(rule: str, of: str, changes: dict[str, Any]) -> None:
    block, state = made()
    record, proof = RECORD, dict(PROOF)
    match of:
        case "block":
            block = replace(block, **changes)
        case "state":
            state = replace(state, **changes)
        case "record":
            record = replace(record, **changes)
        case _:
            proof |= changes
    with pytest.raises(VerificationFailed) as refused:
        verify(block, state, record, proof)
    assert refused.value.rule == rule


@pytest.mark.parametrize(("n", "votes"), [(1, 1), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)])
def test_quorums(n: int, votes: int) -> None:
    assert verifier.quorum(n) == votes
