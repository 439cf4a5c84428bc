"""The proof suite by the standard's numbers, and that nothing of a credential is left unsigned."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider, signing_provider
from crosschain.identity.canonical import CREDENTIALS_CONTEXT, REM_CONTEXT, NotSignable, canonical_quads
from crosschain.identity.document import jwk_of, key_of_jwk
from crosschain.identity.suite import (
    decode_proof_value,
    encode_proof_value,
    holds,
    prove,
    signing_input_of,
)

PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
JWK = {
    "kty": "EC",
    "crv": "SM2",
    "x": "CfnfMR5UIaFQ3X0WHkvFxnIXn60YM_wHa7CP81bzUCA",
    "y": "zOpJDOJndaUtxupxjMGqYArtBfvzXghKZjL2By2prRM",
}
OPTIONS_QUADS = (
    b'_:c14n0 <http://purl.org/dc/terms/created> "2024-12-24T00:00:00Z"'
    b"^^<http://www.w3.org/2001/XMLSchema#dateTime> .\n"
)
DOCUMENT_QUADS = (
    b"<did:rem:shanghai:VC000001> <https://www.w3.org/2018/credentials#issuer> "
    b"<did:rem:shanghai:91310000564759688N> .\n"
)
VECTOR = "V8SDfIZszQWj9Y4YnCKsXqrUX3PaSFHfj9QPG9u6jNtv86P479SJbAqxFRFU0ekLuImTj5XtvOF4wMVzCw4tcQ=="
PLAIN = "9aA7BkjSxGMO6sUT4buBoVlE2jgn1bdBQ6x-rO7nILOxtqop3yEv2HYxgrwNQhyhu5A4_R9_QtSEC2nEhbvBqg=="


def verifies(message: bytes, text: str) -> bool:
    signature = decode_proof_value(text)
    return signature is not None and provider().sm2_verify(key_of_jwk(JWK), message, signature)


def test_the_key_of_the_standards_vector() -> None:
    key = key_of_jwk(JWK)
    assert signing_provider().sm2_public_key(PRIVATE) == key
    assert jwk_of(key) == JWK


def test_the_standards_vector() -> None:
    assert sm3(OPTIONS_QUADS).hex() == "46ffc81207f0aaefab7a5b626ee3b8a514a1e672c14a76d326ae646ce7e8e17f"
    assert sm3(DOCUMENT_QUADS).hex() == "cef3edf0f30cf1e6a1393f96a9cf15a72c3f31b4fb000215ebcc508fb3981130"
    message = signing_input_of(OPTIONS_QUADS, DOCUMENT_QUADS)
    assert len(message) == 119
    assert verifies(message, VECTOR)
    assert verifies(message, VECTOR.rstrip("="))
    assert verifies(b"message digest", PLAIN)
    assert not verifies(b"message digest", VECTOR)


@pytest.mark.parametrize(
    "text",
    [
        "z58DAdFfa9SkqZMVPxAQpic7ndSayn1PzZs6ZjWp1CktyGesjuTSwRdoWhAfGFCF5bppETSTojQCrfFPP2oumHKtz",
        "eyJhbGciOiJSUzI1NiJ9..AAAA",
        VECTOR[:-1],
        VECTOR + "=",
        VECTOR[:85] + "R==",
        encode_proof_value(bytes(64)),
        "",
        None,
        7,
    ],
)
def test_other_forms_are_no_signatures(text: object) -> None:
    assert decode_proof_value(text) is None


@pytest.mark.parametrize(
    "jwk",
    [
        {**JWK, "d": "AA"},
        {**JWK, "crv": "P-256"},
        {**JWK, "x": JWK["y"]},
        {**JWK, "x": "AA"},
        {**JWK, "x": 5},
        {**JWK, "x": "****"},
        # The sample key of annex D: a point of another curve.
        {
            "kty": "EC",
            "crv": "SM2",
            "x": "NtngWpJUr-rlNNbs0u-Aa8e16OwSJu6UiFf0Rdo1oJ4",
            "y": "qN1jKupJlFsPFc1UkWinqljv4YE0mq_Ickwnjgasvmo",
        },
    ],
)
def test_what_is_no_public_key_on_the_curve(jwk: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="publicKeyJwk"):
        key_of_jwk(jwk)


CONTEXTS = [CREDENTIALS_CONTEXT, REM_CONTEXT]
DOCUMENT: dict[str, Any] = {
    "@context": CONTEXTS,
    "id": "did:rem:shanghai:VC000002",
    "type": ["VerifiableCredential", "LegalEntity", "CreditDataAuthorization"],
    "issuer": "did:rem:shanghai:91310000564759688N",
    "issuanceDate": "2026-01-01T00:00:00Z",
    "expirationDate": "2027-01-01T00:00:00Z",
    "credentialStatus": {"id": "https://resolver.example/status/2", "type": "VCStatus2022"},
    "credentialSubject": {
        "id": "did:rem:shanghai:SH000001F",
        "version": "v1.0",
        "authorization": {
            "lisensee": ["did:rem:beijing:91310104MA1FRNWW80", "did:rem:shanghai:1210000040088209X1"],
            "startDate": "2026-01-01T00:00:00Z",
            "endDate": "2026-06-01T00:00:00Z",
            "dataItems": ["taxes", "social insurance"],
            "purpose": "listing",
            "entityInfo": {"enterpriseName": "example", "enterpriseUSCI": "91310000564759688N"},
        },
    },
}
OPTIONS: dict[str, Any] = {
    "type": "SM2Signature2022",
    "created": "2026-01-01T00:00:00Z",
    "verificationMethod": "did:rem:shanghai:91310000564759688N#keys-1",
    "proofPurpose": "assertionMethod",
    "nonce": "bm9uY2U=",
}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for name, item in value.items() if name != "@context" for leaf in leaves(item, (*path, name))]
    if isinstance(value, list):
        return [leaf for place, item in enumerate(value) for leaf in leaves(item, (*path, place))]
    return [path]


def changed(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    made = copy.deepcopy(document)
    inner: Any = made
    for name in path[:-1]:
        inner = inner[name]
    text = str(inner[path[-1]])
    inner[path[-1]] = text.replace("2026", "2025") if "2026" in text else text[:-1] + ("0" if text[-1] != "0" else "1")
    return made


def proved() -> dict[str, Any]:
    return prove(DOCUMENT, OPTIONS, lambda message: signing_provider().sm2_sign(PRIVATE, message))


def test_what_was_proved_holds_in_any_order_of_its_members() -> None:
    signed = proved()
    proof = signed.pop("proof")
    turned = dict(reversed(list(signed.items())))
    assert holds(turned, dict(reversed(list(proof.items()))), key_of_jwk(JWK))


@pytest.mark.parametrize("path", leaves(DOCUMENT), ids=str)
def test_each_single_claim_is_signed(path: tuple[Any, ...]) -> None:
    signed = proved()
    proof = signed.pop("proof")
    # A type that no context defines any more is refused even before its signature.
    with contextlib.suppress(NotSignable):
        assert not holds(changed(signed, path), proof, key_of_jwk(JWK))


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_each_option_of_the_proof_is_signed(name: str) -> None:
    signed = proved()
    proof = signed.pop("proof")
    other = {"proofPurpose": "authentication"}.get(name) or changed(proof, (name,))[name]
    try:
        assert not holds(signed, {**proof, name: other}, key_of_jwk(JWK))
    except NotSignable:
        assert name == "type"


@pytest.mark.parametrize("name", sorted(set(DOCUMENT) - {"@context"}))
def test_a_member_that_is_taken_out_breaks_the_proof(name: str) -> None:
    signed = proved()
    proof = signed.pop("proof")
    del signed[name]
    try:
        assert not holds(signed, proof, key_of_jwk(JWK))
    except NotSignable:
        assert name == "type"


SUBJECT = DOCUMENT["credentialSubject"]


@pytest.mark.parametrize(
    ("document", "what"),
    [
        ({**DOCUMENT, "rating": "AAA"}, "'rating' is defined by none"),
        ({**DOCUMENT, "credentialSubject": {**SUBJECT, "secret": "x"}}, "'secret' is defined by none"),
        ({**DOCUMENT, "type": ["VerifiableCredential", "Invented"]}, "neither a defined type"),
        ({**DOCUMENT, "id": "VC000002"}, "neither a defined type nor an absolute"),
        ({**DOCUMENT, "credentialSubject": {**SUBJECT, "id": "_:b0"}}, "neither a defined type nor an absolute"),
        ({**DOCUMENT, "@context": ["https://www.rem.com/2022/credentials/rems/v1"]}, "not one that stands"),
        ({**DOCUMENT, "@context": [*CONTEXTS, {"rating": "urn:x"}]}, "not one that stands"),
        ({**DOCUMENT, "credentialSubject": {**SUBJECT, "@context": "https://evil.example"}}, "not one that stands"),
        ({**DOCUMENT, "credentialSubject": {**SUBJECT, "version": 1.5}}, "fraction"),
        ({**DOCUMENT, "credentialSubject": {**SUBJECT, "version": "v" * 70_000}}, "more than 65536"),
        ({**DOCUMENT, "credentialSubject": [{"id": "urn:x"}] * 300}, "more than 256 objects"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_lost_is_refused(document: dict[str, Any], what: str) -> None:
    with pytest.raises(NotSignable, match=what):
        canonical_quads(document)


def test_a_deep_document_is_refused() -> None:
    deep: dict[str, Any] = {"version": "1"}
    for _ in range(40):
        deep = {"authorization": deep}
    with pytest.raises(NotSignable, match="nested"):
        canonical_quads({**DOCUMENT, "credentialSubject": deep})
