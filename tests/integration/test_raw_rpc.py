"""Raw-bytes gRPC on real ports: typed refusals on both sides, and nothing that arrives there brings it down."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import grpc
import grpc.aio
import pytest

from chain_core.network.channel_options import MAX_MESSAGE_BYTES
from chain_core.network.identity import LOOPBACK, Caller, NotLoopback
from chain_core.network.raw_rpc import Method, PortTaken, RawChannel, RawServer, Stream, Unary
from chain_core.network.refusals import (
    METADATA_KEY,
    DeadlinePassed,
    Internal,
    NotFound,
    Overloaded,
    Oversize,
    ServiceRefusal,
    UnknownMethod,
    Unreachable,
)
from chain_core.types.errors import MalformedBytes, PeerFault

BytesCall: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
GARBAGE = (
    b"",
    b"\0" * 100,
    b"GET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 400,
    b"\x16\x03\x01",
)


async def echo(caller: Caller, request: bytes) -> bytes:
    assert caller.kind == LOOPBACK
    assert "127.0.0.1" in caller.name
    return request


async def refuse(caller: Caller, request: bytes) -> bytes:
    match request:
        case b"malformed":
            raise MalformedBytes("no such field", where="offset 3", next_step="read the spec")
        case b"missing":
            raise NotFound("height 9", where="height")
        case b"full":
            raise Overloaded("the pool is full", retry_after_ms=250)
        case b"chinese":
            raise NotFound("没有这个高度", where="高度", next_step="稍后再试")
        case _:
            raise ZeroDivisionError("a defect with internals that nobody outside should see")


async def sleep(caller: Caller, request: bytes) -> bytes:
    await asyncio.Event().wait()
    return b""


async def add(caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Answers each message doubled; refuses ``bad``, ends at ``end``."""
    async for request in requests:
        if request == b"bad":
            raise PeerFault("bad message", where="stream", next_step="send another")
        if request == b"end":
            return
        yield request * 2


METHODS: dict[str, Method] = {
    "/test.Service/Echo": Unary(echo),
    "/test.Service/Refuse": Unary(refuse),
    "/test.Service/Sleep": Unary(sleep),
    "/test.Service/Add": Stream(add),
}


def serving(story: Callable[[RawChannel, RawServer], Awaitable[None]]) -> None:
    async def main() -> None:
        server = RawServer(METHODS)
        address = server.bind("127.0.0.1:0")
        await server.start()
        channel = RawChannel(address)
        try:
            await story(channel, server)
        finally:
            await channel.close()
            await server.stop(0)

    asyncio.run(main())


def test_bytes_go_there_and_back() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        for data in (b"", b"\xff\x00", b"x" * 16_500_000):
            assert await channel.unary("/test.Service/Echo", data, timeout_s=20) == data

    serving(story)


def test_refusals_arrive_as_their_type() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        with pytest.raises(MalformedBytes) as malformed:
            await channel.unary("/test.Service/Refuse", b"malformed", timeout_s=10)
        refusal = malformed.value
        assert (refusal.what, refusal.where, refusal.next_step) == ("no such field", "offset 3", "read the spec")
        with pytest.raises(NotFound):
            await channel.unary("/test.Service/Refuse", b"missing", timeout_s=10)
        with pytest.raises(Overloaded) as full:
            await channel.unary("/test.Service/Refuse", b"full", timeout_s=10)
        assert full.value.retry_after_ms == 250
        with pytest.raises(NotFound, match="没有这个高度"):
            await channel.unary("/test.Service/Refuse", b"chinese", timeout_s=10)

    serving(story)


def test_a_defect_is_written_down_here_and_not_shown_there(caplog: pytest.LogCaptureFixture) -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        with pytest.raises(Internal) as caught:
            await channel.unary("/test.Service/Refuse", b"", timeout_s=10)
        assert "internals" not in str(caught.value)

    with caplog.at_level(logging.ERROR):
        serving(story)
    assert "internals" in caplog.text


def test_generic_tools_see_a_status_and_a_text() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        async with grpc.aio.insecure_channel(channel.address) as plain:
            call: BytesCall = plain.unary_unary("/test.Service/Refuse")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"missing")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert "height 9" in (caught.value.details() or "")
        assert METADATA_KEY in {key for key, _ in caught.value.trailing_metadata() or ()}

    serving(story)


def test_what_the_library_itself_refuses_is_typed_too() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        with pytest.raises(UnknownMethod):
            await channel.unary("/test.Service/Nothing", b"", timeout_s=10)
        with pytest.raises(DeadlinePassed):
            await channel.unary("/test.Service/Sleep", b"", timeout_s=0.05)
        with pytest.raises(Oversize):
            await channel.unary("/test.Service/Echo", bytes(MAX_MESSAGE_BYTES + 1), timeout_s=10)
        large = grpc.aio.insecure_channel(channel.address, options=[("grpc.max_send_message_length", -1)])
        async with large:
            call: BytesCall = large.unary_unary("/test.Service/Echo")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(bytes(MAX_MESSAGE_BYTES + 1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    serving(story)


def test_nobody_there() -> None:
    async def story() -> None:
        server = RawServer(METHODS)
        address = server.bind("127.0.0.1:0")
        await server.start()
        await server.stop(0)
        channel = RawChannel(address)
        with pytest.raises(Unreachable) as caught:
            await channel.unary("/test.Service/Echo", b"", timeout_s=10)
        assert address in caught.value.where
        await channel.close()

    asyncio.run(story())


def test_streams() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        stream = channel.stream("/test.Service/Add")
        for word in (b"a", b"bc"):
            await stream.send(word)
            assert await stream.receive() == word * 2
        ended = asyncio.Event()
        stream.when_ended(ended.set)
        await stream.send(b"bad")
        # What is a peer's fault there is not a fault of the peer here: it comes back as a refusal with that code.
        with pytest.raises(ServiceRefusal, match="PEER_FAULT: bad message"):
            await stream.receive()
        await asyncio.wait_for(ended.wait(), 10)
        assert stream.ended
        with pytest.raises(ServiceRefusal, match="PEER_FAULT: bad message"):
            await stream.send(b"more")

        stream = channel.stream("/test.Service/Add")
        await stream.send(b"end")
        with pytest.raises(Unreachable):
            await stream.receive()

    serving(story)


def test_a_stream_ends_with_its_server() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        stream = channel.stream("/test.Service/Add")
        await stream.send(b"a")
        assert await stream.receive() == b"aa"
        await server.stop(0)
        with pytest.raises(Unreachable):
            await stream.receive()

    serving(story)


def test_a_port_belongs_to_one() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        second = RawServer(METHODS)
        with pytest.raises(PortTaken) as caught:
            second.bind(channel.address)
        assert caught.value.where == channel.address
        assert "ss -ltnp" in caught.value.next_step
        await second.stop(0)

    serving(story)


def test_a_port_is_free_again_when_the_server_is_stopped() -> None:
    async def story() -> None:
        never_started = RawServer(METHODS)
        address = never_started.bind("127.0.0.1:0")
        await never_started.stop(0)
        second = RawServer(METHODS)
        assert second.bind(address) == address
        await second.start()
        await second.stop(0)
        third = RawServer(METHODS)
        assert third.bind(address) == address
        await third.stop(0)

    asyncio.run(story())


def test_a_listening_socket_of_another_program() -> None:
    async def story() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(PortTaken):
                RawServer(METHODS).bind(f"127.0.0.1:{other.getsockname()[1]}")

    asyncio.run(story())


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "localhost:0"])
def test_no_port_faces_the_network(address: str) -> None:
    async def story() -> None:
        with pytest.raises(NotLoopback):
            RawServer(METHODS).bind(address)
        with pytest.raises(NotLoopback):
            RawChannel(address)

    asyncio.run(story())


async def throw(address: str, data: bytes) -> None:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    writer.write_eof()
    try:
        await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        pass
    finally:
        writer.close()


def test_garbage_on_the_port_disturbs_nobody() -> None:
    async def story(channel: RawChannel, server: RawServer) -> None:
        stream = channel.stream("/test.Service/Add")
        await stream.send(b"a")
        for data in GARBAGE:
            await throw(channel.address, data)
            assert await channel.unary("/test.Service/Echo", b"still here", timeout_s=10) == b"still here"
        assert await stream.receive() == b"aa"
        await stream.send(b"b")
        assert await stream.receive() == b"bb"

    serving(story)
