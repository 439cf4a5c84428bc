"""A market gives its subjects DIDs and keeps the status of credentials; trades stand on them."""

from __future__ import annotations

import pytest

from chain_core.codec.proofs import decode_packet
from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.records import SUITABILITY, decode_suitability
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidRecord, render
from crosschain.identity.records import (
    CredentialRecord,
    credential_key,
    decode_credential,
    decode_did,
    did_key,
)
from crosschain.packets import IDENTITY_CHANNEL
from local_chain.identities import Identities
from tests.unit.contracts.market import MONDAY, Market, account, noon, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
MARKET_DID = "did:rem:beijing:91310104MA1FRNWW80"
CODE = "Q000000001"
DID = f"did:rem:beijing:{CODE}"
CREDENTIAL = "did:rem:beijing:VC000001"
EVIDENCE = sm3(b"material")
TWO = ("governor-2",)


def key(name: str) -> bytes:
    return sm3(b"x " + name.encode()) + sm3(b"y " + name.encode())


def attach(name: str, purpose: str, which: str = "1") -> Operation:
    return op("attach_key", "accounts", purpose=purpose, key=key(f"{name} {purpose} {which}"))


def revoke_key(name: str, purpose: str, which: str = "1") -> Operation:
    return op("revoke_key", "accounts", key=key(f"{name} {purpose} {which}"))


def did_op(method: str, **args: Value) -> Operation:
    return op(method, "identities", **args)


def create(name: str, did: str) -> Operation:
    return did_op("create", did=did, account=account(name), evidence=EVIDENCE)


@pytest.fixture
def market() -> Market:
    """The operator has a DID with both keys; A has one, by its investor code, with a key for authentication."""
    made = Market.open(extra=(Identities(),))
    made.ok("operator", attach("operator", AUTHENTICATION), attach("operator", ASSERTION))
    made.ok("operator", create("operator", MARKET_DID))
    made.ok("operator", op("bind_code", account=account(A), code=CODE))
    made.ok(A, attach(A, AUTHENTICATION))
    made.ok("operator", create(A, DID))
    return made


def record(market: Market, did: str = DID) -> DidRecord:
    raw = market.state.get(did_key(did))
    assert raw is not None
    return decode_did(raw)


def status(market: Market, credential: str = CREDENTIAL) -> CredentialRecord:
    raw = market.state.get(credential_key(credential))
    assert raw is not None
    return decode_credential(raw)


def issue(market: Market, **changes: Value) -> Operation:
    args: dict[str, Value] = {
        "credential": CREDENTIAL,
        "issuer": MARKET_DID,
        "digest": sm3(b"the credential"),
        "kind": "QualifiedInvestorCredential",
        "subject": DID,
        "valid_from_ms": market.time_ms,
        "expires_ms": noon(MONDAY + 30),
    }
    return did_op("issue", **{**args, **changes})


# ---- DIDs


def test_a_document_has_the_keys_of_its_account(market: Market) -> None:
    document = render(record(market))
    assert document["authentication"] == [f"{DID}#keys-1"] and document["assertionMethod"] == []
    assert render(record(market, MARKET_DID))["assertionMethod"] == [f"{MARKET_DID}#keys-2"]
    assert (record(market).version, record(market).account) == (1, account(A))


def test_keys_are_rotated_where_they_are_kept_and_their_past_stays_known(market: Market) -> None:
    market.ok(A, attach(A, AUTHENTICATION, "2"), revoke_key(A, AUTHENTICATION))
    assert market.refused(B, did_op("update", did=DID)) == "identities.not_yours"
    market.ok(A, did_op("update", did=DID))
    first, second = record(market).keys
    assert (first.number, first.until_ms, second.number, second.until_ms) == (1, market.time_ms, 2, 0)
    assert render(record(market))["authentication"] == [f"{DID}#keys-2"]
    assert market.refused(A, did_op("update", did=DID)) == "identities.unchanged"
    market.ok(A, attach(A, ASSERTION))
    market.ok("operator", did_op("update", did=DID))
    assert render(record(market))["assertionMethod"] == [f"{DID}#keys-3"]
    market.ok(A, revoke_key(A, AUTHENTICATION, "2"))
    assert market.refused(A, did_op("update", did=DID)) == "identities.no_key"


@pytest.mark.parametrize(
    ("did", "who", "rule"),
    [
        ("did:web:example.org", B, "identities.bad_did"),
        ("did:rem:beijing:BJ000001F.S2101", B, "identities.bad_did"),
        ("did:rem:shanghai:Q000000002", B, "identities.foreign_label"),
        (DID, B, "identities.taken"),
        ("did:rem:beijing:Q000000002", B, "identities.code_differs"),
        ("did:rem:beijing:BJ000001F", B, "identities.no_key"),
    ],
)
def test_what_is_not_created(market: Market, did: str, who: str, rule: str) -> None:
    assert market.refused("operator", create(who, did)) == rule


def test_a_credit_code_that_leads_to_another_account_gives_no_did(market: Market) -> None:
    code = "91310000564759688N"
    enterprise = op(
        "register_enterprise",
        account=account("issuer"),
        credit_code=code,
        province="BJ",
        attributes={},
        evidence=EVIDENCE,
    )
    market.ok("operator", enterprise)
    market.ok(B, attach(B, AUTHENTICATION))
    assert market.refused("operator", create(B, f"did:rem:beijing:{code}")) == "identities.code_differs"
    market.ok("issuer", attach("issuer", AUTHENTICATION))
    market.ok("operator", create("issuer", f"did:rem:beijing:{code}"))


def test_only_the_operator_creates_and_only_its_holder_describes(market: Market) -> None:
    services: list[Value] = [{"id": f"{DID}#s", "type": "mail", "endpoint": "https://example.org"}]
    described = did_op("describe", did=DID, also_known_as=["https://example.org/me"], services=services)
    assert market.refused("operator", described) == "identities.not_yours"
    market.ok(A, described)
    assert market.refused(A, described) == "identities.unchanged"
    assert render(record(market))["service"][0]["serviceEndpoint"] == "https://example.org"
    assert market.refused(B, create(B, "did:rem:beijing:BJ000002"))


def test_a_deactivated_did_is_gone_until_two_houses_readmit_it_with_new_keys(market: Market) -> None:
    gone = did_op("deactivate", did=DID, evidence=EVIDENCE)
    market.ok("operator", gone)
    assert not record(market).active and record(market).keys[0].until_ms == market.time_ms
    assert render(record(market))["authentication"] == []
    assert market.refused("operator", gone) == "identities.inactive"
    assert market.refused("operator", create(A, DID)) == "identities.taken"
    assert market.refused(A, did_op("update", did=DID)) == "identities.inactive"
    back = did_op("reactivate", did=DID, evidence=EVIDENCE)
    assert market.refused("operator", back) == "kernel.four_eyes"
    assert market.refused("operator", back, cosigners=TWO) == "identities.old_key"
    market.ok(A, attach(A, AUTHENTICATION, "2"), revoke_key(A, AUTHENTICATION))
    market.ok("operator", back, cosigners=TWO)
    assert render(record(market))["authentication"] == [f"{DID}#keys-2"]
    assert market.refused("operator", back, cosigners=TWO) == "identities.active"
    assert (
        market.refused("operator", did_op("reactivate", did=MARKET_DID[:-1] + "1", evidence=EVIDENCE))
        == "identities.unknown"
    )


# ---- credentials


def test_a_credential_is_on_record_until_its_issuer_revokes_it(market: Market) -> None:
    market.ok("operator", issue(market))
    assert (status(market).status, status(market).issuer) == ("valid", MARKET_DID)
    assert market.refused("operator", issue(market)) == "identities.issued"
    revoke = did_op("revoke", credential=CREDENTIAL, evidence=EVIDENCE)
    assert market.refused(A, revoke) == "identities.not_issuer"
    market.ok("operator", revoke)
    assert status(market).status == "revoked"
    assert market.refused("operator", revoke) == "identities.revoked"


@pytest.mark.parametrize(
    ("who", "changes", "rule"),
    [
        (A, {}, "identities.not_issuer"),
        ("operator", {"credential": "did:rem:beijing:VC1"}, "identities.bad_credential"),
        ("operator", {"credential": "did:rem:shanghai:VC000001"}, "identities.bad_credential"),
        ("operator", {"issuer": "did:rem:beijing:BJ000009"}, "identities.unknown"),
        ("operator", {"subject": "did:rem:beijing:Q1"}, "identities.bad_did"),
        ("operator", {"expires_ms": 5}, "identities.bad_period"),
        ("operator", {"valid_from_ms": noon(MONDAY + 40)}, "identities.bad_period"),
        (A, {"issuer": DID}, "identities.no_key"),
    ],
)
def test_what_is_not_put_on_record(market: Market, who: str, changes: dict[str, Value], rule: str) -> None:
    assert market.refused(who, issue(market, **changes)) == rule


def test_a_deactivated_issuer_issues_nothing(market: Market) -> None:
    market.ok("operator", did_op("deactivate", did=MARKET_DID, evidence=EVIDENCE))
    assert market.refused("operator", issue(market)) == "identities.inactive"


def rely(name: str = A) -> Operation:
    return did_op("rely", account=account(name), credential=CREDENTIAL)


def suitable_until(market: Market, name: str = A) -> int:
    raw = market.kernel(SUITABILITY + account(name))
    return 0 if raw is None else decode_suitability(raw).expires_day


def test_a_trade_is_refused_once_the_credential_is_revoked(market: Market) -> None:
    market.qualified(A, B)
    security = market.listed({B: 100, C: 100})
    market.ok("operator", issue(market))
    market.ok("operator", rely())
    assert suitable_until(market) == MONDAY + 29
    market.ok(B, transfer(security, A, 10))
    market.ok("operator", did_op("revoke", credential=CREDENTIAL, evidence=EVIDENCE))
    assert market.refused(B, transfer(security, A, 10)) == "csrc.qualified_investor"
    assert suitable_until(market, B) == MONDAY + 300


def test_a_trade_is_refused_once_the_credential_has_expired(market: Market) -> None:
    market.qualified(A, B)
    security = market.listed({B: 100, C: 100})
    market.ok("operator", issue(market, expires_ms=noon(MONDAY + 2)))
    market.ok("operator", rely())
    market.go_to(MONDAY + 1)
    market.ok(B, transfer(security, A, 10))
    market.go_to(MONDAY + 2)
    assert market.refused(B, transfer(security, A, 10)) == "csrc.qualified_investor"


def test_only_a_valid_proof_about_the_account_itself_is_relied_on(market: Market) -> None:
    assert market.refused("operator", rely()) == "identities.no_credential"
    market.ok("operator", issue(market))
    assert market.refused("operator", rely()) == "identities.no_suitability"
    market.qualified(A, B)
    assert market.refused("operator", rely(B)) == "identities.wrong_subject"
    other = {"credential": "did:rem:beijing:VC000002", "kind": "CreditData"}
    market.ok("operator", issue(market, **other))
    assert market.refused("operator", did_op("rely", account=account(A), credential=other["credential"])) == (
        "identities.wrong_kind"
    )
    market.ok("operator", rely())
    market.ok("operator", rely())
    market.ok("operator", did_op("revoke", credential=CREDENTIAL, evidence=EVIDENCE))
    assert market.refused("operator", rely()) == "identities.revoked"


def test_what_stands_on_one_credential_and_the_keys_of_one_did_are_bounded(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    market.qualified(A)
    market.ok("operator", issue(market))
    with monkeypatch.context() as patched:
        patched.setattr("local_chain.identities.MAX_RELYING", 0)
        assert market.refused("operator", rely()) == "identities.too_many_relying"
    market.ok("operator", rely())
    market.ok(A, attach(A, AUTHENTICATION, "2"))
    with monkeypatch.context() as patched:
        patched.setattr("local_chain.did_keys.MAX_KEYS", 1)
        assert market.refused(A, did_op("update", did=DID)) == "identities.too_many_keys"
    market.ok(A, did_op("update", did=DID))


def test_each_change_is_told_to_the_supervisory_chain(market: Market) -> None:
    def sent() -> list[tuple[str, int, str]]:
        assert market.last is not None
        packets = [decode_packet(raw) for raw in market.last.outbox]
        return [(packet.channel, packet.sequence, packet.kind) for packet in packets]

    assert sent() == [(IDENTITY_CHANNEL, 1, "did")]
    market.ok("operator", issue(market))
    assert sent() == [(IDENTITY_CHANNEL, 2, "credential")]
    market.refused("operator", issue(market))
    assert sent() == []
