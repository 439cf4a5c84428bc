"""Once the regulator has named authorities, nobody is called or served without a certificate of one of them."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.x509.authority import Authority, Wish, create_root
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.crypto.x509.issue import Kind
from chain_core.crypto.x509.names import Subject
from chain_core.execution.codes import Code
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from service_registry import source_marks
from service_registry.admission import authorise, identify
from service_registry.bodies import Reply
from service_registry.calls import NotAuthorised, sign_reply
from service_registry.config import KeyPair
from service_registry.consumer import Answered, Consumer, _publisher_key
from service_registry.offers import decode_offer, offer_bytes, offer_message, offer_values
from service_registry.records import SERVICES, offer_key
from tests.unit.execution.world import GENESIS_HASH, START_MS, account
from tests.unit.service_registry.house import (
    PEOPLE,
    RESPONSE,
    SERVICE,
    House,
    assertion_key,
    private,
    refused,
)
from tests.unit.service_registry.stage import HouseChain, Stage

DAY_MS = 86_400_000


@dataclass
class World:
    """A service in use, two authorities; everybody's certificate is of the first one."""

    house: House
    own: Authority
    other: Authority

    def certificate(self, who: str, authority: Authority | None = None, **changes: Any) -> bytes:
        told = {"days": 30, "entity": PEOPLE[who][0], "key": assertion_key(who), **changes}
        wish = Wish(Kind.SIGNING, Subject(who, told["entity"]), told["key"], told["days"])
        (made,) = (authority or self.own).issue_all([wish], START_MS)
        return made.der

    def upload(self, who: str, *path: bytes) -> Receipt:
        return self.house.do(
            who, "upload_certificate", key=assertion_key(who), certificate=sm3(path[0]), path=list(path)
        )

    def name(self, *authorities: Authority) -> None:
        for officer in ("csrc-1", "csrc-2"):
            certificates: list[Value] = [one.certificate.der for one in authorities]
            self.house.ok(officer, "name_authorities", certificates=certificates)

    def judge(self) -> None:
        """As gateway and publisher's host judge a call of the consumer's."""
        _, signed = self.house.call("consumer")
        chain = HouseChain(self.house)
        authorise(asyncio.run(identify(chain, signed, self.house.world.time_ms)))


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    folder = tmp_path_factory.mktemp("authorities")
    one, other = (
        create_root(folder / name, Subject(name, name), days=3_650, now_ms=START_MS, path_length=1, passphrase=None)
        for name in ("one", "other")
    )
    return one, other


@pytest.fixture(scope="module")
def confirmed() -> House:
    house = House.begin()
    house.confirmed()
    return house


@pytest.fixture
def world(confirmed: House, authorities: tuple[Authority, Authority]) -> World:
    made = World(confirmed.branch(), *authorities)
    for who in ("publisher", "consumer", "tester"):
        assert made.upload(who, made.certificate(who)).code == Code.OK
    return made


def test_two_officers_name_the_authorities(world: World) -> None:
    one: list[Value] = [world.own.certificate.der]
    world.house.ok("csrc-1", "name_authorities", certificates=one)
    world.house.ok("csrc-1", "name_authorities", certificates=one)
    world.house.ok("csrc-2", "name_authorities", certificates=[world.other.certificate.der])
    world.upload("consumer", world.certificate("consumer", world.other))
    world.judge()
    assert world.house.do("publisher", "name_authorities", certificates=one).code == Code.FORBIDDEN
    world.name(world.own)
    with pytest.raises(NotAuthorised, match="CERTIFICATE_REFUSED"):
        world.judge()
    world.name()
    world.judge()


def test_certificates_of_a_named_authority(world: World) -> None:
    world.name(world.other, world.own)
    world.judge()


CASES: dict[str, tuple[str, dict[str, Any], str]] = {
    "of another authority": ("other", {}, "UNTRUSTED"),
    "of another key": ("own", {"key": assertion_key("nobody")}, "not of the trusted key"),
    "of another legal entity": ("own", {"entity": "Somebody"}, "the certificate is of Somebody"),
}


@pytest.mark.parametrize("who", ["consumer", "publisher"])
@pytest.mark.parametrize("case", CASES)
def test_certificates_that_do_not_count(world: World, case: str, who: str) -> None:
    world.name(world.own)
    authority, changes, told = CASES[case]
    world.upload(who, world.certificate(who, getattr(world, authority), **changes))
    with pytest.raises(NotAuthorised, match=told) as refusal:
        world.judge()
    assert account(who).hex() in refusal.value.where


def test_a_certificate_that_has_ended(world: World) -> None:
    world.name(world.own)
    world.house.world.time_ms += 31 * DAY_MS
    with pytest.raises(NotAuthorised, match="EXPIRED"):
        world.judge()


def test_the_refusal_is_recorded() -> None:
    """By the gateway, as every refusal of a known caller."""

    async def main() -> None:
        async with Stage() as stage:
            house = stage.house
            house.confirmed(endpoints=[stage.endpoint])
            for officer in ("csrc-1", "csrc-2"):
                house.ok(officer, "name_authorities", certificates=[b"of somebody"])
            address, key = await stage.serve(), KeyPair.of(private("consumer"))
            consumer = Consumer(stage.chain, address, account("consumer"), key, stage.clock)
            with pytest.raises(DualchainError, match="CERTIFICATE_REFUSED"):
                await consumer.ask(SERVICE, b'{"question":1}')
            await consumer.close()
            assert (house.log("consumer").calls, house.log("consumer").failures) == (1, 1)
            assert stage.asked == 0

    asyncio.run(main())


def test_the_consumer_believes_no_uncertified_publisher(world: World) -> None:
    world.name(world.own)
    world.upload("publisher", world.certificate("publisher", world.other))
    facts = asyncio.run(HouseChain(world.house).facts(SERVICE, 1, account("consumer")))
    with pytest.raises(CertificateRefused):
        _publisher_key(facts, world.house.service, START_MS)


def test_uploading(world: World) -> None:
    der = world.certificate("consumer")
    args: dict[str, Value] = {"key": assertion_key("consumer"), "certificate": bytes(32), "path": [der]}
    assert refused(world.house.do("consumer", "upload_certificate", **args))[0] == "services.certificate_differs"
    plain: dict[str, Value] = {"key": assertion_key("consumer"), "certificate": bytes(32)}
    world.house.ok("consumer", "upload_certificate", **plain)
    world.name(world.own)
    assert refused(world.house.do("consumer", "upload_certificate", **plain))[0] == "services.no_path"
    with pytest.raises(NotAuthorised, match="no certificate was uploaded"):
        world.judge()
    for path in ([], [der] * 5, [b"x" * 4_097]):
        receipt = world.house.do("consumer", "upload_certificate", **{**plain, "path": cast(list[Value], path)})
        assert receipt.code == Code.BAD_ARGUMENTS


# ---- offers and received data


def mark(house: House, who: str = "publisher") -> bytes:
    raw = house.world.state[state_key(SERVICES, b"d" + SERVICE + house.service.draft.to_bytes(4, "big"))]
    offer = offer_bytes(SERVICE, house.service, house.service.draft, sm3(raw))
    return signing_provider().sm2_sign(private(who), offer_message(GENESIS_HASH, offer))


@pytest.fixture
def marked(world: World) -> World:
    """Authorities named; a second version registered with its source mark."""
    world.name(world.own)
    definition = {**_definition(world.house), "price_fen": 7}
    world.house.ok("publisher", "change", service=SERVICE, definition=definition)
    world.house.test()
    return world


def _definition(house: House) -> dict[str, Value]:
    return dict(decode_map(house.world.state[state_key(SERVICES, b"d" + SERVICE + (1).to_bytes(4, "big"))]))


def test_an_offer_is_signed_by_the_publishers_certified_key(marked: World) -> None:
    house = marked.house
    assert refused(house.do("publisher", "register", service=SERVICE)) == ("services.not_marked", (2,))
    wrong = house.do("publisher", "register", service=SERVICE, signature=mark(house, "consumer"))
    assert refused(wrong)[0] == "services.offer_signature"
    house.ok("publisher", "register", service=SERVICE, signature=mark(house))
    offer = decode_offer(house.world.state[state_key(SERVICES, offer_key(SERVICE, 2))])
    said = offer_values(offer.offer)
    assert (said["version"], said["market"], said["entity"]) == (2, "BJ", "Beijing market")
    assert offer.key == assertion_key("publisher")


def answered(house: House, who: str = "publisher") -> Answered:
    call, signed = house.call("consumer", version=2)
    reply = sign_reply(GENESIS_HASH, signed.call, 0, RESPONSE, house.world.time_ms, private(who))
    body = Reply(sm3(signed.call), 0, sm3(RESPONSE), house.world.time_ms)
    return Answered(call, body, reply, {"answer": 2}, cast(Any, None))


@pytest.fixture
def kept(marked: World) -> tuple[World, dict[str, Any]]:
    marked.house.ok("publisher", "register", service=SERVICE, signature=mark(marked.house))
    data = asyncio.run(source_marks.kept(HouseChain(marked.house), answered(marked.house)))
    return marked, json.loads(data)


def check(world: World, row: dict[str, Any]) -> dict[str, Any]:
    return asyncio.run(source_marks.checked(HouseChain(world.house), json.dumps(row).encode()))


def test_received_data_say_whose_they_are(kept: tuple[World, dict[str, Any]]) -> None:
    world, row = kept
    found = check(world, row)
    assert (found["entity"], found["market"], found["version"]) == ("Beijing market", "BJ", 2)
    assert found["certificate"]["subject"] == "publisher" and found["response_hash"] == sm3(RESPONSE).hex()


def test_the_mark_outlives_a_new_key_of_the_publishers(kept: tuple[World, dict[str, Any]]) -> None:
    world, row = kept
    world.upload("publisher", world.certificate("publisher", key=assertion_key("nobody")))
    check(world, row)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_received_data_that_were_changed(kept: tuple[World, dict[str, Any]]) -> None:
    world, row = kept
    other = answered(world.house, "consumer")
    foreign = world.certificate("consumer")
    changes: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"response": b64(b"{}")}, InvalidProof),
        ({"signature": b64(bytes(64))}, InvalidProof),
        ({"genesis_hash": b64(bytes(32))}, InvalidProof),
        ({"path": []}, InvalidProof),
        ({"path": [b64(foreign)]}, InvalidProof),
        ({"path": [b64(world.certificate("publisher", world.other))]}, CertificateRefused),
        ({"call": b64(b"")}, MalformedBytes),
        ({"path": ["%"]}, MalformedBytes),
        ({"format": "else"}, MalformedBytes),
    ]
    for change, refusal in changes:
        with pytest.raises(refusal):
            check(world, row | change)
    data = asyncio.run(source_marks.kept(HouseChain(world.house), replace(other)))
    with pytest.raises(InvalidProof, match="not signed by that certificate"):
        check(world, json.loads(data))
