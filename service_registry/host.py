"""A publisher's host: judges a call by its own proven reads, answers it, signs the answer
(docs/spec/service-registry.md §8).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Unary, parse
from chain_core.node.log import event
from service_registry import interfaces, schemas
from service_registry.admission import authorise, identify, require_unused
from service_registry.bodies import AccessCode, Call
from service_registry.calls import SERVICE_CALL, SignedCall, UnknownService, sign_reply
from service_registry.chain import RegistryChain
from service_registry.config import KeyPair

log = logging.getLogger(__name__)


class ServiceError(Exception):
    """A request that fits the schema and still cannot be answered: becomes a signed typed error."""

    def __init__(self, code: str, what: str) -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what


Answer = Callable[[Any], Awaitable[Any]]
"""From a request's JSON value to the response's. Raises ServiceError."""
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

    def methods(self) -> dict[str, Unary]:
        """The method table for RawServer."""
        return {SERVICE_CALL: Unary(self.call)}

    async def call(self, caller: Caller, data: bytes) -> bytes:
        """One call; refused unless it is of this service and allowed by the chain."""
        signed = SignedCall.of(parse(pb.CallRequest, data))
        known = await identify(self._chain, signed, self._now_ms())
        if known.call.service != self._service:
            raise UnknownService(
                "this host serves another service",
                where=known.call.service.hex(),
                next_step=f"call {self._service.hex()}",
            )
        require_unused(known)
        admitted = authorise(known)
        request = interfaces.requests(admitted.definition).read(signed.request)
        ANSWERING.set(known.call)
        try:
            code, response = AccessCode.OK, interfaces.responses(admitted.definition).write(await self._answer(request))
        except ServiceError as error:
            code, response = AccessCode.SERVICE_ERROR, typed_error(error.code, error.what)
        except schemas.NotOfSchema as error:
            event(log, logging.ERROR, "BAD_ANSWER", {"what": error.what, "where": error.where})
            code, response = (
                AccessCode.SERVICE_ERROR,
                typed_error("BAD_ANSWER", "the answer does not fit the interface"),
            )
        reply = sign_reply(self._chain.genesis_hash, signed.call, code, response, self._now_ms(), self._key.private)
        facts: dict[str, str | int] = {"consumer": known.call.consumer.hex(), "code": code.name, "bytes": len(response)}
        event(log, logging.INFO, "ANSWERED", facts)
        return reply.message().SerializeToString()
