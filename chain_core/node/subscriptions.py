"""Subscribe: final transactions with their events, from stored blocks, then as blocks become final.

Nothing is queued for a subscriber: the next block is read once the last response was taken. So a slow one costs a
response of memory, and is cut when it takes none for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import decode_header
from chain_core.ledger.store import LedgerStore
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import parse
from chain_core.network.refusals import NotFound, Overloaded, SlowReader
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.event_filter import EventFilter
from chain_core.node.ports import FinalBlock
from chain_core.node.queries import PAGE_BYTES
from chain_core.node.scope import OwnScope

MAX_SUBSCRIPTIONS = 64
PATIENCE_S = 30.0
"""How long a response may lie untaken."""
SILENT_HEIGHTS = 256
"""After so many heights without a fitting transaction a response says how far the search came."""
_OVERHEAD = 64


@dataclass(slots=True)
class Subscriptions:
    """The Subscribe method of one node. ``finalised`` wakes those who wait for the next block."""

    scope: OwnScope
    store: LedgerStore
    proofs: BlockProofs
    _waiting: set[asyncio.Event] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._waiting)

    def finalised(self, block: FinalBlock) -> None:
        """A block became final."""
        for wake in self._waiting:
            wake.set()

    async def subscribe(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        """Raises MalformedBytes, WrongChain, Overloaded, NotFound for blocks that are pruned here, SlowReader."""
        request = parse(pb.SubscribeRequest, data)
        self.scope.check(request.scope)
        wanted = EventFilter.of(request)
        if len(self._waiting) >= MAX_SUBSCRIPTIONS:
            raise Overloaded(
                f"{MAX_SUBSCRIPTIONS} subscriptions are open here",
                where="subscriptions",
                next_step="subscribe at another node, or end one",
                retry_after_ms=10_000,
            )
        wake = asyncio.Event()
        self._waiting.add(wake)
        search = _Search(self.store, self.proofs, wanted)
        height = request.from_height or self.store.final_height + 1
        try:
            while True:
                wake.clear()
                if height > self.store.final_height:
                    await wake.wait()
                    continue
                for response in search.responses(height):
                    try:
                        yield response
                    except TimeoutError:
                        raise _slow(height) from None
                await asyncio.sleep(0)  # others want the loop while stored blocks are searched
                height += 1
        finally:
            self._waiting.discard(wake)


@dataclass(slots=True)
class _Search:
    """One subscriber's way through the heights."""

    store: LedgerStore
    proofs: BlockProofs
    wanted: EventFilter
    _silent: int = 0

    def responses(self, height: int) -> Iterator[bytes]:
        """The height's fitting transactions in responses of about PAGE_BYTES. When nothing fits: a bare header, at once
        where everything fits or the height is the latest, else once in SILENT_HEIGHTS.
        """
        receipts, events = self.store.receipts(height), self.store.events(height)
        response, size = self._response(height), 0
        if not len(receipts) == len(events) == decode_header(response.header.header).receipt_count:
            raise NotFound(
                f"the block of height {height} is not here any more",
                where=f"height {height}",
                next_step="subscribe at a node that keeps it, or from a later height",
            )
        for index, receipt in enumerate(receipts):
            if not self.wanted.fits(receipt, events[index]):
                continue
            item = pb.SubscribedTransaction(receipt=self.proofs.receipt(height, index), events=events[index])
            if size and size + item.ByteSize() > PAGE_BYTES:
                response.more, response.resume_height = True, height
                yield response.SerializeToString()
                response, size = self._response(height), 0
            response.transactions.append(item)
            size += item.ByteSize() + _OVERHEAD
        self._silent = 0 if size else self._silent + 1
        if size or self.wanted.everything or height == self.store.final_height or self._silent >= SILENT_HEIGHTS:
            self._silent = 0
            yield response.SerializeToString()

    def _response(self, height: int) -> pb.SubscribeResponse:
        return pb.SubscribeResponse(header=self.proofs.header(height), resume_height=height + 1)


def _slow(height: int) -> SlowReader:
    return SlowReader(
        f"a response was not taken within {PATIENCE_S:g} s",
        where=f"height {height}",
        next_step=f"subscribe again from height {height}, and read faster or ask for less",
    )
