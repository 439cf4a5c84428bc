"""A client's calls behind records: what RawChannel does when its security is an SM session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import grpc
import grpc.aio

from chain_core.network import refusals
from chain_core.network.secured.keeping import SessionKeeper
from chain_core.network.sm_session.records import Kind
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.session import Call, Session
from chain_core.types.errors import DualchainError

_BROKEN = (grpc.aio.AioRpcError, asyncio.InvalidStateError)


class SecuredCalls:
    """Calls on one channel, under the keeper's session."""

    def __init__(self, channel: grpc.aio.Channel, keeper: SessionKeeper) -> None:
        self._channel, self._keeper = channel, keeper
        self._unary: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    async def unary(self, method: str, request: bytes, timeout_s: float | None) -> bytes:
        """The response. Raises the server's refusal as its type, SessionRefused, Unreachable, DeadlinePassed ..."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        session = await self._keeper.session(timeout_s)
        callable_ = self._unary.get(method)
        if callable_ is None:
            callable_ = self._unary[method] = self._channel.unary_unary(method)
        call = session.begin(method)
        left = None if timeout_s is None else max(0.0, begun + timeout_s - loop.time())
        try:
            answer = await callable_(call.seal(request, last=True), timeout=left)
        except grpc.aio.AioRpcError as error:
            raise self._refusal(session, call, error, method) from None
        payload = call.open(answer)
        call.check_finished()
        if call.finished is not Kind.DATA:
            raise SessionRefused(Reason.MALFORMED_RECORD, "no answer where one should be", where=method)
        return payload

    def _refusal(self, session: Session, call: Call, error: grpc.aio.AioRpcError, method: str) -> DualchainError:
        where = f"{self._keeper.address}{method}"
        return self._keeper.refusal(
            session, call, error.trailing_metadata(), error.code(), error.details() or "", where
        )

    async def server_stream(
        self, method: str, request: bytes, timeout_s: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The responses, until the sealed end. Raises as ``unary``; TRUNCATED or Unreachable when it is cut short."""
        session = await self._keeper.session(timeout_s)
        opened: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = self._channel.unary_stream(method)
        call = session.begin(method)
        rpc = opened(call.seal(request, last=True), timeout=timeout_s)
        try:
            async for record in rpc:
                payload = call.open(record)
                if call.finished is not None:
                    break
                yield payload
            call.check_finished()
        except grpc.aio.AioRpcError as error:
            raise self._refusal(session, call, error, method) from None
        finally:
            rpc.cancel()

    def stream(self, method: str, timeout_s: float | None = None) -> SecuredStream:
        """An open call in both directions; it waits for the connection, however long that takes."""
        return SecuredStream(self._channel, self._keeper, method, timeout_s)


class SecuredStream:
    """A client's end of a stream behind records. The session is made by the first ``send``.

    What ends it is raised by whichever of its methods meets it first.
    """

    def __init__(
        self, channel: grpc.aio.Channel, keeper: SessionKeeper, method: str, timeout_s: float | None = None
    ) -> None:
        self._channel, self._keeper, self._method = channel, keeper, method
        self._where = f"{keeper.address}{method}"
        self._timeout_s = timeout_s
        self._session: Session | None = None
        self._call: Call | None = None
        self._rpc: grpc.aio.StreamStreamCall[bytes, bytes] | None = None
        self._beginning = asyncio.Lock()
        """Who reads and who sends may both come first."""
        self._told: list[Callable[[], None]] = []
        self._cancelled = False
        self._reason: DualchainError | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._cancelled or (self._rpc is not None and self._rpc.done())

    def when_ended(self, told: Callable[[], None]) -> None:
        """Calls ``told`` once when the stream ends, for whatever reason."""
        if self._rpc is None:
            self._told.append(told)
        else:
            self._rpc.add_done_callback(lambda _: told())

    async def begin(self) -> tuple[grpc.aio.StreamStreamCall[bytes, bytes], Call]:
        """Connects, shakes hands if need be, opens the call; nothing when that was done before. Raises refusals."""
        async with self._beginning:
            if self._rpc is not None and self._call is not None:
                return self._rpc, self._call
            return await self._begin()

    async def _begin(self) -> tuple[grpc.aio.StreamStreamCall[bytes, bytes], Call]:
        await self._channel.channel_ready()
        self._session = await self._keeper.session(self._timeout_s)
        if self._cancelled:
            raise refusals.Unreachable("the stream was closed", where=self._where, next_step="open it again")
        call = self._call = self._session.begin(self._method)
        opened: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(self._method)
        rpc = self._rpc = opened(timeout=self._timeout_s)
        for told in self._told:
            rpc.add_done_callback(lambda _, told=told: told())  # type: ignore[misc]
        try:
            await rpc.write(call.seal(b"", Kind.BEGIN))
        except _BROKEN:
            raise await self.reason() from None
        return rpc, call

    async def send(self, data: bytes) -> None:
        """Hands over one message; waits while the other side reads slower than this one sends. Raises refusals."""
        rpc, call = await self.begin()
        try:
            await rpc.write(call.seal(data))
        except _BROKEN:
            raise await self.reason() from None

    async def end(self) -> None:
        """This side has sent all it had."""
        rpc, call = await self.begin()
        try:
            await rpc.write(call.end())
            await rpc.done_writing()
        except _BROKEN:
            raise await self.reason() from None

    async def receive(self) -> bytes:
        """The next message. Raises refusals, Unreachable at the stream's regular end."""
        message = await self.receive_or_end()
        if message is None:
            raise refusals.from_status(grpc.StatusCode.OK, "", self._where)
        return message

    async def receive_or_end(self) -> bytes | None:
        """The next message, None at the sealed end. Raises refusals, TRUNCATED."""
        rpc, call = await self.begin()
        if call.is_over():
            return None
        try:
            record = await rpc.read()
        except _BROKEN:
            raise await self.reason() from None
        if not isinstance(record, bytes):
            raise await self.reason()
        payload = call.open(record)
        return None if call.is_over() else payload

    async def reason(self) -> DualchainError:
        """Why the stream ended; waits for its end."""
        if self._reason is None:
            self._reason = await self._find_reason()
        return self._reason

    async def _find_reason(self) -> DualchainError:
        rpc, call, session = self._rpc, self._call, self._session
        if rpc is None or call is None or session is None:
            return refusals.from_status(grpc.StatusCode.CANCELLED, "", self._where)
        code = await rpc.code()
        if code is grpc.StatusCode.OK and call.finished is None:
            what = "the stream was cut short: its end is not the other side's"
            return SessionRefused(Reason.TRUNCATED, what, where=self._where)
        text = await rpc.details() or ""
        return self._keeper.refusal(session, call, await rpc.trailing_metadata(), code, text, self._where)

    def cancel(self) -> None:
        """Ends it now."""
        self._cancelled = True
        if self._rpc is not None:
            self._rpc.cancel()
