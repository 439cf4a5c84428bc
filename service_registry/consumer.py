"""A consumer's side of a call: signs, sends it through the gateway, believes nothing of what comes back
(docs/spec/service-registry.md §5, §7, §9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.crypto.providers import provider
from chain_core.execution.account_records import ACCOUNTS
from chain_core.network.raw_rpc import RawChannel, parse
from chain_core.network.refusals import Overloaded, ServiceRefusal, Unreachable
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.answers import CertifiedHeader, ProvenReceipt
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.errors import InvalidProof
from crosschain.proofs import HolderRoll
from service_registry import interfaces, lookup, replay, schemas
from service_registry.access import GATEWAY
from service_registry.authority import Denied, Key, account_record
from service_registry.bodies import (
    AccessCode,
    AccessRecord,
    Call,
    Reply,
    promise_message,
    read_call,
    read_promise,
    record_row,
)
from service_registry.calls import (
    GATEWAY_CALL,
    GATEWAY_STREAM,
    MAX_RESPONSE_BYTES,
    BadResponse,
    NotAuthorised,
    NotRecorded,
    SignedCall,
    SignedPromise,
    SignedReply,
    check_reply,
    sign_call,
)
from service_registry.chain import Facts, NotRegistered, RegistryChain, wall_clock_ms
from service_registry.config import KeyPair
from service_registry.definition import BATCH, HOLDER_ROLL, Definition, read_definition
from service_registry.records import SERVICES, AccessLog, Service, decode, log_key
from service_registry.trust import certified

CALL_S = 45.0
_TRIES, _FIRST_PAUSE_S = 3, 0.2
_ID_MS = 16
"""Call ids of services recorded by batch count such pieces of time: processes of one account do not meet."""
_LONGEST_PROMISE_MS = 600_000
_REPORT = "report the gateway to the supervisory chain's operator"


class ServiceAnsweredError(ServiceRefusal):
    """The publisher answered, signed and recorded, with a typed error; ``answered`` is that answer."""

    code = "SERVICE_ERROR"

    def __init__(self, answered: Answered) -> None:
        self.answered = answered
        told = answered.value["error"]
        super().__init__(
            f"{told['code']}: {told['what']}", where=f"service {answered.call.service.hex()}", next_step="ask otherwise"
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """A verified answer: signed by the publisher, of its schema, recorded on chain. ``roll`` where it proves one."""

    call: Call
    reply: Reply
    answer: SignedReply
    value: Any
    record: VerifiedReceipt | SignedPromise
    roll: HolderRoll | None = None

    @property
    def code(self) -> AccessCode:
        """OK or SERVICE_ERROR."""
        return AccessCode(self.reply.code)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A signed call with what its answer is verified by; ``late``: it is recorded by batch."""

    call: Call
    signed: SignedCall
    found: Service
    facts: Facts
    definition: Definition
    late: bool


class Consumer:
    """Calls services as one account, through one gateway. One object per account and process: it counts call ids."""

    def __init__(
        self,
        chain: RegistryChain,
        gateway: str,
        account: bytes,
        key: KeyPair,
        clock: Callable[[], int] = wall_clock_ms,
        security: ClientSecurity = PLAINTEXT,
    ) -> None:
        """``security``: how the gateway is talked to."""
        self._chain = chain
        self._channel = RawChannel(gateway, security)
        self._account = account
        self._key = key
        self._now_ms = clock
        self._last_id = 0

    async def close(self) -> None:
        """Ends the connection to the gateway."""
        await self._channel.close()

    async def call(self, service: bytes, request: bytes, *, version: int = 0, within_s: float = CALL_S) -> Answered:
        """The answer to ``request``, completely verified; ``version`` 0 is the one in force.

        ``within_s``: how long is waited, told to gateway and publisher. While it is not known whether the call arrived
        it is sent again as it was: gateway and publisher answer one call once. Raises ServiceAnsweredError, the
        gateway's refusals by their codes, BadReply, BadResponse, InvalidProof.
        """
        answered = await self.ask(service, request, version=version, within_s=within_s)
        if answered.code is AccessCode.SERVICE_ERROR:
            raise ServiceAnsweredError(answered)
        return answered

    async def ask(self, service: bytes, request: bytes, *, version: int = 0, within_s: float = CALL_S) -> Answered:
        """As ``call``, with a typed error of the service as an answer."""
        prepared = await self._prepare(service, request, version)
        data = await self._send(prepared.signed, within_s)
        return await self._verified(prepared, parse(pb.CallResponse, data))

    async def stream(
        self, service: bytes, request: bytes, take: Callable[[bytes], None], *, within_s: float = CALL_S
    ) -> Answered:
        """As ``ask``; ``take`` gets the response's bytes as they come, not verified before this returns."""
        prepared, whole = await self._prepare(service, request, 0), bytearray()
        message = prepared.signed.message(deadline_ms=int(within_s * 1_000)).SerializeToString()
        async with asyncio.timeout(within_s), aclosing(self._channel.server_stream(GATEWAY_STREAM, message)) as pieces:
            async for raw in pieces:
                piece = parse(pb.CallPiece, raw)
                if piece.HasField("end"):
                    piece.end.answer.response = bytes(whole)
                    return await self._verified(prepared, piece.end)
                whole += piece.piece
                if len(whole) > MAX_RESPONSE_BYTES:
                    raise BadResponse("it has no end", where="response", next_step=_REPORT)
                take(piece.piece)
        raise AssertionError("a stream ends with its end or a refusal")

    async def _prepare(self, service: bytes, request: bytes, version: int) -> _Prepared:
        found = await self._chain.service(service)
        number = version or found.version
        facts = await self._chain.facts(service, number, self._account)
        if not number or facts.definition is None:
            raise NotRegistered("the service has no such version", where=f"version {number}", next_step="see `show`")
        definition = read_definition(facts.definition)
        now_ms, late = self._now_ms(), definition.recording == BATCH and number == found.version
        call_id = self._next_id(facts.log, now_ms // _ID_MS if late else 0)
        call = Call(service, number, self._account, call_id, now_ms, sm3(request))
        signed = sign_call(self._chain.genesis_hash, call, request, self._key.private)
        return _Prepared(call, signed, found, facts, definition, late)

    async def _send(self, signed: SignedCall, within_s: float) -> bytes:
        """The gateway's answer to exactly these bytes, sent again where that can help and cannot harm."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + within_s, _FIRST_PAUSE_S
        for left_tries in range(_TRIES - 1, -1, -1):
            left = until - loop.time()
            message = signed.message(deadline_ms=max(int(left * 1_000), 1)).SerializeToString()
            try:
                return await self._channel.unary(GATEWAY_CALL, message, timeout_s=max(left, 0.001))
            except ServiceRefusal as refusal:
                again = isinstance(refusal, (Unreachable, Overloaded)) or refusal.code == NotRecorded.code
                wait = max(pause, refusal.retry_after_ms / 1_000)
                if not (again and left_tries and loop.time() + wait < until):
                    raise
            await asyncio.sleep(wait)
            pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _verified(self, prepared: _Prepared, response: pb.CallResponse) -> Answered:
        call, signed, definition = prepared.call, prepared.signed, prepared.definition
        answer = SignedReply.of(response.answer)
        key = _publisher_key(prepared.facts, prepared.found, call.time_ms)
        reply = check_reply(self._chain.genesis_hash, signed.call, answer, key)
        value = _checked(definition, reply, answer)
        if response.HasField("promise"):
            if not prepared.late:
                what = "a promise, where the definition wants the record to be final"
                raise InvalidProof(what, where="promise", next_step=_REPORT)
            record: VerifiedReceipt | SignedPromise = await self._promised(signed, reply, answer, response.promise)
        else:
            record = await self._recorded(call, response.record)
        request, ok = signed.request, reply.code == AccessCode.OK
        roll = await self._proven(prepared.found, definition, request, value) if ok else None
        return Answered(call, reply, answer, value, record, roll)

    async def log_after_last_call(self, service: bytes) -> AccessLog:
        """The proven access log once it contains this object's last call. Raises NodesBehind."""
        key = (SERVICES, log_key(service, self._account))

        def has_last(values: Mapping[Key, bytes | None]) -> bool:
            raw = values[key]
            log = AccessLog() if raw is None else decode(AccessLog, raw)
            return replay.used(log.highest, log.window, self._last_id)

        raw = (await self._chain.values_when([key], has_last))[key]
        return AccessLog() if raw is None else decode(AccessLog, raw)

    def _next_id(self, log: AccessLog, at_least: int) -> int:
        """Above all that the chain has; it learns of calls recorded by batch later, so then above the time's count."""
        self._last_id = max(self._last_id, log.highest, at_least) + 1
        return self._last_id

    async def _promised(
        self, signed: SignedCall, reply: Reply, answer: SignedReply, told: pb.RecordPromise
    ) -> SignedPromise:
        """The gateway's promise, about exactly this call and answer."""
        record = AccessRecord(signed.call, signed.signature, answer.reply, answer.signature, reply.code)
        call, raw = read_call(signed.call), encode_value(record_row(record))
        promise = read_promise(told.promise)
        mine = (sm3(raw), call.service, call.consumer, call.call_id)
        named = (promise.record, promise.service, promise.consumer, promise.call_id)
        if told.record != raw or named != mine or promise.deadline_ms > self._now_ms() + _LONGEST_PROMISE_MS:
            raise InvalidProof("the gateway's promise is about another record", where="promise", next_step=_REPORT)
        reader = await self._chain.reader([(ACCOUNTS, b"a" + promise.gateway)])
        owner = account_record(reader, promise.gateway)
        keys = owner.keys.get("assertion", ()) if owner is not None and GATEWAY in owner.roles else ()
        message = promise_message(self._chain.genesis_hash, told.promise)
        if not any(provider().sm2_verify(key, message, told.signature) for key in keys):
            raise InvalidProof("the promise is not signed by a gateway's key", where="promise", next_step=_REPORT)
        return SignedPromise(told.promise, told.signature)

    async def _recorded(self, call: Call, told: pb.RecordReceipt) -> VerifiedReceipt:
        """The record's proven receipt, and proof that the chain has counted this call id."""
        certified = CertifiedHeader(told.header, told.certificate)
        proven = ProvenReceipt(told.height, told.receipt, told.proof)
        verified = self._chain.client.view.check_receipt(certified, proven)
        if verified.receipt.code or verified.receipt.transaction_id != told.transaction_id:
            raise InvalidProof(
                "the gateway's receipt is of a refused or another transaction",
                where="record",
                next_step=_REPORT,
            )
        key = (SERVICES, log_key(call.service, call.consumer))
        raw = (await self._chain.values([key], not_below=verified.header.height))[key]
        log = AccessLog() if raw is None else decode(AccessLog, raw)
        if not replay.used(log.highest, log.window, call.call_id):
            raise InvalidProof(
                "the chain has no record of this call",
                where=f"call id {call.call_id}",
                next_step=_REPORT,
            )
        return verified

    async def _proven(self, found: Service, definition: Definition, request: bytes, value: Any) -> HolderRoll | None:
        if definition.proof != HOLDER_ROLL:
            return None
        view, followed = await self._chain.market_chain(found.chain)
        return lookup.check_answer(view, followed, schemas.read_json(request), value)


def _publisher_key(facts: Facts, found: Service, now_ms: int) -> bytes:
    verdict = facts.verdict(found)
    if isinstance(verdict, Denied):
        raise NotAuthorised(f"{verdict.name}: {verdict.value}", where=f"service {facts.service.hex()}")
    certified(facts.read, found.publisher, now_ms)
    return verdict.publisher_key


def _checked(definition: Definition, reply: Reply, answer: SignedReply) -> Any:
    """The response's value, of the interface that goes with the reply's code. Raises BadResponse."""
    try:
        return (interfaces.responses(definition) if reply.code == AccessCode.OK else interfaces.ERROR).read(
            answer.response
        )
    except schemas.NotOfSchema as error:
        raise BadResponse(error.what, where=error.where, next_step="tell the publisher") from error
