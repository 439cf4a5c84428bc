"""gRPC with raw bytes: a table of methods is served, each handler gets the caller and the request's bytes.

Nothing is (de)serialised by gRPC itself. ``security`` says what stands between the channel and the handlers: an SM
session (docs/spec/sm-session.md), standard TLS, or nothing on the loopback interface (docs/spec/network.md §1-§2).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from chain_core.network import refusals
from chain_core.network.channel_options import CLIENT_OPTIONS, SERVER_OPTIONS
from chain_core.network.identity import Caller, loopback_caller, require_address, require_loopback, split_address
from chain_core.network.methods import (
    Method,
    ServerStream,
    ServerStreamHandler,
    Stream,
    StreamHandler,
    Unary,
    UnaryHandler,
)
from chain_core.network.secured.calling import SecuredCalls, SecuredStream
from chain_core.network.secured.keeping import SessionKeeper
from chain_core.network.secured.security import (
    PLAINTEXT,
    ClientSecurity,
    Plaintext,
    ServerSecurity,
    SmClient,
    SmServer,
)
from chain_core.network.secured.serving import SecuredPort, refuse
from chain_core.network.tls import TlsCallers, TlsClient, TlsServer, told_as
from chain_core.types.errors import DualchainError, LocalFault, MalformedBytes

__all__ = [
    "PLAINTEXT",
    "ClientStream",
    "Method",
    "PortTaken",
    "RawChannel",
    "RawServer",
    "RawStream",
    "ServerStream",
    "ServerStreamHandler",
    "Stream",
    "StreamHandler",
    "Unary",
    "UnaryHandler",
    "open_channel",
    "parse",
]

Identify: TypeAlias = Callable[[grpc.aio.ServicerContext[Any, Any]], Caller]

MAX_CONCURRENT_CALLS = 4_096

M = TypeVar("M", bound=Message)


class PortTaken(LocalFault):
    """Another process listens on this port."""

    code = "PORT_TAKEN"


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

    def __init__(
        self,
        methods: Mapping[str, Method],
        *,
        identify: Identify = loopback_caller,
        security: ServerSecurity = PLAINTEXT,
    ) -> None:
        self.grpc_server = grpc.aio.server(
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
            compression=grpc.Compression.NoCompression,
        )
        self.secured: SecuredPort | None = None
        self._security = security
        if isinstance(security, SmServer):
            self.secured = SecuredPort(security, time.monotonic)
            handlers = self.secured.handlers(methods)
        else:
            named = TlsCallers(security) if isinstance(security, TlsServer) else identify
            handlers = {name: _wrap(name, method, named) for name, method in methods.items()}
        self.grpc_server.add_generic_rpc_handlers((_Table(handlers),))
        self._cleaning: asyncio.Task[None] | None = None
        self._started = False

    @property
    def plaintext(self) -> bool:
        """Whether nothing protects what goes through it."""
        return isinstance(self._security, Plaintext)

    def bind(self, address: str) -> str:
        """Takes ``host:port`` and returns the address with the real port (0 draws one); calls wait until ``start``.

        Raises BadAddress, PortTaken; NotLoopback where nothing protects what goes through it.
        """
        _allowed(address, protected=not self.plaintext)
        host, _ = split_address(address)
        try:
            if isinstance(self._security, TlsServer):
                port = self.grpc_server.add_secure_port(address, self._security.credentials())
            else:
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
        if self.secured is not None:
            self._cleaning = asyncio.create_task(self.secured.run(), name="sessions")
        await self.grpc_server.start()

    def judge_again(self) -> None:
        """Who is believed has changed: ends the sessions of others."""
        if self.secured is not None:
            self.secured.judge_again()

    async def stop(self, grace_s: float) -> None:
        """Takes no new calls, lets running ones end for ``grace_s`` seconds, then cancels them; frees the port."""
        if not self._started:
            # gRPC gives back the port of a server that never ran only when it is collected.
            await self.start()
        await self.grpc_server.stop(grace_s)
        if self._cleaning is not None:
            self._cleaning.cancel()
        if self.secured is not None:
            self.secured.close()


def _allowed(address: str, *, protected: bool) -> str:
    return require_address(address) if protected else require_loopback(address)


class _Table(grpc.GenericRpcHandler):
    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        self._handlers = handlers

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
            await refuse(name, context, error)

    return call


def _stream(name: str, handler: StreamHandler, identify: Identify) -> Any:
    async def call(
        requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
    ) -> AsyncIterator[bytes]:
        try:
            async for response in handler(identify(context), requests):
                yield response
        except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
            await refuse(name, context, error)

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
            await refuse(name, context, error)

    return call


class RawChannel:
    """A client's connection to one address; safe for any number of concurrent calls of one event loop."""

    def __init__(self, address: str, security: ClientSecurity = PLAINTEXT) -> None:
        """Raises BadAddress; NotLoopback where nothing protects what goes through it."""
        self.address = address
        self._channel = open_channel(address, security)
        self._tls = isinstance(security, TlsClient)
        self._unary: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}
        self._keeper: SessionKeeper | None = None
        self._secured: SecuredCalls | None = None
        if isinstance(security, SmClient):
            self._keeper = SessionKeeper(self._channel, address, security)
            self._secured = SecuredCalls(self._channel, self._keeper)

    async def unary(self, method: str, request: bytes, *, timeout_s: float) -> bytes:
        """The response. Raises the server's refusal as its type, or Unreachable, DeadlinePassed, Oversize ...

        With an SM session also SessionRefused, which names what is wrong with it.
        """
        if self._secured is not None:
            return await self._secured.unary(method, request, timeout_s)
        callable_ = self._unary.get(method)
        if callable_ is None:
            callable_ = self._unary[method] = self._channel.unary_unary(method)
        try:
            return await callable_(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            raise self._typed(error, f"{self.address}{method}") from None

    def _typed(self, error: grpc.aio.AioRpcError, where: str) -> DualchainError:
        refusal = _typed(error.trailing_metadata(), error.code(), error.details(), where)
        return told_as(refusal) if self._tls else refusal

    async def server_stream(self, method: str, request: bytes) -> AsyncGenerator[bytes, None]:
        """The responses as they come. Raises the server's refusal as its type, Unreachable when the connection ends."""
        where = f"{self.address}{method}"
        if self._secured is not None:
            async with aclosing(self._secured.server_stream(method, request)) as responses:
                async for response in responses:
                    yield response
            raise refusals.from_status(grpc.StatusCode.OK, "", where)
        opened: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(method)
        call = opened(request)
        try:
            async for response in call:
                yield response
            raise refusals.from_status(await call.code(), "", where)
        except grpc.aio.AioRpcError as error:
            raise self._typed(error, where) from None
        finally:
            call.cancel()

    def stream(self, method: str) -> ClientStream:
        """An open call in both directions; it waits for the connection, however long that takes."""
        if self._secured is not None:
            return self._secured.stream(method)
        return RawStream(self._channel.stream_stream(method)(wait_for_ready=True), f"{self.address}{method}")

    def judge_again(self) -> None:
        """Who is believed has changed: ends the session with another, and with it the calls under it."""
        if self._keeper is not None:
            self._keeper.judge_again()

    async def close(self) -> None:
        """Ends all calls."""
        if self._keeper is not None:
            await self._keeper.close()
        await self._channel.close()


def open_channel(address: str, security: ClientSecurity) -> grpc.aio.Channel:
    """A gRPC channel with our settings. Raises BadAddress; NotLoopback where nothing protects what goes through it."""
    _allowed(address, protected=not isinstance(security, Plaintext))
    none = grpc.Compression.NoCompression
    if isinstance(security, TlsClient):
        return grpc.aio.secure_channel(address, security.credentials(), options=CLIENT_OPTIONS, compression=none)
    return grpc.aio.insecure_channel(address, options=CLIENT_OPTIONS, compression=none)


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


ClientStream: TypeAlias = RawStream | SecuredStream
"""A client's end of a stream, protected or not."""


def _typed(
    metadata: Iterable[tuple[str, str | bytes]] | None, code: grpc.StatusCode, details: str | None, where: str
) -> DualchainError:
    """The exception that a failed call stands for."""
    for key, value in metadata or ():
        if key == refusals.METADATA_KEY and isinstance(value, bytes):
            return refusals.from_metadata(value)
    return refusals.from_status(code, details or "", where)
