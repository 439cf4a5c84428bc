"""Who this node is at the height above the final one, and whom it talks to (docs/spec/membership.md §4).

Everything is read from the final state: governance moves it, and restarts find it there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from chain_core.execution.epochs import EpochInfo, epoch_at, epoch_by_number, scheduled_epoch
from chain_core.ledger.store import LedgerStore
from chain_core.network.roster import Roster, roster_of
from chain_core.node.config import Membership
from chain_core.types.validator_set import ValidatorSet


class Place:
    """This node's place among the validators; ``refresh`` after each final block."""

    def __init__(self, member: Membership, store: LedgerStore) -> None:
        self._member, self._store = member, store
        self._seen: tuple[int, int | None, int | None] | None = None
        self.roster = Roster((), {})
        self.refresh()

    @property
    def name(self) -> str:
        """This node's own."""
        return self._member.name

    @property
    def epoch(self) -> EpochInfo:
        """The epoch of the height above the final one."""
        return epoch_at(self._store, self._store.final_height + 1)

    @property
    def validators(self) -> ValidatorSet:
        """Its validators."""
        return self.epoch.validators

    @property
    def index(self) -> int | None:
        """This node's index among them; None for an observer."""
        key = self.key_in(self.validators)
        return None if key is None else self.validators.index_of_key(key)

    def key_in(self, validators: ValidatorSet) -> bytes | None:
        """The consensus key that this node has in a set."""
        return self._member.key_in(validators)

    def sign(self, tag: bytes, bodies: Sequence[bytes]) -> list[bytes]:
        """Signatures with the consensus key of the present epoch. Raises SignerAway, SigningRefused."""
        return self._member.keys.sign(self.key_in(self.validators) or b"", tag, bodies)

    def refresh(self) -> bool:
        """Whether the roster is another one now: an epoch was scheduled, has begun, or has its first certified height.

        Until then those who left are served the last header of their epoch, which lets them go in peace.
        """
        present, scheduled = self.epoch, scheduled_epoch(self._store)
        if scheduled is not None and scheduled.epoch == present.epoch:
            scheduled = None
        leaving = present.epoch - 1 if present.epoch and present.start == self._store.final_height + 1 else None
        seen = (present.epoch, None if scheduled is None else scheduled.start, leaving)
        if seen == self._seen:
            return False
        before = epoch_by_number(self._store, leaving) if leaving is not None else None
        self._seen = seen
        self.roster = roster_of(self._member.name, present, scheduled, before, self._member.contacts)
        return True


class LiveNames(Sequence[str]):
    """Names by index as they are now; of an index that nobody has any more, the number."""

    def __init__(self, place: Place) -> None:
        self._place = place

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        names = self._place.roster.names
        if isinstance(index, slice):
            return names[index]
        return names[index] if index < len(names) else f"validator {index}"

    def __len__(self) -> int:
        return len(self._place.roster.names)
