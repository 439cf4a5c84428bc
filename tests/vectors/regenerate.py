"""Golden vectors of docs/spec/formats.md: ``python -m tests.vectors.regenerate`` says what differs from the
stored ones, ``--rewrite-vectors`` writes them. Stored signatures that still verify are kept, so an
unchanged format gives no diff.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, cast

from chain_core.codec import signed
from chain_core.codec.block import (
    HEADER_FIELDS,
    batch_digest,
    encode_batch,
    encode_certificate,
    header_hash,
    params_hash,
)
from chain_core.codec.genesis import decode_genesis, genesis_hash
from chain_core.codec.proofs import bucket_of, encode_inclusion, encode_state_proof, packet_hash
from chain_core.codec.seen import state_key
from chain_core.codec.validator_set import validator_set_hash
from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.types.genesis import DEFAULT_PARAMETERS
from chain_core.types.values import Value
from tests.vectors.keys import HERE, SIGNATURES, Signatures, public_key
from tests.vectors.records import Kind, kinds
from tests.vectors.samples import OPERATOR, SECURITY, Samples
from tests.vectors.second_encodings import VALUES

SOURCE = "made for this project: docs/spec/formats.md"
# Fields that hold values of section 2.2, in which text and bytes must be told apart.
TYPED = {("Operation", "args"), ("Receipt", "parameters"), ("Genesis", "documents")}


def typed(value: Value) -> Any:
    """A value with its type spelled out."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"integer": str(value)}
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (list, tuple)):
        return {"list": [typed(item) for item in value]}
    assert isinstance(value, dict)
    return {"map": [[typed(key), typed(item)] for key, item in value.items()]}


def plain(record: Any) -> Any:
    """A decoded record as JSON: bytes in hex, fields by name."""
    if is_dataclass(record):
        name = type(record).__name__
        return {
            f.name: typed(getattr(record, f.name)) if (name, f.name) in TYPED else plain(getattr(record, f.name))
            for f in fields(record)
        }
    if isinstance(record, bytes):
        return record.hex()
    if isinstance(record, Enum):
        return record.name
    if isinstance(record, (list, tuple)):
        return [plain(item) for item in record]
    if isinstance(record, dict):
        return {key: plain(item) for key, item in record.items()}
    return record


def record_document(kind: Kind, extra: dict[str, dict[str, str]]) -> dict[str, Any]:
    """All samples of one kind: fields, bytes, SM3 of the bytes, and what else is derived from them."""
    cases = []
    for name, raw in kind.samples:
        value = kind.decode(raw)
        shown = typed(value) if kind.name in ("value", "map") else plain(value)
        cases.append({"name": name, "fields": shown, "bytes": raw.hex(), "sm3": sm3(raw).hex(), **extra.get(name, {})})
    return {"source": SOURCE, "kind": kind.name, "cases": cases}


def derived(s: Samples) -> dict[str, dict[str, dict[str, str]]]:
    """Ids, digests and messages M that belong to samples: kind -> sample -> name -> hex."""
    tx_message = signed.message(signed.TX, s.chain, s.body_bytes)
    message = signed.message_of_hash(signed.HEADER, s.chain, header_hash(s.header_bytes))
    commit = next(kind for kind in kinds(s) if kind.name == "vote").samples[0][1]
    return {
        "transaction-body": {"with a cosigner": {"transaction_id": sm3(s.body_bytes).hex(), "m": tx_message.hex()}},
        "envelope": {"two signers": {"envelope_id": s.envelope.envelope_id.hex()}},
        "header": {"height 1": {"m": message.hex()}},
        "batch": {"two envelopes": {"digest": batch_digest(encode_batch(s.batch)).hex()}},
        "vote": {"COMMIT": {"m": signed.message(signed.VOTE, s.chain, commit).hex()}},
        "packet": {"directive": {"packet_hash": packet_hash(decode_bytes(s, "packet", "directive")).hex()}},
        "genesis": {"local chain": {"genesis_hash": genesis_hash(s.genesis_bytes).hex()}},
    }


def decode_bytes(s: Samples, kind_name: str, sample: str) -> bytes:
    """The bytes of one named sample."""
    kind = next(kind for kind in kinds(s) if kind.name == kind_name)
    return dict(kind.samples)[sample]


def hashes_document(s: Samples) -> dict[str, Any]:
    """Tags and the hashes that are not plainly SM3 of a record."""
    tags = {name: value.hex() for name, value in sorted(vars(signed).items()) if isinstance(value, bytes)}
    genesis = decode_genesis(s.genesis_bytes)
    return {
        "source": SOURCE,
        "tags": tags,
        "validator_set_hash": validator_set_hash(genesis.validators).hex(),
        "params_hash": {
            "parameters": DEFAULT_PARAMETERS,
            "flags": ["example-flag"],
            "hash": params_hash(DEFAULT_PARAMETERS, ("example-flag",)).hex(),
        },
        "derived_ids": {
            "genesis_hash": s.chain.hex(),
            "registrar": OPERATOR.hex(),
            "ids": {reference: value.hex() for reference, value in s.derived().items()},
        },
        "bucket_of": [
            {"key_hash": h.hex(), "bucket_count": n, "bucket": bucket_of(h, n)}
            for h in (sm3(b"a"), sm3(b"b"), b"\xff" * 32, bytes(32))
            for n in (1, 2, 3, 6, 4_096, 65_536)
        ],
    }


def header_document() -> dict[str, Any]:
    """Offset and size of every header field."""
    rows, offset = [], 0
    for name, code in HEADER_FIELDS:
        size = {"H": 2, "I": 4, "Q": 8, "32s": 32}[code]
        rows.append({"field": name, "offset": offset, "size": size})
        offset += size
    return {"source": SOURCE, "size": offset, "fields": rows}


def state_document(s: Samples) -> dict[str, Any]:
    """A whole small state, its roots, and proofs of presence and absence; the roll of one security among
    it.
    """
    holdings = state_key("kernel", b"H" + SECURITY)
    shown = [key for key in s.state.values if not key.startswith(holdings)]
    shown += [holdings + s.holders[0], holdings + s.holders[64]]
    shown += [state_key("kernel", b"absent-%d" % n) for n in range(12)]
    proofs: list[dict[str, str | None]] = []
    for key in shown:
        value = s.state.values.get(key)
        proof = encode_state_proof(s.state.prove(key)).hex()
        proofs.append({"key": key.hex(), "value": None if value is None else value.hex(), "proof": proof})
    return {
        "source": SOURCE,
        "bucket_count": s.state.bucket_count,
        "state_root": s.state.root.hex(),
        "state": [[key.hex(), value.hex()] for key, value in s.state.values.items()],
        "proofs": proofs,
        "roll": {"security": SECURITY.hex(), "head_key": state_key("kernel", b"R" + SECURITY).hex()},
        "seen": {
            "bucket_count": s.seen.bucket_count,
            "seen_root": s.seen.root.hex(),
            "proofs": [
                {"key": key.hex(), "value": value.hex(), "proof": encode_state_proof(s.seen.prove(key)).hex()}
                for key, value in s.seen.values.items()
            ],
        },
    }


def directives_document(s: Samples) -> dict[str, Any]:
    """What an ``update`` proves under a supervisory state root: the next sequence and every directive below it."""
    state = s.supervisory_state
    keys = [key for key in state.values if key.startswith(state_key("directives", b""))]
    missing = state_key("directives", b"d" + s.chain + (1).to_bytes(8, "big"))
    return {
        "source": SOURCE,
        "target": s.chain.hex(),
        "state_root": state.root.hex(),
        "present": [
            {"key": key.hex(), "value": state.values[key].hex(), "proof": encode_state_proof(state.prove(key)).hex()}
            for key in keys
        ],
        "absent": [{"key": missing.hex(), "proof": encode_state_proof(state.prove(missing)).hex()}],
    }


def finality_document(s: Samples) -> dict[str, Any]:
    """What a client checks from the genesis document alone: certificate, receipts, packets."""

    def leaves(name: str, items: tuple[bytes, ...]) -> list[dict[str, str]]:
        return [
            {name: leaf.hex(), "proof": encode_inclusion(s.inclusion(items, i)).hex()} for i, leaf in enumerate(items)
        ]

    return {
        "source": SOURCE,
        "genesis_hash": s.chain.hex(),
        "validators": [public_key(i).hex() for i in range(4)],
        "header": s.header_bytes.hex(),
        "certificate": encode_certificate(s.certificate).hex(),
        "transactions": leaves("envelope_id", s.batch.envelope_ids),
        "receipts": leaves("receipt", s.receipt_bytes),
        "outbox": leaves("packet", s.outbox),
        "history": leaves("header", (s.genesis_header,)),
    }


def refusals_document() -> dict[str, Any]:
    """Bytes that encode no value."""
    cases = [{"name": name, "bytes": raw, "reason": reason} for name, raw, reason in VALUES]
    return {"source": SOURCE, "kind": "value", "refused": cases}


def integers_document() -> dict[str, Any]:
    """Values one by one."""
    samples: list[Value] = [None, False, True, 0, 1, -1, 127, 128, 255, 256, -256, 2**64, 2**255 - 1, -(2**255 - 1)]
    samples += [b"", b"\0", "", "a", "股东名册", [], [[]], {}, {"b": 1, "a": 2, "aa": 3}, {256: 1, 2: 2, 0: 3}]
    samples += [cast(Value, {"x": None, 7: None}), [1, "1", b"1"]]
    cases = [{"value": typed(decode_value(encode_value(v))), "bytes": encode_value(v).hex()} for v in samples]
    return {"source": SOURCE, "kind": "value", "cases": cases}


def documents(signatures: Signatures) -> dict[str, dict[str, Any]]:
    """File name -> content of every vector file."""
    s = Samples(signatures)
    extra = derived(s)
    found = {f"{kind.name}.json": record_document(kind, extra.get(kind.name, {})) for kind in kinds(s)}
    found |= {
        "hashes.json": hashes_document(s),
        "header-offsets.json": header_document(),
        "state.json": state_document(s),
        "directives.json": directives_document(s),
        "finality.json": finality_document(s),
        "value-refusals.json": refusals_document(),
        "values.json": integers_document(),
    }
    found[SIGNATURES.name] = signatures.document()
    return found


def text_of(document: dict[str, Any]) -> str:
    """The file's text."""
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """0 when the stored vectors are what the code makes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rewrite-vectors", action="store_true", help="write the files instead of comparing")
    rewrite = parser.parse_args(arguments).rewrite_vectors
    changed = 0
    HERE.mkdir(exist_ok=True)
    made = {name: text_of(document) for name, document in documents(Signatures(may_sign=rewrite)).items()}
    for name, text in sorted(made.items()):
        path = HERE / name
        if not path.exists() or path.read_text("utf-8") != text:
            changed += 1
            print(f"{'written' if rewrite else 'differs'}: {path.name}")
            if rewrite:
                path.write_text(text, "utf-8")
    for path in sorted(HERE.glob("*.json")):
        if path.name not in made:
            changed += 1
            print(f"{'removed' if rewrite else 'unknown'}: {path.name}")
            if rewrite:
                path.unlink()
    return 0 if rewrite or not changed else 1


if __name__ == "__main__":
    sys.exit(main())
