"""gRPC with raw bytes: a table of methods is served, each handler gets the caller and the request's bytes.

Nothing is (de)serialised by gRPC itself, so that the SM session can be put between the channel and the handlers: it
replaces ``identify`` and wraps the bytes (docs/spec/network.md §1-§2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from chain_core.network import refusals
from chain_core.network.channel_options import CLIENT_OPTIONS, SERVER_OPTIONS
from chain_core.network.identity import Caller, loopback_caller, require_loopback, split_address
from chain_core.types.errors import DualchainError, LocalFault, MalformedBytes

log = logging.getLogger(__name__)

UnaryHandler: TypeAlias = Callable[[Caller, bytes], Awaitable[bytes]]
StreamHandler: TypeAlias = Callable[[Caller, AsyncIterator[bytes]], AsyncIterator[bytes]]
ServerStreamHandler: TypeAlias = Callable[[Caller, bytes], AsyncGenerator[bytes, None]]
Identify: TypeAlias = Callable[[grpc.aio.ServicerContext[Any, Any]], Caller]

MAX_CONCURRENT_CALLS = 4_096

M = TypeVar("M", bound=Message)


class PortTaken(LocalFault):
    """Another process listens on this port."""

    code = "PORT_TAKEN"


@dataclass(frozen=True, slots=True)
class Unary:
    """A method with one request and one response."""

    handler: UnaryHandler


@dataclass(frozen=True, slots=True)
class Stream:
    """A method with streams in both directions; the response ends when the handler does."""

    handler: StreamHandler


@dataclass(frozen=True, slots=True)
class ServerStream:
    """A method with one request and a stream of responses.

    A response that the caller does not take within ``patience_s`` is thrown into the handler as TimeoutError where it
    yielded; what it raises then ends the call.
    """

    handler: ServerStreamHandler
    patience_s: float


Method: TypeAlias = Unary | Stream | ServerStream


def parse(kind: type[M], data: bytes) -> M:
    """The protobuf message in ``data``. Raises MalformedBytes; what it carries is not looked at."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise MalformedBytes(
            f"not a {kind.DESCRIPTOR.full_name}",
            where="message",
            next_step="send a message of protos/dualchain",
        ) from error


class RawServer:
    """One listening port: ``bind``, ``start``, ``stop``; ``grpc_server`` takes further standard servicers."""

    def __init__(self, methods: Mapping[str, Method], *, identify: Identify = loopback_caller) -> None:
        self.grpc_server = grpc.aio.server(
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
            compression=grpc.Compression.NoCompression,
        )
        self.grpc_server.add_generic_rpc_handlers((_Table(methods, identify),))
        self._started = False

    def bind(self, address: str) -> str:
        """Takes ``host:port`` and returns the address with the real port (0 draws one); calls wait until ``start``.

        Raises BadAddress, NotLoopback, PortTaken.
        """
        require_loopback(address)
        host, _ = split_address(address)
        try:
            port = self.grpc_server.add_insecure_port(address)
        except RuntimeError as error:
            raise PortTaken(
                "cannot listen there, another process has the port",
                where=address,
                next_step=f"stop it (ss -ltnp shows which one), or choose another port; {host}:0 draws a free one",
            ) from error
        return f"{address.rpartition(':')[0]}:{port}"

    async def start(self) -> None:
        """Answers calls."""
        self._started = True
        await self.grpc_server.start()

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls, lets running ones end for ``grace_s`` seconds, then cancels them; frees the port."""
        if not self._started:
            # gRPC gives back the port of a server that never ran only when it is collected.
            await self.start()
        await self.grpc_server.stop(grace_s)


class _Table(grpc.GenericRpcHandler):
    def __init__(self, methods: Mapping[str, Method], identify: Identify) -> None:
        self._handlers = {name: _wrap(name, method, identify) for name, method in methods.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._handlers.get(str(handler_call_details.method))


def _wrap(name: str, method: Method, identify: Identify) -> grpc.RpcMethodHandler[Any, Any]:
    if isinstance(method, Unary):
        return grpc.unary_unary_rpc_method_handler(_unary(name, method.handler, identify))
    if isinstance(method, ServerStream):
        return grpc.unary_stream_rpc_method_handler(_server_stream(name, method, identify))
    return grpc.stream_stream_rpc_method_handler(_stream(name, method.handler, identify))


def _unary(name: str, handler: UnaryHandler, identify: Identify) -> Any:
    async def call(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            return await handler(identify(context), request)
        except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
            await _refuse(name, context, error)

    return call


def _stream(name: str, handler: StreamHandler, identify: Identify) -> Any:
    async def call(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        try:
            async for response in handler(identify(context), requests):
                yield response
        except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
            await _refuse(name, context, error)

    return call


def _server_stream(name: str, method: ServerStream, identify: Identify) -> Any:
    async def call(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        try:
            async with aclosing(method.handler(identify(context), request)) as responses:
                async for response in responses:
                    try:
                        async with asyncio.timeout(method.patience_s):
                            await context.write(response)
                    except TimeoutError as late:
                        await responses.athrow(late)
        except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
            await _refuse(name, context, error)

    return call


async def _refuse(name: str, context: grpc.aio.ServicerContext[bytes, bytes], error: Exception) -> NoReturn:
    """Ends the call with a refusal; what is no refusal is a defect: written down here, not shown to the caller."""
    if not isinstance(error, DualchainError):
        log.error("DEFECT method=%s", name, exc_info=error)
        error = refusals.Internal(
            "the node failed to serve this request",
            where=name,
            next_step="ask another node; the operator finds the details in this node's log",
        )
    await context.abort(
        refusals.status_of(error),
        str(error)[:1_000],
        ((refusals.METADATA_KEY, refusals.to_message(error).SerializeToString()),),
    )


class RawChannel:
    """A client's connection to one address; safe for any number of concurrent calls of one event loop."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._channel = grpc.aio.insecure_channel(
            require_loopback(address), options=CLIENT_OPTIONS, compression=grpc.Compression.NoCompression
        )
        self._unary: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    async def unary(self, method: str, request: bytes, *, timeout_s: float) -> bytes:
        """The response. Raises the server's refusal as its type, or Unreachable, DeadlinePassed, Oversize ..."""
        callable_ = self._unary.get(method)
        if callable_ is None:
            callable_ = self._unary[method] = self._channel.unary_unary(method)
        try:
            return await callable_(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise _typed(error.trailing_metadata(), error.code(), error.details(), f"{self.address}{method}") from None

    async def server_stream(self, method: str, request: bytes) -> AsyncGenerator[bytes, None]:
        """The responses as they come. Raises the server's refusal as its type, Unreachable when the connection ends."""
        opened: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(method)
        call = opened(request)
        where = f"{self.address}{method}"
        try:
            async for response in call:
                yield response
            raise refusals.from_status(await call.code(), "", where)
        except grpc.aio.AioRpcError as error:
            raise _typed(error.trailing_metadata(), error.code(), error.details(), where) from None
        finally:
            call.cancel()

    def stream(self, method: str) -> RawStream:
        """An open call in both directions; it waits for the connection, however long that takes."""
        return RawStream(self._channel.stream_stream(method)(wait_for_ready=True), f"{self.address}{method}")

    async def close(self) -> None:
        """Ends all calls."""
        await self._channel.close()


class RawStream:
    """A client's end of a stream. What ends it is raised by whichever of its methods meets it first."""

    def __init__(self, call: grpc.aio.StreamStreamCall[bytes, bytes], where: str) -> None:
        self._call = call
        self._where = where

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._call.done()

    def when_ended(self, told: Callable[[], None]) -> None:
        """Calls ``told`` once when the stream ends, for whatever reason."""
        self._call.add_done_callback(lambda _: told())

    async def send(self, data: bytes) -> None:
        """Hands over one message; waits while the other side reads slower than this one sends. Raises refusals."""
        try:
            await self._call.write(data)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            raise await self.reason() from None

    async def receive(self) -> bytes:
        """The next message. Raises refusals, Unreachable at the stream's regular end."""
        try:
            message = await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            raise await self.reason() from None
        if isinstance(message, bytes):
            return message
        raise await self.reason()

    async def reason(self) -> DualchainError:
        """Why the stream ended; waits for its end."""
        code = await self._call.code()
        return _typed(await self._call.trailing_metadata(), code, await self._call.details(), self._where)

    def cancel(self) -> None:
        """Ends it now."""
        self._call.cancel()


def _typed(
    metadata: Iterable[tuple[str, str | bytes]] | None, code: grpc.StatusCode, details: str | None, where: str
) -> DualchainError:
    """The exception that a failed call stands for."""
    for key, value in metadata or ():
        if key == refusals.METADATA_KEY and isinstance(value, bytes):
            return refusals.from_metadata(value)
    return refusals.from_status(code, details or "", where)
