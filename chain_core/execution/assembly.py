"""A chain's contracts and hooks as the executor looks them up; fixed when the node starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from chain_core.execution.account_records import AccountBook
from chain_core.execution.accounts import Accounts
from chain_core.execution.context import OUTBOX
from chain_core.execution.contract import Contract, Hook, Lane, Method
from chain_core.execution.governance import Governance
from chain_core.execution.parameters import ChainSettings
from chain_core.types.transaction import TransactionBody

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class Assembly:
    """Accounts and governance, which every chain has, then the chain's own contracts; hooks; who may write where.

    ``accounts`` and ``settings`` are caches keyed by the bytes they decode.
    """

    def __init__(
        self,
        contracts: Sequence[Contract],
        hooks: Sequence[Hook],
        grants: Mapping[str, Sequence[str]],
        known_flags: Sequence[str],
        max_ledgers: int = 0,
    ) -> None:
        bounds = {name: limits for contract in contracts for name, limits in contract.parameters.items()}
        self.governance = Governance(bounds, known_flags, max_ledgers)
        self.contracts: tuple[Contract, ...] = (Accounts(), self.governance, *contracts)
        self.hooks = tuple(hooks)
        names = [contract.name for contract in self.contracts] + [hook.name for hook in self.hooks] + [OUTBOX]
        if len(set(names)) != len(names) or not all(_NAME.fullmatch(name) for name in names):
            raise ValueError(f"each contract and hook needs a lower-case name of its own: {sorted(names)}")
        self.methods: dict[str, Mapping[str, Method]] = {c.name: c.methods for c in self.contracts}
        self.lanes = {contract.name: contract.lane for contract in self.contracts}
        self.grants = {name: frozenset(others) for name, others in grants.items()}
        self.grants[Governance.name] = frozenset((Accounts.name,))
        unknown = {name for others in self.grants.values() for name in others} - set(names)
        if unknown or not self.grants.keys() <= set(names):
            raise ValueError(
                f"a grant names what is not assembled: {sorted(unknown | self.grants.keys() - set(names))}"
            )
        self.with_begin = [c for c in self.contracts if type(c).begin_block is not Contract.begin_block]
        self.with_end = [c for c in self.contracts if type(c).end_block is not Contract.end_block]
        self.accounts = AccountBook()
        self.settings = ChainSettings()

    def lane_of(self, body: TransactionBody) -> Lane:
        """The lane a transaction runs in: the last of its operations' lanes, so that mixing buys no priority."""
        operations = body.operations
        if len(operations) == 1:
            return self.lanes.get(operations[0].contract, Lane.BUSINESS)
        return max(self.lanes.get(operation.contract, Lane.BUSINESS) for operation in operations)
