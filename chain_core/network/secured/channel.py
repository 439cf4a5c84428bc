"""``secure_channel``: an SM session as an ordinary ``grpc.aio`` channel, for any generated stub.

Serialisers are the stub's; what they make travels in records. Metadata would travel outside of them and is refused, as
are call credentials; refusals come as AioRpcError with the status and the text that the server sealed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable
from typing import Any

import grpc
import grpc.aio

from chain_core.network import refusals
from chain_core.network.raw_rpc import open_channel
from chain_core.network.secured.calling import SecuredCalls, SecuredStream
from chain_core.network.secured.keeping import SessionKeeper
from chain_core.network.secured.security import SmClient
from chain_core.types.errors import DualchainError

Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


def secure_channel(address: str, credentials: SmClient) -> SecureChannel:
    """A channel to the SM port at ``address``, inside a running event loop. Raises BadAddress."""
    return SecureChannel(address, credentials)


def _error(refusal: DualchainError) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata((refusals.METADATA_KEY, refusals.to_message(refusal).SerializeToString()))
    return grpc.aio.AioRpcError(refusals.status_of(refusal), grpc.aio.Metadata(), trailing, details=str(refusal))


def _cancelled() -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.CANCELLED, grpc.aio.Metadata(), grpc.aio.Metadata(), details="cancelled by this side"
    )


class _Call:
    """One call under way: what grpc.aio's calls offer."""

    def __init__(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._deadline = None if timeout is None else loop.time() + timeout
        self._ended: asyncio.Future[grpc.aio.AioRpcError | None] = loop.create_future()
        self._told: list[Callable[[Any], None]] = []

    def _end(self, error: grpc.aio.AioRpcError | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)
            for told in self._told:
                told(self)

    async def _guarded(self, act: Awaitable[Any]) -> Any:
        """What ``act`` gives; its refusal as the error that a stub's caller knows. Either may end the call."""
        try:
            return await act
        except DualchainError as refusal:
            error = _error(refusal)
            self._end(error)
            raise error from refusal
        except asyncio.CancelledError:
            self._end(_cancelled())
            raise

    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.done()

    def cancelled(self) -> bool:
        """Whether this side ended it."""
        error = self._ended.result() if self._ended.done() else None
        return error is not None and error.code() is grpc.StatusCode.CANCELLED

    def time_remaining(self) -> float | None:
        """Seconds until the deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - asyncio.get_running_loop().time())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Calls ``callback`` when the call ends."""
        if self._ended.done():
            callback(self)
        else:
            self._told.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """None: it would be unprotected."""
        return grpc.aio.Metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """The refusal, if there is one."""
        error = await asyncio.shield(self._ended)
        return grpc.aio.Metadata() if error is None else error.trailing_metadata()

    async def code(self) -> grpc.StatusCode:
        """The status, once it has ended."""
        error = await asyncio.shield(self._ended)
        return grpc.StatusCode.OK if error is None else error.code()

    async def details(self) -> str:
        """What the status says, once it has ended."""
        error = await asyncio.shield(self._ended)
        return "" if error is None else error.details() or ""

    async def wait_for_connection(self) -> None:
        """Calls connect by themselves."""


class _Answer(_Call):
    """A call with one response: awaitable."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], timeout: float | None) -> None:
        super().__init__(timeout)
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        answer = await self._guarded(work())
        self._end(None)
        return answer

    def cancel(self) -> bool:
        """Ends it now."""
        self._end(_cancelled())
        return self._task.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        return self._task.__await__()


class _Responses(_Call):
    """A call with a stream of responses, and of requests where ``stream`` takes more of them."""

    def __init__(
        self,
        stream: SecuredStream,
        requests: Any,
        encode: Serializer,
        decode: Deserializer,
        timeout: float | None,
    ) -> None:
        super().__init__(timeout)
        self._stream, self._encode, self._decode = stream, encode, decode
        self._sending = None if requests is None else asyncio.create_task(self._send_all(requests))

    async def _send_all(self, requests: Any) -> None:
        async for request in _each(requests):
            await self._stream.send(self._encode(request))
        await self._stream.end()

    async def read(self) -> Any:
        """The next response, ``grpc.aio.EOF`` after the last."""
        data = await self._guarded(self._within(self._stream.receive_or_end()))
        if data is None:
            self._end(None)
            self._stream.cancel()
            return grpc.aio.EOF
        return self._decode(data)

    async def write(self, request: Any) -> None:
        """Sends one request; only where none were given at the beginning."""
        await self._guarded(self._within(self._stream.send(self._encode(request))))

    async def done_writing(self) -> None:
        """This side has sent all it had."""
        await self._guarded(self._within(self._stream.end()))

    async def _within(self, act: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self.time_remaining()):
                return await act
        except TimeoutError:
            raise refusals.DeadlinePassed("no answer in time", next_step="ask again, with more time") from None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (response := await self.read()) is not grpc.aio.EOF:
            yield response

    def cancel(self) -> bool:
        """Ends it now."""
        if self._sending is not None:
            self._sending.cancel()
        self._stream.cancel()
        if self.done():
            return False
        self._end(_cancelled())
        return True


async def _each(requests: Any) -> AsyncIterator[Any]:
    if isinstance(requests, Iterable):
        for request in requests:
            yield request
    else:
        async for request in requests:
            yield request


def _plain(value: Any) -> Any:
    return value


class SecureChannel(grpc.aio.Channel):
    """Made by ``secure_channel``; one session for all calls."""

    def __init__(self, address: str, credentials: SmClient) -> None:
        self._channel = open_channel(address, credentials)
        self._keeper = SessionKeeper(self._channel, address, credentials)
        self._calls = SecuredCalls(self._channel, self._keeper)

    async def __aenter__(self) -> SecureChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls."""
        await self._keeper.close()
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The connection's."""
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """The connection's."""
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Connected, and hands shaken. Raises SessionRefused, DeadlinePassed."""
        await self._channel.channel_ready()
        await self._keeper.session()

    def unary_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        """A multi-callable for a generated stub."""
        encode, decode = request_serializer or _plain, response_deserializer or _plain

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **options: Any) -> _Answer:
            _check(metadata, options)

            async def work() -> Any:
                return decode(await self._calls.unary(method, encode(request), timeout))

            return _Answer(work, timeout)

        return call

    def stream_unary(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        """A multi-callable for a generated stub; requests come from an iterator."""
        many = self.stream_stream(method, request_serializer, response_deserializer)

        def call(requests: Any = None, *, timeout: float | None = None, **options: Any) -> _Answer:
            if requests is None:
                raise ValueError("give the requests as an iterator")

            async def work() -> Any:
                responses = many(requests, timeout=timeout, **options)
                try:
                    answer = await responses.read()
                    if answer is grpc.aio.EOF or await responses.read() is not grpc.aio.EOF:
                        raise refusals.Internal("one response was due", where=method)
                    return answer
                finally:
                    responses.cancel()

            return _Answer(work, timeout)

        return call

    def unary_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        """A multi-callable for a generated stub."""
        encode, decode = request_serializer or _plain, response_deserializer or _plain

        def call(request: Any, *, timeout: float | None = None, metadata: Any = None, **options: Any) -> _Served:
            _check(metadata, options)
            return _Served(self._calls.server_stream(method, encode(request), timeout), decode, timeout)

        return call

    def stream_stream(
        self, method: str, request_serializer: Any = None, response_deserializer: Any = None, *_: Any, **__: Any
    ) -> Any:
        """A multi-callable for a generated stub; requests come from an iterator, or by ``write``."""
        encode, decode = request_serializer or _plain, response_deserializer or _plain

        def call(
            requests: Any = None, *, timeout: float | None = None, metadata: Any = None, **options: Any
        ) -> _Responses:
            _check(metadata, options)
            return _Responses(self._calls.stream(method, timeout), requests, encode, decode, timeout)

        return call


class _Served(_Call):
    """A call with one request and a stream of responses."""

    def __init__(self, responses: Any, decode: Deserializer, timeout: float | None) -> None:
        super().__init__(timeout)
        self._responses, self._decode = responses, decode
        self._reading: asyncio.Future[Any] | None = None
        self._closing: asyncio.Future[Any] | None = None

    async def read(self) -> Any:
        """The next response, ``grpc.aio.EOF`` after the last."""
        if self.done():
            return grpc.aio.EOF
        self._reading = asyncio.ensure_future(_next(self._responses))
        data = await self._guarded(self._reading)
        if data is None:
            self._end(None)
            return grpc.aio.EOF
        return self._decode(data)

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (response := await self.read()) is not grpc.aio.EOF:
            yield response

    def cancel(self) -> bool:
        """Ends it now."""
        if self.done():
            return False
        self._end(_cancelled())
        if self._reading is not None and not self._reading.done():
            self._reading.cancel()
        else:
            self._closing = asyncio.ensure_future(self._responses.aclose())
        return True


async def _next(responses: Any) -> Any:
    return await anext(responses, None)


def _check(metadata: Any, options: dict[str, Any]) -> None:
    """ValueError for what would go past the session."""
    if metadata or options.get("credentials") is not None:
        raise ValueError("metadata and call credentials would travel unprotected; put them into the request")
