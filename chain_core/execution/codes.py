"""Receipt codes and the one exception that becomes a receipt (docs/spec/execution.md §5)."""

from __future__ import annotations

from enum import IntEnum

from chain_core.types.values import Value


class Code(IntEnum):
    """What became of an ordered envelope. Numbers are hashed into receipts: they never change meaning."""

    OK = 0
    DUPLICATE = 1
    NONCE_USED = 2
    EXPIRED = 3
    NOT_YET = 4
    UNKNOWN_ACCOUNT = 5
    UNAUTHORISED = 6
    WRONG_LEDGER = 7
    UNKNOWN_CONTRACT = 8
    UNKNOWN_METHOD = 9
    BAD_ARGUMENTS = 10
    MIXED_LANES = 11
    FORBIDDEN = 12
    REFUSED_BY_RULE = 13
    LIMIT = 14
    SKIPPED = 15
    """A quorum agreed not to execute it: it broke the engine."""


FIRST_OPERATION_CODE = Code.UNKNOWN_CONTRACT
"""From here on a receipt's first parameter is the operation's index, -1 when it is about the whole transaction."""

UNMARKED = frozenset(
    (
        Code.WRONG_LEDGER,
        Code.UNKNOWN_ACCOUNT,
        Code.UNAUTHORISED,
        Code.EXPIRED,
        Code.NOT_YET,
        Code.DUPLICATE,
        Code.NONCE_USED,
    )
)
"""Codes that enter nothing into the seen set: whoever re-signs a stranger's body cannot use up his nonce."""


class Refused(Exception):
    """A declared refusal: the transaction's writes are dropped and its receipt names ``code``, ``rule``, ``params``.

    Everything else that a contract or hook raises is a failure of the engine and halts the node.
    """

    def __init__(self, code: Code, rule: str = "", params: tuple[Value, ...] = ()) -> None:
        super().__init__(code, rule, params)
        self.code = code
        self.rule = rule
        self.params = params


class EngineFault(Exception):
    """A contract, hook or caller broke the engine's own rules: never a receipt, the node halts."""


class Poisoned(EngineFault):
    """Executing the envelope at ``index`` of the batch raised what no contract may raise; the cause is chained.

    The replica does not go on by itself: a quorum may agree to skip it (docs/spec/pbft.md, attempts).
    """

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index = index
