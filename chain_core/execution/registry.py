"""The registry's state, for the accounts contract itself and for governance (docs/spec/execution.md §7).

State keys inside ``accounts``: ``a`` + account id -> record; ``k`` + SM3(public key) -> [account, purpose, active],
kept for ever, so that a key never changes hands; ``g`` + principal + account -> grant; ``governors`` -> account ids;
``grantable`` -> role names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from chain_core.codec.values import decode_value, encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.account_records import ACTIVE, AccountRecord, decode_record, encode_record
from chain_core.execution.codes import Code, Refused
from chain_core.execution.key_purposes import is_accounts, is_validators
from chain_core.execution.overlay import Namespace
from chain_core.types.validator_set import same_entity

GOVERNOR, REGISTRAR = "governor", "registrar"
GOVERNANCE_ROLES = frozenset((GOVERNOR, REGISTRAR))
"""Roles that only genesis and proposals give."""

DUTIES: Mapping[str, str] = {REGISTRAR: "系统管理", GOVERNOR: "安全管理", "auditor": "审计管理"}
"""Three duties that no account holds two of (GB/T 22239-2019 §8.1.5): who enters accounts, who decides about roles,
statuses and lost keys, and who looks at what both did.
"""

MAX_KEYS = 8
MAX_ROLES = 16
MAX_GOVERNORS = 64


def _refuse(rule: str, *params: bytes | str | int) -> Refused:
    return Refused(Code.REFUSED_BY_RULE, rule, params)


class Registry:
    """Reads and writes records, the key index and the list of governors; refuses what would break their relations."""

    __slots__ = ("_space",)

    def __init__(self, space: Namespace) -> None:
        self._space = space

    def find(self, account: bytes) -> AccountRecord | None:
        """The record of ``account``."""
        raw = self._space.get(b"a" + account)
        return None if raw is None else decode_record(raw)

    def record(self, account: bytes) -> AccountRecord:
        """The record of ``account``; refuses with accounts.unknown."""
        record = self.find(account)
        if record is None:
            raise _refuse("accounts.unknown", account)
        return record

    def create(self, account: bytes, record: AccountRecord) -> None:
        """A new account with its keys; each must be new to the chain."""
        _check_duties(record.roles)
        for purpose, keys in sorted(record.keys.items()):
            for key in keys:
                self._claim(key, account, purpose)
        self._store(account, record)
        if GOVERNOR in record.roles:
            self._set_governors([*self.governors(), account])

    def attach(self, account: bytes, purpose: str, key: bytes) -> None:
        """Adds a key that the chain has never seen, as a validator's neither; refuses with accounts.key_taken,
        accounts.too_many_keys."""
        record = self.record(account)
        present = record.keys.get(purpose, ())
        if len(present) >= MAX_KEYS:
            raise _refuse("accounts.too_many_keys", purpose, MAX_KEYS)
        self._claim(key, account, purpose)
        self._store(account, replace(record, keys={**record.keys, purpose: (*present, key)}))

    def revoke(self, account: bytes, key: bytes) -> None:
        """Takes a key away for good; refuses with accounts.not_your_key when it is not an active key of ``account``."""
        raw = self._space.get(_index(key))
        owner, purpose, active = cast(tuple[bytes, str, bool], decode_value(raw)) if raw else (b"", "", False)
        if owner != account or not active:
            raise _refuse("accounts.not_your_key", sm3(key))
        record = self.record(account)
        left = tuple(other for other in record.keys.get(purpose, ()) if other != key)
        self._space.put(_index(key), encode_value([account, purpose, False]))
        self._store(account, replace(record, keys={**record.keys, purpose: left}))

    def set_status(self, account: bytes, status: str) -> None:
        """``active``, ``suspended`` or ``closed``."""
        self._store(account, replace(self.record(account), status=status))

    def set_roles(self, account: bytes, roles: Sequence[str]) -> None:
        """Replaces all roles, and keeps the list of governors in step."""
        _check_duties(roles)
        record = self.record(account)
        self._store(account, replace(record, roles=frozenset(roles)))
        others = [governor for governor in self.governors() if governor != account]
        self._set_governors([*others, account] if GOVERNOR in roles else others)

    def governors(self) -> list[bytes]:
        """All accounts with the role governor, ascending, whatever their status."""
        raw = self._space.get(b"governors")
        return [] if raw is None else list(cast(Sequence[bytes], decode_value(raw, "governors")))

    def voters(self) -> Mapping[bytes, str]:
        """The governors who can vote now, with their entities in one spelling."""
        found = {account: self.record(account) for account in self.governors()}
        return {account: same_entity(record.entity) for account, record in found.items() if record.status == ACTIVE}

    def set_grantable(self, roles: Sequence[str]) -> None:
        """The roles a registrar may give (genesis)."""
        self._space.put(b"grantable", encode_value(sorted(roles)))

    def grantable(self) -> frozenset[str]:
        """The roles a registrar may give."""
        raw = self._space.get(b"grantable")
        return frozenset() if raw is None else frozenset(cast(Sequence[str], decode_value(raw, "grantable roles")))

    def _claim(self, key: bytes, account: bytes, purpose: str) -> None:
        if is_accounts(self._space.anywhere, key) or is_validators(self._space.anywhere, key):
            raise _refuse("accounts.key_taken", sm3(key))
        self._space.put(_index(key), encode_value([account, purpose, True]))

    def _store(self, account: bytes, record: AccountRecord) -> None:
        self._space.put(b"a" + account, encode_record(record))

    def _set_governors(self, accounts: list[bytes]) -> None:
        if len(accounts) > MAX_GOVERNORS:
            raise _refuse("accounts.too_many_governors", MAX_GOVERNORS)
        self._space.put(b"governors", encode_value(sorted(accounts)))


def _check_duties(roles: Iterable[str]) -> None:
    """Refuses with accounts.duties."""
    held = sorted(DUTIES.keys() & set(roles))
    if len(held) > 1:
        raise _refuse("accounts.duties", held[0], held[1])


def _index(key: bytes) -> bytes:
    return b"k" + sm3(key)
