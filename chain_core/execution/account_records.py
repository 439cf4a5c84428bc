"""The registry's records as values, and their decoding with a bounded cache (docs/spec/execution.md §7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map, encode_value

ACCOUNTS = "accounts"
ACTIVE, SUSPENDED, CLOSED = "active", "suspended", "closed"
RECORD_PREFIX = state_key(ACCOUNTS, b"a")

_CACHED_RECORDS = 32_768


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One account: its legal entity, roles, status and active keys by purpose.

    ``registrar`` and ``reference`` are who registered it and under which reference (zeros and empty at genesis),
    ``height`` when. ``signing_keys`` are those that may sign for it now: none unless it is active.
    """

    entity: str
    roles: frozenset[str]
    status: str
    keys: Mapping[str, tuple[bytes, ...]]
    registrar: bytes
    reference: str
    height: int
    signing_keys: frozenset[bytes] = field(init=False)

    def __post_init__(self) -> None:
        usable = self.keys.get("transaction", ()) if self.status == ACTIVE else ()
        object.__setattr__(self, "signing_keys", frozenset(usable))


def grant_key(principal: bytes, account: bytes) -> bytes:
    """Full state key whose presence lets ``account`` act on behalf of ``principal``."""
    return state_key(ACCOUNTS, b"g" + principal + account)


def encode_record(record: AccountRecord) -> bytes:
    """Canonical value map of a record; purposes without keys are left out."""
    return encode_value(
        {
            "entity": record.entity,
            "roles": sorted(record.roles),
            "status": record.status,
            "keys": {purpose: sorted(keys) for purpose, keys in record.keys.items() if keys},
            "registrar": record.registrar,
            "reference": record.reference,
            "height": record.height,
        }
    )


def decode_record(raw: bytes) -> AccountRecord:
    """The reverse of ``encode_record``."""
    row = decode_map(raw, "account record")
    keys = cast(Mapping[str, Sequence[bytes]], row["keys"])
    return AccountRecord(
        cast(str, row["entity"]),
        frozenset(cast(Sequence[str], row["roles"])),
        cast(str, row["status"]),
        {purpose: tuple(listed) for purpose, listed in keys.items()},
        cast(bytes, row["registrar"]),
        cast(str, row["reference"]),
        cast(int, row["height"]),
    )


class _Decoded(dict[bytes, AccountRecord]):
    """Records by their bytes; one that is not here yet is decoded."""

    __slots__ = ()

    def __missing__(self, raw: bytes) -> AccountRecord:
        record = decode_record(raw)
        if len(self) >= _CACHED_RECORDS:
            for oldest in list(islice(self, _CACHED_RECORDS // 2)):
                del self[oldest]
        self[raw] = record
        return record


class AccountBook:
    """Decodes records; what a value decodes to is remembered by its bytes, so a stale answer is impossible.

    ``of(raw)`` is the record of a value.
    """

    __slots__ = ("_decoded", "of")

    def __init__(self) -> None:
        self._decoded = _Decoded()
        self.of: Callable[[bytes], AccountRecord] = self._decoded.__getitem__

    def record(self, get: Callable[[bytes], bytes | None], account: bytes) -> AccountRecord | None:
        """The record of ``account`` in the state that ``get`` reads by full key."""
        raw = get(RECORD_PREFIX + account)
        return None if raw is None else self.of(raw)
