"""From gateway to hosts: in turn, within a deadline, and never twice for one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawServer, Unary, parse
from chain_core.network.refusals import PermissionDenied
from chain_core.network.secured.security import PLAINTEXT
from service_registry import breaker
from service_registry.calls import SERVICE_CALL, PublisherUnreachable, SignedCall, SignedReply
from service_registry.forwarding import Forwarder

CALL = SignedCall(b"call", bytes(64), b"request")
ANSWER = SignedReply(b"reply", bytes(64), b"response")
Handler = Callable[[pb.CallRequest], Awaitable[SignedReply]]


class Host:
    """A publisher's host on a port of its own; ``asked`` are the deadlines that it was told."""

    def __init__(self, handler: Handler) -> None:
        self.asked: list[int] = []
        self._handler = handler
        self._server = RawServer({SERVICE_CALL: Unary(self._call)})
        self.address = self._server.bind("127.0.0.1:0")

    async def __aenter__(self) -> Host:
        await self._server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def _call(self, caller: Caller, data: bytes) -> bytes:
        request = parse(pb.CallRequest, data)
        self.asked.append(request.deadline_ms)
        return (await self._handler(request)).message().SerializeToString()


async def answers(request: pb.CallRequest) -> SignedReply:
    return ANSWER


async def breaks(request: pb.CallRequest) -> SignedReply:
    raise ZeroDivisionError


async def refuses(request: pb.CallRequest) -> SignedReply:
    raise PermissionDenied("not you", where="host")


async def sleeps(request: pb.CallRequest) -> SignedReply:
    await asyncio.Event().wait()
    return ANSWER


class Clock:
    now_ms = 0

    def __call__(self) -> int:
        return self.now_ms


FIRST: dict[str, tuple[Handler | None, bool]] = {
    "is away": (None, True),
    "refuses before it does anything": (refuses, True),
    "breaks down in the midst": (breaks, False),
    "does not answer in time": (sleeps, False),
}


@pytest.mark.parametrize("case", FIRST)
def test_another_host_is_asked_only_when_the_first_cannot_have_run_it(case: str) -> None:
    handler, goes_on = FIRST[case]

    async def main() -> None:
        async with Host(handler or answers) as first, Host(answers) as second:
            if handler is None:
                await first.stop()
            forwarder = Forwarder(PLAINTEXT, Clock())
            within_ms = 200 if handler is sleeps else 5_000
            endpoints = (first.address, second.address)
            if goes_on:
                assert await forwarder.forward(endpoints, CALL, within_ms) == ANSWER
            else:
                with pytest.raises(PublisherUnreachable, match="may have been carried out"):
                    await forwarder.forward(endpoints, CALL, within_ms)
            assert len(second.asked) == goes_on
            await forwarder.close()

    asyncio.run(main())


def test_the_deadline_travels_and_ends() -> None:
    async def main() -> None:
        clock = Clock()
        async with Host(answers) as host:
            forwarder = Forwarder(PLAINTEXT, clock)
            await forwarder.forward((host.address,), CALL, 1_234)
            assert host.asked == [1_234]
            with pytest.raises(PublisherUnreachable, match="no time was left"):
                await forwarder.forward((host.address,), CALL, 0)
            assert len(host.asked) == 1
            await forwarder.close()

    asyncio.run(main())


def test_a_dead_endpoint_rests_and_is_tried_again() -> None:
    async def main() -> None:
        clock, failing = Clock(), [True]

        async def sometimes(request: pb.CallRequest) -> SignedReply:
            return await (breaks if failing[0] else answers)(request)

        async with Host(sometimes) as host:
            forwarder = Forwarder(PLAINTEXT, clock)
            for _ in range(breaker.FAILURES + 3):
                with pytest.raises(PublisherUnreachable):
                    await forwarder.forward((host.address,), CALL, 5_000)
            assert len(host.asked) == breaker.FAILURES, "it is left alone"
            failing[0] = False
            clock.now_ms += breaker.FIRST_REST_MS
            assert await forwarder.forward((host.address,), CALL, 5_000) == ANSWER
            assert await forwarder.forward((host.address,), CALL, 5_000) == ANSWER
            await forwarder.close()

    asyncio.run(main())


def test_a_typed_refusal_is_no_failure_of_the_endpoint() -> None:
    async def main() -> None:
        async with Host(refuses) as host:
            forwarder = Forwarder(PLAINTEXT, Clock())
            for _ in range(2 * breaker.FAILURES):
                with pytest.raises(PublisherUnreachable, match="not you"):
                    await forwarder.forward((host.address,), CALL, 5_000)
            assert len(host.asked) == 2 * breaker.FAILURES
            await forwarder.close()

    asyncio.run(main())
