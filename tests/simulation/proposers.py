"""Byzantine primaries that contradict themselves towards one correct peer."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from chain_core.consensus.messages import Message, PrePrepare
from chain_core.types.block import HeaderVote
from tests.simulation.byzantine import Strategy, propose

if TYPE_CHECKING:
    from tests.simulation.node import SimNode


def _otherwise(node: SimNode, told: PrePrepare) -> PrePrepare:
    """The same bodies at another time."""
    return propose(node, told.vote.vote, replace(told.batch, time_ms=told.batch.time_ms + 7))


class ProposesTwice(Strategy):
    """Proposes a second batch to those who have the first one."""

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, PrePrepare) and message.vote.vote.signer == node.index:
            return [message, _otherwise(node, message)]
        return [message]


class MisleadsOne(Strategy):
    """As primary it tells one peer another batch, and signs no header: what the others commit, that one has to learn
    from them before anything can be final.
    """

    def __init__(self, random: Random, n: int) -> None:
        super().__init__(random, n)
        self.misled = random.randrange(n)

    def say(self, node: SimNode, to: int, message: Message) -> list[Message]:
        if isinstance(message, HeaderVote):
            return []
        misled = self.misled if self.misled != node.index else (node.index + 1) % node.world.n
        if isinstance(message, PrePrepare) and message.vote.vote.signer == node.index and to == misled:
            return [_otherwise(node, message)]
        return [message]
