"""Which transactions a subscriber wants, decided on encoded receipts and events: blocks hold thousands of them.

A name or account that matters stands in the encoded events as it is, so most transactions are passed over without
decoding anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.values import decode_value, encode_value
from chain_core.node import receipt_view
from chain_core.types.errors import MalformedBytes
from chain_core.types.ids import ACCOUNT_ID_SIZE, HASH_SIZE
from chain_core.types.values import Value

MAX_ENTRIES = 256
MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Empty sets ask for nothing in particular."""

    accounts: frozenset[bytes] = frozenset()
    contracts: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    transaction_ids: frozenset[bytes] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether every transaction fits."""
        return not (self.accounts or self.contracts or self.kinds or self.transaction_ids)

    @classmethod
    def of(cls, request: pb.SubscribeRequest) -> EventFilter:
        """From the wire. Raises MalformedBytes."""
        for where, entries in (
            ("accounts", request.accounts),
            ("contracts", request.contracts),
            ("kinds", request.kinds),
            ("transaction_ids", request.transaction_ids),
        ):
            if len(entries) > MAX_ENTRIES:
                raise _malformed(f"{len(entries)} entries, at most {MAX_ENTRIES} may be", where)
        for name in (*request.contracts, *request.kinds):
            if not 1 <= len(name) <= MAX_NAME:
                raise _malformed(f"a name of {len(name)} characters, 1 to {MAX_NAME} may be", "contracts, kinds")
        if any(len(account) != ACCOUNT_ID_SIZE for account in request.accounts):
            raise _malformed(f"an account has {ACCOUNT_ID_SIZE} bytes", "accounts")
        if any(len(name) != HASH_SIZE for name in request.transaction_ids):
            raise _malformed(f"a transaction id has {HASH_SIZE} bytes", "transaction_ids")
        return cls(
            frozenset(request.accounts),
            frozenset(request.contracts),
            frozenset(request.kinds),
            frozenset(request.transaction_ids),
        )

    def fits(self, receipt: bytes, events: bytes) -> bool:
        """Whether the subscriber wants this transaction."""
        if self.transaction_ids and receipt_view.transaction_id(receipt) not in self.transaction_ids:
            return False
        own = not self.accounts or receipt_view.account(receipt) in self.accounts
        if own and not (self.contracts or self.kinds):
            return True
        if not own and not any(account in events for account in self.accounts):
            return False
        for names in (self.contracts, self.kinds):
            if names and not any(encode_value(name) in events for name in names):
                return False
        return self._decoded(own, events)

    def _decoded(self, own: bool, raw: bytes) -> bool:
        events = decode_value(raw)
        assert isinstance(events, list | tuple)
        named = own
        fitting = False
        for event in events:
            assert isinstance(event, list | tuple)
            contract, kind, fields = event
            assert isinstance(fields, Mapping)
            named = named or any(_names(value, self.accounts) for value in fields.values())
            fitting = fitting or (
                (not self.contracts or contract in self.contracts) and (not self.kinds or kind in self.kinds)
            )
        return named and fitting


def _names(value: Value, accounts: frozenset[bytes]) -> bool:
    """Whether an event's field is one of the accounts, or a list with one of them in it."""
    if isinstance(value, list | tuple):
        return any(isinstance(item, bytes) and item in accounts for item in value)
    return isinstance(value, bytes) and value in accounts


def _malformed(what: str, where: str) -> MalformedBytes:
    return MalformedBytes(what, where=where, next_step="see docs/spec/node-api.md")
