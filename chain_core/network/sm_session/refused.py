"""Why a session or one of its calls ends: every reason by name (docs/spec/sm-session.md section 8)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from chain_core.types.errors import DualchainError


class Reason(StrEnum):
    """What a program branches on; the value is the refusal's code."""

    AFTER_LAST = "AFTER_LAST"
    BAD_CERTIFICATE_VERIFY = "BAD_CERTIFICATE_VERIFY"
    BAD_FINISHED = "BAD_FINISHED"
    BAD_POINT = "BAD_POINT"
    BAD_RECORD = "BAD_RECORD"
    CERTIFICATE_REFUSED = "CERTIFICATE_REFUSED"
    HELLO_RETRY = "HELLO_RETRY"
    KEY_EXHAUSTED = "KEY_EXHAUSTED"
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    MALFORMED_RECORD = "MALFORMED_RECORD"
    MISSING_MESSAGE = "MISSING_MESSAGE"
    NOT_A_VALIDATOR = "NOT_A_VALIDATOR"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    OUT_OF_TURN = "OUT_OF_TURN"
    OVERSIZE_MESSAGE = "OVERSIZE_MESSAGE"
    REPLAYED = "REPLAYED"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    SESSION_REQUIRED = "SESSION_REQUIRED"
    SESSION_UNKNOWN = "SESSION_UNKNOWN"
    TOO_MANY_HANDSHAKES = "TOO_MANY_HANDSHAKES"
    TOO_OLD = "TOO_OLD"
    TOO_SLOW = "TOO_SLOW"
    TRUNCATED = "TRUNCATED"
    UNEXPECTED_EXTENSION = "UNEXPECTED_EXTENSION"
    UNEXPECTED_MESSAGE = "UNEXPECTED_MESSAGE"
    UNKNOWN_GENERATION = "UNKNOWN_GENERATION"
    UNSUPPORTED_GROUP = "UNSUPPORTED_GROUP"
    UNSUPPORTED_SCHEME = "UNSUPPORTED_SCHEME"
    UNSUPPORTED_SUITE = "UNSUPPORTED_SUITE"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    WRONG_CHAIN = "WRONG_CHAIN"
    WRONG_LEDGER = "WRONG_LEDGER"
    WRONG_ROLE = "WRONG_ROLE"
    WRONG_VERSION = "WRONG_VERSION"


_PATH: Final = "something on the way alters traffic, or an end is faulty: shake hands again"
_RELEASE: Final = "run this project's release on both ends; there is no other suite to fall back to"
_NEXT_STEPS: Final[dict[Reason, str]] = {
    Reason.BAD_CERTIFICATE_VERIFY: "the other side does not hold its certificate's key, or somebody stands between",
    Reason.CERTIFICATE_REFUSED: "see docs/spec/certificates.md; dualchain ca verify tells what is wrong with a chain",
    Reason.KEY_EXHAUSTED: "shake hands again",
    Reason.NOT_A_VALIDATOR: "compare the certificate's key with the transport key on chain",
    Reason.OVERSIZE_MESSAGE: "send a shorter certificate chain",
    Reason.SESSION_EXPIRED: "shake hands again",
    Reason.SESSION_REQUIRED: "name the folder with the client's key and certificates: for commands export "
    "DUALCHAIN_CREDENTIALS=NETWORK/clients/cli, in configurations credentials (docs/spec/sm-session.md §7)",
    Reason.SESSION_UNKNOWN: "shake hands again; whether the call took effect is unknown",
    Reason.TOO_MANY_HANDSHAKES: "try again later, and keep one session for many calls",
    Reason.TOO_SLOW: "try again on a better connection",
    Reason.UNKNOWN_GENERATION: "open the call again",
    Reason.UNSUPPORTED_GROUP: _RELEASE,
    Reason.UNSUPPORTED_SCHEME: _RELEASE,
    Reason.UNSUPPORTED_SUITE: _RELEASE,
    Reason.UNSUPPORTED_VERSION: _RELEASE,
    Reason.HELLO_RETRY: _RELEASE,
    Reason.WRONG_CHAIN: "compare the genesis documents of both ends, and the address",
    Reason.WRONG_LEDGER: "compare the address with the ledger that is meant",
    Reason.WRONG_ROLE: "dial the other port, or use a certificate of that role",
    Reason.WRONG_VERSION: "run the same release on both ends",
}


class SessionRefused(DualchainError):
    """A handshake, record or call that this side does not go on with; ``reason`` is its code.

    ``by_peer``: the other side refused and said so. ``retry_after_ms`` above 0: the same may succeed later.
    """

    def __init__(
        self, reason: Reason, what: str, *, where: str = "", by_peer: bool = False, retry_after_ms: int = 0
    ) -> None:
        self.code = reason.value
        self.reason = reason
        self.by_peer = by_peer
        self.retry_after_ms = retry_after_ms
        super().__init__(what, where=where, next_step=_NEXT_STEPS.get(reason, _PATH))
