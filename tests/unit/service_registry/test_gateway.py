"""The gateway: what it lets through, what it refuses by name, and that nothing is answered that is not recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import Overloaded, Oversize
from chain_core.types.errors import DualchainError, MalformedBytes
from chain_core.types.values import Value
from crosschain.packets import ALL_SERVICES
from service_registry import calls, forwarding
from service_registry import gateway as gateway_module
from service_registry.bodies import AccessCode
from service_registry.calls import (
    MAX_CLOCK_MS,
    MAX_REQUEST_BYTES,
    BadCallSignature,
    BadReply,
    BadRequest,
    BadResponse,
    NotAuthorised,
    NotRecorded,
    PublisherUnreachable,
    SignedCall,
    SignedReply,
    StaleCall,
    TamperedRequest,
    UnknownCaller,
    UnknownService,
    check_reply,
    sign_reply,
)
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import REQUEST, RESPONSE, SERVICE, House, assertion_key, private
from tests.unit.service_registry.stage import SOMEBODY, Stage, honest, play


def recorded(stage: Stage) -> list[AccessCode]:
    """Codes of the records in the last block."""
    assert stage.house.world.last is not None
    events = [row for raw in stage.house.world.last.events for row in cast(list[list[Value]], decode_value(raw))]
    return [AccessCode(cast(dict[str, int], row[2])["code"]) for row in events if row[1] == "access"]


async def refusal(stage: Stage, signed: SignedCall, kind: type[DualchainError]) -> str:
    with pytest.raises(kind) as told:
        await stage.call(signed)
    return str(told.value)


def test_an_answer_is_signed_by_both_sides_and_recorded_before_it_is_released() -> None:
    async def story(stage: Stage) -> None:
        _, signed = stage.house.call("consumer")
        stage.chain.gate = asyncio.Event()
        waiting = asyncio.create_task(stage.call(signed))
        await stage.until_asked(1)
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done, "released before it was recorded"
        stage.chain.gate.set()
        response = await waiting
        answer = SignedReply.of(response.answer)
        assert check_reply(GENESIS_HASH, signed.call, answer, assertion_key("publisher")).code == AccessCode.OK
        assert answer.response == RESPONSE
        assert response.record.height == stage.house.world.height
        log = stage.house.log("consumer")
        assert (log.calls, log.failures) == (1, 0)

    play(story)


def altered(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 1]) + raw[1:]


BAD_CALLS: dict[str, tuple[Callable[[House], SignedCall], type[DualchainError]]] = {
    "another request than signed": (
        lambda h: replace(h.call("consumer")[1], request=b'{"question":2}'),
        TamperedRequest,
    ),
    "another call id than signed": (
        lambda h: replace(h.call("consumer")[1], signature=h.call("consumer")[1].signature),
        BadCallSignature,
    ),
    "signature altered": (
        lambda h: replace(h.call("consumer")[1], signature=altered(h.call("consumer")[1].signature)),
        BadCallSignature,
    ),
    "signed by the tester in the consumer's name": (
        lambda h: h.call("tester", consumer=account("consumer"))[1],
        BadCallSignature,
    ),
    "signature cut short": (
        lambda h: replace(h.call("consumer")[1], signature=h.call("consumer")[1].signature[:63]),
        MalformedBytes,
    ),
    "body altered": (lambda h: replace(h.call("consumer")[1], call=b"\x08"), MalformedBytes),
    "body followed by a byte": (
        lambda h: replace(h.call("consumer")[1], call=h.call("consumer")[1].call + b"\0"),
        MalformedBytes,
    ),
    "too old": (lambda h: h.call("consumer", time_ms=h.world.time_ms - MAX_CLOCK_MS - 1)[1], StaleCall),
    "too new": (lambda h: h.call("consumer", time_ms=h.world.time_ms + MAX_CLOCK_MS + 1)[1], StaleCall),
    "no such service": (lambda h: h.call("consumer", service=bytes(16))[1], UnknownService),
    "no certificate": (lambda h: h.call("second consumer")[1], UnknownCaller),
    "no account": (lambda h: h.call("consumer", consumer=b"x" * 16)[1], UnknownCaller),
    "a request above the limit": (lambda h: h.call("consumer", b"1" * (MAX_REQUEST_BYTES + 1))[1], Oversize),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_calls_of_unknown_origin_reach_neither_publisher_nor_chain(case: str) -> None:
    async def story(stage: Stage) -> None:
        make, kind = BAD_CALLS[case]
        height = stage.house.world.height
        signed = make(stage.house)
        if case == "another call id than signed":
            signed = replace(stage.house.call("consumer")[1], signature=signed.signature)
        await refusal(stage, signed, kind)
        assert (stage.asked, stage.house.world.height) == (0, height)

    play(story)


def test_garbage_on_the_port() -> None:
    async def story(stage: Stage) -> None:
        for data in (b"", b"\xff" * 40, pb.CallRequest(call=b"x").SerializeToString()):
            with pytest.raises(MalformedBytes):
                await stage.gateway.call(SOMEBODY, data)

    play(story)


RIGHTS: dict[str, tuple[Callable[[House], object], str]] = {
    "offline": (lambda h: h.ok("publisher", "offline", service=SERVICE), "NOT_ONLINE"),
    "halted": (lambda h: h.halt(SERVICE), "SUSPENDED"),
    "all of the market halted": (lambda h: h.halt(ALL_SERVICES), "SUSPENDED"),
    "cancelled": (lambda h: h.ok("publisher", "cancel", service=SERVICE), "CANCELLED"),
    "withdrawn": (lambda h: h.ok("consumer", "withdraw", service=SERVICE), "NOT_CONFIRMED"),
    "revoked": (
        lambda h: h.ok("publisher", "revoke", service=SERVICE, consumer=account("consumer"), reason="over"),
        "NOT_CONFIRMED",
    ),
}


@pytest.mark.parametrize("case", RIGHTS)
def test_who_may_not_call_now_is_refused_and_recorded(case: str) -> None:
    async def story(stage: Stage) -> None:
        step, reason = RIGHTS[case]
        step(stage.house)
        told = await refusal(stage, stage.house.call("consumer")[1], NotAuthorised)
        assert reason in told and "recorded as NOT_AUTHORISED at height" in told
        assert recorded(stage) == [AccessCode.NOT_AUTHORISED]
        assert stage.asked == 0

    play(story)


def test_a_version_in_test_is_called_by_an_independent_tester_only() -> None:
    async def story(stage: Stage) -> None:
        house = stage.house
        shown = decode_value(house.world.state[b"\x08services" + b"d" + SERVICE + b"\0\0\0\1"])
        house.ok("publisher", "change", service=SERVICE, definition={**cast(dict[str, Value], shown), "price_fen": 7})
        house.certify("own tester", "consumer's tester")
        for who in ("consumer", "own tester", "consumer's tester"):
            assert "NOT_A_TESTER" in await refusal(stage, house.call(who, version=2)[1], NotAuthorised)
        await stage.call(house.call("tester", version=2)[1])
        assert recorded(stage) == [AccessCode.OK]
        assert "NOT_CONFIRMED" in await refusal(stage, house.call("tester", version=1)[1], NotAuthorised)
        await stage.call(house.call("consumer", version=1)[1])
        assert "WRONG_VERSION" in await refusal(stage, house.call("consumer", version=3)[1], NotAuthorised)

    play(story)


@pytest.mark.parametrize(
    "request_bytes", [b"", b"{", b'{"question":"x"}', b"[]", b'{"question":1,"question":1}', b"\xff"]
)
def test_a_request_of_another_schema(request_bytes: bytes) -> None:
    async def story(stage: Stage) -> None:
        await refusal(stage, stage.house.call("consumer", request_bytes)[1], BadRequest)
        assert (recorded(stage), stage.asked) == ([AccessCode.BAD_REQUEST], 0)

    play(story)


def _signed(signed: SignedCall, code: int = 0, response: bytes = RESPONSE, key: str = "publisher") -> SignedReply:
    return sign_reply(GENESIS_HASH, signed.call, code, response, 0, private(key))


PUBLISHERS: dict[str, tuple[Callable[[SignedCall], SignedReply], type[DualchainError], AccessCode]] = {
    "signed by another key": (lambda s: _signed(s, key="consumer"), BadReply, AccessCode.BAD_REPLY),
    "signature altered": (
        lambda s: replace(_signed(s), signature=altered(_signed(s).signature)),
        BadReply,
        AccessCode.BAD_REPLY,
    ),
    "response altered": (
        lambda s: replace(_signed(s), response=b'{"answer":3}'),
        BadReply,
        AccessCode.BAD_REPLY,
    ),
    "reply to another call": (
        lambda s: _signed(replace(s, call=s.call + b"x")),
        BadReply,
        AccessCode.BAD_REPLY,
    ),
    "reply malformed": (lambda s: replace(_signed(s), reply=b"\0"), BadReply, AccessCode.BAD_REPLY),
    "nothing": (lambda s: SignedReply(b"", b"", b""), BadReply, AccessCode.BAD_REPLY),
    "response of another schema": (
        lambda s: _signed(s, response=b'{"answer":"four"}'),
        BadResponse,
        AccessCode.BAD_RESPONSE,
    ),
    "response that is no JSON": (lambda s: _signed(s, response=b"yes"), BadResponse, AccessCode.BAD_RESPONSE),
    "typed error of another schema": (
        lambda s: _signed(s, code=1, response=RESPONSE),
        BadResponse,
        AccessCode.BAD_RESPONSE,
    ),
}


@pytest.mark.parametrize("case", PUBLISHERS)
def test_publishers_that_answer_wrongly(case: str) -> None:
    async def story(stage: Stage) -> None:
        make, kind, code = PUBLISHERS[case]

        async def answer(signed: SignedCall) -> SignedReply:
            return make(signed)

        stage.answer = answer
        assert "recorded as" in await refusal(stage, stage.house.call("consumer")[1], kind)
        assert recorded(stage) == [code]

    play(story)


@pytest.mark.parametrize("limit", ["MAX_REPLY_BYTES", "MAX_RESPONSE_BYTES"])
def test_a_publisher_that_answers_too_much(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(calls, limit, 5)

    async def story(stage: Stage) -> None:
        assert "too large" in await refusal(stage, stage.house.call("consumer")[1], BadReply)
        assert recorded(stage) == [AccessCode.BAD_REPLY]

    play(story)


def test_a_typed_error_is_an_answer() -> None:
    async def story(stage: Stage) -> None:
        body = b'{"error":{"code":"UNKNOWN","what":"no such thing"}}'

        async def answer(signed: SignedCall) -> SignedReply:
            return _signed(signed, code=1, response=body)

        stage.answer = answer
        response = await stage.call(stage.house.call("consumer")[1])
        assert response.answer.response == body
        assert recorded(stage) == [AccessCode.SERVICE_ERROR]

    play(story)


def test_no_endpoint_answers() -> None:
    async def story(stage: Stage) -> None:
        await stage.server.stop(0)
        told = await refusal(stage, stage.house.call("consumer")[1], PublisherUnreachable)
        assert stage.endpoint in told
        assert recorded(stage) == [AccessCode.UNREACHABLE]

    play(story)


def test_the_second_endpoint_answers_when_the_first_does_not() -> None:
    async def main() -> None:
        async with Stage() as stage:
            stage.house.confirmed(endpoints=["10.0.0.1:7000", stage.endpoint])
            await stage.call(stage.house.call("consumer")[1])
            assert stage.asked == 1

    asyncio.run(main())


def test_an_answer_that_cannot_be_recorded_is_withheld_until_it_can() -> None:
    async def story(stage: Stage) -> None:
        stage.chain.deaf = True
        signed = stage.house.call("consumer")[1]
        await refusal(stage, signed, NotRecorded)
        stage.chain.deaf = False
        assert (await stage.call(signed)).answer.response == RESPONSE
        assert stage.asked == 1, "the publisher is not asked twice"

    play(story)


def test_calls_at_once_share_a_transaction_and_a_bad_one_harms_no_other() -> None:
    async def story(stage: Stage) -> None:
        stage.chain.gate = asyncio.Event()
        calls = [stage.house.call("consumer")[1] for _ in range(6)]
        waiting = [asyncio.create_task(stage.call(signed)) for signed in calls]
        await stage.until_asked(len(calls))
        # Meanwhile somebody else's gateway records one of these very calls.
        row = stage.house.record("consumer", call_id=4)
        stage.house.ok("gateway", "record_access", records=[row])
        stage.chain.gate.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        failed = [type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
        assert failed == [NotRecorded]
        assert stage.house.log("consumer").calls == len(calls)
        # Those that waited together were handed in together, then one by one.
        assert max(stage.chain.submitted) > 1

    play(story)


def test_there_is_room_for_so_many_calls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "MAX_CALLS", 2)

    async def story(stage: Stage) -> None:
        stage.chain.gate = asyncio.Event()
        waiting = [asyncio.create_task(stage.call(stage.house.call("consumer")[1])) for _ in range(2)]
        await stage.until_asked(2)
        await refusal(stage, stage.house.call("consumer")[1], Overloaded)
        stage.chain.gate.set()
        await asyncio.gather(*waiting)
        await stage.call(stage.house.call("consumer")[1])

    play(story)


def test_one_consumer_does_not_take_the_room_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_module, "MAX_CALLS_OF_ONE", 2)

    async def story(stage: Stage) -> None:
        house = stage.house
        house.certify("tester")
        stage.chain.gate = asyncio.Event()
        waiting = [asyncio.create_task(stage.call(house.call("consumer")[1])) for _ in range(2)]
        await stage.until_asked(2)
        assert "of this consumer" in await refusal(stage, house.call("consumer")[1], Overloaded)
        stage.chain.gate.set()
        await refusal(stage, house.call("tester", b"{")[1], NotAuthorised)
        await asyncio.gather(*waiting)
        await stage.call(house.call("consumer")[1])
        assert not stage.gateway._of_consumer

    play(story)


def test_a_gateway_keeps_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "MAX_CHANNELS", 1)

    async def main() -> None:
        async with Stage() as stage:
            stage.house.confirmed(endpoints=["127.0.0.1:1", stage.endpoint])
            await stage.call(stage.house.call("consumer")[1])
            await stage.call(stage.house.call("consumer")[1])

    asyncio.run(main())


def test_the_request_is_hashed_as_it_was_sent() -> None:
    async def story(stage: Stage) -> None:
        spaced, seen = b' {"question" : 1} ', list[bytes]()

        async def answer(signed: SignedCall) -> SignedReply:
            seen.append(signed.request)
            return await honest(signed)

        stage.answer = answer
        call, signed = stage.house.call("consumer", spaced)
        await stage.call(signed)
        assert seen == [spaced] and call.request_hash == sm3(spaced) != sm3(REQUEST)

    play(story)
