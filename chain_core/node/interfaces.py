"""Further services on a node's client port, which the assembly of its kind of chain brings along.

The engine knows neither their methods nor their meaning; it puts quota, role and record before them like before its own
(docs/spec/access.md §1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chain_core.ledger.store import LedgerStore
from chain_core.network.access import Rule
from chain_core.network.methods import Unary
from chain_core.types.genesis import Genesis

if TYPE_CHECKING:
    from chain_core.node.assembly import Assembly


@dataclass(frozen=True, slots=True)
class LedgerView:
    """One ledger of the node as an interface reads it: final state only. ``peers``: names connected both ways now."""

    genesis: Genesis
    genesis_hash: bytes
    store: LedgerStore
    assembly: Assembly
    version: str
    peers: Callable[[], Sequence[str]]


Ledgers = Callable[[], Mapping[int, LedgerView]]
"""Those that run now; ledger 0 always does."""


class Interface(Protocol):
    """A service: its rules by full method name, and its methods over the node's ledgers."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """A method without one is served to nobody."""

    def methods(self, ledgers: Ledgers) -> Mapping[str, Unary]:
        """Handlers run inside the node's event loop: each answers without waiting."""
