"""One key, one purpose, one holder for the life of a chain (docs/spec/keys.md §1): what is known of a key.

State keys: ``accounts``/``k`` + SM3(key) -> [account, purpose, active]; ``governance``/``used/`` + SM3(key) -> epoch in
which it became a validator's; ``governance``/``named/`` + SM3(key) -> height at which a proposal named it for one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import ACCOUNTS
from chain_core.execution.parameters import GOVERNANCE
from chain_core.types.values import Value

TRANSACTION, VALIDATOR = "transaction", "validator"
USED, NAMED = b"used/", b"named/"
_INDEX, _USED, _NAMED = state_key(ACCOUNTS, b"k"), state_key(GOVERNANCE, USED), state_key(GOVERNANCE, NAMED)

Read = Callable[[bytes], bytes | None]
"""Reads state by full key."""


def is_accounts(read: Read, key: bytes) -> bool:
    """Whether an account has or had this key, for whatever purpose."""
    return read(_INDEX + sm3(key)) is not None


def owner_of(read: Read, key: bytes) -> tuple[bytes, str, bool] | None:
    """Whose key this is or was: account, purpose, whether it still is. None: no account has had it."""
    raw = read(_INDEX + sm3(key))
    return cast(tuple[bytes, str, bool], tuple(cast(list[Value], decode_value(raw)))) if raw else None


def is_validators(read: Read, key: bytes) -> bool:
    """Whether it is or was a validator's, or a proposal has named it for one."""
    digest = sm3(key)
    return read(_USED + digest) is not None or read(_NAMED + digest) is not None


def other_purpose(read: Read, account: bytes, key: bytes) -> str:
    """For what this key serves, when that is what keeps it from signing for ``account``; else empty.

    Nothing is said of other accounts' keys: their holders have not signed.
    """
    if is_validators(read, key):
        return VALIDATOR
    owner, purpose, _ = owner_of(read, key) or (b"", "", False)
    return purpose if owner == account and purpose != TRANSACTION else ""
