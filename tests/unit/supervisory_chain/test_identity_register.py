"""What markets have on record of DIDs and credentials is known above by proof, under their own label alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.values import Value
from crosschain.identity.document import AUTHENTICATION, DidKey, DidRecord
from crosschain.identity.records import CredentialRecord, credential_key, did_key, did_payload, encode_did
from crosschain.packets import IDENTITY_CHANNEL, INBOX, read_channel, received_key
from tests.unit.crosschain.chains import START_MS, Chain, Layers, account, op, supervisory_genesis
from tests.unit.supervisory_chain.notary_type import NotaryChain
from tests.unit.supervisory_chain.test_client_types import assembly, deliver, registration, submit

DID = "did:rem:beijing:BJ000001F"


def test_a_record_of_a_market_arrives_with_its_report(layers: Layers) -> None:
    local, above = layers.local, layers.supervisory
    key = sm3(b"x") + sm3(b"y")
    assert local.one("issuer", op("accounts", "attach_key", purpose=AUTHENTICATION, key=key)).code == Code.OK
    made = op("identities", "create", did=DID, account=account("issuer"), evidence=sm3(b"material"))
    assert local.one("operator", made).code == Code.OK
    height = local.height
    assert above.one("courier", layers.headers_up(height), layers.packets_up(height)).code == Code.OK
    assert above.store.get(did_key(DID)) == local.store.get(did_key(DID)) is not None
    assert local.one("operator", op("identities", "deactivate", did=DID, evidence=sm3(b"request"))).code == Code.OK
    height = local.height
    assert above.one("courier", layers.headers_up(height), layers.packets_up(height)).code == Code.OK
    assert above.store.get(did_key(DID)) == local.store.get(did_key(DID))


@pytest.fixture
def above(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain.begin(tmp_path, supervisory_genesis(), assembly)
    yield chain
    chain.store.close()


@pytest.fixture
def market(above: Chain) -> NotaryChain:
    """A market that can send whatever it likes: Sichuan."""
    made = NotaryChain(above.hash, START_MS)
    assert above.one("operator", registration(made)).code == Code.OK
    assert above.one("csrc-2", op("chains", "approve", chain=made.hash)).code == Code.OK
    assert above.one("csrc-1", op("chains", "admit", chain=made.hash)).code == Code.OK
    return made


def unreadable(above: Chain, market: NotaryChain) -> int:
    tally = above.value(state_key(INBOX, b"r" + market.hash))
    return 0 if tally is None else cast(int, cast(dict[str, Value], tally)["unreadable"])


def record(did: str) -> DidRecord:
    return DidRecord(did, bytes(16), 1, 1, 1, True, (DidKey(1, bytes(64), AUTHENTICATION, 1),))


OWN, FOREIGN = "did:rem:sichuan:SC000001F", "did:rem:beijing:BJ000001F"
CREDENTIAL = CredentialRecord("did:rem:sichuan:VC000001", bytes(32), "CreditData", OWN, OWN, 1, 2, "valid", 1)


@pytest.mark.parametrize(
    ("kind", "payload", "taken"),
    [
        ("did", did_payload(record(OWN)), True),
        ("did", did_payload(record(FOREIGN)), False),
        ("did", {**did_payload(record(OWN)), "did": "no DID"}, False),
        ("did", {"did": OWN}, False),
        ("credential", CREDENTIAL.payload(), True),
        ("credential", replace(CREDENTIAL, credential="did:rem:beijing:VC000001").payload(), False),
        ("credential", replace(CREDENTIAL, issuer=FOREIGN).payload(), False),
        ("credential", {"credential": "did:rem:sichuan:VC000001"}, False),
        ("gossip", did_payload(record(OWN)), False),
    ],
)
def test_a_market_speaks_of_its_own_label_alone(
    above: Chain, market: NotaryChain, kind: str, payload: dict[str, Value], taken: bool
) -> None:
    """What it may not say, or nobody can read, is counted, and its channel goes on."""
    height = market.block(market.packet(IDENTITY_CHANNEL, kind, encode_value(payload)))
    assert submit(above, market, market.row(height)).code == Code.OK
    assert deliver(above, market, height).code == Code.OK
    kept = [above.store.get(place) for place in (did_key(OWN), did_key(FOREIGN), credential_key(CREDENTIAL.credential))]
    assert (sum(value is not None for value in kept), unreadable(above, market)) == (int(taken), int(not taken))
    height = market.block(market.packet(IDENTITY_CHANNEL, "did", encode_did(record(OWN))))
    assert submit(above, market, market.row(height)).code == Code.OK
    assert deliver(above, market, height).code == Code.OK
    assert above.store.get(did_key(OWN)) == encode_did(record(OWN))
    assert read_channel(above.store.get(received_key(market.hash, IDENTITY_CHANNEL)))[0] == 2
