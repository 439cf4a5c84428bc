"""A few state values proven to anybody under one certified header: a question, fetching its evidence, checking it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from chain_core.network.refusals import Unavailable
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from crosschain.complete_lists import ListEvidence, prove_list
from crosschain.following import Position

_NEXT = "do not use the answer; tell who gave it"
_TRIES, _PAUSE_S = 100, 0.05


@dataclass(frozen=True, slots=True)
class ValuesQuestion:
    """Which values; ``what`` says it in words, for refusals."""

    what: str
    wanted: tuple[bytes, ...]

    def keys(self, known: Mapping[bytes, bytes | None]) -> list[bytes]:
        """Their full state keys."""
        return list(self.wanted)

    def refuse(self, what: str) -> InvalidProof:
        """What does not hold, about these values."""
        return InvalidProof(what, where=self.what, next_step=_NEXT)


async def fetch_values(client: VerifyingClient, question: ValuesQuestion, *, not_below: int = 0) -> ListEvidence:
    """The values with their proofs, verified, under a header of height ``not_below`` or higher.

    Raises what ``VerifyingClient.from_any`` raises; Unavailable when the nodes do not get that far.
    """
    keys = list(question.wanted)

    async def ask(node: NodeClient) -> ListEvidence:
        state = await node.state(keys)
        header, _ = client.view.check_state(keys, state)
        if header.height < not_below:
            raise Unavailable(f"at height {header.height}", where=node.address, next_step="ask another node")
        return ListEvidence(state.header, tuple(state.items))

    for _ in range(_TRIES - 1):
        try:
            return await client.from_any(ask)
        except Unavailable:
            await asyncio.sleep(_PAUSE_S)
    return await client.from_any(ask)


def prove_values(
    view: ChainView, followed: Position, question: ValuesQuestion, evidence: ListEvidence
) -> tuple[Header, list[bytes | None]]:
    """The values that the evidence proves, none older than what is ``followed`` of the chain. Raises InvalidProof."""
    header, values = prove_list(view, question, evidence, followed.time_ms)
    if header.height < followed.height:
        raise question.refuse(f"proven at height {header.height}, the chain is followed to {followed.height}")
    return header, [values[key] for key in question.wanted]
