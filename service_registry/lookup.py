"""The proven holder-roll look-up (股东名册查询): what one market's host answers, and how another market verifies it
(docs/spec/service-registry.md §9).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.values import Value
from contracts.kernel.records import KERNEL, SECURITY
from crosschain.complete_lists import decode_list, encode_list
from crosschain.following import Position
from crosschain.proofs import HolderRoll, check_roll, fetch_roll
from service_registry.definition import HOLDER_ROLL, JSON_SCHEMA, USUAL
from service_registry.host import ServiceError

_ID = {"type": "string", "pattern": "^[0-9a-f]{32,32}$"}
REQUEST_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["security"],
    "additionalProperties": False,
    "properties": {"security": _ID},
}
RESPONSE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["genesis_hash", "security", "height", "evidence"],
    "additionalProperties": False,
    "properties": {
        "genesis_hash": {"type": "string", "pattern": "^[0-9a-f]{64,64}$"},
        "security": _ID,
        "height": {"type": "integer", "minimum": 1},
        "evidence": {"type": "string", "description": "base64 of header, certificate, values with proofs"},
    },
}


class Lookup:
    """Answers with rolls of one market's chain: asks its nodes, verifies, hands on what it verified."""

    def __init__(self, view: ChainView, addresses: list[str], security: ClientSecurity = PLAINTEXT) -> None:
        self._client = VerifyingClient(view, addresses, security)

    async def close(self) -> None:
        """End all connections."""
        await self._client.close()

    async def reach(self) -> None:
        """Raises when no node of the market answers."""
        await self._client.nodes[0].status()

    async def answer(self, request: Any) -> Any:
        """The roll of ``request["security"]``. Raises ServiceError UNKNOWN_SECURITY, NO_ANSWER."""
        security = bytes.fromhex(request["security"])
        view = self._client.view
        try:
            _, (record,) = await self._client.state([state_key(KERNEL, SECURITY + security)])
        except DualchainError as error:
            raise ServiceError("NO_ANSWER", f"no node of the market answered: {error.code}") from error
        if record is None:
            raise ServiceError("UNKNOWN_SECURITY", f"chain {view.genesis.chain_id} has no security {security.hex()}")
        try:
            evidence = await self._client.from_any(lambda node: fetch_roll(node, view, security))
        except DualchainError as error:
            raise ServiceError("NO_ANSWER", f"no node gave the roll whole: {error.code}") from error
        return {
            "genesis_hash": view.genesis_hash.hex(),
            "security": security.hex(),
            "height": check_roll(view, security, evidence).header.height,
            "evidence": base64.b64encode(encode_list(evidence)).decode("ascii"),
        }


def check_answer(view: ChainView, followed: Position, request: Mapping[str, Any], answer: Any) -> HolderRoll:
    """The roll that a response proves under the publisher's chain; InvalidProof for anything else.

    ``followed`` is what the supervisory chain knows of that chain: an answer may not be older.
    """
    if answer.get("genesis_hash") != view.genesis_hash.hex() or answer.get("security") != request.get("security"):
        raise InvalidProof("about another chain or security than asked", where="response", next_step=_NEXT)
    security = bytes.fromhex(str(request["security"]))
    try:
        evidence = decode_list(base64.b64decode(str(answer.get("evidence")), validate=True))
    except (MalformedBytes, binascii.Error) as error:
        raise InvalidProof(f"the evidence cannot be read: {error}", where="evidence", next_step=_NEXT) from error
    roll = check_roll(view, security, evidence, not_before_ms=followed.time_ms)
    if roll.header.height != answer.get("height"):
        raise InvalidProof("proven at another height than said", where="height", next_step=_NEXT)
    if roll.header.height < followed.height:
        raise InvalidProof(
            f"proven at height {roll.header.height}, the supervisory chain follows it to {followed.height}",
            where="height",
            next_step=_NEXT,
        )
    return roll


_NEXT = "do not use the answer; tell the publisher"


def roll_definition(endpoint: str, example_security: str, price_fen: int = 0) -> dict[str, Value]:
    """The definition of a holder-roll look-up at ``endpoint``; ``example_security``: 32 hexadecimal digits."""
    return {
        **USUAL,
        "name": "股东名册查询 proven holder-roll look-up",
        "description": "The whole holder roll of a security with proofs under a certified header of its chain.",
        "interface": {
            "kind": JSON_SCHEMA,
            "request": json.dumps(REQUEST_SCHEMA, ensure_ascii=False),
            "response": json.dumps(RESPONSE_SCHEMA, ensure_ascii=False),
            "descriptor": "",
        },
        "permissions": ["holder-roll:read"],
        "endpoints": [endpoint],
        "price_fen": price_fen,
        "proof": HOLDER_ROLL,
        "examples": [{"request": json.dumps({"security": example_security})}],
        "wrong_request": json.dumps({"security": "not a security"}),
    }
