"""A client's session with one address: made before the first call, and anew when it is gone."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from chain_core._pb.dualchain.node.v1.refusal_pb2 import Refusal
from chain_core.crypto.providers import generate_private_key
from chain_core.network import refusals
from chain_core.network.secured.security import SmClient
from chain_core.network.secured.serving import HANDSHAKE_METHOD
from chain_core.network.sm_session.client import ClientHandshake
from chain_core.network.sm_session.records import Kind
from chain_core.network.sm_session.refused import Reason, SessionRefused
from chain_core.network.sm_session.session import Call, Session
from chain_core.network.sm_session.suite import Direction
from chain_core.types.errors import DualchainError

_GONE = frozenset({Reason.SESSION_UNKNOWN, Reason.SESSION_EXPIRED})
_OF_SESSIONS = _GONE | {Reason.BAD_RECORD, Reason.CERTIFICATE_REFUSED, Reason.KEY_EXHAUSTED, Reason.SESSION_REQUIRED}
_AGAIN_S, _AGAIN_AT_MOST_S = 0.1, 2.0
Metadata = Iterable[tuple[str, str | bytes]] | None


class SessionKeeper:
    """One channel's session; safe for any number of calls of one event loop."""

    def __init__(self, channel: grpc.aio.Channel, address: str, security: SmClient) -> None:
        self.address = address
        self._channel, self._security = channel, security
        self._session: Session | None = None
        self._lock = asyncio.Lock()
        self._watching: asyncio.Task[None] | None = None
        self._handshakes: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(HANDSHAKE_METHOD)

    async def session(self, timeout_s: float | None = None) -> Session:
        """The session, after a handshake if need be. Raises SessionRefused, Unreachable, DeadlinePassed."""
        if (session := self._usable()) is not None:
            return session
        limit = self._security.handshake_s if timeout_s is None else min(timeout_s, self._security.handshake_s)
        try:
            async with asyncio.timeout(limit):
                async with self._lock:
                    while (session := self._usable()) is None:
                        await self._renew()
                    return session
        except TimeoutError:
            what = "no handshake in time"
            raise refusals.DeadlinePassed(what, where=self.address, next_step="try again, or another node") from None

    def _usable(self) -> Session | None:
        session = self._session
        return session if session is not None and session.ended is None else None

    def judge_again(self) -> None:
        """Whether who answers there is still believed; when not, the session ends and the next call shakes hands."""
        session = self._usable()
        if session is not None:
            session.judge_again(self._security.verify)

    async def _renew(self) -> None:
        try:
            session = await self._shake_twice()
        except SessionRefused as refusal:
            if refusal.reason is not Reason.TOO_MANY_HANDSHAKES:
                raise
            await asyncio.sleep(max(_AGAIN_S, min(refusal.retry_after_ms / 1_000, _AGAIN_AT_MOST_S)))
            return
        self._session = session
        if self._watching is not None:
            self._watching.cancel()
        self._watching = asyncio.create_task(self._watch(session), name=f"session-{self.address}")

    async def _shake_twice(self) -> Session:
        """A refusal that crosses the first message loses its reason on the way: asked once more, it is heard."""
        try:
            return await self._shake()
        except refusals.Cut:
            return await self._shake()

    async def _shake(self) -> Session:
        security = self._security
        machine = ClientHandshake(
            security.identity,
            security.binding,
            security.verify,
            random=secrets.token_bytes(32),
            ephemeral=generate_private_key(),
        )
        call = self._handshakes()
        try:
            await call.write(machine.hello())
            flight = await self._read(call)
            try:
                answer = await asyncio.to_thread(machine.answer, flight)
            except SessionRefused:
                if machine.alert:
                    await call.write(machine.alert)
                    await call.done_writing()
                raise
            await call.write(answer)
            established = machine.finish(await self._read(call))
            if security.established is not None:
                security.established(established)
            return Session(established, Direction.CLIENT)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            raise await self._why(call) from None
        finally:
            call.cancel()

    async def _read(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> bytes:
        data = await call.read()
        if not isinstance(data, bytes):
            raise await self._why(call)
        return data

    async def _why(self, call: grpc.aio.StreamStreamCall[bytes, bytes]) -> DualchainError:
        where = f"{self.address}{HANDSHAKE_METHOD}"
        claimed = _claimed(await call.trailing_metadata(), where)
        if claimed is not None:
            return claimed
        code = await call.code()
        if code is grpc.StatusCode.UNIMPLEMENTED:
            what = "this port speaks no SM session, and nothing else is spoken with it"
            return SessionRefused(Reason.SESSION_REQUIRED, what, where=where)
        return refusals.from_status(code, await call.details() or "", where)

    async def _watch(self, session: Session) -> None:
        """A session is not used on another connection: what answers there may have started anew."""
        while self._channel.get_state() is grpc.ChannelConnectivity.READY:
            await self._channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        if self._session is session:
            self._session = None

    def refusal(
        self, session: Session, call: Call, error: Metadata, code: grpc.StatusCode, text: str, where: str
    ) -> DualchainError:
        """What a call that failed stands for; only sealed refusals and reasons of the session itself are believed."""
        for key, value in error or ():
            if key == refusals.SEALED_KEY and isinstance(value, bytes):
                try:
                    payload = call.open(value)
                    if call.finished is not Kind.ERROR:
                        raise SessionRefused(Reason.MALFORMED_RECORD, "no refusal where one should be", where=where)
                except SessionRefused as refused:
                    return refused
                return refusals.from_metadata(payload)
        claimed = _claimed(error, where)
        if claimed is None:
            return refusals.from_status(code, text, where)
        if isinstance(claimed, SessionRefused) and claimed.reason in _OF_SESSIONS:
            session.end(claimed)
            if claimed.reason in _GONE:
                next_step = "ask again: a new session is made; whether this call took effect is unknown"
                return refusals.Unreachable(claimed.what, where=where, next_step=next_step)
        return claimed

    async def close(self) -> None:
        """Forgets the session."""
        self._session = None
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)


def _claimed(metadata: Metadata, where: str) -> DualchainError | None:
    """A refusal that came outside of any session: believed as far as it names a reason to have none."""
    for key, value in metadata or ():
        if key == refusals.METADATA_KEY and isinstance(value, bytes):
            try:
                said = Refusal.FromString(value)
            except DecodeError:
                said = Refusal()
            if said.code in set(Reason):
                return SessionRefused(
                    Reason(said.code),
                    f"the other side refused: {said.what[:400]}",
                    where=where,
                    by_peer=True,
                    retry_after_ms=said.retry_after_ms,
                )
            what = "an answer from outside of the session"
            return refusals.Unreachable(what, where=where, next_step="ask again, or another node")
    return None
