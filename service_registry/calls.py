"""The wire of calls: messages, methods, signing on either side, refusals (docs/spec/service-registry.md §7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.crypto.hashing import sm3
from chain_core.crypto.provider import SIGNATURE_SIZE
from chain_core.crypto.providers import provider, signing_provider
from chain_core.network.refusals import Oversize, ServiceRefusal
from chain_core.types.errors import MalformedBytes
from service_registry.bodies import (
    MAX_CALL_BYTES,
    MAX_REPLY_BYTES,
    Call,
    Reply,
    call_message,
    encode_call,
    encode_reply,
    read_call,
    read_reply,
    reply_message,
)

GATEWAY_CALL: Final = "/dualchain.registry.v1.Gateway/Call"
GATEWAY_STREAM: Final = "/dualchain.registry.v1.Gateway/Stream"
GATEWAY_RECORDS: Final = "/dualchain.registry.v1.Gateway/Records"
SERVICE_CALL: Final = "/dualchain.registry.v1.Service/Call"
SERVICE_STREAM: Final = "/dualchain.registry.v1.Service/Stream"

MAX_REQUEST_BYTES = 65_536
MAX_RESPONSE_BYTES = 8_000_000
PIECE_BYTES = 65_536
MAX_CLOCK_MS = 60_000
"""A call's time may be this far from the clock of whoever judges it."""


class CallRefused(ServiceRefusal):
    """A call that was not made or not answered; the subclasses say why."""

    code = "CALL_REFUSED"


class TamperedRequest(CallRefused):
    """The request is not the one that the call was signed for."""

    code = "TAMPERED_REQUEST"


class StaleCall(CallRefused):
    """The call was signed too long ago, or by a clock ahead."""

    code = "STALE_CALL"


class UnknownService(CallRefused):
    """No such service is on the chain."""

    code = "UNKNOWN_SERVICE"


class UnknownCaller(CallRefused):
    """The caller has no active account with a trusted key."""

    code = "UNKNOWN_CALLER"


class BadCallSignature(CallRefused):
    """The call is not signed by the caller's trusted key."""

    code = "BAD_CALL_SIGNATURE"


class ReplayedCall(CallRefused):
    """The call id was used before."""

    code = "REPLAYED_CALL"


class NotAuthorised(CallRefused):
    """A known caller that may not call this version now."""

    code = "NOT_AUTHORISED"


class OverQuota(CallRefused):
    """The consumer's calls of the day are used up."""

    code = "OVER_QUOTA"


class BadRequest(CallRefused):
    """The request does not fit the service's schema."""

    code = "BAD_REQUEST"


class PublisherUnreachable(CallRefused):
    """None of the service's endpoints answered."""

    code = "PUBLISHER_UNREACHABLE"


class BadReply(CallRefused):
    """What came back is not signed by the publisher, or about another call or response."""

    code = "BAD_REPLY"


class BadResponse(CallRefused):
    """The publisher signed a response that does not fit its own schema."""

    code = "BAD_RESPONSE"


class NotRecorded(CallRefused):
    """The access record became neither final nor durable: the answer is withheld."""

    code = "NOT_RECORDED"


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call as it travels: the bytes signed, their signature, the request they name."""

    call: bytes
    signature: bytes
    request: bytes

    def message(self, *, deadline_ms: int = 0) -> pb.CallRequest:
        """For the wire; ``deadline_ms``: how long the sender waits, 0 says nothing."""
        call = pb.CallRequest(call=self.call, signature=self.signature, request=self.request)
        call.deadline_ms = deadline_ms
        return call

    @classmethod
    def of(cls, message: pb.CallRequest) -> SignedCall:
        """From the wire. Raises Oversize, MalformedBytes."""
        if len(message.call) > MAX_CALL_BYTES or len(message.request) > MAX_REQUEST_BYTES:
            raise Oversize(
                f"call of {len(message.call)}, request of {len(message.request)} bytes",
                where="message",
                next_step=f"a call has at most {MAX_CALL_BYTES} bytes, a request {MAX_REQUEST_BYTES}",
            )
        if len(message.signature) != SIGNATURE_SIZE:
            raise MalformedBytes(f"signature of {len(message.signature)} bytes", where="signature")
        return cls(message.call, message.signature, message.request)


@dataclass(frozen=True, slots=True)
class SignedReply:
    """A publisher's answer as it travels."""

    reply: bytes
    signature: bytes
    response: bytes

    def message(self) -> pb.ServiceReply:
        """For the wire."""
        return pb.ServiceReply(reply=self.reply, signature=self.signature, response=self.response)

    @classmethod
    def of(cls, message: pb.ServiceReply) -> SignedReply:
        """From the wire; nothing is checked yet."""
        return cls(message.reply, message.signature, message.response)


@dataclass(frozen=True, slots=True)
class SignedPromise:
    """A gateway's promise to record a call, as it travels."""

    promise: bytes
    signature: bytes


def sign_call(genesis_hash: bytes, call: Call, request: bytes, private: bytes) -> SignedCall:
    """A consumer's call."""
    raw = encode_call(call)
    return SignedCall(raw, signing_provider().sm2_sign(private, call_message(genesis_hash, raw)), request)


def open_call(signed: SignedCall, now_ms: int) -> Call:
    """The call, when it is about this request and fresh; its signature is not looked at yet.

    Raises MalformedBytes, TamperedRequest, StaleCall.
    """
    call = read_call(signed.call)
    if sm3(signed.request) != call.request_hash:
        raise TamperedRequest(
            "the request's SM3 is not the one that was signed", where="request", next_step="sign the call again"
        )
    if abs(now_ms - call.time_ms) > MAX_CLOCK_MS:
        raise StaleCall(
            f"signed at {call.time_ms}, it is {now_ms}",
            where="call.time_ms",
            next_step="compare the clocks and sign the call again",
        )
    return call


def check_call_signature(genesis_hash: bytes, signed: SignedCall, key: bytes) -> None:
    """Raises BadCallSignature."""
    if not provider().sm2_verify(key, call_message(genesis_hash, signed.call), signed.signature):
        raise BadCallSignature(
            "not signed by the caller's trusted key",
            where="call",
            next_step="sign with the assertion key of the certificate that is on chain",
        )


def sign_reply(
    genesis_hash: bytes, call: bytes, code: int, response: bytes, now_ms: int, private: bytes
) -> SignedReply:
    """A publisher's answer to the call with these bytes."""
    raw = encode_reply(Reply(sm3(call), code, sm3(response), now_ms))
    return SignedReply(raw, signing_provider().sm2_sign(private, reply_message(genesis_hash, raw)), response)


def check_reply(genesis_hash: bytes, call: bytes, answer: SignedReply, key: bytes) -> Reply:
    """The reply, when the publisher signed it about this call and this response. Raises BadReply."""
    next_step = "report it to the publisher; the call is recorded as failed"
    if len(answer.reply) > MAX_REPLY_BYTES or len(answer.response) > MAX_RESPONSE_BYTES:
        raise BadReply("reply or response is too large", where="reply", next_step=next_step)
    try:
        reply = read_reply(answer.reply)
    except MalformedBytes as error:
        raise BadReply(error.what, where=error.where, next_step=next_step) from error
    if not provider().sm2_verify(key, reply_message(genesis_hash, answer.reply), answer.signature):
        raise BadReply("not signed by the publisher's trusted key", where="reply", next_step=next_step)
    if reply.call_hash != sm3(call):
        raise BadReply("the reply is about another call", where="reply.call_hash", next_step=next_step)
    if reply.response_hash != sm3(answer.response):
        raise BadReply("the response is not the one that was signed", where="response", next_step=next_step)
    return reply
