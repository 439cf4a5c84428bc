"""Governance inside a run: validators added, removed, given new keys; the window and the block made larger or smaller.

Governors are clients like others: what they hand in may be lost, late, or refused by a rule. So that a run sees
several epochs, one begins ``NOTICE`` heights after the block that decides it, not 65: more than the largest window all
the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest.mock import patch

from chain_core.execution import membership
from chain_core.execution.overlay import Namespace
from chain_core.execution.parameters import GOVERNANCE
from chain_core.execution.proposals import OPEN, ProposalBook
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from tests.simulation.chain import GOVERNORS, newcomer, public_key

if TYPE_CHECKING:
    from tests.simulation.world import World

NOTICE = 9
"""One more than the largest window of a run."""
PERIOD_MS = 1_500


@contextmanager
def short_notice() -> Iterator[None]:
    """Epochs begin soon after they are decided."""
    with patch.object(membership, "NOTICE", NOTICE):
        yield


class Governing:
    """Plans proposals and approves what is open."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._keys = 0
        self._approvals: Counter[int] = Counter()

    def plan(self, proposals: int) -> None:
        """Proposals at drawn times; approvals all along."""
        world = self.world
        for _ in range(proposals):
            world.schedule.after(world.random.randrange(world.size.bad_weather_ms), self._propose)
        world.schedule.after(PERIOD_MS, self._approve)

    def _propose(self) -> None:
        world, random = self.world, self.world.random
        kind, content = random.choice((self._rotation, self._rotation, self._members, self._members, self._sizes))()
        arguments: dict[str, Value] = {"kind": kind, "content": content, "effective_height": 0}
        world.note(f"proposes {kind}")
        world.govern(GOVERNORS[0], Operation(GOVERNANCE, "propose", arguments))

    def _approve(self) -> None:
        """The second governor supports what some correct node shows as open."""
        world = self.world
        nodes = [node for node in world.nodes if node.correct and node.up]
        if nodes:
            book = ProposalBook(Namespace(world.random.choice(nodes).state, GOVERNANCE))
            for number, _ in book.agenda():
                proposal = book.find(number)
                if proposal is not None and proposal.status == OPEN and self._approvals[number] < 3:
                    self._approvals[number] += 1
                    world.govern(GOVERNORS[1], Operation(GOVERNANCE, "approve", {"proposal": number}))
        world.schedule.after(PERIOD_MS, self._approve)

    def _rotation(self) -> tuple[str, dict[str, Value]]:
        """A transport key of anybody, or the consensus key of a correct node."""
        world = self.world
        self._keys += 1
        member = world.random.randrange(world.n)
        if world.random.random() < 0.5 or not world.nodes[member].correct:
            key = public_key(f"transport {member}/{self._keys}")
            return membership.ROTATE, {"name": f"v{member}", "purpose": "transport", "key": key}
        return membership.ROTATE, {"name": f"v{member}", "purpose": "consensus", "key": world.nodes[member].new_key()}

    def _members(self) -> tuple[str, dict[str, Value]]:
        """The newcomer comes, or goes."""
        index = self.world.n
        if self.world.random.random() < 0.6:
            made = newcomer(index)
            content: dict[str, Value] = {
                "name": made.name,
                "entity": made.entity,
                "consensus_key": made.consensus_key,
                "transport_key": made.transport_key,
                "address": f"node-{index}.example:7000",
            }
            return membership.ADD, content
        return membership.REMOVE, {"name": f"v{index}"}

    def _sizes(self) -> tuple[str, dict[str, Value]]:
        random = self.world.random
        chosen: dict[str, Value] = {
            "window_heights": random.choice((1, 2, 4, 8)),
            "max_block_transactions": random.choice((1, 2, 3, 2_000)),
        }
        return "parameters", {"set": chosen}
