"""Government data, deposits and agreements: what bureaus, other markets' chains and holders of documents hand over."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chain_core.codec.genesis import encode_genesis
from chain_core.node.chain_view import ChainView
from contracts.agreements import records as agreements
from contracts.agreements.machines import OPEN
from crosschain.following import Position
from crosschain.identity import authorisation, data_uses
from crosschain.identity.credentials import Credential, CredentialRefused, parsed
from local_chain.agreements import chain as agreement_files
from local_chain.identity_desk import challenges
from service_registry.deposits import slips
from service_registry.deposits.service import check_deposit
from service_registry.govdata import receipts
from tests.fuzz.target import Target, from_file
from tests.vectors.samples import OPERATOR, TIME_MS, local_genesis

OTHER = bytes(15) + b"\2"
CODE = "91310104MA1FRNWW80"


def _signature(method: str, size: int) -> agreements.Signature:
    return agreements.Signature(OPERATOR, method, bytes(size), bytes(size), bytes(32), TIME_MS, 7, bytes(32))


def _agreement() -> agreements.Agreement:
    signatures = (_signature("transaction", 0), _signature("assertion", 64))
    return agreements.Agreement(OPERATOR, bytes(32), (OPERATOR, OTHER), "free", 9, OPEN, 1, 2, signatures)


def _json(row: object) -> Callable[[], list[bytes]]:
    return lambda: [json.dumps(row, ensure_ascii=False).encode()]


def _claim(raw: bytes) -> Any:
    subject = parsed(raw)
    types = ("VerifiableCredential", "DataAuthorization")
    return authorisation.read_authorisation(Credential("id", types, "did", ({**subject, "id": "did"},), 1, 2, subject))


def _response(raw: bytes) -> Any:
    request = {"reference": "ab" * 16, "kind": "other", "commitment": "00" * 32}
    told = {"genesis_hash": _VIEW.genesis_hash.hex(), "deposit": "00" * 16, "time_ms": 1, "height": 1}
    evidence = base64.b64encode(raw).decode()
    return check_deposit(_VIEW, Position(), OPERATOR, request, {**told, "evidence": evidence})


_VIEW = ChainView(encode_genesis(local_genesis()))
_SLIP = {"genesis_hash": "00" * 32, "kind": "deposit", "id": "00" * 16, "salt": "00" * 32, "commitment": "00" * 32}


def targets() -> Iterator[Target]:
    """The rows of this part."""
    rows: list[tuple[str, Callable[[bytes], Any], Any, Callable[[Any], bytes]]] = [
        ("govdata-bureau", data_uses.decode_bureau, data_uses.Bureau("局", bytes(64), 1), data_uses.encode),
        ("govdata-granted", data_uses.decode_granted, data_uses.Granted(3, 1, 1), data_uses.encode),
        (
            "govdata-use",
            data_uses.decode_use,
            data_uses.Use(bytes(32), OPERATOR, OPERATOR, TIME_MS, CODE, bytes(32), 1),
            data_uses.encode,
        ),
        (
            "govdata-query",
            receipts.read_query,
            receipts.Query(bytes(32), CODE, CODE, ("tax",), "p", "did", bytes(32), "did", TIME_MS),
            lambda found: found.encode(),
        ),
        (
            "govdata-receipt",
            receipts.read_receipt,
            receipts.Receipt(bytes(32), CODE, CODE, ("tax",), "did", bytes(32), TIME_MS),
            lambda found: found.encode(),
        ),
        (
            "document-deposit",
            agreements.decode_deposit,
            agreements.Deposit(OPERATOR, b"", "other", bytes(32), TIME_MS, 7),
            agreements.encode_deposit,
        ),
        ("document-agreement", agreements.decode_agreement, _agreement(), agreements.encode_agreement),
    ]
    for name, decode, sample, encode in rows:
        yield Target(name, decode, lambda sample=sample, encode=encode: [encode(sample)], encode)
    yield Target("govdata-begun", data_uses.decode_begun, lambda: [data_uses.encode_begun("did", 3)])
    yield Target("document-response", _response, lambda: [b""])
    subject = authorisation.claim(
        "did:rem:beijing:BJ000001F",
        ["did:rem:beijing:BJ000002F"],
        ["tax"],
        purpose="p",
        uses=2,
        from_ms=TIME_MS,
        until_ms=TIME_MS + 5_000,
        enterprise="e",
        credit_code=CODE,
    )
    refusals = (authorisation.NotAuthorised, CredentialRefused)
    yield Target("govdata-claim", _claim, _json({"authorization": subject["authorization"]}), refusals=refusals)
    files: list[tuple[str, Callable[[Path], Any], object]] = [
        ("document-slip", slips.read_slip, {**_SLIP, "bytes": 3}),
        (
            "document-statement",
            agreement_files.read_statement,
            {"agreement": "00" * 16, "party": "00" * 16, "key": "00" * 64, "signature": "00" * 64},
        ),
        ("document-challenge", challenges.read_challenge, _challenge()),
        ("document-answer", challenges.read_answer, {"key": "did#keys-1", "signature": "00" * 64}),
    ]
    for name, read, row in files:
        yield Target(name, from_file(read, "file.json"), _json(row))


def _challenge() -> dict[str, Any]:
    return challenges.challenge_row(challenges.draw("did:rem:beijing:BJ000001F", "market", TIME_MS))
