"""SM sessions on real ports: all kinds of calls, and everything that somebody on the wire or a stranger may try."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from chain_core.crypto.hashing import sm3
from chain_core.network import refusals
from chain_core.network.refusals import Internal, NotFound, Overloaded, SlowReader, Unreachable
from chain_core.network.sm_session.refused import Reason
from chain_core.types.errors import DualchainError
from tests.integration.secured import Wire, channel, port, told
from tests.integration.secured_service import METHODS, SECRET, ask, reason
from tests.unit.network.sm_session.support import certificate


def test_the_four_kinds_of_calls() -> None:
    async def story() -> None:
        async with port(METHODS) as (server, address), channel(address) as one:
            for data in (b"", SECRET, b"x" * 16_500_000):
                assert await ask(one, data) == data
            assert server.secured is not None and len(server.secured.table) == 1
            fingerprint = sm3(certificate("alice", "client", "auditor")).hex()
            assert await ask(one, method="/test.Service/Who") == f"sm alice client,auditor {fingerprint}".encode()
            stream = one.stream("/test.Service/Double")
            await stream.send(b"ab")
            assert [await stream.receive(), await stream.receive()] == [b"hello alice", b"abab"]
            await stream.send(b"end")
            with pytest.raises(Unreachable):
                await stream.receive()
            counted = [number async for number in _until_refused(one.server_stream("/test.Service/Count", b"4"))]
            assert counted == [b"0", b"1", b"2", b"3", Unreachable]

    told(story)


async def _until_refused(responses: AsyncIterator[bytes]) -> AsyncIterator[bytes | type]:
    try:
        async for response in responses:
            yield response
    except DualchainError as refusal:
        yield type(refusal)


def test_refusals_travel_sealed(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with port(METHODS) as (_, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                with pytest.raises(NotFound, match="没有这个高度") as missing:
                    await ask(one, b"missing", "/test.Service/Refuse")
                assert missing.value.next_step == "ask for another"
                with pytest.raises(Overloaded) as full:
                    await ask(one, b"full", "/test.Service/Refuse")
                assert full.value.retry_after_ms == 250
                with pytest.raises(Internal) as defect:
                    await ask(one, b"", "/test.Service/Refuse")
                assert "internals" not in str(defect.value)
                stream = one.stream("/test.Service/Double")
                await stream.send(b"bad")
                await stream.receive()
                with pytest.raises(DualchainError) as bad:
                    await stream.receive()
                assert bad.value.code == "PEER_FAULT"
                counted = [number async for number in _until_refused(one.server_stream("/test.Service/Count", b"3"))]
                assert counted == [b"0", b"1", b"2", NotFound]
            await wire.stop()
            for word in (
                "没有这个高度".encode(),
                b"NOT_FOUND",
                b"pool is full",
                b"bad message",
                b"alice",
                b"no fourth",
            ):
                assert word not in wire.seen

    with caplog.at_level(logging.ERROR):
        told(story)
    assert "internals" in caplog.text


def test_a_slow_reader_is_told_why() -> None:
    async def story() -> None:
        async with port(METHODS) as (_, address), channel(address) as one:
            responses = one.server_stream("/test.Service/Endless", b"")
            await anext(responses)
            await asyncio.sleep(1.0)  # as a reader that does something else: what it does not take is the subject
            with pytest.raises(SlowReader, match="height 7"):
                async for _ in responses:
                    pass

    told(story)


def test_nothing_readable_on_the_wire() -> None:
    async def story() -> None:
        async with port(METHODS) as (_, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                assert await ask(one) == SECRET
                stream = one.stream("/test.Service/Double")
                await stream.send(SECRET)
                await stream.receive()
                assert await stream.receive() == 2 * SECRET
            await wire.stop()
            assert len(wire.seen) > 4 * len(SECRET)
            assert SECRET[:16] not in wire.seen and b"alice" not in wire.seen

    told(story)


def replacing(old: Callable[[bytes], int], at: int = 0) -> Callable[[bytes], bytes]:
    """Flips a bit of the first chunk in which ``old`` finds a place."""
    done: list[bool] = []

    def change(data: bytes) -> bytes:
        place = old(data)
        if place < 0 or done:
            return data
        done.append(True)
        return data[: place + at] + bytes([data[place + at] ^ 1]) + data[place + at + 1 :]

    return change


@pytest.mark.parametrize("kind", ["unary", "stream"])
def test_a_byte_altered_on_the_way(kind: str) -> None:
    """The session ends by name; the next call makes a new one and goes through."""

    async def story() -> None:
        async with port(METHODS) as (server, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                assert await ask(one, b"first") == b"first"
                assert server.secured is not None
                (entry,) = server.secured.table._entries.values()
                mark = b"\x01" + entry.session.id
                stream = one.stream("/test.Service/Double")
                if kind == "stream":
                    await stream.send(b"before")
                    await stream.receive()
                wire.change = replacing(lambda data: data.find(mark), at=50)
                if kind == "unary":
                    assert await reason(lambda: ask(one)) is Reason.BAD_RECORD
                else:
                    await stream.send(SECRET)
                    await stream.receive()
                    assert await reason(stream.receive) is Reason.BAD_RECORD
                assert await ask(one) == SECRET
                (now,) = server.secured.table._entries.values()
                assert now.session.id != entry.session.id
            await wire.stop()

    told(story)


def test_an_altered_answer() -> None:
    async def story() -> None:
        async with port(METHODS) as (server, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                await ask(one, b"first")
                assert server.secured is not None
                (entry,) = server.secured.table._entries.values()
                wire.change_back = replacing(lambda data: data.find(b"\x01" + entry.session.id), at=50)
                assert await reason(lambda: ask(one)) is Reason.BAD_RECORD
                assert await ask(one) == SECRET
            await wire.stop()

    told(story)


def recorded(seen: bytes, session_id: bytes, size: int) -> bytes:
    place = seen.find(b"\x01" + session_id)
    return bytes(seen[place : place + size])


def test_a_record_replayed_by_a_stranger() -> None:
    """From another connection, by somebody who listened: refused by name, and the session goes on."""

    async def story() -> None:
        async with port(METHODS) as (server, address):
            wire = Wire(address)
            async with channel(await wire.start()) as one:
                await ask(one)
                assert server.secured is not None
                (entry,) = server.secured.table._entries.values()
                record = recorded(wire.seen, entry.session.id, len(SECRET) + 62)
                async with grpc.aio.insecure_channel(address) as plain:
                    for method, data, expected in (
                        ("/test.Service/Echo", record, "REPLAYED"),
                        ("/test.Service/Who", record, "REPLAYED"),
                        ("/test.Service/Echo", SECRET, "SESSION_REQUIRED"),
                        ("/test.Service/Echo", b"", "SESSION_REQUIRED"),
                        ("/test.Service/Echo", b"\x01" + bytes(16) + record[17:], "SESSION_UNKNOWN"),
                    ):
                        with pytest.raises(grpc.aio.AioRpcError) as refused:
                            await plain.unary_unary(method)(data)
                        said = dict(refused.value.trailing_metadata())[refusals.METADATA_KEY]  # type: ignore[call-overload]
                        assert refusals.from_metadata(said).code == expected
                assert await ask(one) == SECRET
                assert len(server.secured.table) == 1
            await wire.stop()

    told(story)
