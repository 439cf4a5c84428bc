"""From the gateway to the publisher's hosts: endpoints in turn, within a deadline, never twice for one call
(docs/spec/service-registry.md §7).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.raw_rpc import RawChannel, parse
from chain_core.network.refusals import DeadlinePassed, Internal, Unreachable
from chain_core.network.secured.security import ClientSecurity
from chain_core.types.errors import DualchainError
from service_registry import breaker
from service_registry.breaker import Breaker
from service_registry.calls import SERVICE_CALL, SERVICE_STREAM, PublisherUnreachable, SignedCall, SignedReply

MAX_CHANNELS = 64
MAX_ENDPOINTS = 1_024
_NOT_SENT = ("failed to connect", "connection refused", "dns resolution failed")


class Forwarder:
    """Connections and breakers of all publishers' endpoints. ``clock``: milliseconds."""

    def __init__(self, security: ClientSecurity, clock: Callable[[], int]) -> None:
        self._security = security
        self._now_ms = clock
        self._channels: OrderedDict[str, RawChannel] = OrderedDict()
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    async def close(self) -> None:
        """Ends the connections."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def forward(self, endpoints: Sequence[str], signed: SignedCall, within_ms: int) -> SignedReply:
        """The first answer. Another endpoint is tried only when the one before cannot have run the call.

        Raises PublisherUnreachable.
        """
        until, reasons = self._now_ms() + within_ms, list[str]()
        for endpoint in endpoints:
            left = until - self._now_ms()
            if left <= 0 or not self._may_ask(endpoint, reasons):
                continue
            message = signed.message(deadline_ms=left).SerializeToString()
            try:
                data = await (await self._channel(endpoint)).unary(SERVICE_CALL, message, timeout_s=left / 1_000)
                answer = SignedReply.of(parse(pb.ServiceReply, data))
            except DualchainError as error:
                if self._may_have_run(endpoint, error, reasons):
                    break
                continue
            self._breakers[endpoint] = breaker.succeeded(self._breaker(endpoint))
            return answer
        raise _unreachable(reasons)

    async def stream(
        self, endpoints: Sequence[str], signed: SignedCall, within_ms: int
    ) -> AsyncGenerator[pb.CallPiece, None]:
        """The pieces of the first endpoint that begins to answer. Raises PublisherUnreachable."""
        until, reasons = self._now_ms() + within_ms, list[str]()
        for endpoint in endpoints:
            left = until - self._now_ms()
            if left <= 0 or not self._may_ask(endpoint, reasons):
                continue
            message = signed.message(deadline_ms=left).SerializeToString()
            try:
                async with (
                    asyncio.timeout(left / 1_000),
                    aclosing((await self._channel(endpoint)).server_stream(SERVICE_STREAM, message)) as pieces,
                ):
                    async for data in pieces:
                        piece = parse(pb.CallPiece, data)
                        yield piece
                        if piece.HasField("end"):
                            self._breakers[endpoint] = breaker.succeeded(self._breaker(endpoint))
                            return
            except TimeoutError:
                late = DeadlinePassed("no whole answer in time", where=endpoint)
                self._may_have_run(endpoint, late, reasons)
                break
            except DualchainError as error:
                if self._may_have_run(endpoint, error, reasons):
                    break
        raise _unreachable(reasons)

    def _may_ask(self, endpoint: str, reasons: list[str]) -> bool:
        after, allowed = breaker.ask(self._breaker(endpoint), self._now_ms())
        self._breakers[endpoint] = after
        if not allowed:
            reasons.append(f"{endpoint}: rests after {after.failures} failures")
        return allowed

    def _may_have_run(self, endpoint: str, error: DualchainError, reasons: list[str]) -> bool:
        """Whether the call may have been carried out there: then nobody else is asked."""
        broken = isinstance(error, (Unreachable, DeadlinePassed, Internal))
        sent = broken and not any(text in error.what.lower() for text in _NOT_SENT)
        reasons.append(f"{endpoint}: {error.code} {error.what}" + (" (it may have been carried out)" if sent else ""))
        known = self._breaker(endpoint)
        self._breakers[endpoint] = breaker.failed(known, self._now_ms()) if broken else breaker.succeeded(known)
        return sent

    def _breaker(self, endpoint: str) -> Breaker:
        known = self._breakers.pop(endpoint, Breaker())
        self._breakers[endpoint] = known
        if len(self._breakers) > MAX_ENDPOINTS:
            self._breakers.popitem(last=False)
        return known

    async def _channel(self, endpoint: str) -> RawChannel:
        """A connection kept for the next call; the one longest unused makes room. Raises NotLoopback, BadAddress."""
        channel = self._channels.get(endpoint)
        if channel is None:
            channel = self._channels[endpoint] = RawChannel(endpoint, self._security)
        self._channels.move_to_end(endpoint)
        if len(self._channels) > MAX_CHANNELS:
            await self._channels.popitem(last=False)[1].close()
        return channel


def _unreachable(reasons: Sequence[str]) -> PublisherUnreachable:
    return PublisherUnreachable(
        "; ".join(reasons)[:400] or "no time was left",
        where="endpoints",
        next_step="try again later, with a new call id",
    )
