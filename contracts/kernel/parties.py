"""Who may be a party of an operation."""

from __future__ import annotations

from chain_core.execution.account_records import ACTIVE
from chain_core.execution.context import CallContext


def require_active(ctx: CallContext, account: bytes) -> None:
    """Refuses with kernel.unknown_party unless the account is registered and active."""
    record = ctx.record_of(account)
    if record is None or record.status != ACTIVE:
        ctx.refuse("kernel.unknown_party", account)


def require_signed(ctx: CallContext, party: bytes) -> None:
    """Refuses with kernel.owner_signs unless ``party`` is the principal or signs as well."""
    if party != ctx.principal and party not in ctx.cosigners:
        ctx.refuse("kernel.owner_signs", party)
