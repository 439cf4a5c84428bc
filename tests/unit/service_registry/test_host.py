"""A publisher's host judges each call by itself: it does not rely on the gateway."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.values import Value
from service_registry import schemas
from service_registry.bodies import AccessCode
from service_registry.calls import (
    BadCallSignature,
    NotAuthorised,
    ReplayedCall,
    SignedCall,
    SignedReply,
    TamperedRequest,
    UnknownCaller,
    UnknownService,
    check_reply,
)
from service_registry.config import KeyPair
from service_registry.host import ANSWERING, ServiceError, ServiceHost
from tests.unit.execution.world import GENESIS_HASH
from tests.unit.service_registry.house import SERVICE, House, assertion_key, prepared, private
from tests.unit.service_registry.protos import descriptor_set
from tests.unit.service_registry.stage import SOMEBODY, HouseChain


async def double(request: Any) -> Any:
    if request["question"] < 0:
        raise ServiceError("NEGATIVE", "questions are not negative")
    return {"answer": 2 * request["question"]}


@pytest.fixture(scope="module")
def confirmed() -> House:
    return prepared(House.confirmed)


@pytest.fixture
def house(confirmed: House) -> House:
    return confirmed.branch()


def ask(house: House, signed: SignedCall, answer: Callable[[Any], Awaitable[Any]] = double) -> SignedReply:
    host = ServiceHost(
        HouseChain(house), SERVICE, KeyPair.of(private("publisher")), answer, lambda: house.world.time_ms
    )
    data = asyncio.run(host.call(SOMEBODY, signed.message().SerializeToString()))
    return SignedReply.of(pb.ServiceReply.FromString(data))


def test_an_answer_is_signed_for_this_call(house: House) -> None:
    _, signed = house.call("consumer")
    reply = ask(house, signed)
    assert reply.response == b'{"answer":2}'
    assert check_reply(GENESIS_HASH, signed.call, reply, assertion_key("publisher")).code == AccessCode.OK


def test_an_answer_may_depend_on_who_asks(house: House) -> None:
    async def who(request: Any) -> Any:
        return {"answer": ANSWERING.get().call_id}

    call, signed = house.call("consumer")
    assert schemas.read_json(ask(house, signed, who).response) == {"answer": call.call_id}


def test_a_typed_error_is_signed_too(house: House) -> None:
    _, signed = house.call("consumer", b'{"question":-1}')
    reply = ask(house, signed)
    assert check_reply(GENESIS_HASH, signed.call, reply, assertion_key("publisher")).code == AccessCode.SERVICE_ERROR
    schemas.check(schemas.ERROR_SCHEMA, schemas.read_json(reply.response))


def test_an_answer_that_does_not_fit_the_interface_stays_at_home(house: House) -> None:
    async def wrong(request: Any) -> Any:
        return {"answer": "two"}

    _, signed = house.call("consumer")
    reply = ask(house, signed, wrong)
    assert check_reply(GENESIS_HASH, signed.call, reply, assertion_key("publisher")).code == AccessCode.SERVICE_ERROR
    assert schemas.read_json(reply.response)["error"]["code"] == "BAD_ANSWER"


def test_a_service_of_protobuf_messages() -> None:
    descriptor = descriptor_set({"Question": {"n": (1, "int64")}, "Answer": {"n": (1, "int64")}})
    interface: dict[str, Value] = {
        "kind": "protobuf",
        "request": "p.Question",
        "response": "p.Answer",
        "descriptor": base64.b64encode(descriptor).decode(),
    }
    house = House.begin().certify("publisher", "tester")
    house.draft(interface=interface, examples=[{"request": "CAE="}], wrong_request="/w==")

    async def plus_one(request: Any) -> Any:
        return {"n": int(request["n"]) + 1}

    _, signed = house.call("tester", b"\x08\x01")
    assert ask(house, signed, plus_one).response == b"\x08\x02"
    with pytest.raises(MalformedBytes):
        ask(house, house.call("tester", b"\xff")[1], plus_one)


def _replayed(house: House) -> SignedCall:
    house.ok("gateway", "record_access", records=[house.record("consumer", call_id=9)])
    return house.call("consumer", call_id=9)[1]


def _halted(house: House) -> SignedCall:
    house.halt(SERVICE)
    return house.call("consumer")[1]


def _offline(house: House) -> SignedCall:
    house.ok("publisher", "offline", service=SERVICE)
    return house.call("consumer")[1]


def _other_service(house: House) -> SignedCall:
    definition = {"market": "BJ", "reference": "other"}
    from service_registry.serving import service_id
    from tests.unit.execution.world import account
    from tests.unit.service_registry.house import DEFINITION

    house.ok("publisher", "draft", **definition, definition=DEFINITION)
    return house.call("consumer", service=service_id(GENESIS_HASH, account("publisher"), "other"))[1]


CASES: dict[str, tuple[Callable[[House], SignedCall], type[DualchainError]]] = {
    "tampered": (lambda h: replace(h.call("consumer")[1], request=b'{"question":2}'), TamperedRequest),
    "signed by another": (
        lambda h: replace(h.call("consumer")[1], signature=h.call("tester")[1].signature),
        BadCallSignature,
    ),
    "unknown caller": (lambda h: h.call("second consumer")[1], UnknownCaller),
    "unknown service": (lambda h: h.call("consumer", service=bytes(16))[1], UnknownService),
    "another service of the publisher": (_other_service, UnknownService),
    "not confirmed": (lambda h: h.call("tester")[1], NotAuthorised),
    "offline": (_offline, NotAuthorised),
    "halted": (_halted, NotAuthorised),
    "recorded before": (_replayed, ReplayedCall),
    "another schema": (lambda h: h.call("consumer", b'{"question":"x"}')[1], schemas.NotOfSchema),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_host_refuses(house: House, case: str) -> None:
    make, kind = CASES[case]
    with pytest.raises(kind):
        ask(house, make(house))
