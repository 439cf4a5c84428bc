"""Why a transaction may not enter this node's pool: one class a reason, with the step that mends it."""

from __future__ import annotations

from chain_core.types.errors import InvalidTransaction


class MalformedTransaction(InvalidTransaction):
    """Not the canonical encoding of an envelope."""

    code = "MALFORMED"


class OversizeTransaction(InvalidTransaction):
    """Above MAX_ENVELOPE_BYTES."""

    code = "OVERSIZE"


class WrongLedger(InvalidTransaction):
    """Its ledger is not the one this node runs."""

    code = "WRONG_LEDGER"


class Expired(InvalidTransaction):
    """Its window is over by this node's clock."""

    code = "EXPIRED"


class WindowTooLong(InvalidTransaction):
    """Its window ends later than ``max_window_ms`` from now."""

    code = "WINDOW_TOO_LONG"


class UnknownAccount(InvalidTransaction):
    """This node's final state has no such account, or the key does not sign for it."""

    code = "UNKNOWN_ACCOUNT"


class BadSignature(InvalidTransaction):
    """A signature does not verify over this chain's message M."""

    code = "BAD_SIGNATURE"


class CallerBlocked(InvalidTransaction):
    """Too many of the caller's signatures were bad: this one was not looked at."""

    code = "QUOTA_EXCEEDED"

    def __init__(self, retry_after_ms: int) -> None:
        self.retry_after_ms = retry_after_ms
        super().__init__(
            "more than 1 % of this caller's signatures were bad, this one was not verified",
            where="quota bad signatures",
            next_step="mend the signing program, then hand it in again after retry_after_ms",
        )


class NonceUsed(InvalidTransaction):
    """Another transaction of the account has used the nonce."""

    code = "NONCE_USED"


class ExecutedBefore(InvalidTransaction):
    """It was executed in a block that this node does not have: pruned, or of the predecessor chain."""

    code = "EXECUTED_BEFORE"


class PoolFull(InvalidTransaction):
    """No room in the pool now; the same transaction may be handed in again after ``retry_after_ms``."""

    code = "RESOURCE_EXHAUSTED"
    retry_after_ms = 200


class NotServing(InvalidTransaction):
    """This node takes no transactions: it is halted or far behind."""

    code = "NOT_SERVING"
