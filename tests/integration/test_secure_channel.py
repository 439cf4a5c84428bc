"""``secure_channel`` under stubs that protoc generates: the four kinds of calls, serialisers, refusals, deadlines."""

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_tools import protoc

from chain_core.network import refusals
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, Stream, Unary
from chain_core.network.refusals import NotFound
from chain_core.network.secured.channel import SecureChannel, secure_channel
from tests.integration.secured import Wire, client_security, port, told
from tests.unit.network.sm_session.support import identity

PROTO = """
syntax = "proto3";
package stubs.test;
message Number { int64 value = 1; }
service Sums {
  rpc Square(Number) returns (Number);
  rpc Upto(Number) returns (stream Number);
  rpc Sum(stream Number) returns (Number);
  rpc Running(stream Number) returns (stream Number);
  rpc Absent(Number) returns (Number);
  rpc Never(Number) returns (Number);
}
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "sums_for_test.proto").write_text(PROTO, "utf-8")
    arguments = ["protoc", f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main([*arguments, str(folder / "sums_for_test.proto")]) == 0
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("sums_for_test_pb2"), importlib.import_module("sums_for_test_pb2_grpc")
    finally:
        sys.path.remove(str(folder))


class Sums:
    """The service, over raw bytes as every port of ours."""

    def __init__(self, pb: Any) -> None:
        self._pb = pb

    def methods(self) -> dict[str, Method]:
        return {
            "/stubs.test.Sums/Square": Unary(self.square),
            "/stubs.test.Sums/Upto": ServerStream(self.upto, 5.0),
            "/stubs.test.Sums/Sum": Stream(self.sum),
            "/stubs.test.Sums/Running": Stream(self.running),
            "/stubs.test.Sums/Absent": Unary(self.absent),
            "/stubs.test.Sums/Never": Unary(self.never),
        }

    def _of(self, data: bytes) -> int:
        return int(self._pb.Number.FromString(data).value)

    def _to(self, value: int) -> bytes:
        return bytes(self._pb.Number(value=value).SerializeToString())

    async def square(self, caller: Caller, data: bytes) -> bytes:
        return self._to(self._of(data) ** 2)

    async def upto(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        for value in range(self._of(data)):
            yield self._to(value)

    async def sum(self, caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield self._to(sum([self._of(request) async for request in requests]))

    async def running(self, caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        total = 0
        async for request in requests:
            total += self._of(request)
            yield self._to(total)

    async def absent(self, caller: Caller, data: bytes) -> bytes:
        raise NotFound("no such number", where="value", next_step="name another")

    async def never(self, caller: Caller, data: bytes) -> bytes:
        await asyncio.Event().wait()
        return b""


async def numbers(pb: Any, *values: int) -> AsyncIterator[Any]:
    for value in values:
        yield pb.Number(value=value)


def test_a_generated_stub(generated: tuple[Any, Any]) -> None:
    pb, services = generated

    async def story() -> None:
        async with port(Sums(pb).methods()) as (_, address):
            wire = Wire(address)
            async with secure_channel(await wire.start(), client_security()) as channel:
                assert isinstance(channel, grpc.aio.Channel)
                await channel.channel_ready()
                assert channel.get_state() is grpc.ChannelConnectivity.READY
                stub = services.SumsStub(channel)
                answer = await stub.Square(pb.Number(value=12_345_678))
                assert answer == pb.Number(value=12_345_678**2)
                assert [n.value async for n in stub.Upto(pb.Number(value=4))] == [0, 1, 2, 3]
                assert (await stub.Sum(numbers(pb, 1, 2, 3))).value == 6
                assert (await stub.Sum([pb.Number(value=5)], timeout=10)).value == 5
                assert (await stub.Sum([])).value == 0
                assert [n.value async for n in stub.Running(numbers(pb, 1, 2, 3))] == [1, 3, 6]
                many = await asyncio.gather(*(stub.Square(pb.Number(value=n)) for n in range(200)))
                assert [n.value for n in many] == [n * n for n in range(200)]
            await wire.stop()
            assert pb.Number(value=12_345_678**2).SerializeToString() not in wire.seen

    told(story)


def test_writing_and_reading_by_hand(generated: tuple[Any, Any]) -> None:
    pb, services = generated

    async def story() -> None:
        async with port(Sums(pb).methods()) as (_, address), secure_channel(address, client_security()) as channel:
            stub = services.SumsStub(channel)
            call = stub.Running()
            for value, total in ((1, 1), (10, 11)):
                await call.write(pb.Number(value=value))
                assert (await call.read()).value == total
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert (await call.code(), call.done(), call.cancelled()) == (grpc.StatusCode.OK, True, False)
            served = stub.Upto(pb.Number(value=1_000))
            assert (await served.read()).value == 0
            assert served.cancel() and not served.cancel() and served.cancelled()

    told(story)


def test_refusals_as_a_stub_knows_them(generated: tuple[Any, Any]) -> None:
    pb, services = generated

    async def story() -> None:
        async with port(Sums(pb).methods()) as (_, address), secure_channel(address, client_security()) as channel:
            stub = services.SumsStub(channel)
            call = stub.Absent(pb.Number())
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            assert "no such number" in (refused.value.details() or "")
            said = dict(refused.value.trailing_metadata())[refusals.METADATA_KEY]  # type: ignore[call-overload]
            assert refusals.from_metadata(said).next_step == "name another"
            assert await call.code() is grpc.StatusCode.NOT_FOUND
            late = stub.Never(pb.Number(), timeout=0.2)
            ended: list[Any] = []
            late.add_done_callback(ended.append)
            with pytest.raises(grpc.aio.AioRpcError) as deadline:
                await late
            assert deadline.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED and ended == [late]
            slow = stub.Running(timeout=0.2)
            with pytest.raises(grpc.aio.AioRpcError) as deadline:
                await slow.read()
            assert deadline.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            cancelled = stub.Never(pb.Number())
            assert cancelled.cancel()
            with suppress(asyncio.CancelledError):
                await cancelled
            assert cancelled.cancelled()

    told(story)


def test_nothing_travels_beside_the_session(generated: tuple[Any, Any]) -> None:
    pb, services = generated

    async def story() -> None:
        async with port(Sums(pb).methods()) as (_, address), secure_channel(address, client_security()) as channel:
            stub = services.SumsStub(channel)
            with pytest.raises(ValueError, match="metadata"):
                await stub.Square(pb.Number(), metadata=(("token", "secret"),))

    told(story)


def test_a_stranger_gets_no_stub(generated: tuple[Any, Any]) -> None:
    pb, services = generated

    async def story() -> None:
        mallory = client_security(identity("mallory", "client", issuer="theirs"))
        async with port(Sums(pb).methods()) as (_, address), SecureChannel(address, mallory) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="CERTIFICATE_REFUSED"):
                await services.SumsStub(channel).Square(pb.Number(value=2))

    told(story)
