"""A client that believes only proofs: it asks any of several nodes, and hands in transactions until they are final."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chain_core.codec.block import decode_header
from chain_core.codec.transaction import decode_envelope
from chain_core.network.refusals import (
    DeadlinePassed,
    Internal,
    NotFound,
    Overloaded,
    ServiceRefusal,
    Unavailable,
    Unreachable,
)
from chain_core.network.secured.security import PLAINTEXT, ClientSecurity
from chain_core.node.answers import CertifiedHeader, ItemStatus, ReceiptAnswer, SubmitItem
from chain_core.node.chain_view import ChainView, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import follow, through_epochs
from chain_core.node.event_filter import EventFilter
from chain_core.node.event_stream import EventStream
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.transaction import Envelope

T = TypeVar("T")

CALL_ENVELOPES = 500
CALL_BYTES = 8_000_000
_CALL_S = 15.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 2.0

_ANOTHER_NODE = (Unreachable, DeadlinePassed, Overloaded, Unavailable, Internal, InvalidProof, MalformedBytes)
# A node may be full or halted; another one, or this one a moment later, is not.
_TRY_AGAIN = frozenset(("RESOURCE_EXHAUSTED", "NOT_SERVING", "UNAVAILABLE"))
# A node may not have the account yet; when several say so again and again, there is none.
_BEHIND = "UNKNOWN_ACCOUNT"
_BEHIND_TIMES = 6
# It may be final by an earlier attempt whose answer was lost.
_MAY_BE_FINAL = frozenset(("EXPIRED", "NONCE_USED"))


class NotFinal(ServiceRefusal):
    """Time ran out: what is left may still become final until its window ends. Handing it in again is safe."""

    code = "NOT_FINAL"


@dataclass(frozen=True, slots=True)
class Refused:
    """The envelope is not taken: f+1 nodes said so (all, where fewer are known), or its absence is proven."""

    refusal: DualchainError


Settled = VerifiedReceipt | Refused


class VerifyingClient:
    """Verified answers about one chain, from nodes of which none is trusted.

    Raises InvalidProof when all nodes gave proofs that do not verify, the last node's refusal when none could answer.
    """

    def __init__(self, view: ChainView, addresses: Sequence[str], security: ClientSecurity = PLAINTEXT) -> None:
        if not addresses:
            raise ValueError("a client needs at least one node's address")
        self.view = view
        self.security = security
        self.nodes = [
            NodeClient(address, genesis_hash=view.genesis_hash, ledger=view.ledger, security=security)
            for address in addresses
        ]
        self._turn = 0

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*(node.close() for node in self.nodes))

    # ---- questions

    async def header(self, height: int | None = None) -> Header:
        """A verified final header; the latest known to the node asked when no height is given."""

        async def ask(node: NodeClient) -> Header:
            header = self.view.check_header(await node.header(height))
            if height is not None and header.height != height:
                raise InvalidProof(f"header {header.height} for height {height}", where=node.address)
            return header

        return await self.from_any(ask)

    async def state(self, keys: Sequence[bytes]) -> tuple[Header, list[bytes | None]]:
        """Verified values of full state keys, all under one header."""

        async def ask(node: NodeClient) -> tuple[Header, list[bytes | None]]:
            return self.view.check_state(keys, await node.state(keys))

        return await self.from_any(ask)

    async def receipt_of_nonce(self, account: bytes, nonce: int) -> VerifiedReceipt | Header:
        """The verified receipt of what used the nonce; or the header under which nothing had used it."""

        async def ask(node: NodeClient) -> VerifiedReceipt | Header:
            return self._nonce_answer(account, nonce, await node.receipt_of_nonce(account, nonce))

        return await self.from_any(ask)

    def _nonce_answer(self, account: bytes, nonce: int, answer: ReceiptAnswer) -> VerifiedReceipt | Header:
        if answer.receipt is None:
            return self.view.check_unused(account, nonce, answer.header, answer.absence)
        verified = self.view.check_receipt(answer.header, answer.receipt)
        if (verified.receipt.account, verified.receipt.nonce) != (account, nonce):
            raise InvalidProof("the receipt is of another account or nonce", where=f"nonce {nonce}")
        return verified

    def events(self, wanted: EventFilter, from_height: int = 0) -> EventStream:
        """Verified transactions with their events as they become final, from any of the nodes in turn."""
        return EventStream(self.view, self.nodes, wanted, from_height)

    async def from_any(self, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
        """The first good answer, each node asked once, starting with the one that last gave a good one."""
        last: DualchainError | None = None
        first = self._turn  # others ask at the same time: their failures must not make this one pass over a node
        for who in (*range(first, len(self.nodes)), *range(first)):
            try:
                answer = await through_epochs(self.view, self.nodes[who], ask)
            except (*_ANOTHER_NODE, NotFound) as refusal:
                last = refusal
            else:
                self._turn = who
                return answer
        assert last is not None
        raise last

    def _next_node(self) -> None:
        self._turn = (self._turn + 1) % len(self.nodes)

    # ---- transactions

    async def submit_until_final(self, raws: Sequence[bytes], *, within_s: float = 60.0) -> list[Settled]:
        """Hands in envelopes, again and elsewhere where needed, until each is final or refused; in their order.

        Safe to repeat: an envelope takes effect once. Raises NotFinal when time runs out, MalformedBytes for one that
        is no envelope.
        """
        # One node alone may say "refused" and pass the envelope on all the same; of f+1 one is correct.
        enough = min(self.view.validators.f + 1, len(self.nodes))
        envelopes = [decode_envelope(raw) for raw in raws]
        attempt = _Attempt(self.view, envelopes, max(_BEHIND_TIMES, 2 * len(self.nodes)), enough)
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + within_s, _FIRST_PAUSE_S
        while attempt.open:
            left = deadline - loop.time()
            if left <= 0:
                raise NotFinal(
                    f"{len(attempt.open)} of {len(raws)} transactions are not final",
                    where=str(attempt.last) if attempt.last else "submit",
                    next_step="hand them in again, and look at the nodes' status",
                )
            if await self._one_round(attempt, min(left, _CALL_S)):
                pause = _FIRST_PAUSE_S
            else:
                self._next_node()
                await asyncio.sleep(min(pause, left))
                pause = min(2 * pause, _LAST_PAUSE_S)
        return [attempt.settled[index] for index in range(len(raws))]

    async def _one_round(self, attempt: _Attempt, within_s: float) -> bool:
        """One call to one node; True when something was settled."""
        who, indexes = self._turn, attempt.next_call()
        node = self.nodes[who]
        try:
            answer = await node.submit([attempt.envelopes[i].raw for i in indexes], final_within_s=within_s)
            headers = {decode_header(certified.header).height: certified for certified in answer.headers}
            answered = zip(indexes, answer.items, strict=True)
            if any(decode_header(certified.header).epoch > self.view.epoch for certified in answer.headers):
                await follow(self.view, node)
            doubtful = [i for i, item in answered if attempt.take(i, item, headers, who)]
            for index in doubtful:
                await self._look_up(who, attempt, index)
        except _ANOTHER_NODE as refusal:
            attempt.last = refusal
            attempt.uncertain.update(indexes)
            return False
        return any(index in attempt.settled for index in indexes)

    async def _look_up(self, who: int, attempt: _Attempt, index: int) -> None:
        """A refusal that may only mean that it is final already."""
        node, envelope = self.nodes[who], attempt.envelopes[index]
        account, nonce = envelope.body.account, envelope.body.nonce
        found = self._nonce_answer(account, nonce, await node.receipt_of_nonce(account, nonce))
        if isinstance(found, VerifiedReceipt) and found.receipt.transaction_id == envelope.transaction_id:
            attempt.settle(index, found)
        elif isinstance(found, VerifiedReceipt) or found.time_ms > envelope.body.valid_until_ms:
            # Another one used the nonce, or absent under a header later than its window: it can never become final.
            attempt.settle(index, Refused(attempt.doubts[index]))
        elif index not in attempt.uncertain:
            attempt.refused(index, attempt.doubts[index], who)


class _Attempt:
    """What is settled of one hand-in and what is open."""

    def __init__(self, view: ChainView, envelopes: list[Envelope], behind_times: int, enough: int) -> None:
        self.view, self.envelopes = view, envelopes
        self._enough = enough
        self._refusers: dict[int, set[int]] = {}
        self.uncertain: set[int] = set()
        """What some node may hold in its memory."""
        self._behind = dict.fromkeys(range(len(envelopes)), behind_times)
        self.open = dict.fromkeys(range(len(envelopes)))
        self.settled: dict[int, Settled] = {}
        self.doubts: dict[int, DualchainError] = {}
        self.last: DualchainError | None = None

    def next_call(self) -> list[int]:
        """Indexes for one call, within its limits; what was tried goes to the end of the line."""
        chosen: list[int] = []
        size = 0
        for index in self.open:
            size += len(self.envelopes[index].raw)
            if chosen and (len(chosen) == CALL_ENVELOPES or size > CALL_BYTES):
                break
            chosen.append(index)
        for index in chosen:
            del self.open[index]
            self.open[index] = None
        return chosen

    def take(self, index: int, item: SubmitItem, headers: Mapping[int, CertifiedHeader], who: int) -> bool:
        """Settles what node ``who``'s item settles; True when only a look-up can tell. Raises InvalidProof."""
        if item.status is ItemStatus.FINAL and item.receipt is not None:
            header = headers.get(item.receipt.height)
            if header is None:
                raise InvalidProof(f"no header of height {item.receipt.height} with the receipt", where="headers")
            self.settle(index, self.view.check_own_receipt(self.envelopes[index], header, item.receipt))
        elif item.status is ItemStatus.REFUSED and item.refusal is not None:
            self.last = item.refusal
            if item.refusal.code in _MAY_BE_FINAL:
                self.doubts[index] = item.refusal
                return True
            if item.refusal.code == _BEHIND:
                self._behind[index] -= 1
                if not self._behind[index]:
                    self.settle(index, Refused(item.refusal))
            elif item.refusal.code not in _TRY_AGAIN:
                self.refused(index, item.refusal, who)
        else:
            self.uncertain.add(index)
        return False

    def refused(self, index: int, refusal: DualchainError, who: int) -> None:
        """Node ``who`` will not have it: settled once enough nodes say so."""
        refusers = self._refusers.setdefault(index, set())
        refusers.add(who)
        if len(refusers) >= self._enough:
            self.settle(index, Refused(refusal))

    def settle(self, index: int, outcome: Settled) -> None:
        """This one is done."""
        self.settled[index] = outcome
        self.open.pop(index, None)
