"""Keys by which a party of a call signed: the trusted one, and for a while those it replaced
(docs/spec/service-records.md §2-§3).

A batch comes after its calls: who changes his key in between neither voids his calls nor spoils the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.execution.context import CallContext
from service_registry.authority import Read
from service_registry.records import SERVICES, Certificate, certificate_key, decode

MAX_FORMER = 8
LATE_MS = 7 * 86_400_000
"""So long after a call its batch may come."""


def former_key(account: bytes) -> bytes:
    """Key of an account's former trusted keys."""
    return b"h" + account


def replace_key(ctx: CallContext, account: bytes, key: bytes) -> None:
    """Remembers the account's trusted key, when ``key`` is about to take its place.

    Refuses with services.key_changes what would make a key unknown whose batches may still come: by changing keys
    nobody voids calls that a gateway has promised to record.
    """
    raw = ctx.get(certificate_key(account))
    old = b"" if raw is None else decode(Certificate, raw).key
    if not old or old == key:
        return
    now_ms = ctx.block.time_ms
    kept = [(old, now_ms), *((one, until_ms) for one, until_ms in _former(ctx.read, account) if one != old)]
    if len(kept) > MAX_FORMER and kept[MAX_FORMER][1] >= now_ms - LATE_MS:
        ctx.refuse("services.key_changes", MAX_FORMER)
    ctx.put(former_key(account), encode_value([[one, until_ms] for one, until_ms in kept[:MAX_FORMER]]))


def signed_lately(read: Read, account: bytes, key: bytes, now_ms: int) -> bool:
    """Whether ``key`` is the account's trusted key, active or not, or was within ``LATE_MS``."""
    raw = read(SERVICES, certificate_key(account))
    if raw is not None and decode(Certificate, raw).key == key:
        return True
    return any(old == key and until_ms >= now_ms - LATE_MS for old, until_ms in _former(read, account))


def _former(read: Read, account: bytes) -> Sequence[tuple[bytes, int]]:
    raw = read(SERVICES, former_key(account))
    return [] if raw is None else cast(Sequence[tuple[bytes, int]], decode_value(raw, "former keys"))
