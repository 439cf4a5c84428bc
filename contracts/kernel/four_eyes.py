"""The second pair of eyes (四眼原则): what the operating institution must not decide alone (docs/spec/kernel.md)."""

from __future__ import annotations

from chain_core.execution.context import CallContext
from chain_core.types.validator_set import same_entity

GOVERNOR = "governor"


def require_second_house(ctx: CallContext) -> None:
    """Refuses with kernel.four_eyes unless a governor of another legal entity than the caller's signed as well.

    The engine has checked the cosigners' keys, and that their accounts are active.
    """
    records = (ctx.record_of(account) for account in ctx.cosigners)
    houses = (same_entity(record.entity) for record in records if record and GOVERNOR in record.roles)
    if all(house == same_entity(ctx.entity) for house in houses):
        ctx.refuse("kernel.four_eyes")
