"""What the tests of SM sessions serve and ask."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, RawChannel, ServerStream, Stream, Unary
from chain_core.network.refusals import NotFound, Overloaded, SlowReader
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.types.errors import PeerFault

SECRET = b"a transfer of 1000 shares from one holder to another"


async def echo(caller: Caller, request: bytes) -> bytes:
    return request


async def who(caller: Caller, request: bytes) -> bytes:
    return f"{caller.kind} {caller.name} {','.join(caller.roles)} {caller.fingerprint.hex()}".encode()


async def refuse(caller: Caller, request: bytes) -> bytes:
    match request:
        case b"missing":
            raise NotFound("没有这个高度", where="height", next_step="ask for another")
        case b"full":
            raise Overloaded("the pool is full", retry_after_ms=250)
        case _:
            raise ZeroDivisionError("a defect with internals that nobody outside should see")


async def sleep(caller: Caller, request: bytes) -> bytes:
    await asyncio.Event().wait()
    return b""


async def double(caller: Caller, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"hello " + caller.name.encode()
    async for request in requests:
        if request == b"bad":
            raise PeerFault("bad message", where="stream", next_step="send another")
        if request == b"end":
            return
        yield request * 2


async def count(caller: Caller, request: bytes) -> AsyncGenerator[bytes, None]:
    for number in range(int(request)):
        yield b"%d" % number
    if request == b"3":
        raise NotFound("no fourth one", where="count")


async def endless(caller: Caller, request: bytes) -> AsyncGenerator[bytes, None]:
    try:
        while True:
            yield bytes(1_000_000)
    except TimeoutError:
        raise SlowReader("nothing is taken", where="height 7", next_step="read") from None


METHODS: dict[str, Method] = {
    "/test.Service/Echo": Unary(echo),
    "/test.Service/Who": Unary(who),
    "/test.Service/Refuse": Unary(refuse),
    "/test.Service/Sleep": Unary(sleep),
    "/test.Service/Double": Stream(double),
    "/test.Service/Count": ServerStream(count, 5.0),
    "/test.Service/Endless": ServerStream(endless, 0.2),
}


async def ask(opened: RawChannel, request: bytes = SECRET, method: str = "/test.Service/Echo") -> bytes:
    return await opened.unary(method, request, timeout_s=20)


async def reason(act: Callable[[], object]) -> Reason:
    with pytest.raises(SessionRefused) as refused:
        await act()  # type: ignore[misc]
    return refused.value.reason
