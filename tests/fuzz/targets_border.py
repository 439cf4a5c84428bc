"""What regulators, markets and holders of DIDs hand each other: node interface, identity, client types."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chain_core.codec.values import encode_value
from crosschain.identity import challenge, credentials, records, resolution
from crosschain.identity.canonical import NotSignable, canonical_quads
from crosschain.identity.did import NoDid, parse_did
from crosschain.identity.document import ASSERTION, DidKey, DidRecord, DidService, key_of_jwk
from crosschain.identity.records import CredentialRecord
from crosschain.identity.suite import decode_proof_value
from crosschain.jrt0314 import verifier
from crosschain.jrt0314.endpoint import Response
from service_registry.resolving import load as load_resolver
from tests.fuzz.target import Target, from_file
from tests.unit.crosschain.identity.people import COMPANY, CREDENTIAL, INVESTOR, MARKET, NOW_MS, table
from tests.unit.crosschain.identity.test_credentials import NONCE, made, shown
from tests.unit.crosschain.identity.test_suite import DOCUMENT, JWK, VECTOR

_RESOLVER = (
    '[chain]\ngenesis = "g.bin"\nnodes = ["127.0.0.1:1"]\n[resolver]\nlisten = "127.0.0.1:0"\nsecurity = "plaintext"\n'
)
_HEX = "0a" * 32
_BLOCK: Mapping[str, Any] = {
    "height": 1,
    "hash": _HEX,
    "prev_height": 0,
    "prev_hash": _HEX,
    "timestamp": 1,
    "tx_ids": ["t"],
    "header": {"format": "dualchain/1", "encoded": "0a"},
    "size_bytes": 9,
    "tx_leaves": ["0a"],
}
_STATE: Mapping[str, Any] = {
    "height": 1,
    "state_root": _HEX,
    "tx_root": _HEX,
    "receipt_root": _HEX,
    "validators": [{"id": "v0", "pub_key": "04" + "0b" * 64}],
    "votes": {"participants": ["v0"], "signatures": [{"id": "v0", "signature": "0c" * 64}], "signed_data": "0d"},
    "next_validators": "0e",
}
_OBJECT: Mapping[str, Any] = {
    "items": [{"version": 1, "operation": "create", "hash": _HEX, "reference": "/o", "content": None, "proof": {}}]
}
_WORDS = (b"null", b"true", b"[]", b"{}", b'""', b"-1", b"1e9", b"NaN", b'"04', b":", b",", b"[[", b"did:rem:")


def _answer(read: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(Response(200, {}, data).json())


def _json(*values: Any) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(value).encode() for value in values]


def _canonical(data: bytes) -> bytes:
    document = credentials.parsed(data)
    return canonical_quads(document)


def _jwk(data: bytes) -> bytes:
    return key_of_jwk(credentials.parsed(data))


def _record() -> DidRecord:
    keys = (DidKey(1, bytes(64), ASSERTION, 5, 7),)
    services = (DidService("#s", "mail", "https://example.org"),)
    return DidRecord(COMPANY, bytes(16), 1, 2, 3, True, keys, ("https://example.org",), services)


def _credential() -> CredentialRecord:
    return CredentialRecord(CREDENTIAL, bytes(32), "CreditData", MARKET, COMPANY, 1, 2, "valid", 3)


def _text(read: Callable[[str], Any]) -> Callable[[bytes], Any]:
    return lambda data: read(data.decode("utf-8", "replace"))


def targets() -> Iterator[Target]:
    """The rows of this part."""
    look = table(MARKET, INVESTOR, COMPANY)
    refused = (credentials.CredentialRefused,)
    yield Target("jrt0314-block", _answer(lambda row: verifier.read_block(row, 1)), _json(_BLOCK), words=_WORDS)
    yield Target("jrt0314-state", _answer(lambda row: verifier.read_consensus(row, 1)), _json(_STATE), words=_WORDS)
    yield Target(
        "jrt0314-object", _answer(lambda row: verifier.read_records(row, "o", 1)), _json(_OBJECT), words=_WORDS
    )
    yield Target(
        "identity-credential",
        lambda data: credentials.verify_credential(data, look, now_ms=NOW_MS),
        _json(made()),
        refusals=refused,
        words=_WORDS,
    )
    yield Target(
        "identity-presentation",
        lambda data: credentials.verify_presentation(data, look, now_ms=NOW_MS, nonce=NONCE),
        _json(shown(made())),
        refusals=refused,
        words=_WORDS,
        max_len=6_000,
    )
    yield Target("identity-json-ld", _canonical, _json(DOCUMENT), refusals=(*refused, NotSignable), words=_WORDS)
    yield Target("identity-jwk", _jwk, _json(JWK), refusals=(*refused, ValueError))
    yield Target("identity-proof-value", _text(decode_proof_value), lambda: [VECTOR.encode()])
    yield Target("identity-did", _text(parse_did), lambda: [COMPANY.encode(), MARKET.encode()], refusals=(NoDid,))
    yield Target(
        "identity-request",
        _text(lambda path: resolution.label_of(resolution.did_in(path))),
        lambda: [f"/{COMPANY}".encode(), b"/did%3Arem"],
        refusals=(NoDid, UnicodeDecodeError),
    )
    yield Target(
        "identity-did-record",
        records.decode_did,
        lambda: [records.encode_did(_record())],
        rewrite=lambda record: records.encode_did(record),
    )
    yield Target(
        "identity-credential-record",
        records.decode_credential,
        lambda: [encode_value(_credential().payload())],
        rewrite=lambda record: encode_value(record.payload()),
    )
    yield Target(
        "identity-challenge",
        challenge.decode_challenge,
        lambda: [challenge.Challenge(COMPANY, "market", bytes(32), 9).encode()],
        rewrite=lambda found: found.encode(),
    )
    yield Target("config-resolver", from_file(load_resolver, "c.toml"), lambda: [_RESOLVER.encode()])
