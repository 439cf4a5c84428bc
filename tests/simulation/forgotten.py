"""Which votes of a validator whose disk was set back its peers can still tell it of (docs/spec/pbft.md, section 6).

It asks q-1 of n-1 others. What more than f correct ones hold, one of those who answer holds; what fewer ever got, or
lost by a restart of their own, it cannot learn: then it is one of the f, and may contradict itself, or halt when it is
shown such a vote later.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chain_core.consensus.messages import Message, PrePrepare
from chain_core.node.replica import KEY_USED_ELSEWHERE
from chain_core.types.block import HeaderVote, SignedViewChange, SignedVote

if TYPE_CHECKING:
    from tests.simulation.world import World

Place = tuple[object, ...]


class Forgotten:
    """Who heard which votes of the forgetful node."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._holders: defaultdict[Place, set[int]] = defaultdict(set)
        self._could_tell: defaultdict[str, set[int]] = defaultdict(set)
        """Votes, named as the production code names them, that were held when the disk was set back."""

    def heard(self, receiver: int, message: Message) -> None:
        """A correct node took a verified message."""
        if isinstance(message, PrePrepare):
            message = message.vote
        if isinstance(message, SignedVote) and message.vote.signer == self._world.forgetful:
            v = message.vote
            self._holders[(v.phase.name, v.height, v.attempt, v.view)].add(receiver)
        elif isinstance(message, HeaderVote) and message.signer == self._world.forgetful:
            self._holders[("header", message.header.height, message.header.attempt)].add(receiver)
        elif isinstance(message, SignedViewChange) and message.message.signer == self._world.forgetful:
            self._holders[("view change", message.message.epoch, message.message.new_view)].add(receiver)

    def set_back(self) -> None:
        """The node asks its peers for what they hold at present; what they hear of later, it may be told too late."""
        self._could_tell.clear()
        for place, holders in self._holders.items():
            self._could_tell[_name(place)] |= holders

    def restarted(self, index: int) -> None:
        """What a node held in memory is gone."""
        for holders in (*self._holders.values(), *self._could_tell.values()):
            holders.discard(index)

    def told(self, place: Place) -> bool:
        """Whether whoever answers, one of them holds the vote."""
        return len(self._holders.get(place, ())) > self._world.chain.validators.f

    def excuses(self, index: int, code: str, facts: dict[str, str | int]) -> bool:
        """Whether a node halts because of a vote of its own that nobody was bound to tell it of."""
        holders = self._could_tell.get(str(facts.get("vote")), ())
        mine = index == self._world.forgetful and code == KEY_USED_ELSEWHERE
        self._world.counted["forgotten votes shown later"] += mine
        return mine and len(holders) <= self._world.chain.validators.f


def _name(place: Place) -> str:
    match place:
        case ("header", height, _):
            return f"header vote at height {height}"
        case ("view change", _, view):
            return f"VIEW-CHANGE for view {view}"
        case (phase, height, _, view):
            return f"{phase} at height {height}, view {view}"
    raise AssertionError(f"no such place: {place}")
