"""The same call again gets the same answer, and the publisher is asked once; answers in pieces likewise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, parse
from chain_core.types.errors import DualchainError
from service_registry import outcomes
from service_registry.bodies import AccessCode
from service_registry.calls import (
    SERVICE_STREAM,
    BadReply,
    BadRequest,
    PublisherUnreachable,
    ReplayedCall,
    SignedCall,
    sign_reply,
)
from service_registry.config import KeyPair
from service_registry.consumer import Consumer
from service_registry.outcomes import KEEP_MS
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import SERVICE, private
from tests.unit.service_registry.stage import SOMEBODY, Stage, play


async def refusal(stage: Stage, signed: SignedCall, kind: type[DualchainError]) -> str:
    with pytest.raises(kind) as told:
        await stage.call(signed)
    return str(told.value)


def test_the_same_call_again_gets_the_same_answer_and_the_publisher_is_asked_once() -> None:
    async def story(stage: Stage) -> None:
        call, signed = stage.house.call("consumer")
        outcomes = await asyncio.gather(*(stage.call(signed) for _ in range(3)))
        assert outcomes == [outcomes[0]] * 3 == [await stage.call(signed)] * 3
        _, signed_again = stage.house.call("consumer", call_id=call.call_id, time_ms=call.time_ms + 7)
        assert await stage.call(signed_again) == outcomes[0]
        assert (stage.asked, stage.house.log("consumer").calls) == (1, 1)
        _, other = stage.house.call("consumer", b'{"question":2}', call_id=call.call_id)
        await refusal(stage, other, ReplayedCall)
        assert stage.asked == 1

    play(story)


def test_a_refusal_is_an_outcome_too() -> None:
    async def story(stage: Stage) -> None:
        signed = stage.house.call("consumer", b"{")[1]
        first, second = [await refusal(stage, signed, BadRequest) for _ in range(2)]
        assert first == second
        assert stage.house.log("consumer").calls == 1

    play(story)


def test_what_was_answered_long_ago_is_not_answered_again() -> None:
    async def story(stage: Stage) -> None:
        call, signed = stage.house.call("consumer")
        await stage.call(signed)
        stage.house.world.time_ms += KEEP_MS
        again = stage.house.call("consumer", call_id=call.call_id, time_ms=stage.house.world.time_ms)[1]
        await refusal(stage, again, ReplayedCall)
        assert not stage.gateway._outcomes.kept and not stage.gateway._outcomes.held_bytes

    play(story)


def test_outcomes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MAX_KEPT", 2)

    async def story(stage: Stage) -> None:
        calls = [stage.house.call("consumer")[1] for _ in range(4)]
        for signed in calls:
            await stage.call(signed)
        assert len(stage.gateway._outcomes.kept) == 2
        await refusal(stage, calls[0], ReplayedCall)

    play(story)


# ---- answers in pieces

LIST = '{"type":"array","items":{"type":"integer"}}'
PIECES = (b"[1", b",2", b",3", b"]")


class PieceByPiece(Stage):
    """A stage whose publisher answers in pieces; ``pieces`` is what it sends, ``whole`` what it signs."""

    pieces: tuple[bytes, ...] = PIECES
    whole: bytes = b"".join(PIECES)
    breaks_off = False

    def methods(self) -> dict[str, Method]:
        return {**super().methods(), SERVICE_STREAM: ServerStream(self._stream, 5.0)}

    async def _stream(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        async with self.told:
            self.asked += 1
        signed = SignedCall.of(parse(pb.CallRequest, data))
        for piece in self.pieces:
            yield pb.CallPiece(piece=piece).SerializeToString()
        if self.breaks_off:
            raise ZeroDivisionError
        answer = sign_reply(GENESIS_HASH, signed.call, AccessCode.OK, self.whole, 0, private("publisher")).message()
        answer.response = b""
        yield pb.CallPiece(end=pb.CallResponse(answer=answer)).SerializeToString()


async def pieces_of(stage: Stage, signed: SignedCall) -> tuple[list[bytes], pb.CallResponse]:
    got = [
        pb.CallPiece.FromString(raw)
        async for raw in stage.gateway.stream(SOMEBODY, signed.message().SerializeToString())
    ]
    assert [piece.HasField("end") for piece in got] == [False] * (len(got) - 1) + [True]
    return [piece.piece for piece in got[:-1]], got[-1].end


def streamed(stage: PieceByPiece) -> None:
    schema = '{"type":"object","required":["question"],"properties":{"question":{"type":"integer"}}}'
    interface = {"kind": "json-schema", "request": schema, "response": LIST, "descriptor": ""}
    stage.house.confirmed(endpoints=[stage.endpoint], streaming=True, recording="batch", interface=interface)


def test_an_answer_in_pieces_is_signed_and_recorded_at_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with PieceByPiece(store=tmp_path) as stage:
            streamed(stage)
            signed = stage.house.call("consumer")[1]
            pieces, end = await pieces_of(stage, signed)
            assert pieces == list(PIECES) and end.HasField("promise")
            again, same = await pieces_of(stage, signed)
            assert (b"".join(again), same, stage.asked) == (b"".join(PIECES), end, 1)
            whole = await stage.call(signed)
            assert whole.answer.response == b"".join(PIECES)
            assert stage.batcher is not None
            await stage.batcher.hand_in()
            assert stage.house.log("consumer").calls == 1

    asyncio.run(main())


@pytest.mark.parametrize(("fault", "kind"), [("other", BadReply), ("broken off", PublisherUnreachable)])
def test_pieces_that_are_not_what_was_signed(tmp_path: Path, fault: str, kind: type[DualchainError]) -> None:
    async def main() -> None:
        async with PieceByPiece(store=tmp_path) as stage:
            streamed(stage)
            stage.breaks_off = fault == "broken off"
            stage.whole = b"[1,2,4]"
            with pytest.raises(kind):
                await pieces_of(stage, stage.house.call("consumer")[1])
            assert stage.batcher is not None
            await stage.batcher.hand_in()
            assert stage.house.log("consumer").failures == 1

    asyncio.run(main())


def test_a_consumer_verifies_pieces_at_their_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with PieceByPiece(store=tmp_path) as stage:
            streamed(stage)
            key, got = KeyPair.of(private("consumer")), list[bytes]()
            consumer = Consumer(stage.chain, await stage.serve(), account("consumer"), key, stage.clock)
            answered = await consumer.stream(SERVICE, b'{"question":1}', got.append)
            assert (answered.value, b"".join(got)) == ([1, 2, 3], b"[1,2,3]")
            stage.whole = b"[1,2,4]"
            with pytest.raises(DualchainError) as told:
                await consumer.stream(SERVICE, b'{"question":2}', got.append)
            assert told.value.code == "BAD_REPLY"
            await consumer.close()

    asyncio.run(main())
