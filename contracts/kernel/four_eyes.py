"""The second pair of eyes (四眼原则): what the operating institution must not decide alone (docs/spec/kernel.md)."""

from __future__ import annotations

from chain_core.execution.context import CallContext

GOVERNOR = "governor"


def require_second_house(ctx: CallContext) -> None:
    """Refuses with kernel.four_eyes unless a governor of another legal entity than the caller's signed as well.

    The engine has checked the cosigners' keys, and that their accounts are active.
    """
    cosigners = (ctx.record_of(account) for account in ctx.cosigners)
    if not any(record and GOVERNOR in record.roles and record.entity != ctx.entity for record in cosigners):
        ctx.refuse("kernel.four_eyes")
