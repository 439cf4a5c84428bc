"""The relayer's third loop: requests and answers down, refunds on both chains (docs/spec/channels.md §8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from chain_core.codec.proofs import encode_inclusion
from chain_core.crypto.merkle import MerkleTree
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Operation
from crosschain.packets import branch_key, chosen_key
from crosschain.relayer import planner, services
from crosschain.relayer.link import ChainLink, NotBegun
from crosschain.relayer.outboxes import Outboxes
from crosschain.relayer.planner import Emitted, Plan
from crosschain.relayer.services import Side

Carry = Callable[[ChainLink, Plan], Awaitable[bool]]


class ServiceCourier:
    """Plans from proven state of both chains, as all of the relayer does; up goes what the other loops carry."""

    def __init__(self, supervisory: ChainLink, local: ChainLink, carry: Carry) -> None:
        self._supervisory = supervisory
        self._local = local
        self._carry = carry
        self._outboxes = Outboxes(supervisory, local.genesis_hash)
        self._quiet_through = 0
        self._history: MerkleTree | None = None

    async def sides(self) -> tuple[Side, Side] | None:
        """How the channel stands on the supervisory chain, and on the local one; None before their first blocks."""
        pair = self._local.genesis_hash, self._supervisory.genesis_hash
        try:
            above = await self._supervisory.state(services.supervisory_keys(*pair))
            below = await self._local.state(services.local_keys(*pair))
        except NotBegun:
            return None
        return (
            services.read_side(above.answer.header, above.answer.items),
            services.read_side(below.answer.header, below.answer.items),
        )

    async def step(self) -> bool:
        """One transaction, if one is due: packets down before refunds, which need what has arrived."""
        found = await self.sides()
        if found is None:
            return False
        above, below = found
        if below.open:
            plan = services.plan_down(below, await self._emitted(above, below))
            plan = await self._on_branch(below, plan)
            if await self._carry(self._local, plan):
                return True
        if await self._carry(self._local, await self._on_branch(below, services.plan_refund_below(above, below))):
            return True
        plan = services.plan_refund_above(self._local.genesis_hash, above, below)
        return await self._carry(self._supervisory, plan)

    async def _on_branch(self, below: Side, plan: Plan) -> Plan:
        """With the proofs that the headers are of the branch chosen, where a decision on a fork asks for them."""
        if not plan:
            return plan
        chosen, entering = (await self._local.state([branch_key(), chosen_key()])).values
        if chosen is None:
            return plan
        made: list[Operation] = []
        for operation in plan:
            needed = services.history_needed(below, chosen, entering is not None, cast(bytes, operation.args["header"]))
            if needed is None:
                made.append(operation)
                continue
            index, count = needed
            if self._history is None or self._history.count != count:
                self._history = await self._supervisory.history(count)
            if index >= count:
                return tuple(made)
            proof = encode_inclusion(InclusionProof(index, count, self._history.path(index)))
            made += planner.with_history((operation,), proof)
        return tuple(made)

    async def _emitted(self, above: Side, below: Side) -> list[Emitted]:
        """The lowest supervisory blocks with packets for the local chain that are under way."""
        start = services.scan_start(above, below, self._quiet_through)
        if start is None:
            self._quiet_through = max(self._quiet_through, above.height)
            return []

        def wanted(block: Emitted) -> bool:
            return any(packet.sequence >= below.taken[0] for packet, _ in block.packets)

        return await self._outboxes.pending(start, above.height, wanted)

    def forget(self) -> None:
        """What was read of a chain from which nothing could be carried."""
        self._outboxes.forget()

    def close(self) -> None:
        """Ends what is being read."""
        self._outboxes.close()
