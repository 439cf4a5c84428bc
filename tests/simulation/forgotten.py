"""Which votes of a validator whose disk was set back its peers can still tell it of (docs/spec/pbft.md, section 6).

It asks q-1 of n-1 others. What more than f correct ones hold, one of those who answer holds; what fewer ever got, or
lost by a restart of their own, it cannot learn: then it is one of the f, and may contradict itself.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from chain_core.consensus.messages import Message, PrePrepare
from chain_core.types.block import HeaderVote, SignedVote

if TYPE_CHECKING:
    from tests.simulation.world import World

Place = tuple[object, ...]


class Forgotten:
    """Who heard which votes of the forgetful node."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._holders: defaultdict[Place, set[int]] = defaultdict(set)

    def heard(self, receiver: int, message: Message) -> None:
        """A correct node took a verified message."""
        if isinstance(message, PrePrepare):
            message = message.vote
        if isinstance(message, SignedVote) and message.vote.signer == self._world.forgetful:
            v = message.vote
            self._holders[(v.phase.name, v.height, v.attempt, v.view)].add(receiver)
        elif isinstance(message, HeaderVote) and message.signer == self._world.forgetful:
            self._holders[("header", message.header.height, message.header.attempt)].add(receiver)

    def restarted(self, index: int) -> None:
        """What a node held in memory is gone."""
        for holders in self._holders.values():
            holders.discard(index)

    def told(self, place: Place) -> bool:
        """Whether whoever answers, one of them holds the vote."""
        return len(self._holders.get(place, ())) > self._world.chain.validators.f
