"""Credentials and presentations: what is made holds; what does not is refused by the first check that fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.types.errors import MalformedBytes
from crosschain.identity.challenge import MAX_LIFE_MS, Challenge, answer, answered, decode_challenge
from crosschain.identity.credentials import (
    CODES,
    CredentialRefused,
    check_about_itself,
    issue,
    present,
    verify_credential,
    verify_presentation,
)
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, date_time, key_url, metadata, render
from crosschain.identity.suite import prove
from tests.unit.crosschain.identity.people import (
    COMPANY,
    CREDENTIAL,
    DAY_MS,
    INVESTOR,
    MARKET,
    NOW_MS,
    STATUS_URL,
    Person,
    Table,
    table,
)

NONCE = "bm9uY2UgdGhhdCB0aGUgdmVyaWZpZXIgc2VudA=="
RISK = {"type": "C4", "description": "growth", "investorType": "person", "accountOpeningDate": "2020-01-01T00:00:00Z"}


def made(*, until_ms: int = NOW_MS + 30 * DAY_MS, by: str = MARKET, about: str = INVESTOR) -> dict[str, Any]:
    issuer = Person(by)
    subject = {"id": about, "riskTolerance": RISK}
    return issue(
        CREDENTIAL,
        "QualifiedInvestorCredential",
        issuer.record,
        issuer.key(ASSERTION),
        [subject],
        from_ms=NOW_MS - DAY_MS,
        until_ms=until_ms,
        status_url=STATUS_URL,
        sign=lambda message: issuer.sign(ASSERTION, message),
    )


def shown(*credentials: dict[str, Any], by: str = INVESTOR, purpose: str = AUTHENTICATION) -> dict[str, Any]:
    holder = Person(by)
    return present(
        holder.record,
        holder.key(purpose),
        list(credentials),
        now_ms=NOW_MS,
        nonce=NONCE,
        sign=lambda message: holder.sign(purpose, message),
    )


def test_a_credential_holds_and_says_what_it_says() -> None:
    look = table(MARKET, INVESTOR)
    found = verify_credential(json.dumps(made()), look, now_ms=NOW_MS)
    assert (found.id, found.issuer, found.subject_ids) == (CREDENTIAL, MARKET, {INVESTOR})
    assert found.types == ("VerifiableCredential", "QualifiedInvestorCredential")
    assert found.subjects[0]["riskTolerance"]["type"] == "C4"
    assert look.asked == [STATUS_URL]


def by_hand(**changes: Any) -> Callable[[], dict[str, Any]]:
    """A credential whose members are changed before the issuer signs: only the check itself can refuse it."""

    def build() -> dict[str, Any]:
        document = {**made(), **changes}
        proof = document.pop("proof")
        options = {name: value for name, value in proof.items() if name != "proofValue"}
        return prove(document, options, lambda message: Person(MARKET).sign(ASSERTION, message))

    return build


def proof_changed(**changes: Any) -> Callable[[], dict[str, Any]]:
    def build() -> dict[str, Any]:
        document = made()
        return {**document, "proof": {**document["proof"], **changes}}

    return build


def without(name: str) -> Callable[[], dict[str, Any]]:
    return lambda: {key: value for key, value in made().items() if key != name}


def later(days: int) -> str:
    return date_time(NOW_MS + days * DAY_MS)


REFUSED: dict[str, tuple[str, Callable[[], Any]]] = {
    "no type": ("shape", without("type")),
    "no issuer": ("shape", without("issuer")),
    "no status": ("shape", without("credentialStatus")),
    "a status of another type": ("shape", by_hand(credentialStatus={"id": STATUS_URL, "type": "LegalEntity"})),
    "no subject": ("shape", by_hand(credentialSubject=[])),
    "no proof": ("shape", without("proof")),
    "two proofs": ("shape", lambda: {**made(), "proof": [made()["proof"]] * 2}),
    "a proof of another suite": ("shape", proof_changed(type="Ed25519Signature2018")),
    "a proof for another purpose": ("shape", proof_changed(proofPurpose="keyAgreement")),
    "an identifier that is none": ("bad_did", by_hand(id="https://example.org/1")),
    "an issuer that is none": ("bad_did", by_hand(issuer="did:web:example.org")),
    "a subject that is none": ("bad_did", by_hand(credentialSubject={"id": "did:rem:shanghai:Q1"})),
    "a date that is none": ("dates", by_hand(issuanceDate="yesterday")),
    "a moment that is none": ("dates", by_hand(issuanceDate="2026-13-01T00:00:00Z")),
    "one that ends at once": ("dates", by_hand(expirationDate=later(-1))),
    "one that is over": ("dates", lambda: made(until_ms=NOW_MS)),
    "one that has not begun": ("dates", by_hand(issuanceDate=later(1))),
    "a proof of tomorrow": ("dates", proof_changed(created=later(1))),
    "somebody else's proof": ("key", lambda: {**made(), "proof": made(by=COMPANY)["proof"]}),
    "a key of another purpose": (
        "key",
        proof_changed(verificationMethod=key_url(MARKET, Person(MARKET).key(AUTHENTICATION))),
    ),
    "a key that there is not": ("key", proof_changed(verificationMethod=f"{MARKET}#keys-9")),
    "a proof of before the key": ("key", proof_changed(created=later(-200))),
    "a foreign context": ("context", lambda: {**made(), "@context": ["https://evil.example/v1"]}),
    "no context": ("context", without("@context")),
    "an undefined claim": ("context", lambda: {**made(), "rating": "AAA"}),
    "another claim than was signed": ("signature", lambda: {**made(), "expirationDate": later(400)}),
    "a signature of other bytes": ("signature", lambda: {**made(), "proof": {**made()["proof"], "created": later(-2)}}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_hold_is_refused_by_the_first_check_that_fails(case: str) -> None:
    code, build = REFUSED[case]
    look = table(MARKET, INVESTOR, COMPANY)
    with pytest.raises(CredentialRefused) as refused:
        verify_credential(json.dumps(build()), look, now_ms=NOW_MS)
    assert refused.value.code == code, refused.value
    assert refused.value.code in CODES and refused.value.detail
    assert look.asked == [], "a status is asked of what is signed, of nothing else"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{",
        b'{"id": "\\ud800"}',
        b'{"\\udfff": 1}',
        b"\xff",
        b'{"id": 1, "id": 2}',
        b'{"id": NaN}',
        b"[" * 50_000,
        b'"' + b"x" * 70_000 + b'"',
    ],
)
def test_what_is_no_json_object_is_malformed(raw: bytes) -> None:
    with pytest.raises(CredentialRefused) as refused:
        verify_credential(raw, table(MARKET), now_ms=NOW_MS)
    assert refused.value.code == "malformed"


def code_of(look: Table, document: dict[str, Any]) -> str:
    with pytest.raises(CredentialRefused) as refused:
        verify_credential(json.dumps(document), look, now_ms=NOW_MS)
    return refused.value.code


def test_issuers_and_statuses_are_asked_and_what_cannot_be_asked_fails_closed() -> None:
    document = made()
    assert code_of(table(), document) == "issuer"
    gone = table(MARKET)
    gone.change(MARKET, active=False)
    assert code_of(gone, document) == "issuer"
    silent = table(MARKET)
    silent.silent = True
    assert code_of(silent, document) == "issuer"
    for status in ("revoked", "notExist", "silent", "anything"):
        look = table(MARKET)
        look.statuses[CREDENTIAL] = status
        assert code_of(look, document) == "status"


def test_a_key_that_ended_later_still_speaks_for_what_it_signed_before() -> None:
    look = table(MARKET)
    person = Person(MARKET)
    old = person.key(ASSERTION)
    ended = DidKey(old.number, old.key, old.purpose, old.from_ms, NOW_MS - DAY_MS // 2)
    look.change(MARKET, keys=(person.key(AUTHENTICATION), ended))
    assert verify_credential(json.dumps(made()), look, now_ms=NOW_MS).issuer == MARKET
    earlier = DidKey(old.number, old.key, old.purpose, old.from_ms, NOW_MS - 2 * DAY_MS)
    look.change(MARKET, keys=(person.key(AUTHENTICATION), earlier))
    assert code_of(look, made()) == "key"


def verified(document: dict[str, Any], nonce: str, look: Table) -> None:
    check_about_itself(verify_presentation(json.dumps(document), look, now_ms=NOW_MS, nonce=nonce))


def refused_presentation(document: dict[str, Any], *, nonce: str = NONCE, look: Table | None = None) -> str:
    with pytest.raises(CredentialRefused) as refused:
        verified(document, nonce, look or table(MARKET, INVESTOR, COMPANY))
    return refused.value.code


@pytest.mark.parametrize("purpose", [AUTHENTICATION, ASSERTION])
def test_a_presentation_answers_the_verifiers_nonce(purpose: str) -> None:
    document = shown(made(), purpose=purpose)
    found = verify_presentation(json.dumps(document), table(MARKET, INVESTOR), now_ms=NOW_MS, nonce=NONCE.rstrip("="))
    check_about_itself(found)
    assert (found.holder, [one.id for one in found.credentials]) == (INVESTOR, [CREDENTIAL])


def test_presentations_that_do_not_hold() -> None:
    good = shown(made())
    credential = made()
    assert refused_presentation(good, nonce="b3RoZXI=") == "nonce"
    assert refused_presentation({**good, "holder": COMPANY}) == "key"
    assert refused_presentation({**good, "verifiableCredential": []}) == "shape"
    assert refused_presentation({**good, "verifiableCredential": [credential] * 17}) == "shape"
    assert refused_presentation({**good, "type": ["VerifiableCredential"]}) == "shape"
    bare = {name: value for name, value in good["proof"].items() if name != "nonce"}
    assert refused_presentation({**good, "proof": bare}) == "shape"
    assert (
        refused_presentation({**good, "proof": {**good["proof"], "nonce": "b3RoZXI="}}, nonce="b3RoZXI=") == "signature"
    )
    other = {**credential, "expirationDate": later(400)}
    assert refused_presentation({**good, "verifiableCredential": [other]}) == "signature"
    assert refused_presentation(shown(other)) == "signature"
    revoked = table(MARKET, INVESTOR)
    revoked.statuses[CREDENTIAL] = "revoked"
    assert refused_presentation(good, look=revoked) == "status"
    assert refused_presentation(shown(made(about=COMPANY))) == "holder"


def test_what_could_never_be_verified_is_not_made() -> None:
    issuer = Person(MARKET)
    common = {"from_ms": NOW_MS, "until_ms": NOW_MS + 1, "status_url": STATUS_URL, "sign": lambda message: bytes(64)}
    subject = {"id": INVESTOR, "riskTolerance": RISK}
    record, key = issuer.record, issuer.key(ASSERTION)
    wrong: list[tuple[str, str, DidKey, dict[str, Any], dict[str, Any], str]] = [
        ("urn:uuid:1", "QualifiedInvestorCredential", key, subject, {}, "identifier"),
        (CREDENTIAL, "Invented", key, subject, {}, "defined type"),
        (CREDENTIAL, "QualifiedInvestorCredential", issuer.key(AUTHENTICATION), subject, {}, "assertion key"),
        (CREDENTIAL, "QualifiedInvestorCredential", key, {**subject, "secret": 1}, {}, "defined by none"),
        (CREDENTIAL, "QualifiedInvestorCredential", key, {"id": "x"}, {}, "did:rem:"),
        (CREDENTIAL, "QualifiedInvestorCredential", key, subject, {"until_ms": NOW_MS}, "ends before"),
    ]
    for identifier, kind, used, about, changes, what in wrong:
        with pytest.raises(ValueError, match=what):
            issue(identifier, kind, record, used, [about], **{**common, **changes})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 to 16"):
        shown()


# ---- documents and challenges


def test_a_document_names_keys_by_relationship_and_keeps_the_ended_ones() -> None:
    person = Person(MARKET)
    record = person.record
    ended = DidKey(3, person.public("old"), ASSERTION, NOW_MS - DAY_MS, NOW_MS)
    document = render(
        type(record)(record.did, record.account, 0, 0, 2, True, (*record.keys, ended), ("https://x.example",))
    )
    assert document["authentication"] == [f"{MARKET}#keys-1"] and document["assertionMethod"] == [f"{MARKET}#keys-2"]
    assert [method["id"] for method in document["verificationMethod"]] == [f"{MARKET}#keys-{n}" for n in (1, 2, 3)]
    assert all(len(method["publicKeyJwk"]["x"]) == 43 for method in document["verificationMethod"])
    assert document["alsoKnownAs"] == ["https://x.example"] and "service" not in document
    closed = type(record)(record.did, record.account, 0, NOW_MS, 3, False, record.keys)
    assert render(closed)["authentication"] == []
    assert metadata(closed) == {
        "created": "1970-01-01T00:00:00Z",
        "updated": date_time(NOW_MS),
        "deactivated": True,
        "versionId": "3",
    }


GENESIS = sm3(b"a chain")


def challenge(**changes: Any) -> Challenge:
    return Challenge(
        **{"did": INVESTOR, "audience": "market", "nonce": bytes(32), "expires_ms": NOW_MS + 60_000, **changes}
    )


def test_the_holder_of_a_did_answers_a_challenge() -> None:
    holder = Person(INVESTOR)
    asked = challenge()
    url = key_url(INVESTOR, holder.key(AUTHENTICATION))
    signature = answer(asked, GENESIS, now_ms=NOW_MS, sign=lambda message: holder.sign(AUTHENTICATION, message))
    record = holder.record
    assert decode_challenge(asked.encode()) == asked
    assert answered(asked, GENESIS, signature, url, record, now_ms=NOW_MS) == ""
    wrong = [
        (answered(asked, GENESIS, signature, url, record, now_ms=NOW_MS + 60_000), "over"),
        (answered(asked, sm3(b"another chain"), signature, url, record, now_ms=NOW_MS), "does not verify"),
        (answered(challenge(audience="thief"), GENESIS, signature, url, record, now_ms=NOW_MS), "does not verify"),
        (answered(asked, GENESIS, signature, f"{INVESTOR}#keys-2", record, now_ms=NOW_MS), "no authentication key"),
        (answered(asked, GENESIS, signature, url, None, now_ms=NOW_MS), "not known"),
        (answered(challenge(did=COMPANY), GENESIS, signature, url, record, now_ms=NOW_MS), "not known"),
    ]
    for found, what in wrong:
        assert what in found


def test_a_holder_signs_no_challenge_without_an_end() -> None:
    for expires_ms in (NOW_MS, NOW_MS + MAX_LIFE_MS + 1):
        with pytest.raises(ValueError, match="300 s"):
            answer(challenge(expires_ms=expires_ms), GENESIS, now_ms=NOW_MS, sign=lambda message: bytes(64))


@pytest.mark.parametrize(
    "changes", [{"nonce": bytes(31)}, {"audience": "x" * 256}, {"nonce": "text"}, {"expires_ms": "1"}]
)
def test_a_challenge_of_another_form_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedBytes):
        decode_challenge(challenge(**changes).encode())
