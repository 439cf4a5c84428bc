"""Grants of the contract ``data``: what a list of readers and custodians must be, and how it is kept
(docs/spec/data-tiers.md §2, §4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from chain_core.codec.values import encode_value
from chain_core.crypto.errors import MalformedCiphertext
from chain_core.crypto.sm2_encryption import check_ciphertext
from chain_core.execution.arguments import ACCOUNT, PUBLIC_KEY, Integer, ListOf, Octets, Record
from chain_core.execution.context import CallContext
from chain_core.types.values import Value
from contracts.data.records import (
    CUSTODIAN,
    MAX_CUSTODIANS,
    MAX_READERS,
    OWNER,
    SEALING,
    Grant,
    OwnWrap,
    decode_readers,
    encode,
    find,
    grant_key,
    readers_key,
)

_WRAP = Octets(1, 320)
"""An outer wrap has some 280 bytes."""
CUSTODIAN_ROW = Record({"account": ACCOUNT, "key": PUBLIC_KEY})
OWN_ROW = Record({"key": PUBLIC_KEY, "wrap": _WRAP})
GRANT_ROWS = ListOf(
    Record({"reader": ACCOUNT, "key": PUBLIC_KEY, "expires_ms": Integer(1), "wraps": ListOf(_WRAP, MAX_CUSTODIANS, 1)}),
    MAX_READERS,
)

Row = Mapping[str, Value]


def require_sealing_key(ctx: CallContext, account: bytes, key: bytes) -> None:
    """Refuses unless ``key`` is an active key of purpose ``sealing`` of an active account."""
    record = ctx.record_of(account)
    if record is None or not record.signing_keys:
        ctx.refuse("data.no_reader", account)
    if key not in record.keys.get(SEALING, ()):
        ctx.refuse("data.no_sealing_key", account)


def checked_custodians(ctx: CallContext, rows: Value) -> tuple[tuple[bytes, bytes], ...]:
    """Accounts and keys of distinct custodians."""
    found: dict[bytes, bytes] = {}
    for row in cast(Sequence[Row], rows):
        account, key = cast(bytes, row["account"]), cast(bytes, row["key"])
        if account in found:
            ctx.refuse("data.twice", account)
        record = ctx.record_of(account)
        if record is None or CUSTODIAN not in record.roles:
            ctx.refuse("data.no_custodian", account)
        require_sealing_key(ctx, account, key)
        found[account] = key
    return tuple(found.items())


def checked_own(ctx: CallContext, row: Value) -> OwnWrap:
    """The owner's own wrap."""
    own = cast(Row, row)
    key, wrap = cast(bytes, own["key"]), cast(bytes, own["wrap"])
    require_sealing_key(ctx, ctx.principal, key)
    _check_wrap(ctx, 0, wrap)
    return OwnWrap(key, wrap)


def checked_grants(ctx: CallContext, rows: Value, owner: bytes, custodians: int) -> dict[bytes, Grant]:
    """Grants by reader: distinct, for active sealing keys, one wrap a custodian, ending after this block."""
    found: dict[bytes, Grant] = {}
    for row in cast(Sequence[Row], rows):
        reader, key = cast(bytes, row["reader"]), cast(bytes, row["key"])
        expires_ms, wraps = cast(int, row["expires_ms"]), tuple(cast(Sequence[bytes], row["wraps"]))
        if reader == owner:
            ctx.refuse("data.own")
        if reader in found:
            ctx.refuse("data.twice", reader)
        require_sealing_key(ctx, reader, key)
        if expires_ms <= ctx.block.time_ms:
            ctx.refuse("data.expired", expires_ms)
        if len(wraps) != custodians:
            ctx.refuse("data.bad_wraps", reader)
        for index, wrap in enumerate(wraps):
            _check_wrap(ctx, index, wrap)
        found[reader] = Grant(expires_ms, OWNER, key, wraps)
    return found


def _check_wrap(ctx: CallContext, index: int, wrap: bytes) -> None:
    """Only its form: whether it opens, nobody but its reader can tell."""
    try:
        check_ciphertext(wrap)
    except MalformedCiphertext as error:
        ctx.refuse("data.bad_wrap", index, error.what)


def put_grant(ctx: CallContext, identity: bytes, reader: bytes, grant: Grant) -> None:
    """Gives or replaces a grant. When the list is full, those that have ended make room."""
    readers = decode_readers(ctx.get(readers_key(identity)))
    if reader not in readers:
        if len(readers) >= MAX_READERS:
            readers = _without_ended(ctx, identity, readers)
        readers.append(reader)
        ctx.put(readers_key(identity), encode_value(sorted(readers)))
    ctx.put(grant_key(identity, reader), encode(grant))
    ctx.emit("granted", object=identity, reader=reader, expires_ms=grant.expires_ms, by=grant.by)


def _without_ended(ctx: CallContext, identity: bytes, readers: list[bytes]) -> list[bytes]:
    kept = []
    for reader in readers:
        grant = find(Grant, ctx.get(grant_key(identity, reader)))
        if grant is not None and grant.expires_ms > ctx.block.time_ms:
            kept.append(reader)
        else:
            ctx.delete(grant_key(identity, reader))
    if len(kept) >= MAX_READERS:
        ctx.refuse("data.too_many_readers", MAX_READERS)
    return kept


def drop_grant(ctx: CallContext, identity: bytes, reader: bytes) -> None:
    """Ends one reader's grant."""
    readers = decode_readers(ctx.get(readers_key(identity)))
    readers.remove(reader)
    ctx.delete(grant_key(identity, reader))
    ctx.put(readers_key(identity), encode_value(readers))
    ctx.emit("withdrawn", object=identity, reader=reader)


def drop_grants(ctx: CallContext, identity: bytes, keeping: frozenset[bytes] = frozenset()) -> None:
    """Ends the grants of all readers but ``keeping``."""
    for reader in decode_readers(ctx.get(readers_key(identity))):
        if reader not in keeping:
            drop_grant(ctx, identity, reader)
