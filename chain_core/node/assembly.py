"""What makes a node a node of one kind of chain: its contracts and hooks, chosen by the genesis document's kind.

``chain_core`` knows no kind of chain; the command line that knows them fills ``Assemblies``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from chain_core.execution.contract import Contract, Hook
from chain_core.execution.executor import Executor
from chain_core.execution.messages import Messages
from chain_core.types.errors import LocalFault
from chain_core.types.genesis import Genesis


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

    def executor(self) -> Executor:
        """A fresh executor of this assembly."""
        return Executor(self.contracts, hooks=self.hooks, grants=self.grants, known_flags=self.known_flags)

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
