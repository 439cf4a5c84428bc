"""Refusals on the wire: one small message beside the gRPC status, turned back into the same exception by the client.

A handler raises a DualchainError; the caller gets code, what, where and next step in trailing metadata
``dualchain-refusal-bin`` (docs/spec/network.md §2). The gRPC status is a hint for generic tools.
"""

from __future__ import annotations

from typing import Final

import grpc
from google.protobuf.message import DecodeError

from chain_core._pb.dualchain.node.v1.refusal_pb2 import Refusal
from chain_core.types.errors import (
    DualchainError,
    InvalidProof,
    InvalidTransaction,
    LocalFault,
    MalformedBytes,
    PeerFault,
)

METADATA_KEY: Final = "dualchain-refusal-bin"
SEALED_KEY: Final = "dualchain-sealed-bin"
"""A sealed refusal of an SM session: a record of kind error (docs/spec/sm-session.md section 5)."""
# gRPC bounds all trailing metadata to 8 KiB by default.
_MAX_FIELD_CHARACTERS = 600


class ServiceRefusal(DualchainError):
    """A refusal by a service; ``code`` is what it says, ``retry_after_ms`` > 0 invites to try again."""

    code = "SERVICE_REFUSAL"

    def __init__(
        self, what: str, *, where: str = "", next_step: str = "", code: str = "", retry_after_ms: int = 0
    ) -> None:
        if code:
            self.code = code
        self.retry_after_ms = retry_after_ms
        super().__init__(what, where=where, next_step=next_step)


class Overloaded(ServiceRefusal):
    """No room now; the same request may succeed after ``retry_after_ms``."""

    code = "RESOURCE_EXHAUSTED"


class QuotaExceeded(Overloaded):
    """The caller has asked for more than its quota; what others ask for is not affected."""

    code = "QUOTA_EXCEEDED"


class PermissionDenied(ServiceRefusal):
    """The caller's certificate and account do not give it the role that the method needs."""

    code = "PERMISSION_DENIED"


class AuditUnavailable(ServiceRefusal):
    """The record of a protected read cannot be written, so there is no read."""

    code = "AUDIT_UNAVAILABLE"


class SlowReader(ServiceRefusal):
    """A stream's reader did not take what was sent to it; ``where`` names the height to go on from."""

    code = "SLOW_READER"


class NotFound(ServiceRefusal):
    """The node does not have it (yet)."""

    code = "NOT_FOUND"


class Pruned(ServiceRefusal):
    """The node had it and keeps only younger ones; archives and other nodes may have it."""

    code = "PRUNED"


class WrongChain(ServiceRefusal):
    """The request is for another chain, ledger or protocol version."""

    code = "WRONG_CHAIN"


class UnknownMethod(ServiceRefusal):
    """The port does not serve this method."""

    code = "UNKNOWN_METHOD"


class Oversize(ServiceRefusal):
    """A request or response above the size limit."""

    code = "OVERSIZE"


class Unreachable(ServiceRefusal):
    """Nothing answers at the address, or the connection broke: whether the request took effect is unknown."""

    code = "UNREACHABLE"


class Cut(Unreachable):
    """The stream ended while something was written: why, gRPC has dropped; asked again, one hears it."""


class DeadlinePassed(ServiceRefusal):
    """No answer in time: whether the request took effect is unknown."""

    code = "DEADLINE_PASSED"


class Unavailable(ServiceRefusal):
    """The node is there and cannot serve this now: starting, stopping or halted."""

    code = "UNAVAILABLE"


class Internal(ServiceRefusal):
    """A defect of the serving node; it has written down the details."""

    code = "INTERNAL"


_REMOTE: Final[dict[str, type[ServiceRefusal]]] = {
    kind.code: kind
    for kind in (
        Overloaded,
        QuotaExceeded,
        PermissionDenied,
        AuditUnavailable,
        SlowReader,
        NotFound,
        Pruned,
        WrongChain,
        UnknownMethod,
        Oversize,
        Unreachable,
        DeadlinePassed,
        Unavailable,
        Internal,
    )
}
_SHARED: Final[dict[str, type[DualchainError]]] = {
    kind.code: kind for kind in (MalformedBytes, InvalidTransaction, InvalidProof)
}

_STATUS: Final[dict[str, grpc.StatusCode]] = {
    "RESOURCE_EXHAUSTED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "AUDIT_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "SLOW_READER": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OVERSIZE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "PRUNED": grpc.StatusCode.OUT_OF_RANGE,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "WRONG_CHAIN": grpc.StatusCode.FAILED_PRECONDITION,
    "UNKNOWN_METHOD": grpc.StatusCode.UNIMPLEMENTED,
    "DEADLINE_PASSED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "UNREACHABLE": grpc.StatusCode.UNAVAILABLE,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
    "SESSION_REQUIRED": grpc.StatusCode.UNAUTHENTICATED,
    "SESSION_UNKNOWN": grpc.StatusCode.UNAUTHENTICATED,
    "TOO_MANY_HANDSHAKES": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def status_of(refusal: DualchainError) -> grpc.StatusCode:
    """The gRPC status that goes with a refusal; INVALID_ARGUMENT for what the caller can mend."""
    status = _STATUS.get(refusal.code)
    if status is not None:
        return status
    if isinstance(refusal, PeerFault):
        return grpc.StatusCode.PERMISSION_DENIED
    return grpc.StatusCode.UNAVAILABLE if isinstance(refusal, LocalFault) else grpc.StatusCode.INVALID_ARGUMENT


def to_message(refusal: DualchainError) -> Refusal:
    """The refusal as a message; long texts are cut."""
    return Refusal(
        code=refusal.code[:64],
        what=refusal.what[:_MAX_FIELD_CHARACTERS],
        where=refusal.where[:_MAX_FIELD_CHARACTERS],
        next_step=refusal.next_step[:_MAX_FIELD_CHARACTERS],
        retry_after_ms=getattr(refusal, "retry_after_ms", 0),
    )


def from_message(message: Refusal) -> DualchainError:
    """The exception a refusal message stands for; ServiceRefusal with its code when this build has no type for it."""
    shared = _SHARED.get(message.code)
    if shared is not None:
        return shared(message.what, where=message.where, next_step=message.next_step)
    kind = _REMOTE.get(message.code, ServiceRefusal)
    return kind(
        message.what,
        where=message.where,
        next_step=message.next_step,
        code=message.code,
        retry_after_ms=message.retry_after_ms,
    )


def from_metadata(value: bytes) -> DualchainError:
    """The exception in ``dualchain-refusal-bin``; ServiceRefusal when the other side sent nonsense there."""
    try:
        return from_message(Refusal.FromString(value))
    except DecodeError:
        return ServiceRefusal("the other side refused, in bytes that are no refusal", where=METADATA_KEY)


def from_status(status: grpc.StatusCode, details: str, where: str) -> ServiceRefusal:
    """The exception for a bare gRPC status: the library's own refusals, and servers that are no node of ours."""
    match status:
        case grpc.StatusCode.OK | grpc.StatusCode.CANCELLED:
            return Unreachable("the stream was closed", where=where, next_step="open it again")
        case grpc.StatusCode.INTERNAL if "from Core" in details:
            # A write that met the other side's refusal: gRPC has dropped its reason, the next call will hear it.
            return Cut("the stream was closed while writing", where=where, next_step="open it again")
        case grpc.StatusCode.UNAVAILABLE:
            return Unreachable(
                details or "no connection", where=where, next_step="check that the node runs, or ask another node"
            )
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlinePassed("no answer in time", where=where, next_step="ask again: requests are safe to repeat")
        case grpc.StatusCode.UNIMPLEMENTED:
            return UnknownMethod(details, where=where, next_step="check the port and the node's version")
        case grpc.StatusCode.RESOURCE_EXHAUSTED if "larger than max" in details:
            return Oversize(details, where=where, next_step="send less at once")
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return Overloaded(details, where=where, next_step="try again later", retry_after_ms=1_000)
        case _:
            return ServiceRefusal(f"{status.name}: {details}", where=where, code=status.name)
