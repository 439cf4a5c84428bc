"""Government data: given for an authorisation that holds, counted, proven; each that does not is refused by name."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.types.errors import InvalidProof
from crosschain.complete_lists import encode_list
from crosschain.identity.authorisation import document_digest
from crosschain.identity.data_uses import decode_granted, decode_use, encode
from crosschain.identity.records import decode_credential, did_key, encode_did
from crosschain.identity.suite import prove
from crosschain.proven_values import fetch_values
from service_registry import schemas
from service_registry.definition import encode_definition, read_definition
from service_registry.govdata.definition import REQUEST_SCHEMA, govdata_definition
from service_registry.govdata.evidence import evidence_question
from service_registry.govdata.parties import record_of, uses_of
from service_registry.govdata.receipts import Receipt
from service_registry.host import ServiceError
from tests.unit.crosschain.chains import Layers, account, op, private_key
from tests.unit.service_registry.govdata.office import (
    COMPANY,
    DATA,
    DAY_MS,
    HOLDER,
    Office,
    altered,
    office,
    write_state,
)

SCHEMA = json.dumps(REQUEST_SCHEMA)
FOREIGN = "did:rem:shanghai:SH000001F"
Case = Callable[[Office, dict[str, Any]], Awaitable[dict[str, Any]]]
Story = Callable[[Office], Awaitable[None]]


def told(layers: Layers, story: Story) -> None:
    async def main() -> None:
        async with office(layers) as made:
            await story(made)

    asyncio.run(main())


async def refused(house: Office, request: dict[str, Any], consumer: bytes = b"") -> str:
    with pytest.raises(ServiceError) as told:
        await house.ask(request, consumer)
    zh, _, en = told.value.what.partition(" / ")
    assert zh and en and any("\u4e00" <= letter <= "\u9fff" for letter in zh)
    return told.value.code


def test_data_by_authorisation_counted_and_proven(layers: Layers) -> None:
    async def story(house: Office) -> None:
        authorisation = await house.authorise()
        made, request = await house.request(authorisation, ("tax", "basic"))
        schemas.check(SCHEMA, request)
        response = await house.ask(request)
        found = house.check(made, authorisation, response)
        assert found.data == {"tax": DATA["tax"], "basic": DATA["basic"]}
        assert (found.number, found.uses, found.source["market"]) == (1, 2, "BJ")
        again = await house.ask(request)
        assert (again["number"], again["receipt"]) == (1, response["receipt"]), "one request is one use"
        assert house.check(made, authorisation, again).data == found.data
        _, second = await house.request(authorisation)
        assert (await house.ask(second))["number"] == 2
        _, third = await house.request(authorisation)
        height = layers.local.height
        assert await refused(house, third) == "USED_UP"
        assert layers.local.height == height, "refused before anything is sent"
        shown: Any = await uses_of(house.chain, authorisation["id"])
        assert (shown["used"], [row["state"] for row in shown["records"]]) == (2, ["settled", "settled"])
        assert len({query.request for query in house.bureau.asked}) == 2
        await altered_answers(house, made, authorisation, response)

    told(layers, story)


def test_a_holder_of_another_market_is_known_by_the_supervisory_chain(layers: Layers) -> None:
    async def story(house: Office) -> None:
        authorisation = await house.authorise(to=(FOREIGN,))
        own = await record_of(house.chain, HOLDER)
        write_state(house.layers.supervisory, did_key(FOREIGN), encode_did(replace(own, did=FOREIGN)))
        made, request = await house.request(authorisation, holder=FOREIGN)
        assert house.check(made, authorisation, await house.ask(request)).data == {"basic": DATA["basic"]}
        gone = replace(own, did=FOREIGN, active=False)
        write_state(house.layers.supervisory, did_key(FOREIGN), encode_did(gone))
        assert await refused(house, request) == "CREDENTIAL_ISSUER"

    told(layers, story)


async def altered_answers(house: Office, made: Any, authorisation: dict[str, Any], response: dict[str, Any]) -> None:
    """Whatever the publisher changes, the consumer sees."""
    source = response["source"]
    for field, value in (
        ("number", 2),
        ("uses", 3),
        ("data", response["data"].replace("A", "B")),
        ("height", response["height"] + 1),
        ("receipt", altered(response["receipt"])),
        ("signature", altered(response["signature"])),
        ("evidence", altered(response["evidence"])),
        ("source", {**source, "market": "SH"}),
        ("source", {**source, "bureau": "91310000564759688N"}),
        ("source", {**source, "bureau_name": "another"}),
        ("source", {**source, "time_ms": 1}),
    ):
        with pytest.raises(InvalidProof):
            house.check(made, authorisation, {**response, field: value})
    for other in (replace(made, reference=bytes(16)), replace(made, consumer=account("buyer"))):
        with pytest.raises(InvalidProof):
            house.check(other, authorisation, response)
    with pytest.raises(InvalidProof):
        house.check(made, {**authorisation, "id": "did:rem:beijing:VC000009"}, response)


def test_what_a_market_has_on_record_otherwise_is_seen_by_the_consumer(layers: Layers) -> None:
    """Its validators certify one use for two requests, another receipt, fewer uses: the proof holds, the answer not."""

    async def story(house: Office) -> None:
        authorisation = await house.authorise()
        made, request = await house.request(authorisation)
        response = await house.ask(request)
        question = evidence_question(authorisation["id"], 1, response["source"]["bureau"])
        _, raws = await house.chain.client.state(list(question.wanted))
        credential, granted, use = (raw or b"" for raw in raws[:3])
        on_record, count = decode_use(use), decode_granted(granted)
        for which, changed in (
            (2, encode(replace(on_record, request=bytes(32)))),
            (2, encode(replace(on_record, consumer=account("buyer")))),
            (2, encode(replace(on_record, receipt=bytes(32)))),
            (2, encode(replace(on_record, bureau="91310000564759688N"))),
            (1, encode(replace(count, used=0))),
            (1, encode(replace(count, uses=3))),
            (0, encode_value(replace(decode_credential(credential), digest=bytes(32)).payload())),
        ):
            write_state(house.layers.local, question.wanted[which], changed)
            evidence = await fetch_values(house.chain.client, question, not_below=house.layers.local.height)
            shown = {
                **response,
                "height": house.layers.local.height,
                "evidence": base64.b64encode(encode_list(evidence)).decode(),
            }
            with pytest.raises(InvalidProof):
                house.check(made, authorisation, shown)
            write_state(house.layers.local, question.wanted[which], raws[which] or b"")
        assert house.check(made, authorisation, await house.ask(request)).number == 1

    told(layers, story)


def test_the_definition_is_one_and_its_example_asks_for_the_source(layers: Layers) -> None:
    definition = read_definition(encode_definition(govdata_definition("127.0.0.1:1")))
    example = json.loads(definition.examples[0])
    schemas.check(SCHEMA, example)
    with pytest.raises(schemas.NotOfSchema):
        schemas.check(SCHEMA, json.loads(definition.wrong_request))

    async def story(house: Office) -> None:
        assert (await house.ask(example))["about"]["bureau_name"] == "政务数据局"

    told(layers, story)


# ---- every way in which an authorisation can be wrong


def by_hand(authorisation: dict[str, Any], by: str = "issuer assertion", **claims: Any) -> dict[str, Any]:
    """The credential with other claims, signed anew: only the check itself can refuse it."""
    document = json.loads(json.dumps(authorisation))
    proof = document.pop("proof")
    for name, value in claims.items():
        if name in document:
            document[name] = value
        else:
            document["credentialSubject"]["authorization"][name] = value
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    return prove(document, options, lambda message: signing_provider().sm2_sign(private_key(by), message))


async def shows(house: Office, document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A request with this credential; ``changes`` to the request before it is presented."""
    _, request = await house.request(document, changes.pop("items", ("basic",)), **changes)
    return request


async def stale(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    request = await shows(house, good)
    return {**request, "time_ms": request["time_ms"] - 300_001}


async def other_items(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    return {**await shows(house, good), "items": ["basic", "tax"]}


async def two_credentials(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    made, request = await house.request(good)
    return {**request, "presentation": await house.present(made, [good, good])}


async def another_presents(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    made, request = await house.request(good)
    return {**request, "presentation": await house.present(replace(made, holder=COMPANY), [good], who="company")}


def as_stranger(*, with_key: bool) -> Case:
    """Under a DID of another market, which the supervisory chain does not know; with its own key, or the holder's."""

    async def case(house: Office, good: dict[str, Any]) -> dict[str, Any]:
        request = await shows(house, good)
        shown = {**json.loads(request["presentation"]), "holder": FOREIGN}
        if with_key:
            shown["proof"]["verificationMethod"] = f"{FOREIGN}#keys-1"
        return {**request, "presentation": json.dumps(shown)}

    return case


def changed(**claims: Any) -> Case:
    async def case(house: Office, good: dict[str, Any]) -> dict[str, Any]:
        return await shows(house, by_hand(good, **claims))

    return case


def without_proof(part: str) -> Case:
    async def case(house: Office, good: dict[str, Any]) -> dict[str, Any]:
        request = await shows(house, good)
        return {**request, "presentation": request["presentation"].replace(part, part[:-1] + "x")}

    return case


WRONG: dict[str, tuple[Case, str]] = {
    "an old request": (stale, "STALE_REQUEST"),
    "no JSON": (lambda h, g: _with(h, g, presentation="{"), "CREDENTIAL_MALFORMED"),
    "nothing shown": (lambda h, g: _with(h, g, presentation="{}"), "NOT_ONE_AUTHORISATION"),
    "two shown": (two_credentials, "NOT_ONE_AUTHORISATION"),
    "other items than presented for": (other_items, "CREDENTIAL_NONCE"),
    "another reference than presented for": (lambda h, g: _with(h, g, reference="00" * 16), "CREDENTIAL_NONCE"),
    "presented by one who is not licensed": (another_presents, "NOT_LICENSED"),
    "presented by nobody known": (as_stranger(with_key=True), "CREDENTIAL_ISSUER"),
    "presented under another name": (as_stranger(with_key=False), "CREDENTIAL_KEY"),
    "an undefined claim": (lambda h, g: _undefined(h, g), "CREDENTIAL_CONTEXT"),
    "signed by another key": (lambda h, g: _forged(h, g), "CREDENTIAL_SIGNATURE"),
    "over": (changed(expirationDate="2020-01-01T00:00:00Z", issuanceDate="2019-01-01T00:00:00Z"), "CREDENTIAL_DATES"),
    "not on record": (changed(id="did:rem:beijing:VC000009"), "CREDENTIAL_STATUS"),
    "another kind": (changed(type=["VerifiableCredential", "CreditData"]), "NOT_ONE_AUTHORISATION"),
    "no uses said": (changed(uses=0), "NOT_ONE_AUTHORISATION"),
    "more uses than granted": (changed(uses=9), "NOT_ON_RECORD"),
    "a window that is over": (
        changed(startDate="2020-01-01T00:00:00Z", endDate="2020-01-02T00:00:00Z"),
        "OUTSIDE_WINDOW",
    ),
    "licensed to somebody else": (changed(lisensee=["did:rem:beijing:BJ000005F"]), "NOT_LICENSED"),
    "another item": (lambda h, g: shows(h, g, items=("court",)), "ITEM_NOT_AUTHORISED"),
    "another purpose": (lambda h, g: shows(h, g, purpose="营销"), "PURPOSE_DIFFERS"),
    "another's data": (lambda h, g: _about_another(h, g), "NOT_SELF_ISSUED"),
    "another text than on record": (changed(purpose="股权质押尽职调查 "), "PURPOSE_DIFFERS"),
    "a wider licence than on record": (changed(lisensee=[HOLDER, COMPANY]), "NOT_ON_RECORD"),
}


async def _with(house: Office, good: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**await shows(house, good), **changes}


async def _undefined(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    request = await shows(house, good)
    shown = json.loads(request["presentation"])
    return {**request, "presentation": json.dumps({**shown, "rating": "AAA"})}


async def _forged(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    return await shows(house, by_hand(good, by="holder assertion", uses=9))


async def _about_another(house: Office, good: dict[str, Any]) -> dict[str, Any]:
    subject = {**good["credentialSubject"], "id": HOLDER}
    return await shows(house, by_hand(good, credentialSubject=subject))


def test_every_wrong_authorisation_has_its_name_and_counts_nothing(layers: Layers) -> None:
    async def story(house: Office) -> None:
        good = await house.authorise()
        found = {name: await refused(house, await case(house, good)) for name, (case, _) in WRONG.items()}
        assert found == {name: code for name, (_, code) in WRONG.items()}
        request = await shows(house, good)
        assert await refused(house, request, account("buyer")) == "CREDENTIAL_NONCE", "another caller's presentation"
        assert house.bureau.asked == []
        assert (await uses_of(house.chain, good["id"]))["used"] == 0

    told(layers, story)


def test_what_the_chain_knows_better_than_the_credential(layers: Layers) -> None:
    async def story(house: Office) -> None:
        local = house.layers.local
        good = await house.authorise()
        request = await shows(house, good)
        other = await house.authorise(credit_code="91310104MA1FRNWW80")
        assert await refused(house, await shows(house, other)) == "OTHER_ENTERPRISE"
        ungranted = by_hand(good, id="did:rem:beijing:VC000077")
        on_record = {
            "credential": ungranted["id"],
            "issuer": COMPANY,
            "digest": document_digest(ungranted),
            "kind": "DataAuthorization",
            "subject": COMPANY,
            "valid_from_ms": local.time_ms,
            "expires_ms": local.time_ms + DAY_MS,
        }
        assert local.one("issuer", op("identities", "issue", **on_record)).code == 0
        assert await refused(house, await shows(house, ungranted)) == "NOT_GRANTED"
        house.ahead_ms = 120_001
        assert await refused(house, await shows(house, good)) == "NO_ANSWER"
        house.ahead_ms = 0
        assert local.one("issuer", op("identities", "revoke", credential=good["id"], evidence=sm3(b"why"))).code == 0
        assert await refused(house, request) == "REVOKED"
        assert house.bureau.asked == []

    told(layers, story)


def test_what_the_bureau_does_wrong_uses_one_use_and_the_same_request_goes_on(layers: Layers) -> None:
    async def story(house: Office) -> None:
        authorisation = await house.authorise()
        made, request = await house.request(authorisation)
        for unreachable, code in ((True, "BUREAU_UNREACHABLE"), (False, "BUREAU_REFUSED")):
            house.bureau.fails(unreachable)
            assert await refused(house, request) == code
        house.bureau.failing = None
        lies: list[Callable[[Receipt], Receipt]] = [
            lambda receipt: replace(receipt, request=bytes(32)),
            lambda receipt: replace(receipt, credit_code="91310104MA1FRNWW80"),
            lambda receipt: replace(receipt, items=("court",)),
            lambda receipt: replace(receipt, authorisation="did:rem:beijing:VC000001"),
            lambda receipt: replace(receipt, data_hash=bytes(32)),
        ]
        for lie in lies:
            house.bureau.lie = lie
            house.bureau.given.clear()
            assert await refused(house, request) == "BAD_RECEIPT"
        house.bureau.lie, house.bureau.key = (lambda receipt: receipt), "somebody"
        house.bureau.given.clear()
        assert await refused(house, request) == "BAD_RECEIPT"
        house.bureau.key = "bureau"
        house.bureau.given.clear()
        assert house.check(made, authorisation, await house.ask(request)).number == 1
        house.bureau.given.clear()
        house.bureau.lie = lambda receipt: replace(receipt, time_ms=receipt.time_ms + 1)
        assert await refused(house, request) == "BAD_RECEIPT", "one request has one receipt"
        assert (await uses_of(house.chain, authorisation["id"]))["used"] == 1

    told(layers, story)


def test_a_host_that_died_in_between_counts_once(layers: Layers) -> None:
    """Killed after the use was begun: another host finds it; two hosts at once count it once."""

    async def story(house: Office) -> None:
        authorisation = await house.authorise()
        made, request = await house.request(authorisation)
        house.bureau.failing = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            await house.ask(request)
        house.bureau.failing = None
        answers = await asyncio.gather(house.ask(request), house.ask(request), return_exceptions=True)
        good = [one for one in answers if not isinstance(one, BaseException)]
        assert good and {one["number"] for one in good} == {1}
        assert house.check(made, authorisation, good[0]).number == 1
        assert (await uses_of(house.chain, authorisation["id"]))["used"] == 1

    told(layers, story)
