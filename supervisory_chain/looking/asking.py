"""One market is asked: endpoint after endpoint, until an answer holds; whoever gave one that does not is told
(docs/spec/see-through.md §3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from chain_core.codec.block import header_hash
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import through_epochs
from chain_core.types.errors import DualchainError, InvalidProof
from crosschain.following import Position
from crosschain.looking.inquiry import Fresh
from supervisory_chain.looking.markets import Market

T = TypeVar("T")


class OtherBranch(InvalidProof):
    """The endpoint is on another branch than the one that the supervisory chain has followed."""

    code = "OTHER_BRANCH"


@dataclass(frozen=True, slots=True)
class Alarm:
    """An endpoint that gave no answer that holds."""

    market: str
    endpoint: str
    code: str
    what: str

    def line(self) -> str:
        """As it is told on stderr."""
        return f"ALARM {self.market} {self.endpoint} {self.code}: {self.what}"


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """A market's answer, from ``endpoint``."""

    answer: T
    endpoint: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A market that gave no answer that holds: why, in the words of the last endpoint."""

    code: str
    what: str


Question = Callable[[ChainView, NodeClient, Fresh], Awaitable[T]]
"""Asks one node and judges its answer by the view. Raises DualchainError."""


class Endpoint:
    """A node of the market with a verifier of its own: what one node shows does not spoil another's answer."""

    def __init__(self, document: bytes, chain: bytes, address: str, security: ClientSecurity, timeout_s: float) -> None:
        self.address = address
        self._document = document
        self._view: ChainView | None = None
        self._anchored = 0
        self._node = NodeClient(address, genesis_hash=chain, timeout_s=timeout_s, security=security)

    async def ask(self, question: Question[T], fresh: Fresh) -> T:
        """The answer, from the branch followed. Raises OtherBranch, InvalidProof, the node's refusal."""
        view = self._view or ChainView(self._document)
        self._view = None  # one that was led astray is not used again

        async def call(node: NodeClient) -> T:
            return await question(view, node, fresh)

        if fresh.followed.height > self._anchored:
            await through_epochs(view, self._node, lambda node: _anchor(view, node, fresh.followed))
        answer = await through_epochs(view, self._node, call)
        self._view, self._anchored = view, fresh.followed.height
        return answer

    async def close(self) -> None:
        """End the connection."""
        await self._node.close()


async def _anchor(view: ChainView, node: NodeClient, followed: Position) -> None:
    certified = await node.header(followed.height)
    header = view.check_header(certified)
    if header.height != followed.height or header_hash(certified.header) != followed.header_hash:
        raise OtherBranch(
            f"its header {header.height} is not the one followed",
            where=f"height {followed.height}",
            next_step="show both headers with their certificates to the supervisory chain: clients.report_fork",
        )


class AskedMarket:
    """A market with its endpoints; the one that answered last is asked first."""

    def __init__(
        self,
        market: Market,
        document: bytes,
        addresses: Sequence[str],
        security: ClientSecurity = PLAINTEXT,
        timeout_s: float = 10.0,
    ) -> None:
        self.market = market
        self.document = document
        self._endpoints = [Endpoint(document, market.chain, one, security, timeout_s) for one in addresses]

    async def ask(self, question: Question[T], fresh: Fresh) -> tuple[Told[T] | Missing, list[Alarm]]:
        """The first answer that holds, and an alarm for each endpoint that was asked before it."""
        if fresh.followed.frozen >= 0:
            what = (
                f"its validators contradicted themselves at height {fresh.followed.frozen}: no branch can be believed"
            )
            return Missing("CLIENT_FROZEN", what), []
        alarms: list[Alarm] = []
        for place, endpoint in enumerate(tuple(self._endpoints)):
            try:
                answer = await endpoint.ask(question, fresh)
            except DualchainError as refusal:
                alarms.append(Alarm(self.market.market, endpoint.address, refusal.code, refusal.what))
                continue
            self._endpoints.insert(0, self._endpoints.pop(place))
            return Told(answer, endpoint.address), alarms
        last = alarms[-1] if alarms else None
        return (Missing(last.code, last.what) if last else Missing("NO_ENDPOINT", "no address is known")), alarms

    async def close(self) -> None:
        """End all connections."""
        for endpoint in self._endpoints:
            await endpoint.close()
