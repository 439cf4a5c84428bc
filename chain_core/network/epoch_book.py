"""Under which validators a message, header or block is verified: those of its epoch (docs/spec/membership.md §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chain_core.execution.epochs import EpochInfo, current_epoch, epoch_by_number
from chain_core.execution.overlay import StateReader
from chain_core.types.errors import PeerFault

_NEXT = "drop it; a link that repeats this is cut"


class UnknownEpoch(PeerFault):
    """Of an epoch that the final state here does not know yet: nobody's fault, this node is behind."""

    code = "UNKNOWN_EPOCH"


class EpochBook(Protocol):
    """Epoch by number, as far as is known here."""

    def current(self) -> EpochInfo:
        """The epoch of the next height."""

    def by_number(self, epoch: int) -> EpochInfo | None:
        """An epoch of the past, the present or the scheduled one."""


@dataclass(frozen=True, slots=True)
class StateEpochs:
    """The book in the final state of this node: nothing to keep in step, nothing that grows."""

    state: StateReader

    def current(self) -> EpochInfo:
        """The epoch that governance has in force."""
        return current_epoch(self.state)

    def by_number(self, epoch: int) -> EpochInfo | None:
        """From the history in state."""
        return epoch_by_number(self.state, epoch)


def epoch_of(book: EpochBook, epoch: int, height: int, where: str) -> EpochInfo:
    """The epoch in which ``height`` is certified, votes for it included.

    Raises UnknownEpoch, and PeerFault for a height outside the epoch: validators who left sign in vain there.
    """
    info = book.by_number(epoch)
    if info is None:
        raise UnknownEpoch(f"epoch {epoch} is not known here", where=where, next_step="catch up first")
    if not info.covers(height):
        last = "now" if info.end is None else str(info.end - 1)
        raise PeerFault(
            f"height {height} in epoch {epoch}, which has {info.start} to {last}", where=where, next_step=_NEXT
        )
    return info
