"""A publisher's host: judges a call by its own proven reads, answers it, signs the answer
(docs/spec/service-registry.md §8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, Unary, parse
from chain_core.network.refusals import DeadlinePassed, Internal, Oversize
from chain_core.node.log import event
from service_registry import interfaces, schemas
from service_registry.admission import KnownCall, authorise, identify, require_unused
from service_registry.bodies import AccessCode, Call
from service_registry.calls import (
    MAX_RESPONSE_BYTES,
    SERVICE_CALL,
    SERVICE_STREAM,
    SignedCall,
    UnknownService,
    sign_reply,
)
from service_registry.chain import RegistryChain
from service_registry.config import KeyPair
from service_registry.definition import JSON_SCHEMA, Definition
from service_registry.outcomes import Attempt, Outcomes
from service_registry.streaming import Sink, in_pieces

log = logging.getLogger(__name__)


class ServiceError(Exception):
    """A request that fits the schema and still cannot be answered: becomes a signed typed error."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what


Answer = Callable[[Any], Awaitable[Any] | AsyncGenerator[Any, None]]
"""From a request's JSON value to the response's; a generator's values are the list that a response is, sent one by one
to who asks for pieces. Raises ServiceError, a generator before its first value.
"""
PATIENCE_S = 10.0
ANSWERING: ContextVar[Call] = ContextVar("answering")
"""The call that is being answered, judged already: for a service whose answer depends on who asks."""


def typed_error(code: str, what: str) -> bytes:
    """The response of a service that cannot answer."""
    return schemas.write_json({"error": {"code": code, "what": what}})


class ServiceHost:
    """Serves Service/Call for one service. ``clock`` is milliseconds since the epoch."""

    def __init__(
        self, chain: RegistryChain, service: bytes, key: KeyPair, answer: Answer, clock: Callable[[], int]
    ) -> None:
        self._chain = chain
        self._service = service
        self._key = key
        self._answer = answer
        self._now_ms = clock
        self._outcomes = Outcomes()

    def methods(self) -> dict[str, Method]:
        """The method table for RawServer."""
        return {SERVICE_CALL: Unary(self.call), SERVICE_STREAM: ServerStream(self.stream, PATIENCE_S)}

    async def call(self, caller: Caller, data: bytes) -> bytes:
        """One call; refused unless it is of this service and allowed by the chain."""
        return await self._once(data, None)

    async def stream(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        """The same, in pieces."""

        async def work(sink: Sink) -> pb.CallResponse:
            return pb.CallResponse(answer=pb.ServiceReply.FromString(await self._once(data, sink)))

        async with aclosing(in_pieces(work)) as pieces:
            async for piece in pieces:
                yield piece

    async def _once(self, data: bytes, sink: Sink | None) -> bytes:
        """A call that comes again is answered from memory: whoever sends it twice does not run it twice."""
        message = parse(pb.CallRequest, data)
        signed = SignedCall.of(message)
        known = await identify(self._chain, signed, self._now_ms())
        if known.call.service != self._service:
            raise UnknownService(
                "this host serves another service",
                where=known.call.service.hex(),
                next_step=f"call {self._service.hex()}",
            )

        async def run(attempt: Attempt) -> bytes:
            try:
                async with asyncio.timeout(message.deadline_ms / 1_000 if message.deadline_ms else None):
                    return await self._answered(known, sink)
            except TimeoutError as late:
                raise DeadlinePassed(
                    f"not answered within {message.deadline_ms} ms", where="host", next_step="ask for less at once"
                ) from late

        return await self._outcomes.once(known.call, self._now_ms(), lambda: require_unused(known), run)

    async def _answered(self, known: KnownCall, sink: Sink | None) -> bytes:
        admitted = authorise(known)
        request = interfaces.requests(admitted.definition).read(known.signed.request)
        ANSWERING.set(known.call)
        try:
            response = await self._response(admitted.definition, self._answer(request), sink)
            code = AccessCode.OK
        except ServiceError as error:
            code, response = AccessCode.SERVICE_ERROR, typed_error(error.code, error.what)
        except schemas.NotOfSchema as error:
            event(log, logging.ERROR, "BAD_ANSWER", {"what": error.what, "where": error.where})
            code = AccessCode.SERVICE_ERROR
            response = typed_error("BAD_ANSWER", "the answer does not fit the interface")
        call, now_ms = known.signed.call, self._now_ms()
        reply = sign_reply(self._chain.genesis_hash, call, code, response, now_ms, self._key.private)
        facts: dict[str, str | int] = {"consumer": known.call.consumer.hex(), "code": code.name, "bytes": len(response)}
        event(log, logging.INFO, "ANSWERED", facts)
        return reply.message().SerializeToString()

    @staticmethod
    async def _response(
        definition: Definition, answer: Awaitable[Any] | AsyncGenerator[Any, None], sink: Sink | None
    ) -> bytes:
        """A value's bytes; of a generator those of the list of its values, each of which is a piece.

        Raises ServiceError, NotOfSchema; Internal when pieces were sent that nothing can follow any more.
        """
        side = interfaces.responses(definition)
        if not isinstance(answer, AsyncGenerator):
            return side.write(await answer)
        listed, size, sent = list[Any](), 0, False
        try:
            async with aclosing(answer) as values:
                async for value in values:
                    piece = (b"," if listed else b"[") + schemas.write_json(value)
                    listed.append(value)
                    size += len(piece)
                    if size > MAX_RESPONSE_BYTES:
                        raise Oversize("the answer is too large", where="response", next_step="answer with less")
                    if sink is not None and definition.kind == JSON_SCHEMA:
                        sink(piece)
                        sent = True
            return side.write(listed)
        except (ServiceError, schemas.NotOfSchema) as error:
            if not sent:
                raise
            raise Internal("the answer broke off", where="host", next_step="ask again") from error
