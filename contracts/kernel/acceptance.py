"""Whether somebody takes shares that another sends without payment (docs/spec/kernel.md §3.2).

Shares that come in are a trade of the receiver's: they start his trade gap and fill a place in the register. So nobody
gets them without his own signature, for the one transaction or standing.
"""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.execution.overlay import Namespace
from contracts.kernel.records import ACCEPTANCE

_STANDING = b"\x01"


def set_acceptance(space: Namespace, ctx: CallContext, accept: bool) -> None:
    """The holder's standing acceptance, given or withdrawn under his own signature. Emits ``transfers_accepted``."""
    holder = ctx.principal
    if holder != ctx.account and holder not in ctx.cosigners:
        ctx.refuse("kernel.owner_signs", holder)
    if accept:
        space.put(ACCEPTANCE + holder, _STANDING)
    else:
        space.delete(ACCEPTANCE + holder)
    ctx.emit("transfers_accepted", account=holder, accept=accept)


def refuse_unaccepted(space: Namespace, ctx: CallContext, receiver: bytes) -> None:
    """Refuses with kernel.not_accepted unless the receiver asks for it himself, signs as well or accepts always."""
    if space.get(ACCEPTANCE + receiver) is not None:
        return
    if receiver not in (ctx.account, ctx.principal) and receiver not in ctx.cosigners:
        ctx.refuse("kernel.not_accepted", receiver)
