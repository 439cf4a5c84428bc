"""What a caller may act as: its certificate's roles, overruled by the chain where the two name one another
(docs/spec/access.md §3).
"""

from __future__ import annotations

from typing import Final

from chain_core.execution.account_records import ACTIVE, AccountBook
from chain_core.execution.key_purposes import Read, owner_of
from chain_core.network.access import CLIENT, PEER, Standing, by_certificate
from chain_core.network.identity import Caller

TRANSPORT: Final = "transport"
_DOORS: Final = frozenset((CLIENT, PEER))


class ChainStanding:
    """``read``: final state of ledger 0, by full key."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._book = AccountBook()

    def __call__(self, caller: Caller) -> Standing:
        """Asked at each call: what a block takes away is gone with that block."""
        own = by_certificate(caller)
        found = owner_of(self._read, caller.public_key) if caller.public_key else None
        if found is None:
            return own
        account, purpose, active = found
        record = self._book.record(self._read, account)
        # Anybody may attach anybody's public key: the certificate must name the account's entity in turn.
        if purpose != TRANSPORT or record is None or record.entity != caller.entity:
            return own
        if not active:
            return Standing(frozenset(), account=account, ended=f"account {account.hex()} has revoked this key")
        doors = own.roles & _DOORS
        if record.status != ACTIVE:
            return Standing(doors, account=account)
        return Standing(doors | (record.roles - _DOORS), account=account)
