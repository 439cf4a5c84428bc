"""The gateway: one way in for all calls, from the consumer's bytes to the recorded answer
(docs/spec/service-registry.md §7; guideline art. 19, 22).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NoReturn

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawChannel, Unary, parse
from chain_core.network.refusals import Overloaded
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.node.log import event
from chain_core.types.errors import DualchainError, MalformedBytes
from service_registry import interfaces, schemas
from service_registry.admission import Admitted, KnownCall, authorise, identify, replayed, require_unused
from service_registry.bodies import AccessCode, AccessRecord
from service_registry.calls import (
    GATEWAY_CALL,
    SERVICE_CALL,
    BadReply,
    BadRequest,
    BadResponse,
    CallRefused,
    NotAuthorised,
    NotRecorded,
    PublisherUnreachable,
    SignedCall,
    SignedReply,
    check_reply,
)
from service_registry.chain import RegistryChain
from service_registry.recorder import Recorder

log = logging.getLogger(__name__)

MAX_CALLS = 256
MAX_CALLS_OF_ONE = 32
"""Calls of one consumer under way: a slow publisher's callers do not take the room of all others."""
ENDPOINT_S = 5.0
MAX_CHANNELS = 64
_NO_REPLY = SignedReply(b"", b"", b"")

CODE_OF = {
    NotAuthorised: AccessCode.NOT_AUTHORISED,
    BadRequest: AccessCode.BAD_REQUEST,
    PublisherUnreachable: AccessCode.UNREACHABLE,
    BadReply: AccessCode.BAD_REPLY,
    BadResponse: AccessCode.BAD_RESPONSE,
}
"""The access code that a refusal is recorded with."""


class Gateway:
    """Serves Gateway/Call. ``clock`` is milliseconds since the epoch."""

    def __init__(
        self,
        chain: RegistryChain,
        recorder: Recorder,
        clock: Callable[[], int],
        publishers: ClientSecurity = PLAINTEXT,
    ) -> None:
        """``publishers``: how their hosts are talked to."""
        self._publishers = publishers
        self._chain = chain
        self._recorder = recorder
        self._now_ms = clock
        self._calls = 0
        self._under_way: set[tuple[bytes, bytes, int]] = set()
        self._of_consumer: Counter[bytes] = Counter()
        self._channels: OrderedDict[str, RawChannel] = OrderedDict()

    def methods(self) -> dict[str, Unary]:
        """The method table for RawServer."""
        return {GATEWAY_CALL: Unary(self.call)}

    async def close(self) -> None:
        """Ends the connections to publishers."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def call(self, caller: Caller, data: bytes) -> bytes:
        """One call; every failure is a typed refusal, recorded where service and caller are known."""
        signed = SignedCall.of(parse(pb.CallRequest, data))
        if self._calls >= MAX_CALLS:
            raise _overloaded(f"{MAX_CALLS} calls are under way")
        self._calls += 1
        try:
            return await self._identified(await identify(self._chain, signed, self._now_ms()))
        finally:
            self._calls -= 1

    async def _identified(self, known: KnownCall) -> bytes:
        """Each call id once: by the proven log, and by what is under way here."""
        key = (known.call.service, known.call.consumer, known.call.call_id)
        if key in self._under_way:
            raise replayed(known.call)
        require_unused(known)
        consumer = known.call.consumer
        if self._of_consumer[consumer] >= MAX_CALLS_OF_ONE:
            raise _overloaded(f"{MAX_CALLS_OF_ONE} calls of this consumer are under way")
        self._under_way.add(key)
        self._of_consumer[consumer] += 1
        try:
            return await self._known(known)
        finally:
            self._under_way.discard(key)
            self._of_consumer[consumer] -= 1
            if not self._of_consumer[consumer]:
                del self._of_consumer[consumer]

    async def _known(self, known: KnownCall) -> bytes:
        answer = _NO_REPLY
        try:
            admitted = authorise(known)
            _check_request(admitted)
            answer = await self._forward(admitted)
            code = self._judge_answer(admitted, answer)
        except (NotAuthorised, BadRequest, PublisherUnreachable, BadReply, BadResponse) as refusal:
            await self._refused(known, answer, refusal)
        receipt = await self._record(known, answer, code)
        facts = {"service": known.call.service.hex(), "consumer": known.call.consumer.hex(), "code": code.name}
        event(log, logging.INFO, "CALLED", facts | {"height": receipt.header.height})
        return pb.CallResponse(answer=answer.message(), record=record_message(receipt)).SerializeToString()

    async def _refused(self, known: KnownCall, answer: SignedReply, refusal: CallRefused) -> NoReturn:
        """Records the refusal, then raises it with the place of its record."""
        code = CODE_OF[type(refusal)]
        kept = answer if code is AccessCode.BAD_RESPONSE else _NO_REPLY
        receipt = await self._record(known, kept, code)
        recorded = f"{refusal.where}; recorded as {code.name} at height {receipt.header.height}"
        raise type(refusal)(refusal.what, where=recorded, next_step=refusal.next_step) from refusal

    async def _record(self, known: KnownCall, answer: SignedReply, code: AccessCode) -> VerifiedReceipt:
        record = AccessRecord(known.signed.call, known.signed.signature, answer.reply, answer.signature, code)
        try:
            return await self._recorder.record(record)
        except DualchainError as error:
            raise NotRecorded(
                f"the access record did not become final, the answer is withheld: {error.what}",
                where=error.where,
                next_step="call again with a new call id",
            ) from error

    async def _forward(self, admitted: Admitted) -> SignedReply:
        """The first endpoint that answers. Raises PublisherUnreachable."""
        request = admitted.known.signed.message().SerializeToString()
        reasons: list[str] = []
        for endpoint in admitted.definition.endpoints:
            try:
                data = await (await self._channel(endpoint)).unary(SERVICE_CALL, request, timeout_s=ENDPOINT_S)
                return SignedReply.of(parse(pb.ServiceReply, data))
            except DualchainError as error:
                reasons.append(f"{endpoint}: {error.code} {error.what}")
        raise PublisherUnreachable(
            "; ".join(reasons)[:400], where="endpoints", next_step="try again later, or tell the publisher"
        )

    async def _channel(self, endpoint: str) -> RawChannel:
        """A connection kept for the next call; the one longest unused makes room. Raises NotLoopback, BadAddress."""
        channel = self._channels.get(endpoint)
        if channel is None:
            channel = self._channels[endpoint] = RawChannel(endpoint, self._publishers)
        self._channels.move_to_end(endpoint)
        if len(self._channels) > MAX_CHANNELS:
            await self._channels.popitem(last=False)[1].close()
        return channel

    def _judge_answer(self, admitted: Admitted, answer: SignedReply) -> AccessCode:
        """OK or SERVICE_ERROR. Raises BadReply, BadResponse."""
        reply = check_reply(self._chain.genesis_hash, admitted.known.signed.call, answer, admitted.permit.publisher_key)
        code = AccessCode(reply.code)
        try:
            (interfaces.responses(admitted.definition) if code is AccessCode.OK else interfaces.ERROR).read(
                answer.response
            )
        except (schemas.NotOfSchema, schemas.BadSchema, MalformedBytes) as error:
            raise BadResponse(error.what, where=f"response {error.where}", next_step="tell the publisher") from error
        return code


def _overloaded(what: str) -> Overloaded:
    return Overloaded(what, where="gateway", next_step="try again", retry_after_ms=500)


def _check_request(admitted: Admitted) -> None:
    """Raises BadRequest."""
    try:
        interfaces.requests(admitted.definition).read(admitted.known.signed.request)
    except (schemas.NotOfSchema, schemas.BadSchema, MalformedBytes) as error:
        raise BadRequest(error.what, where=f"request {error.where}", next_step=error.next_step) from error


def record_message(verified: VerifiedReceipt) -> pb.RecordReceipt:
    """The record's transaction for the wire."""
    return pb.RecordReceipt(
        transaction_id=verified.receipt.transaction_id,
        height=verified.header.height,
        receipt=verified.proven.receipt,
        proof=verified.proven.proof,
        header=verified.certified.header,
        certificate=verified.certified.certificate,
    )
