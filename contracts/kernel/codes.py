"""Which account a code leads to (docs/spec/kernel.md §2): investor codes (JR/T 0326 §6) and credit codes.

The key is a digest of the code, so that of any code it can be proven which account of this market has it, or that none
has. Codes are pseudonyms that come from outside; they are bound here, never made.
"""

from __future__ import annotations

from chain_core.codec.signed import tag
from chain_core.crypto.hashing import sm3
from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.kernel.four_eyes import require_second_house
from contracts.kernel.parties import require_active

CODE, BOUND_CODE = b"B", b"b"
INVESTOR_CODE, CREDIT_CODE = tag("dualchain/investor-code/v1"), tag("dualchain/credit-code/v1")


def code_key(kind: bytes, code: str) -> bytes:
    """Key inside the kernel of the account that ``code`` leads to; ``kind`` is INVESTOR_CODE or CREDIT_CODE."""
    return CODE + sm3(kind + code.encode("utf-8"))


def bind_code(space: Namespace, ctx: CallContext, account: bytes, code: str) -> None:
    """The investor code leads to the account, and the account has no other. Emits ``code_bound``."""
    require_active(ctx, account)
    present = space.get(BOUND_CODE + account)
    if present is not None:
        ctx.refuse("kernel.account_bound", account, present.decode("ascii"))
    claim(space, ctx, INVESTOR_CODE, code, account)
    space.put(BOUND_CODE + account, code.encode("ascii"))
    ctx.emit("code_bound", account=account, code=code)


def unbind_code(space: Namespace, ctx: CallContext, account: bytes, evidence: bytes) -> None:
    """Takes a binding back that was wrong; four eyes. Emits ``code_unbound``."""
    require_second_house(ctx)
    present = space.get(BOUND_CODE + account)
    if present is None:
        ctx.refuse("kernel.not_bound", account)
    code = present.decode("ascii")
    space.delete(code_key(INVESTOR_CODE, code))
    space.delete(BOUND_CODE + account)
    ctx.emit("code_unbound", account=account, code=code, evidence=evidence)


def claim(space: Namespace, ctx: CallContext, kind: bytes, code: str, account: bytes) -> None:
    """``code`` leads to ``account`` from now on. Refuses with kernel.code_taken when it leads to another one."""
    key = code_key(kind, code)
    other = space.get(key)
    if other is not None and other != account:
        ctx.refuse("kernel.code_taken", code, other)
    space.put(key, account)
