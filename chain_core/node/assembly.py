"""What makes a node a node of one kind of chain: its contracts and hooks, chosen by the genesis document's kind.

``chain_core`` knows no kind of chain; the command line that knows them fills ``Assemblies``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from chain_core.execution.contract import Contract, Hook
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.registry import GOVERNOR
from chain_core.execution.sub_ledgers import MAX_LEDGERS
from chain_core.node.interfaces import Interface
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis
from chain_core.types.ids import MAIN_LEDGER


class UnknownKind(LocalFault):
    """A genesis document of a kind that this build has no contracts for."""

    code = "UNKNOWN_KIND"


@dataclass(frozen=True, slots=True)
class Assembly:
    """The contracts of a chain in their order, its hooks, who may write in whose namespace, the flags implemented."""

    name: str
    contracts: Sequence[Contract] = ()
    hooks: Sequence[Hook] = ()
    grants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known_flags: Sequence[str] = ()
    protected: Sequence[str] = ()
    """Contracts whose state is read on the record only (docs/spec/access.md §5)."""
    followers: Sequence[Contract] = ()
    """What a sub-ledger has besides, to follow ledger 0: it may write in governance. A chain without has none."""
    overseers: str = GOVERNOR
    """The role of those who may order that a height is reopened (docs/spec/reopening.md), two of them each time."""
    interfaces: Sequence[Interface] = ()
    """Further services on the client port of its nodes."""

    def executor(self) -> Executor:
        """A fresh executor of this assembly."""
        return Executor(
            self.contracts,
            hooks=self.hooks,
            grants=self.grants,
            known_flags=self.known_flags,
            max_ledgers=MAX_LEDGERS if self.followers else 0,
            overseers=self.overseers,
        )

    def of_ledger(self, ledger: int) -> Assembly:
        """The assembly of one of the chain's ledgers; this one is ledger 0's."""
        if ledger == MAIN_LEDGER:
            return self
        grants = {**self.grants, **{contract.name: (GOVERNANCE,) for contract in self.followers}}
        return replace(self, contracts=(*self.contracts, *self.followers), grants=grants, followers=())

    def messages(self) -> Messages:
        """The texts of its receipts."""
        return Messages(self.executor().assembly.contracts, self.hooks)


Assemblies: TypeAlias = Mapping[str, Callable[[Genesis], Assembly]]
"""By the genesis document's kind ("local", "supervisory"); made when a node of that kind starts."""


def assembly_for(genesis: Genesis, assemblies: Assemblies) -> Assembly:
    """The assembly of this chain. Raises UnknownKind."""
    make = assemblies.get(genesis.kind)
    if make is None:
        raise UnknownKind(
            f"chain {genesis.chain_id} is of kind {genesis.kind}; this build runs {', '.join(sorted(assemblies))}",
            where="genesis.kind",
            next_step="run the release that this chain was made for",
        )
    return make(genesis)
