"""The gateway: one way in for all calls, from the consumer's bytes to the recorded answer
(docs/spec/service-registry.md §7; guideline art. 19, 22).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import NoReturn

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, ServerStream, Unary, parse
from chain_core.network.refusals import Overloaded
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.log import event
from chain_core.types.errors import MalformedBytes
from contracts.kernel.calendar import day_of
from service_registry import interfaces, schemas
from service_registry.admission import Admitted, KnownCall, authorise, identify, replayed, require_unused
from service_registry.batcher import Batcher
from service_registry.bodies import REPLIED, AccessCode
from service_registry.bookkeeping import Books
from service_registry.calls import (
    GATEWAY_CALL,
    GATEWAY_RECORDS,
    GATEWAY_STREAM,
    MAX_RESPONSE_BYTES,
    BadReply,
    BadRequest,
    BadResponse,
    CallRefused,
    NotAuthorised,
    OverQuota,
    PublisherUnreachable,
    SignedCall,
    SignedReply,
    check_reply,
)
from service_registry.chain import RegistryChain
from service_registry.forwarding import Forwarder
from service_registry.outcomes import Attempt, Outcomes
from service_registry.quotas import DayQuota
from service_registry.recorder import Recorder
from service_registry.records import SERVICES
from service_registry.serving_records import serve_records
from service_registry.streaming import Sink, in_pieces
from service_registry.usage import day_count_key, decode_day_count

log = logging.getLogger(__name__)

MAX_CALLS = 256
MAX_CALLS_OF_ONE = 32
"""Calls of one consumer under way: a slow publisher's callers do not take the room of all others."""
MAX_READERS = 8
"""Callers that wait for records: a batch is read and summed up whole, which takes long beside a call."""
PATIENCE_S = 10.0
_NO_REPLY = SignedReply(b"", b"", b"")

CODE_OF = {
    NotAuthorised: AccessCode.NOT_AUTHORISED,
    OverQuota: AccessCode.OVER_QUOTA,
    BadRequest: AccessCode.BAD_REQUEST,
    PublisherUnreachable: AccessCode.UNREACHABLE,
    BadReply: AccessCode.BAD_REPLY,
    BadResponse: AccessCode.BAD_RESPONSE,
}
"""The access code that a refusal is recorded with."""
_RECORDED = (NotAuthorised, OverQuota, BadRequest, PublisherUnreachable, BadReply, BadResponse)


class Gateway:
    """Serves the gateway's methods. ``clock`` is milliseconds since the epoch."""

    def __init__(
        self,
        chain: RegistryChain,
        recorder: Recorder,
        clock: Callable[[], int],
        publishers: ClientSecurity = PLAINTEXT,
        batcher: Batcher | None = None,
    ) -> None:
        """``publishers``: how their hosts are talked to. Without ``batcher`` every call is recorded each."""
        self._chain = chain
        self._books = Books(recorder, batcher)
        self._now_ms = clock
        self._calls = 0
        self._of_consumer: Counter[bytes] = Counter()
        self._of_service: Counter[tuple[bytes, bytes]] = Counter()
        self._outcomes = Outcomes()
        self._readers, self._reading = 0, asyncio.Lock()
        self._quota = DayQuota()
        self._forwarder = Forwarder(publishers, clock)

    def methods(self) -> dict[str, Method]:
        """The method table for RawServer."""
        return {
            GATEWAY_CALL: Unary(self.call),
            GATEWAY_STREAM: ServerStream(self.stream, PATIENCE_S),
            GATEWAY_RECORDS: Unary(self.records),
        }

    async def close(self) -> None:
        """Ends the connections to publishers."""
        await self._forwarder.close()

    async def records(self, caller: Caller, data: bytes) -> bytes:
        """Records of batches with their paths, one reader at a time and beside the calls. Raises NotFound."""
        request = parse(pb.RecordsRequest, data)
        if self._readers >= MAX_READERS:
            raise _overloaded(f"{MAX_READERS} callers read records")
        self._readers += 1
        try:
            async with self._reading:
                response = await asyncio.to_thread(serve_records, self._books.batcher, request)
        finally:
            self._readers -= 1
        return response.SerializeToString()

    async def call(self, caller: Caller, data: bytes) -> bytes:
        """One call; every failure is a typed refusal, recorded where service and caller are known."""
        return await self._call(data, None, caller.key)

    async def stream(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        """One call whose answer comes in pieces; reply and record at the end, for all of them together."""

        async def work(sink: Sink) -> pb.CallResponse:
            return pb.CallResponse.FromString(await self._call(data, sink, caller.key))

        async with aclosing(in_pieces(work)) as pieces:
            async for piece in pieces:
                yield piece

    async def _call(self, data: bytes, sink: Sink | None, by: str) -> bytes:
        message = parse(pb.CallRequest, data)
        signed = SignedCall.of(message)
        if self._calls >= MAX_CALLS:
            raise _overloaded(f"{MAX_CALLS} calls are under way")
        self._calls += 1
        try:
            known = await identify(self._chain, signed, self._now_ms())

            async def run(attempt: Attempt) -> bytes:
                return await self._in_turn(known, attempt, message.deadline_ms, sink)

            return await self._outcomes.once(known.call, self._now_ms(), lambda: self._require_unused(known), run)
        except CallRefused as refusal:
            if not isinstance(refusal, _RECORDED):  # nobody is known to have called: this line is all there is of it
                event(log, logging.INFO, "REFUSED", {"code": refusal.code, "where": refusal.where, "by": by})
            raise
        finally:
            self._calls -= 1

    def _require_unused(self, known: KnownCall) -> None:
        """By the proven log, and by what is recorded here and not yet on chain. Raises ReplayedCall."""
        require_unused(known)
        if self._books.batcher is not None and self._books.batcher.used(known.call):
            raise replayed(known.call)

    async def _in_turn(self, known: KnownCall, attempt: Attempt, within_ms: int, sink: Sink | None) -> bytes:
        consumer, batcher = known.call.consumer, self._books.by_batch(known)
        if self._of_consumer[consumer] >= MAX_CALLS_OF_ONE:
            raise _overloaded(f"{MAX_CALLS_OF_ONE} calls of this consumer are under way")
        if batcher is not None:
            batcher.require_room()
            batcher.begin(known.call)
        self._of_consumer[consumer] += 1
        try:
            if attempt.verdict is None:
                attempt.verdict = await self._verdict(known, within_ms, sink)
            return await self._told(known, attempt)
        finally:
            self._of_consumer[consumer] -= 1
            if not self._of_consumer[consumer]:
                del self._of_consumer[consumer]

    async def _told(self, known: KnownCall, attempt: Attempt) -> bytes:
        """Records what the call came to, then says it."""
        assert attempt.verdict is not None, "the call was made"
        answer, code, refusal = attempt.verdict
        entry = await self._books.record(known, answer if code in REPLIED else _NO_REPLY, code)
        facts = {"service": known.call.service.hex(), "consumer": known.call.consumer.hex(), "code": code.name}
        event(log, logging.INFO, "CALLED", facts | {"recorded": entry.where})
        if refusal is not None:
            _raise(refusal, f"recorded as {code.name} {entry.where}")
        response = pb.CallResponse(answer=answer.message())
        entry.put(response)
        return response.SerializeToString()

    async def _verdict(
        self, known: KnownCall, within_ms: int, sink: Sink | None
    ) -> tuple[SignedReply, AccessCode, CallRefused | None]:
        answer, taken = _NO_REPLY, False
        pair, day = (known.call.service, known.call.consumer), day_of(known.call.time_ms)
        code = AccessCode.NOT_AUTHORISED
        try:
            admitted = authorise(known)
            definition = admitted.definition
            if self._of_service[pair] >= definition.at_once:
                raise _overloaded(f"{definition.at_once} calls of this service by this consumer are under way")
            taken = self._take_quota(admitted, day)
            _check_request(admitted)
            within_ms = min(within_ms or definition.deadline_ms, definition.deadline_ms)
            self._of_service[pair] += 1
            try:
                answer = await self._forward(admitted, within_ms, sink)
            finally:
                self._of_service[pair] -= 1
                if not self._of_service[pair]:
                    del self._of_service[pair]
            code = self._judge_answer(admitted, answer)
        except _RECORDED as refusal:
            code = CODE_OF[type(refusal)]
            return answer, code, refusal
        finally:
            if taken and code not in REPLIED:
                self._quota.give_back(pair, day)
        return answer, code, None

    def _take_quota(self, admitted: Admitted, day: int) -> bool:
        """Whether the call was counted: those of a version in test are not. Raises OverQuota."""
        call, limit = admitted.known.call, admitted.definition.calls_a_day
        if admitted.permit.testing:
            return False
        pair = (call.service, call.consumer)
        counted = decode_day_count(admitted.known.facts.read(SERVICES, day_count_key(*pair)))
        if not self._quota.take(pair, day, counted, limit):
            raise OverQuota(
                f"the {limit} calls of the day are used up",
                where=f"consumer {call.consumer.hex()}",
                next_step="call again tomorrow (UTC+8), or ask the publisher for a larger quota",
            )
        return True

    async def _forward(self, admitted: Admitted, within_ms: int, sink: Sink | None) -> SignedReply:
        """The publisher's answer. Raises PublisherUnreachable, BadReply."""
        endpoints, signed = admitted.definition.endpoints, admitted.known.signed
        if sink is None or not admitted.definition.streaming:
            return await self._forwarder.forward(endpoints, signed, within_ms)
        whole = bytearray()
        async for piece in self._forwarder.stream(endpoints, signed, within_ms):
            if piece.HasField("end"):
                return SignedReply(piece.end.answer.reply, piece.end.answer.signature, bytes(whole))
            whole += piece.piece
            if len(whole) > MAX_RESPONSE_BYTES:
                raise BadReply("the response is too large", where="response", next_step="tell the publisher")
            sink(piece.piece)
        raise AssertionError("a stream ends with its end or a refusal")

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


def _raise(refusal: CallRefused, recorded: str) -> NoReturn:
    """The refusal again, with the place of its record."""
    told = type(refusal)(refusal.what, where=f"{refusal.where}; {recorded}", next_step=refusal.next_step)
    raise told from refusal


def _overloaded(what: str) -> Overloaded:
    return Overloaded(what, where="gateway", next_step="try again", retry_after_ms=500)


def _check_request(admitted: Admitted) -> None:
    """Raises BadRequest."""
    try:
        interfaces.requests(admitted.definition).read(admitted.known.signed.request)
    except (schemas.NotOfSchema, schemas.BadSchema, MalformedBytes) as error:
        raise BadRequest(error.what, where=f"request {error.where}", next_step=error.next_step) from error
