"""The service ``deposit/v1``: a market's host deposits for others on its chain, and what it answers is verified offline
(docs/spec/agreements.md §6).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from chain_core.codec.block import decode_header
from chain_core.codec.signed import derive_id
from chain_core.crypto.hashing import sm3
from chain_core.node.chain_view import ChainView
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.agreements.records import AGREEMENTS, KINDS, Deposit, decode_deposit, deposit_key, deposit_place
from crosschain.complete_lists import decode_list, encode_list
from crosschain.following import Position
from crosschain.proven_values import ValuesQuestion, fetch_values, prove_values
from service_registry.chain import Account, RefusedByChain, RegistryChain
from service_registry.definition import JSON_SCHEMA, MAX_DEADLINE_MS, USUAL
from service_registry.host import ANSWERING, ServiceError

EXISTS = "agreements.exists"
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64,64}$"}
_ID = {"type": "string", "pattern": "^[0-9a-f]{32,32}$"}
REQUEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["reference", "kind", "commitment"],
    "additionalProperties": False,
    "properties": {"reference": _ID, "kind": {"enum": list(KINDS)}, "commitment": _HASH},
}
RESPONSE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["genesis_hash", "deposit", "time_ms", "height", "evidence"],
    "additionalProperties": False,
    "properties": {
        "genesis_hash": _HASH,
        "deposit": _ID,
        "time_ms": {"type": "integer", "minimum": 1},
        "height": {"type": "integer", "minimum": 1},
        "evidence": {"type": "string", "description": "base64 of header, certificate, value with proof"},
    },
}


def deposit_definition(endpoint: str, price_fen: int = 0) -> dict[str, Value]:
    """The definition of a deposit service at ``endpoint``. Its example is a deposit of nothing, by the tester."""
    example = {"reference": "0" * 32, "kind": "other", "commitment": "0" * 64}
    return {
        **USUAL,
        "name": "存证 evidence deposit",
        "description": "A document's commitment on this market's chain, with a proof that is verified offline.",
        "interface": {
            "kind": JSON_SCHEMA,
            "request": json.dumps(REQUEST_SCHEMA, ensure_ascii=False),
            "response": json.dumps(RESPONSE_SCHEMA, ensure_ascii=False),
            "descriptor": "",
        },
        "permissions": ["deposit:make"],
        "endpoints": [endpoint],
        "price_fen": price_fen,
        "sla": {"deadline_ms": MAX_DEADLINE_MS, "available_permille": 0},
        "examples": [{"request": json.dumps(example)}],
        "wrong_request": json.dumps({"reference": "none"}),
    }


def own_reference(consumer: bytes, reference: str) -> str:
    """The operator's reference for a consumer's: nobody finds another's deposit."""
    return sm3(consumer + bytes.fromhex(reference))[:16].hex()


def _question(identity: bytes) -> ValuesQuestion:
    return ValuesQuestion(f"deposit {identity.hex()}", (deposit_key(identity),))


class DepositService:
    """Answers requests. ``chain`` is the market's own, ``operator`` who deposits there."""

    def __init__(self, chain: RegistryChain, operator: Account) -> None:
        self._chain, self._operator = chain, operator

    async def answer(self, request: Any) -> Any:
        """The response. Raises ServiceError TAKEN, NOT_DEPOSITED, NO_ANSWER."""
        consumer, commitment = ANSWERING.get().consumer, bytes.fromhex(request["commitment"])
        reference = own_reference(consumer, request["reference"])
        identity = derive_id(self._chain.genesis_hash, "deposit", self._operator.account, reference)
        args: dict[str, Value] = {
            "reference": reference,
            "kind": request["kind"],
            "commitment": commitment,
            "depositor": consumer,
        }
        try:
            height = await self._deposit(identity, args)
            evidence = await fetch_values(self._chain.client, _question(identity), not_below=height)
        except RefusedByChain as refused:
            raise ServiceError("NOT_DEPOSITED", refused.what) from refused
        except DualchainError as error:
            raise ServiceError("NO_ANSWER", f"未能取得链上证明，请用同一编号重试 / not proven: {error}") from error
        found = decode_deposit(evidence.items[0].value or b"")
        if (found.commitment, found.kind, found.depositor) != (commitment, request["kind"], consumer):
            raise ServiceError("TAKEN", "该编号已用于其他文件 / the reference stands for another document")
        return {
            "genesis_hash": self._chain.genesis_hash.hex(),
            "deposit": identity.hex(),
            "time_ms": found.time_ms,
            "height": decode_header(evidence.header.header).height,
            "evidence": base64.b64encode(encode_list(evidence)).decode("ascii"),
        }

    async def _deposit(self, identity: bytes, args: dict[str, Value]) -> int:
        """From which height on it is there; 0 when it was before. Raises what submitting raises."""
        place = (AGREEMENTS, deposit_place(identity))
        if (await self._chain.values([place]))[place] is not None:
            return 0
        try:
            done = await self._chain.submit(self._operator, [Operation(AGREEMENTS, "deposit", args)])
        except RefusedByChain as refused:
            if refused.rule != EXISTS:
                raise
            await self._chain.values_when([place], lambda values: values[place] is not None)
            return 0
        return done.header.height


def check_deposit(
    view: ChainView, followed: Position, consumer: bytes, request: Mapping[str, Any], response: Mapping[str, Any]
) -> Deposit:
    """The deposit that a response proves on the chain of ``view``, offline. Raises InvalidProof."""
    identity = bytes.fromhex(str(response["deposit"]))
    question = _question(identity)
    if response["genesis_hash"] != view.genesis_hash.hex():
        raise question.refuse("on another chain than the publisher's")
    try:
        evidence = decode_list(base64.b64decode(str(response["evidence"]), validate=True))
    except (MalformedBytes, binascii.Error) as error:
        raise InvalidProof(f"the evidence cannot be read: {error}", where=question.what) from error
    header, (raw,) = prove_values(view, followed, question, evidence)
    if raw is None:
        raise question.refuse("the chain has no such deposit")
    found = decode_deposit(raw)
    reference = own_reference(consumer, request["reference"])
    if derive_id(view.genesis_hash, "deposit", found.owner, reference) != identity:
        raise question.refuse("under another reference than asked")
    if (found.depositor, found.commitment.hex(), found.kind) != (consumer, request["commitment"], request["kind"]):
        raise question.refuse("of another document, kind or depositor")
    if (found.time_ms, header.height) != (response["time_ms"], response["height"]):
        raise question.refuse("not of the time or height that is said")
    return found
