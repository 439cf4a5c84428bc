"""The enterprise's and the consumer's side: authorise, present, ask, look (docs/spec/government-data.md §1, §3, §6)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from chain_core.crypto.providers import signing_provider
from chain_core.network.refusals import NotFound
from chain_core.node import render
from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation
from contracts.codes.regions import REGIONS
from crosschain.identity.authorisation import DataRequest, claim, document_bytes, document_digest, nonce_of
from crosschain.identity.canonical import NotSignable
from crosschain.identity.credentials import issue, present
from crosschain.identity.data_uses import GOVDATA, decode_granted, decode_use, grant_place, use_place
from crosschain.identity.did import PREFIX, NoDid
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, DidRecord, date_time
from crosschain.identity.records import (
    DATA_AUTHORIZATION,
    IDENTITIES,
    credential_place,
    decode_credential,
    decode_did,
    did_place,
)
from service_registry.chain import Account, RegistryChain, wall_clock_ms
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.govdata.evidence import GovernmentData, check_response

CLOCKS_MS = 5_000
"""How much later than the host's the consumer's clock may be."""
STATUS_URL = "https://resolver.{label}.rem/status/"


@dataclass(frozen=True, slots=True)
class Granting:
    """What an enterprise authorises; times in milliseconds since the epoch."""

    to: Sequence[str]
    items: Sequence[str]
    purpose: str
    uses: int
    from_ms: int
    until_ms: int
    enterprise: str
    credit_code: str


async def record_of(chain: RegistryChain, did: str) -> DidRecord:
    """The DID's proven record on this chain. Raises NotFound."""
    place = (IDENTITIES, did_place(did))
    raw = (await chain.values([place]))[place]
    if raw is None:
        raise NotFound(f"no DID {did} is on record", where="identities", next_step="have the market create it")
    return decode_did(raw)


def key_in(record: DidRecord, key: bytes, purpose: str) -> DidKey:
    """Which of the record's keys this is. Raises NotFound when none in force."""
    for one in record.keys:
        if one.key == key and one.purpose == purpose and not one.until_ms:
            return one
    raise NotFound(
        f"the key is no {purpose} key in force of {record.did}",
        where="identities",
        next_step="attach it to the account and have the DID updated",
    )


async def authorise(
    chain: RegistryChain, who: Account, did: str, assertion: KeyPair, granting: Granting
) -> tuple[bytes, render.Row]:
    """Issues the credential and puts it and its uses on record, in one transaction: its bytes, and what to show.

    Raises MalformedBytes for what §1 does not allow, RefusedByChain.
    """
    record = await record_of(chain, did)
    label = REGIONS[chain.client.view.genesis.market].label
    credential = f"{PREFIX}{label}:VC{10**17 + secrets.randbelow(9 * 10**17)}"
    key = key_in(record, assertion.public, ASSERTION)
    begin = granting.from_ms // 1_000 * 1_000  # dates have no milliseconds
    try:
        subject = claim(
            did,
            granting.to,
            granting.items,
            purpose=granting.purpose,
            uses=granting.uses,
            from_ms=begin,
            until_ms=granting.until_ms,
            enterprise=granting.enterprise,
            credit_code=granting.credit_code,
        )
        document = issue(
            credential,
            DATA_AUTHORIZATION,
            record,
            key,
            [subject],
            from_ms=max(begin, _second_after(key.from_ms)),
            until_ms=granting.until_ms,
            status_url=STATUS_URL.format(label=label) + credential,
            sign=lambda message: signing_provider().sm2_sign(assertion.private, message),
        )
    except (ValueError, NoDid, NotSignable) as error:
        raise MalformedBytes(
            str(error), where="authorisation", next_step="see docs/spec/government-data.md §1"
        ) from error
    on_record = {
        "credential": credential,
        "issuer": did,
        "digest": document_digest(document),
        "kind": DATA_AUTHORIZATION,
        "subject": did,
        "valid_from_ms": begin,
        "expires_ms": granting.until_ms,
    }
    done = await chain.submit(
        who,
        [
            Operation(IDENTITIES, "issue", cast(Any, on_record)),
            Operation(GOVDATA, "authorise", {"credential": credential, "uses": granting.uses}),
        ],
    )
    row: render.Row = {"credential": credential, "uses": granting.uses, "until": date_time(granting.until_ms)}
    return document_bytes(document), row | {"height": done.header.height, "final": True}


def _second_after(time_ms: int) -> int:
    return -(-time_ms // 1_000) * 1_000


@dataclass(frozen=True, slots=True)
class Asking:
    """A consumer: registry user ``consumer`` of ``account``, as the holder ``did`` with its did-auth key."""

    above: RegistryChain
    consumer: Consumer
    account: bytes
    did: str
    key: KeyPair
    clock: Callable[[], int] = wall_clock_ms

    async def request(
        self, service: bytes, authorisation: Mapping[str, Any], items: Sequence[str], purpose: str
    ) -> tuple[DataRequest, bytes]:
        """A request and its JSON text, with the presentation that only this request can carry."""
        record = await record_of(self.above, self.did)
        key = key_in(record, self.key.public, AUTHENTICATION)
        now_ms = self.clock()
        made = DataRequest(
            service,
            self.account,
            self.did,
            str(authorisation.get("id")),
            tuple(items),
            purpose,
            secrets.token_bytes(16),
            now_ms,
        )
        try:
            shown = present(
                record,
                key,
                [authorisation],
                now_ms=max(now_ms - CLOCKS_MS, _second_after(key.from_ms)),
                nonce=nonce_of(made.hash(self.above.genesis_hash)),
                sign=lambda message: signing_provider().sm2_sign(self.key.private, message),
            )
        except NotSignable as error:
            raise MalformedBytes(str(error), where="authorisation", next_step="name the enterprise's file") from error
        body = {
            "presentation": json.dumps(shown, ensure_ascii=False),
            "items": list(items),
            "purpose": purpose,
            "reference": made.reference.hex(),
            "time_ms": now_ms,
        }
        return made, json.dumps(body, ensure_ascii=False).encode("utf-8")

    async def ask(
        self, service: bytes, authorisation: Mapping[str, Any], items: Sequence[str], purpose: str
    ) -> GovernmentData:
        """The data, verified. Raises ServiceAnsweredError with a code of §4, the gateway's refusals, InvalidProof."""
        credit_code_of(authorisation)
        made, raw = await self.request(service, authorisation, items, purpose)
        answered = await self.consumer.call(service, raw)
        found = await self.above.service(service)
        view, followed = await self.above.market_chain(found.chain)
        return check_response(
            view,
            followed,
            self.above.genesis_hash,
            made,
            document_digest(authorisation),
            credit_code_of(authorisation),
            answered.value,
        )


def credit_code_of(authorisation: Mapping[str, Any]) -> str:
    """Of the enterprise whose authorisation this is. Raises MalformedBytes for a document that is none."""
    found: Any = authorisation
    for name in ("credentialSubject", "authorization", "entityInfo", "enterpriseUSCI"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if not isinstance(found, str):
        raise MalformedBytes(
            "it is no data authorisation", where="authorisation", next_step="name the file that the enterprise made"
        )
    return found


async def uses_of(chain: RegistryChain, credential: str) -> render.Row:
    """A credential with its uses as the chain has them, proven. Raises NotFound."""
    places = [(IDENTITIES, credential_place(credential)), (GOVDATA, grant_place(credential))]
    values = await chain.values(places)
    raw, grant = (values[place] for place in places)
    if raw is None or grant is None:
        raise NotFound(f"no authorisation {credential} is on record", where=GOVDATA, next_step="authorise it first")
    record, granted = decode_credential(raw), decode_granted(grant)
    keys = [(GOVDATA, use_place(credential, number)) for number in range(1, granted.used + 1)]
    found = await chain.values(keys)
    uses = [decode_use(found[key] or b"") for key in keys]
    return {
        "credential": credential,
        "enterprise": record.issuer,
        "status": record.status,
        "until": date_time(record.expires_ms),
        "uses": granted.uses,
        "used": granted.used,
        "records": [
            {
                "number": number,
                "request": use.request.hex(),
                "consumer": use.consumer.hex(),
                "at": date_time(use.begun_ms),
                "state": "settled" if use.settled else "begun",
                "bureau": use.bureau,
                "receipt": use.receipt.hex(),
            }
            for number, use in enumerate(uses, 1)
        ],
    }
