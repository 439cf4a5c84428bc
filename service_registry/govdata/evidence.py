"""The answer with its proof, and how a consumer verifies it (docs/spec/government-data.md §6)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain_core.codec.block import decode_header
from chain_core.crypto.hashing import sm3
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import InvalidProof, MalformedBytes
from crosschain.complete_lists import ListEvidence, decode_list, encode_list
from crosschain.following import Position
from crosschain.identity.authorisation import DataRequest
from crosschain.identity.data_uses import (
    Bureau,
    Granted,
    Use,
    bureau_place,
    decode_bureau,
    decode_granted,
    decode_use,
    full_key,
    grant_place,
    use_place,
)
from crosschain.identity.records import CredentialRecord, credential_key, decode_credential
from crosschain.proven_values import ValuesQuestion, prove_values
from service_registry.govdata.receipts import BureauAnswer, Query, Receipt, check_answer

_NEXT = "do not use the answer; tell the publisher"


@dataclass(frozen=True, slots=True)
class Proven:
    """What one answer stands on, all under one header of the market's chain."""

    credential: CredentialRecord
    granted: Granted
    use: Use
    bureau: Bureau


def evidence_question(authorisation: str, number: int, bureau: str) -> ValuesQuestion:
    """The four values that an answer proves."""
    places = (grant_place(authorisation), use_place(authorisation, number), bureau_place(bureau))
    return ValuesQuestion(f"use {number} of {authorisation}", (credential_key(authorisation), *map(full_key, places)))


def make_response(
    view: ChainView,
    number: int,
    query: Query,
    name: str,
    answer: BureauAnswer,
    receipt: Receipt,
    evidence: ListEvidence,
) -> dict[str, Any]:
    """The response; ``evidence`` holds the four values, verified already."""
    granted = evidence.items[1].value
    return {
        "authorisation": query.authorisation,
        "number": number,
        "uses": decode_granted(granted or b"").uses,
        "data": answer.data.decode("utf-8"),
        "receipt": base64.b64encode(answer.receipt).decode(),
        "signature": base64.b64encode(answer.signature).decode(),
        "source": {
            "market": view.genesis.market,
            "genesis_hash": view.genesis_hash.hex(),
            "bureau": query.bureau,
            "bureau_name": name,
            "time_ms": receipt.time_ms,
        },
        "height": decode_header(evidence.header.header).height,
        "evidence": base64.b64encode(encode_list(evidence)).decode(),
    }


@dataclass(frozen=True, slots=True)
class GovernmentData:
    """Verified data of an enterprise, with source and use."""

    data: Any
    number: int
    uses: int
    source: Mapping[str, Any]
    receipt: Receipt
    height: int


def check_response(
    view: ChainView,
    followed: Position,
    above: bytes,
    request: DataRequest,
    digest: bytes,
    credit_code: str,
    response: Mapping[str, Any],
) -> GovernmentData:
    """What a response proves to the consumer who made ``request`` with the authorisation of ``digest``. ``view`` is the
    publisher's chain, ``above`` the supervisory chain's genesis hash. Raises InvalidProof.
    """
    source, number = response["source"], response["number"]
    if (source["market"], source["genesis_hash"]) != (view.genesis.market, view.genesis_hash.hex()):
        raise InvalidProof("of another market than the publisher's", where="source", next_step=_NEXT)
    question = evidence_question(request.authorisation, number, source["bureau"])
    try:
        evidence = decode_list(base64.b64decode(response["evidence"], validate=True))
        parts = [base64.b64decode(response[name], validate=True) for name in ("receipt", "signature")]
    except (MalformedBytes, binascii.Error) as error:
        raise question.refuse(f"it cannot be read: {error}") from error
    header, values = prove_values(view, followed, question, evidence)
    if header.height != response["height"]:
        raise question.refuse(f"proven at height {header.height}, not as said")
    proven = _decoded(question, values)
    wanted = request.hash(above)
    if (proven.use.request, proven.use.consumer) != (wanted, request.consumer):
        raise question.refuse("the use on record is another request's")
    if proven.credential.digest != digest or proven.granted.uses != response["uses"]:
        raise question.refuse("the authorisation on record is another one")
    if number > proven.granted.used or proven.use.bureau != source["bureau"] or proven.use.receipt != sm3(parts[0]):
        raise question.refuse("the receipt is not the one on record")
    query = Query(
        wanted,
        source["bureau"],
        credit_code,
        request.items,
        request.purpose,
        request.authorisation,
        digest,
        request.holder,
        0,
    )
    answer = BureauAnswer(parts[0], parts[1], str(response["data"]).encode("utf-8"))
    receipt = check_answer(answer, query, view.genesis_hash, proven.bureau.key)
    if (source["time_ms"], source["bureau_name"]) != (receipt.time_ms, proven.bureau.name):
        raise question.refuse("the source mark is not the receipt's")
    return GovernmentData(_data(question, answer.data), number, proven.granted.uses, source, receipt, header.height)


def _decoded(question: ValuesQuestion, values: list[bytes | None]) -> Proven:
    credential, granted, use, bureau = values
    if credential is None or granted is None or use is None or bureau is None:
        raise question.refuse("a record is missing on chain")
    return Proven(decode_credential(credential), decode_granted(granted), decode_use(use), decode_bureau(bureau))


def _data(question: ValuesQuestion, raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise question.refuse(f"the data are no JSON: {error}") from error
