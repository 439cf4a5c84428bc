"""The joint test passes only what answers its own examples, signed, of its schema, and refuses the wrong request."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any, cast

import pytest

from chain_core.network.refusals import ServiceRefusal
from chain_core.types.values import Value
from service_registry.bodies import FAIL, PASS, AccessCode
from service_registry.calls import SignedCall, SignedReply, sign_reply
from service_registry.chain import Account
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.joint_test import JointTest, NothingInTest, Outcome
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import DEFINITION, RESPONSE, SERVICE, private
from tests.unit.service_registry.protos import descriptor_set
from tests.unit.service_registry.stage import Stage

Publisher = Callable[[SignedCall], SignedReply]


def answering(code: int, response: bytes, key: str = "publisher") -> Publisher:
    return lambda signed: sign_reply(GENESIS_HASH, signed.call, code, response, 0, private(key))


ERROR = b'{"error":{"code":"UNKNOWN","what":"no such thing"}}'


def examples_only(signed: SignedCall) -> SignedReply:
    """Answers the first example, and nothing else."""
    return answering(0, RESPONSE)(signed) if signed.request == b'{"question":1}' else answering(1, ERROR)(signed)


async def try_out(stage: Stage, publisher: Publisher | None, who: str = "tester", **definition: Value) -> Outcome:
    """The filed report on a definition; without ``publisher`` nobody answers at the endpoint."""
    house = stage.house
    house.certify("publisher", "consumer", "tester", "own tester")
    house.draft(endpoints=[stage.endpoint], **definition)
    if publisher is None:
        await stage.server.stop(0)
    else:

        async def answer(signed: SignedCall) -> SignedReply:
            return publisher(signed)

        stage.answer = answer
    consumer = Consumer(stage.chain, await stage.serve(), account(who), KeyPair.of(private(who)), stage.clock)
    try:
        me = Account(account(who), b"", b"")
        return await JointTest(stage.chain, consumer, me, KeyPair.of(private(who))).run(SERVICE)
    finally:
        await consumer.close()


INTERFACE = cast(dict[str, str], DEFINITION["interface"])
FAILING: dict[str, tuple[Publisher | None, dict[str, Value], str]] = {
    "an example answered by a typed error": (examples_only, {}, "example 1"),
    "responses of another schema": (answering(0, b'{"answer":"x"}'), {}, "BAD_RESPONSE"),
    "responses signed by another key": (answering(0, RESPONSE, "consumer"), {}, "BAD_REPLY"),
    "nobody at the endpoint": (None, {}, "PUBLISHER_UNREACHABLE"),
    "the wrong request is answered": (answering(0, RESPONSE), {"wrong_request": '{"question":9}'}, "the wrong request"),
    "an example that does not fit the schema": (
        answering(0, RESPONSE),
        {"examples": [{"request": '{"question":"x"}'}]},
        "BAD_REQUEST",
    ),
    "a schema outside the subset": (
        answering(0, RESPONSE),
        {"interface": {**INTERFACE, "request": '{"$ref":"#"}'}},
        "request schema",
    ),
    "a proof that is none": (
        answering(0, RESPONSE),
        {"proof": "holder-roll/v1"},
        "INVALID_PROOF",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_what_does_not_pass(case: str) -> None:
    async def main() -> None:
        publisher, definition, finding = FAILING[case]
        async with Stage() as stage:
            found = await try_out(stage, publisher, **cast(Any, definition))
            assert found.report.verdict == FAIL
            assert any(finding in told for told in found.report.findings), found.report.findings
            receipt = stage.house.do("publisher", "register", service=SERVICE)
            assert receipt.rule == "services.not_tested"

    asyncio.run(main())


def test_what_passes_is_registered() -> None:
    async def main() -> None:
        async with Stage() as stage:
            found = await try_out(stage, answering(0, RESPONSE))
            assert (found.report.verdict, found.report.findings) == (PASS, ())
            assert [trial.code for trial in found.report.examples] == [AccessCode.OK, AccessCode.OK]
            assert found.report.wrong.code == AccessCode.BAD_REQUEST
            assert stage.house.log("tester").digest == found.report.access_digest
            stage.house.ok("publisher", "register", service=SERVICE)

    asyncio.run(main())


def test_a_service_of_protobuf_messages_passes() -> None:
    """Through gateway and consumer: messages that are none, or have fields of their own, are BAD_REQUEST there."""
    descriptor = descriptor_set({"Question": {"n": (1, "int64")}, "Answer": {"n": (1, "int64")}})
    definition: dict[str, Value] = {
        "interface": {
            "kind": "protobuf",
            "request": "p.Question",
            "response": "p.Answer",
            "descriptor": base64.b64encode(descriptor).decode(),
        },
        "examples": [{"request": "CAE="}],
        "wrong_request": base64.b64encode(b"\x10\x01").decode(),
    }

    async def main(response: bytes, verdict: str) -> None:
        async with Stage() as stage:
            found = await try_out(stage, answering(0, response), **definition)
            assert found.report.verdict == verdict, found.report.findings
            assert found.report.wrong.code == AccessCode.BAD_REQUEST
            assert stage.asked == 1

    asyncio.run(main(b"\x08\x02", PASS))
    asyncio.run(main(b"\x10\x02", FAIL))


def test_a_change_that_breaks_consumers_is_told_in_the_report() -> None:
    async def main() -> None:
        async with Stage() as stage:
            stage.house.in_force(endpoints=[stage.endpoint])
            narrow = (
                '{"type":"object","required":["question"],"properties":{"question":{"type":"integer","maximum":9}}}'
            )
            shown = {**DEFINITION, "endpoints": [stage.endpoint], "interface": {**INTERFACE, "request": narrow}}
            stage.house.ok("publisher", "change", service=SERVICE, definition=shown)
            key = KeyPair.of(private("tester"))
            consumer = Consumer(stage.chain, await stage.serve(), account("tester"), key, stage.clock)
            test = JointTest(stage.chain, consumer, Account(account("tester"), b"", b""), key)
            found = await test.run(SERVICE)
            await consumer.close()
            assert found.report.verdict == PASS
            assert found.report.breaks == ("request /question: maximum allows less than before",)
            receipt = stage.house.do("publisher", "register", service=SERVICE)
            assert receipt.rule == "services.not_announced"

    asyncio.run(main())


def test_a_wrong_request_may_be_refused_by_the_service_itself() -> None:
    async def main() -> None:
        async with Stage() as stage:

            def publisher(signed: SignedCall) -> SignedReply:
                wrong = signed.request == b'{"question":-1}'
                return answering(1, ERROR)(signed) if wrong else answering(0, RESPONSE)(signed)

            found = await try_out(stage, publisher, wrong_request='{"question":-1}')
            assert found.report.verdict == PASS
            assert found.report.wrong.code == AccessCode.SERVICE_ERROR

    asyncio.run(main())


def test_a_tester_of_the_publisher_s_house_gets_no_answer() -> None:
    async def main() -> None:
        async with Stage() as stage:
            with pytest.raises(ServiceRefusal, match="NOT_A_TESTER"):
                await try_out(stage, answering(0, RESPONSE), "own tester")
            assert stage.asked == 0

    asyncio.run(main())


def test_nothing_in_test() -> None:
    async def main() -> None:
        async with Stage() as stage:
            stage.house.in_force(endpoints=[stage.endpoint])
            consumer = Consumer(
                stage.chain, await stage.serve(), account("tester"), KeyPair.of(private("tester")), stage.clock
            )
            me = Account(account("tester"), b"", b"")
            with pytest.raises(NothingInTest):
                await JointTest(stage.chain, consumer, me, KeyPair.of(private("tester"))).run(SERVICE)
            await consumer.close()

    asyncio.run(main())
