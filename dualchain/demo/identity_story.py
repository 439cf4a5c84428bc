"""Step: DIDs of a market and investor codes that are the same in every market (art. 11; JR/T 0325, JR/T 0326)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import generate_private_key, signing_provider
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.codes.regions import REGIONS
from crosschain.channel_asking import new_request
from crosschain.channel_end import ANSWERED
from crosschain.channel_services import INVESTOR_CODE, code_answered
from crosschain.channel_state import decode_source, request_key, source_key
from crosschain.identity.digest import identity_digest
from crosschain.identity.records import did_key
from crosschain.packets import CHANNEL
from dualchain.demo.actors import Actor, Desk, StoryFault
from dualchain.demo.border import until
from dualchain.demo.evidence import EvidenceBook
from dualchain.demo.observe import prove

CATEGORY = "Q"
SALT = sm3(b"the demonstration's national salt")
"""In earnest it is given by the regulator to the markets' desks alone."""
DOCUMENT_TYPE, DOCUMENT = 1, "11010519491231002X"
"""The example number of GB 11643: the same person in both markets."""
UNITS = 10
"""For requests to the supervisory chain."""
_WITHIN_S, _PURPOSE = 600, "did-auth"


@dataclass(frozen=True, slots=True)
class Identified:
    """An investor with the code that the supervisory chain gave, and the DID that the market made of it."""

    code: str
    did: str


async def identify(desk: Desk, upper: Desk, investor: Actor) -> Identified:
    """Asks for the code by a proven packet, binds the proven answer, gives the investor a DID with his key."""
    operator = desk.genesis_actor("operator")
    number, code = await _ask(desk, upper, operator)
    key = signing_provider().sm2_public_key(generate_private_key())
    attach = Operation("accounts", "attach_key", {"purpose": _PURPOSE, "key": key})
    await desk.accepted([desk.sign("investor's did-auth key", investor, [attach])])
    did = f"did:rem:{REGIONS[desk.chain.label].label}:{code}"
    evidence = sm3(f"实名材料 {desk.chain.label}".encode())
    take = Operation("identities", "take_code", {"account": investor.account, "request": number})
    create = Operation("identities", "create", {"did": did, "account": investor.account, "evidence": evidence})
    await desk.accepted([desk.sign(f"code {code} bound, DID made", operator, [take, create])])
    await until(upper, [did_key(did)], lambda values: values[0] is not None, "the DID")
    return Identified(code, did)


async def _ask(desk: Desk, upper: Desk, operator: Actor) -> tuple[int, str]:
    """(request's number, the code) once the supervisory chain's answer is proven on the market's chain."""
    own, peer = desk.genesis_hash, upper.genesis_hash
    _, (raw,) = await desk.client.state([source_key(own, peer)])
    number = decode_source(raw).asked
    arguments: dict[str, Value] = {"category": CATEGORY, "identity": identity_digest(SALT, DOCUMENT_TYPE, DOCUMENT)}
    asked = new_request(INVESTOR_CODE, arguments, _WITHIN_S)
    grant = Operation(CHANNEL, "grant", {"account": operator.account, "units": UNITS})
    await desk.accepted([desk.sign("units for requests", operator, [grant])])
    await desk.accepted([desk.sign("investor code asked for", operator, [Operation(CHANNEL, "request", asked)])])
    key = request_key(own, peer, number)
    await until(desk, [key], lambda values: _record(values[0]).get("status") == ANSWERED, "the investor code")
    _, (raw,) = await desk.client.state([key])
    code = code_answered(_record(raw)["response"])
    if code is None:
        raise StoryFault("the answer holds no investor code", where=desk.chain.label)
    return number, code


def _record(raw: bytes | None) -> dict[str, Any]:
    return {} if raw is None else dict(decode_map(raw, "request"))


async def prove_did(desk: Desk, upper: Desk, book: EvidenceBook, did: str) -> None:
    """The DID's record, on the market's chain and on the supervisory one."""
    keys = [did_key(did)]
    await prove(desk, book, "identity", [lambda _: keys])
    await prove(upper, book, f"identity {desk.chain.label}", [lambda _: keys])
