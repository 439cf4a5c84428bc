"""An SM port: the handshake's method, and every method of the table behind records (docs/spec/sm-session.md §2, §5)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, Final, NoReturn, TypeVar

import grpc
import grpc.aio

from chain_core.crypto.providers import generate_private_key
from chain_core.network import refusals
from chain_core.network.held_refusals import HeldRefusals
from chain_core.network.identity import host_of
from chain_core.network.methods import Method, ServerStream, StreamHandler, Unary, UnaryHandler, as_refusal
from chain_core.network.secured.security import SmServer
from chain_core.network.secured.session_table import Entry, SessionTable
from chain_core.network.sm_session.records import HEADER_SIZE, Kind, read_header
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.server import ServerHandshake
from chain_core.network.sm_session.session import Call, Session
from chain_core.network.sm_session.suite import Direction
from chain_core.types.errors import DualchainError

log = logging.getLogger(__name__)

HANDSHAKE_METHOD: Final = "/dualchain.session.v1.Session/Handshake"
_OPENING_S: Final = 10.0
_TOLD: Final = 256
# What broken connections and restarts leave behind.
_EVERYDAY: Final = frozenset({Reason.TRUNCATED, Reason.SESSION_UNKNOWN, Reason.SESSION_EXPIRED})
R = TypeVar("R")
Context = grpc.aio.ServicerContext[bytes, bytes]


class SecuredPort:
    """The sessions and handlers of one SM port; ``run`` keeps its table clean until cancelled."""

    def __init__(self, security: SmServer, clock: Callable[[], float]) -> None:
        self.table = SessionTable(security.bounds, clock)
        self._security = security
        # Curve arithmetic of strangers has one thread; the loop and the verifiers go on meanwhile.
        self._thread = ThreadPoolExecutor(1, "handshake")
        self._held = HeldRefusals(security.bounds.hold_s)
        self._told: OrderedDict[tuple[str, Reason], None] = OrderedDict()

    def handlers(self, methods: Mapping[str, Method]) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """By method name, the handshake among them."""
        made = {name: self._wrap(name, method) for name, method in methods.items()}
        return made | {HANDSHAKE_METHOD: grpc.stream_stream_rpc_method_handler(self._handshake)}

    def close(self) -> None:
        """Ends all sessions."""
        self.table.end_all()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def run(self) -> None:
        """Once a minute: lets expired sessions go, asks again about certificates."""
        while True:
            await asyncio.sleep(self._security.bounds.verify_again_s)
            self.table.sweep()
            self.judge_again()

    def judge_again(self) -> None:
        """Ends the sessions of who is believed no more; by itself once a minute."""
        if self._security.ends_with_certificate:
            self.table.verify_again(self._security.verify)

    # ---- handshake

    async def _handshake(self, _: AsyncIterator[bytes], context: Context) -> None:
        address = host_of(context.peer())
        try:
            if self._security.admit is not None:
                await self._admitted(self._security.admit, address)
            with self.table.handshake(address):
                await self._shake(context)
        except SessionRefused as refusal:
            self._tell(address, refusal)
            await refuse(HANDSHAKE_METHOD, context, refusal)

    async def _admitted(self, admit: Callable[[str], None], address: str) -> None:
        """Raises SessionRefused, a little later than it was decided: who floods is slowed down."""
        try:
            admit(address)
        except SessionRefused as refusal:
            await self._held.hold(address, refusal.retry_after_ms)
            raise

    async def _shake(self, context: Context) -> None:
        security = self._security
        machine = ServerHandshake(
            security.identity,
            security.binding,
            security.verify,
            random=secrets.token_bytes(32),
            ephemeral=generate_private_key(),
        )
        try:
            async with asyncio.timeout(security.bounds.handshake_s):
                await context.write(await self._aside(machine.answer, await _next(context)))
                flight = await _next(context)
                try:
                    established = await self._aside(machine.decide, flight)
                except SessionRefused as refusal:
                    self._tell(host_of(context.peer()), refusal)
                    if machine.verdict:
                        await context.write(machine.verdict)  # sealed; the status outside says nothing
                    return
                if security.established is not None:
                    security.established(established)
                self.table.add(Session(established, Direction.SERVER), host_of(context.peer()))
                await context.write(machine.verdict)
        except TimeoutError:
            what = f"no handshake within {security.bounds.handshake_s:.0f} s"
            raise SessionRefused(Reason.TOO_SLOW, what, where="handshake") from None

    async def _aside(self, act: Callable[[bytes], R], data: bytes) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, data)

    def _tell(self, address: str, refusal: SessionRefused) -> None:
        """Each reason once an address, for the last few: a flood fills no log."""
        if refusal.reason in _EVERYDAY:
            log.debug("SESSION_ENDED from=%s reason=%s what=%s", address, refusal.code, refusal.what)
            return
        if self._security.refused is not None:
            self._security.refused(address, refusal)
        key = (address, refusal.reason)
        if key not in self._told:
            self._told[key] = None
            if len(self._told) > _TOLD:
                self._told.popitem(last=False)
            log.warning("SESSION_REFUSED from=%s reason=%s what=%s", address, refusal.code, refusal.what)

    # ---- calls

    def _wrap(self, name: str, method: Method) -> grpc.RpcMethodHandler[Any, Any]:
        if isinstance(method, Unary):
            return grpc.unary_unary_rpc_method_handler(self._unary(name, method.handler))
        if isinstance(method, ServerStream):
            return grpc.unary_stream_rpc_method_handler(self._server_stream(name, method))
        return grpc.stream_stream_rpc_method_handler(self._stream(name, method.handler))

    async def _accept(self, name: str, record: bytes, context: Context, kind: Kind) -> tuple[Entry, Call, bytes]:
        """The call that a first record opens; without a session, or outside it, the refusal is not sealed."""
        try:
            if len(record) < HEADER_SIZE or record[0] != 1:
                what = "this port speaks SM sessions only"
                raise SessionRefused(Reason.SESSION_REQUIRED, what, where="first record")
            header = read_header(record)
            entry = self.table.find(header.session_id)
            if header.kind is not kind or header.last is not (kind is Kind.DATA):
                what = "a request that is no whole one" if kind is Kind.DATA else "a stream that has no beginning"
                raise SessionRefused(Reason.OUT_OF_ORDER, what, where="first record")
            call, payload = entry.session.accept(name, record)
        except SessionRefused as refusal:
            self._tell(host_of(context.peer()), refusal)
            await refuse(name, context, refusal)
        return entry, call, payload

    def _unary(self, name: str, handler: UnaryHandler) -> Any:
        async def call(request: bytes, context: Context) -> bytes:
            entry, sealed, payload = await self._accept(name, request, context, Kind.DATA)
            try:
                return sealed.seal(await handler(entry.caller, payload), last=True)
            except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
                await self._refuse_sealed(name, context, sealed, error)

        return call

    def _server_stream(self, name: str, method: ServerStream) -> Any:
        async def call(request: bytes, context: Context) -> None:
            entry, sealed, payload = await self._accept(name, request, context, Kind.DATA)
            try:
                async with aclosing(method.handler(entry.caller, payload)) as responses:
                    async for response in responses:
                        try:
                            async with asyncio.timeout(method.patience_s):
                                await context.write(sealed.seal(response))
                            self.table.touch(entry)
                        except TimeoutError as late:
                            await responses.athrow(late)
                async with asyncio.timeout(method.patience_s):
                    await context.write(sealed.end())
            except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
                await self._refuse_sealed(name, context, sealed, error)

        return call

    def _stream(self, name: str, handler: StreamHandler) -> Any:
        async def call(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[bytes]:
            try:
                async with asyncio.timeout(_OPENING_S):
                    first = await anext(requests, b"")
            except TimeoutError:
                what = "the stream was opened and nothing came"
                await refuse(name, context, SessionRefused(Reason.TOO_SLOW, what, where="first record"))
            entry, sealed, _ = await self._accept(name, first, context, Kind.BEGIN)
            try:
                async for response in handler(entry.caller, self._opened(entry, sealed, requests)):
                    yield sealed.seal(response)
                    self.table.touch(entry)
                yield sealed.end()
            except Exception as error:  # noqa: BLE001 - the border: every failure becomes a refusal here
                await self._refuse_sealed(name, context, sealed, error)

        return call

    async def _opened(self, entry: Entry, call: Call, requests: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The messages in a stream's records, until its sealed end."""
        async for record in requests:
            payload = call.open(record)
            self.table.touch(entry)
            if call.is_over():
                return
            if call.finished is Kind.ERROR:
                break
            yield payload
        call.check_finished()

    async def _refuse_sealed(self, name: str, context: Context, call: Call, error: Exception) -> NoReturn:
        """Ends the call with a sealed refusal; outside there is a status that says nothing."""
        refusal = as_refusal(name, error)
        if isinstance(refusal, SessionRefused):
            self._tell(host_of(context.peer()), refusal)
        try:
            sealed = call.seal(refusals.to_message(refusal).SerializeToString(), Kind.ERROR)
        except SessionRefused as ended:
            await refuse(name, context, ended)
        await context.abort(grpc.StatusCode.ABORTED, "sealed", ((refusals.SEALED_KEY, sealed),))


async def refuse(name: str, context: Context, error: Exception) -> NoReturn:
    """Ends the call with a refusal that is not sealed."""
    refusal: DualchainError = as_refusal(name, error)
    await context.abort(
        refusals.status_of(refusal),
        str(refusal)[:1_000],
        ((refusals.METADATA_KEY, refusals.to_message(refusal).SerializeToString()),),
    )


async def _next(context: Context) -> bytes:
    data = await context.read()
    if not isinstance(data, bytes):
        raise SessionRefused(Reason.MISSING_MESSAGE, "the stream ended before the handshake did", where="handshake")
    return data
