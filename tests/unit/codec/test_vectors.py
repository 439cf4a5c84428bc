"""The stored golden vectors are what this code writes, and each of them reads back (tests/vectors/formats)."""

import json
import re
from typing import Any

import pytest

from chain_core.codec.block import decode_certificate, decode_header
from chain_core.codec.certificates import check_certificate, check_receipt
from chain_core.codec.proofs import (
    check_inclusion,
    check_state_proof,
    decode_inclusion,
    decode_packet,
    decode_state_proof,
)
from chain_core.codec.signed import SEEN_ROOT
from chain_core.codec.values import decode_value
from chain_core.crypto.providers import provider
from chain_core.types.errors import MalformedBytes
from tests.vectors import regenerate
from tests.vectors.keys import HERE
from tests.vectors.records import kinds
from tests.vectors.samples import Samples
from tests.vectors.state_model import StateModel


def load(name: str) -> Any:
    return json.loads((HERE / name).read_text("utf-8"))


def test_the_stored_vectors_are_what_the_code_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """A difference is a change of format: a new version, or ``--rewrite-vectors`` before anybody relies on it."""
    assert regenerate.main([]) == 0, capsys.readouterr().out


def test_every_stored_record_reads_back(samples: Samples) -> None:
    for kind in kinds(samples):
        for case in load(f"{kind.name}.json")["cases"]:
            raw = bytes.fromhex(case["bytes"])
            assert kind.rewrite(kind.decode(raw)) == raw
            assert provider().sm3(raw).hex() == case["sm3"]


def test_every_stored_signature_verifies() -> None:
    document = load("signatures.json")
    keys = {row["key"]: bytes.fromhex(row["public_key"]) for row in document["keys"]}
    items = [
        (keys[row["key"]], bytes.fromhex(row["message"]), bytes.fromhex(row["signature"]))
        for row in document["signatures"]
    ]
    assert len(items) == len(set(items)) > 10
    assert all(provider().sm2_verify_many(items))
    assert {len(message) for _, message, _ in items} == {96}


@pytest.mark.parametrize("case", load("values.json")["cases"], ids=lambda case: case["bytes"][:16])
def test_value(case: dict[str, Any]) -> None:
    assert regenerate.typed(decode_value(bytes.fromhex(case["bytes"]))) == case["value"]


@pytest.mark.parametrize("case", load("value-refusals.json")["refused"], ids=lambda case: case["name"])
def test_what_encodes_no_value_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedBytes, match=re.escape(case["reason"])) as refusal:
        decode_value(bytes.fromhex(case["bytes"]))
    assert refusal.value.where.startswith("offset ")
    assert refusal.value.next_step


def test_a_client_verifies_the_finality_vector(samples: Samples) -> None:
    """From the genesis document alone: certificate, then everything that stands under the header."""
    document = load("finality.json")
    header_bytes = bytes.fromhex(document["header"])
    certificate = decode_certificate(bytes.fromhex(document["certificate"]))
    header = check_certificate(header_bytes, certificate, samples.validators, bytes.fromhex(document["genesis_hash"]))
    under = {
        "transactions": ("envelope_id", header.transaction_count, header.transaction_root),
        "outbox": ("packet", header.outbox_count, header.outbox_root),
        "history": ("header", header.history_count, header.history_root),
    }
    for name, (field, count, root) in under.items():
        assert len(document[name]) == count
        for row in document[name]:
            proof = decode_inclusion(bytes.fromhex(row["proof"]))
            check_inclusion(bytes.fromhex(row[field]), proof, count, root, name)
    for row, transaction in zip(document["receipts"], document["transactions"], strict=True):
        proof = decode_inclusion(bytes.fromhex(row["proof"]))
        own = bytes.fromhex(transaction["envelope_id"])
        check_receipt(bytes.fromhex(row["receipt"]), proof, header, own)


def test_the_state_vector_verifies_under_its_header(samples: Samples) -> None:
    document = load("state.json")
    header = decode_header(samples.header_bytes)
    assert header.state_root.hex() == document["state_root"]
    rows = {bytes.fromhex(key): bytes.fromhex(value) for key, value in document["state"]}
    assert StateModel(rows, document["bucket_count"]).root == header.state_root
    assert header.seen_root.hex() == document["seen"]["seen_root"]
    for row in document["proofs"]:
        value = None if row["value"] is None else bytes.fromhex(row["value"])
        proof = decode_state_proof(bytes.fromhex(row["proof"]))
        check_state_proof(bytes.fromhex(row["key"]), value, proof, header.state_root)
    for row in document["seen"]["proofs"]:
        proof = decode_state_proof(bytes.fromhex(row["proof"]))
        check_state_proof(bytes.fromhex(row["key"]), bytes.fromhex(row["value"]), proof, header.seen_root, SEEN_ROOT)


def test_directives_verify_under_their_root(samples: Samples) -> None:
    document = load("directives.json")
    root = bytes.fromhex(document["state_root"])
    for row in document["present"]:
        proof = decode_state_proof(bytes.fromhex(row["proof"]))
        check_state_proof(bytes.fromhex(row["key"]), bytes.fromhex(row["value"]), proof, root)
    for row in document["absent"]:
        check_state_proof(bytes.fromhex(row["key"]), None, decode_state_proof(bytes.fromhex(row["proof"])), root)
    directive = decode_packet(bytes.fromhex(document["present"][1]["value"]))
    assert directive == samples.directive
