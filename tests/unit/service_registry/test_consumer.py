"""A consumer believes neither gateway nor publisher: whatever either alters is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import decode_map, encode_value
from chain_core.crypto.providers import signing_provider
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawServer, Unary
from chain_core.network.refusals import ServiceRefusal, Unreachable
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from service_registry.authority import Key
from service_registry.bodies import (
    AccessCode,
    AccessRecord,
    Promise,
    encode_promise,
    promise_message,
    read_promise,
)
from service_registry.calls import (
    GATEWAY_CALL,
    BadReply,
    NotAuthorised,
    SignedCall,
    SignedPromise,
    SignedReply,
    sign_reply,
)
from service_registry.chain import NotRegistered
from service_registry.config import KeyPair
from service_registry.consumer import Consumer, ServiceAnsweredError
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import REQUEST, SERVICE, private
from tests.unit.service_registry.stage import HouseChain, Lie, Stage, honest, play


async def consume(stage: Stage, who: str = "consumer", lie: Lie = lambda _: None) -> Consumer:
    return Consumer(stage.chain, await stage.serve(lie), account(who), KeyPair.of(private(who)), stage.clock)


def test_an_answer_verified_whole() -> None:
    async def story(stage: Stage) -> None:
        consumer = await consume(stage)
        first, second = [await consumer.call(SERVICE, REQUEST) for _ in range(2)]
        assert first.value == {"answer": 2} and first.code is AccessCode.OK
        assert (first.call.call_id, second.call.call_id) == (1, 2)
        again = await consume(stage)
        assert (await again.call(SERVICE, REQUEST)).call.call_id == 3
        assert (await again.log_after_last_call(SERVICE)).calls == 3
        await asyncio.gather(*(consumer.call(SERVICE, REQUEST) for _ in range(4)))
        await consumer.close()
        await again.close()

    play(story)


def _other_reply(response: pb.CallResponse) -> None:
    answer = sign_reply(GENESIS_HASH, b"another call", 0, response.answer.response, 0, private("publisher"))
    response.answer.CopyFrom(answer.message())


def _own_reply(response: pb.CallResponse) -> None:
    response.answer.signature = bytes(64)


def _other_response(response: pb.CallResponse) -> None:
    response.answer.response = b'{"answer":3}'


def _no_record(response: pb.CallResponse) -> None:
    response.ClearField("record")


def _other_record(response: pb.CallResponse) -> None:
    response.record.transaction_id = bytes(32)


def _other_header(response: pb.CallResponse) -> None:
    response.record.header = b"another header"


LIES: dict[str, tuple[Lie, type[DualchainError]]] = {
    "reply to another call": (_other_reply, BadReply),
    "reply without signature": (_own_reply, BadReply),
    "another response": (_other_response, BadReply),
    "no record": (_no_record, InvalidProof),
    "a record of another transaction": (_other_record, InvalidProof),
    "a record under another header": (_other_header, InvalidProof),
}


@pytest.mark.parametrize("case", LIES)
def test_a_gateway_that_lies(case: str) -> None:
    async def story(stage: Stage) -> None:
        lie, kind = LIES[case]
        consumer = await consume(stage, lie=lie)
        with pytest.raises(kind):
            await consumer.call(SERVICE, REQUEST)
        await consumer.close()

    play(story)


def test_a_gateway_that_shows_an_old_record() -> None:
    """A true receipt of another call's record: the chain itself does not know this call."""

    async def story(stage: Stage) -> None:
        old: list[pb.RecordReceipt] = []

        def lie(response: pb.CallResponse) -> None:
            old.append(response.record)
            response.record.CopyFrom(old[0])

        consumer = await consume(stage, lie=lie)
        await consumer.call(SERVICE, REQUEST)
        record = stage.recorder.record

        async def unrecorded(row: AccessRecord) -> VerifiedReceipt:
            before = dict(stage.house.world.state)
            receipt = await record(row)
            stage.house.world.state = before
            return receipt

        stage.recorder.record = unrecorded  # type: ignore[method-assign, assignment]
        with pytest.raises(InvalidProof, match="no record of this call"):
            await consumer.call(SERVICE, REQUEST)
        await consumer.close()

    play(story)


def test_a_typed_error_of_the_service() -> None:
    async def story(stage: Stage) -> None:
        async def answer(signed: SignedCall) -> SignedReply:
            body = b'{"error":{"code":"UNKNOWN","what":"no such thing"}}'
            return sign_reply(GENESIS_HASH, signed.call, 1, body, 0, private("publisher"))

        stage.answer = answer
        consumer = await consume(stage)
        with pytest.raises(ServiceAnsweredError, match="UNKNOWN: no such thing") as told:
            await consumer.call(SERVICE, REQUEST)
        assert told.value.answered.code is AccessCode.SERVICE_ERROR
        assert (await consumer.ask(SERVICE, REQUEST)).value["error"]["code"] == "UNKNOWN"
        await consumer.close()

    play(story)


def test_refusals_of_the_gateway_arrive_by_their_codes() -> None:
    async def story(stage: Stage) -> None:
        consumer = await consume(stage)

        async def code(ask: Callable[[], object], kind: type[DualchainError] = ServiceRefusal) -> str:
            with pytest.raises(kind) as told:
                await ask()  # type: ignore[misc]
            return told.value.code

        assert await code(lambda: consumer.call(SERVICE, b"{}")) == "BAD_REQUEST"
        assert await code(lambda: consumer.call(bytes(16), REQUEST), NotRegistered) == "NOT_REGISTERED"
        assert await code(lambda: consumer.call(SERVICE, REQUEST, version=9), NotRegistered) == "NOT_REGISTERED"
        stage.house.ok("consumer", "withdraw", service=SERVICE)
        told = await code(lambda: consumer.call(SERVICE, REQUEST))
        assert told == NotAuthorised.code
        await consumer.close()

    play(story)


def test_an_answer_that_nobody_was_allowed_to_ask_for() -> None:
    """Publisher and gateway answer a caller whom the chain does not let call: he cannot rely on it."""

    async def story(stage: Stage) -> None:
        async def call(caller: Caller, data: bytes) -> bytes:
            answer = await honest(SignedCall.of(pb.CallRequest.FromString(data)))
            return pb.CallResponse(answer=answer.message()).SerializeToString()

        port = RawServer({GATEWAY_CALL: Unary(call)})
        address = port.bind("127.0.0.1:0")
        await port.start()
        stage.ports.append(port)
        consumer = Consumer(stage.chain, address, account("tester"), KeyPair.of(private("tester")), stage.clock)
        with pytest.raises(NotAuthorised, match="NOT_CONFIRMED"):
            await consumer.call(SERVICE, REQUEST)
        await consumer.close()

    play(story)


def _another_record(response: pb.CallResponse) -> None:
    response.promise.record = response.promise.record[:-1] + bytes([response.promise.record[-1] ^ 1])


def _anothers_promise(response: pb.CallResponse) -> None:
    promise = replace(read_promise(response.promise.promise), call_id=1)
    _signed_by("gateway")(response, promise)


def _endless(response: pb.CallResponse) -> None:
    _signed_by("gateway")(response, replace(read_promise(response.promise.promise), deadline_ms=1 << 50))


def _signed_by(who: str) -> Callable[[pb.CallResponse, Promise], None]:
    def sign(response: pb.CallResponse, promise: Promise) -> None:
        raw = encode_promise(promise)
        response.promise.promise = raw
        response.promise.signature = signing_provider().sm2_sign(private(who), promise_message(GENESIS_HASH, raw))

    return sign


def _by_no_gateway(response: pb.CallResponse) -> None:
    promise = replace(read_promise(response.promise.promise), gateway=account("tester"))
    _signed_by("tester")(response, promise)


def _unsigned(response: pb.CallResponse) -> None:
    response.promise.signature = bytes(64)


PROMISES: dict[str, Lie] = {
    "about another record": _another_record,
    "about another call": _anothers_promise,
    "for some day": _endless,
    "by somebody who is no gateway": _by_no_gateway,
    "not signed": _unsigned,
    "none at all": lambda response: response.ClearField("promise"),
}


@pytest.mark.parametrize("case", PROMISES)
def test_a_promise_that_is_none(tmp_path: Path, case: str) -> None:
    async def story(stage: Stage) -> None:
        consumer = await consume(stage, lie=PROMISES[case])
        with pytest.raises((InvalidProof, MalformedBytes)):
            await consumer.call(SERVICE, REQUEST)
        await consumer.close()

    play(story, tmp_path)


def test_a_promised_answer_verified_whole(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        consumer, other = await consume(stage), await consume(stage)
        first = await consumer.call(SERVICE, REQUEST)
        stage.house.world.time_ms += 100
        second = await other.call(SERVICE, REQUEST)
        assert isinstance(first.record, SignedPromise) and isinstance(second.record, SignedPromise)
        assert first.call.call_id < second.call.call_id, "another process of the account does not meet the first one"
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 2
        await consumer.close()
        await other.close()

    play(story, tmp_path)


class Strict(HouseChain):
    """To the consumer the service is one that is recorded each."""

    async def values(self, keys: Sequence[Key], *, not_below: int = 0) -> dict[Key, bytes | None]:
        values = await super().values(keys, not_below=not_below)
        for key, raw in values.items():
            if key[1][:1] == b"d" and raw is not None:
                values[key] = encode_value({**decode_map(raw), "recording": "each"})
        return values


def test_a_promise_where_the_record_has_to_be_final(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        key = KeyPair.of(private("consumer"))
        consumer = Consumer(Strict(stage.house), await stage.serve(), account("consumer"), key, stage.clock)
        with pytest.raises(InvalidProof, match="wants the record to be final"):
            await consumer.call(SERVICE, REQUEST)
        await consumer.close()

    play(story, tmp_path)


def test_a_call_whose_answer_was_lost_is_sent_again_and_carried_out_once(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        lost = [2]

        def lose(response: pb.CallResponse) -> None:
            if lost[0]:
                lost[0] -= 1
                raise Unreachable("the answer was lost", where="gateway")

        consumer = await consume(stage, lie=lose)
        assert (await consumer.call(SERVICE, REQUEST)).value == {"answer": 2}
        assert (stage.asked, lost) == (1, [0])
        await consumer.close()

    play(story, tmp_path)


def test_a_refusal_is_not_sent_again(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        consumer = await consume(stage)
        for request in (b"{", b'{"question":"x"}'):
            with pytest.raises(ServiceRefusal) as told:
                await consumer.call(SERVICE, request)
            assert told.value.code == "BAD_REQUEST"
        assert stage.batcher is not None
        await stage.batcher.hand_in()
        assert stage.house.log("consumer").calls == 2
        await consumer.close()

    play(story, tmp_path)
