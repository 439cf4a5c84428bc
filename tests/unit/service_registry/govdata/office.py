"""A market with an enterprise that authorises, a bureau in memory, and a consumer with a DID, on real chains behind
real node APIs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from chain_core.codec import signed
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.node.chain_view import ChainView
from chain_core.types.transaction import Operation
from crosschain.identity.authorisation import DataRequest, document_bytes, document_digest, nonce_of
from crosschain.identity.credentials import present
from crosschain.identity.data_uses import Bureau, bureau_place, encode, full_key
from crosschain.identity.document import ASSERTION, AUTHENTICATION
from local_chain.assembly import local_assembly
from service_registry import schemas
from service_registry.bodies import Call
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.config import KeyPair
from service_registry.govdata import parties
from service_registry.govdata.bureau import BureauRefused, BureauUnreachable
from service_registry.govdata.channel import Bounds, Channel
from service_registry.govdata.definition import RESPONSE_SCHEMA
from service_registry.govdata.evidence import GovernmentData, check_response
from service_registry.govdata.parties import Asking, Granting
from service_registry.govdata.receipts import RECEIPT, BureauAnswer, Query, Receipt
from service_registry.host import ANSWERING
from supervisory_chain.assembly import supervisory_assembly
from tests.integration.served_chain import ServedNode
from tests.unit.crosschain.chains import Chain, Layers, account, op, private_key, public_key

BUREAU = "91310104MA1FRNWW80"
CREDIT_CODE = "91310000564759688N"
COMPANY = f"did:rem:beijing:{CREDIT_CODE}"
HOLDER = "did:rem:beijing:BJ000002F"
DAY_MS = 86_400_000
SERVICE = bytes(range(16))
DATA = {"basic": {"name": "示例公司", "since": "2015-03-01"}, "tax": {"grade": "A"}, "court": []}
GRANTING = Granting((HOLDER,), ("basic", "tax"), "股权质押尽职调查", 2, 0, 0, "示例公司", CREDIT_CODE)


def sign(name: str) -> Callable[[bytes], bytes]:
    return lambda message: signing_provider().sm2_sign(private_key(name), message)


@dataclass
class MemoryBureau:
    """``lie`` alters a receipt before it is signed; ``failing`` is raised instead of an answer."""

    chain: bytes
    asked: list[Query] = field(default_factory=list)
    failing: BaseException | None = None
    lie: Callable[[Receipt], Receipt] = lambda receipt: receipt
    key: str = "bureau"
    given: dict[bytes, BureauAnswer] = field(default_factory=dict)

    async def ask(self, query: Query) -> BureauAnswer:
        self.asked.append(query)
        if self.failing is not None:
            raise self.failing
        if query.request not in self.given:
            data = json.dumps({item: DATA[item] for item in query.items}, ensure_ascii=False).encode()
            made = Receipt(
                query.request,
                query.bureau,
                query.credit_code,
                query.items,
                query.authorisation,
                sm3(data),
                query.time_ms,
            )
            raw = self.lie(made).encode()
            answer = BureauAnswer(raw, sign(self.key)(signed.message(RECEIPT, self.chain, raw)), data)
            self.given[query.request] = answer
        return self.given[query.request]

    def fails(self, unreachable: bool) -> None:
        kind = BureauUnreachable if unreachable else BureauRefused
        self.failing = kind("no", where="bureau", next_step="")


@dataclass
class Office:
    """Everybody around one channel."""

    layers: Layers
    chain: RegistryChain
    above: RegistryChain
    bureau: MemoryBureau
    channel: Channel
    ahead_ms: int = 0

    def now_ms(self) -> int:
        return self.layers.local.time_ms + self.ahead_ms

    # ---- the enterprise

    async def authorise(self, **changes: Any) -> dict[str, Any]:
        """The credential on record, its uses granted, unless ``changes`` are refused."""
        now_ms = self.layers.local.time_ms
        granting = replace(GRANTING, **{"from_ms": now_ms, "until_ms": now_ms + DAY_MS, **changes})
        who = Account(account("issuer"), private_key("issuer"), public_key("issuer"))
        document, _ = await parties.authorise(self.chain, who, COMPANY, pair("issuer assertion"), granting)
        found: dict[str, Any] = json.loads(document)
        assert document_bytes(found) == document
        self.layers.local.block()
        return found

    # ---- the consumer

    async def request(
        self,
        authorisation: dict[str, Any],
        items: tuple[str, ...] = ("basic",),
        purpose: str = GRANTING.purpose,
        holder: str = HOLDER,
    ) -> tuple[DataRequest, dict[str, Any]]:
        """``holder``: of this market, or one that the supervisory chain knows."""
        own: Any = Above(self.chain, self.above.genesis_hash) if holder == HOLDER else self.above
        nobody: Any = None
        asking = Asking(own, nobody, account("consumer"), holder, pair("holder auth"), self.now_ms)
        made, raw = await asking.request(SERVICE, authorisation, items, purpose)
        return made, json.loads(raw)

    async def ask(self, request: dict[str, Any], consumer: bytes = b"") -> dict[str, Any]:
        """The channel's answer, of its schema."""
        ANSWERING.set(Call(SERVICE, 1, consumer or account("consumer"), 1, self.now_ms(), bytes(32)))
        response: dict[str, Any] = await self.channel.answer(request)
        schemas.check(json.dumps(RESPONSE_SCHEMA), response)
        return response

    async def present(
        self, request: DataRequest, credentials: list[dict[str, Any]], nonce: str = "", who: str = "holder"
    ) -> str:
        """A presentation by hand."""
        did, name = (HOLDER, "holder auth") if who == "holder" else (COMPANY, "issuer auth")
        record = await parties.record_of(self.chain, did)
        shown = present(
            record,
            parties.key_in(record, pair(name).public, AUTHENTICATION),
            credentials,
            now_ms=self.now_ms(),
            nonce=nonce or nonce_of(request.hash(self.above.genesis_hash)),
            sign=sign(name),
        )
        return json.dumps(shown, ensure_ascii=False)

    def check(self, made: DataRequest, authorisation: dict[str, Any], response: dict[str, Any]) -> GovernmentData:
        """As the consumer does."""
        from crosschain.following import Position

        view = ChainView(self.layers.local.genesis_bytes)
        digest = document_digest(authorisation)
        return check_response(view, Position(), self.above.genesis_hash, made, digest, CREDIT_CODE, response)


class Above:
    """The market's own records under the supervisory chain's name: the holder of these tests is of this market."""

    def __init__(self, chain: RegistryChain, genesis_hash: bytes) -> None:
        self.values, self.genesis_hash = chain.values, genesis_hash


def pair(name: str) -> KeyPair:
    return KeyPair.of(private_key(name))


def people(local: Chain) -> None:
    """Keys that really sign, DIDs, and the bureau on record."""
    for name in ("operator", "issuer"):
        assert local.one(name, attach("transaction", name)).code == 0
    for name in ("issuer", "holder"):
        assert local.one(name, attach(AUTHENTICATION, f"{name} auth")).code == 0
        assert local.one(name, attach(ASSERTION, f"{name} assertion")).code == 0
    for did, who in ((COMPANY, "issuer"), (HOLDER, "holder")):
        made = op("identities", "create", did=did, account=account(who), evidence=sm3(b"material"))
        assert local.one("operator", made).code == 0


def attach(purpose: str, name: str) -> Operation:
    return op("accounts", "attach_key", purpose=purpose, key=public_key(name))


def name_bureau(local: Chain, key: str = "bureau") -> None:
    """Written as two houses would have it: the harness signs for one account alone."""
    write_state(local, full_key(bureau_place(BUREAU)), encode(Bureau("政务数据局", public_key(key), 1)))


def write_state(chain: Chain, place: bytes, value: bytes) -> None:
    """A block after which the chain has this value, by whatever way it came."""
    genuine = chain.executor.execute

    def execute(*args: Any, **kwargs: Any) -> Any:
        result = genuine(*args, **kwargs)
        result.writes[place] = value
        return result

    chain.executor.execute = execute  # type: ignore[method-assign]
    chain.block()
    chain.executor.execute = genuine  # type: ignore[method-assign]


@asynccontextmanager
async def office(layers: Layers) -> AsyncIterator[Office]:
    local, upper = layers.local, layers.supervisory
    local.time_ms = upper.time_ms = wall_clock_ms()
    people(local)
    name_bureau(local)
    upper.block()
    nodes = [ServedNode(local, local_assembly(local.genesis)), ServedNode(upper, supervisory_assembly(upper.genesis))]
    for node in nodes:
        await node.start()
    chain = RegistryChain(ChainView(local.genesis_bytes), [nodes[0].address])
    above = RegistryChain(ChainView(upper.genesis_bytes), [nodes[1].address])
    bureau = MemoryBureau(local.hash)
    operator = Account(account("operator"), private_key("operator"), public_key("operator"))
    made: Office | None = None

    def now_ms() -> int:
        assert made is not None
        return made.now_ms()

    channel = Channel(chain, above, operator, bureau, BUREAU, Bounds(now_ms))
    made = Office(layers, chain, above, bureau, channel)
    try:
        yield made
    finally:
        await chain.close()
        await above.close()
        for node in nodes:
            await node.stop()


def altered(text: str) -> str:
    """Base64 of the same bytes with one changed."""
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(bytes(raw)).decode()
