"""The keys of a DID document are those of its account, with their past (docs/spec/identity.md §3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chain_core.execution.context import CallContext
from crosschain.identity.document import ASSERTION, AUTHENTICATION, DidKey, DidRecord
from crosschain.identity.records import MAX_KEYS


def ended(keys: Sequence[DidKey], now_ms: int) -> tuple[DidKey, ...]:
    """All of them ended, now or before."""
    return tuple(key if key.until_ms else replace(key, until_ms=now_ms) for key in keys)


def with_present_keys(ctx: CallContext, record: DidRecord) -> DidRecord:
    """The account's keys as they are now: new ones begin, missing ones end; numbers are never used again."""
    account = ctx.record_of(record.account)
    present = {
        key: purpose
        for purpose in (AUTHENTICATION, ASSERTION)
        for key in (account.keys.get(purpose, ()) if account is not None else ())
    }
    if AUTHENTICATION not in present.values():
        ctx.refuse("identities.no_key", record.account, AUTHENTICATION)
    now_ms = ctx.block.time_ms
    keys = [key if key.until_ms or key.key in present else replace(key, until_ms=now_ms) for key in record.keys]
    held = {key.key for key in keys if not key.until_ms}
    number = max((key.number for key in keys), default=0)
    for key, purpose in present.items():
        if key not in held:
            number += 1
            keys.append(DidKey(number, key, purpose, now_ms))
    if len(keys) > MAX_KEYS:
        ctx.refuse("identities.too_many_keys", MAX_KEYS)
    return replace(record, keys=tuple(keys))
