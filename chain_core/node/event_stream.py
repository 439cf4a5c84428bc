"""Verified events from untrusted nodes: each transaction proven, nothing twice, another node when one ends.

What a node leaves out is seen only when everything was asked for: then heights follow each other, and each has as many
transactions as its header counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from chain_core.codec import signed
from chain_core.codec.proofs import decode_inclusion
from chain_core.codec.values import decode_value
from chain_core.crypto.hashing import sm3
from chain_core.network.refusals import (
    DeadlinePassed,
    Internal,
    NotFound,
    Overloaded,
    SlowReader,
    Unavailable,
    Unreachable,
)
from chain_core.node.answers import CertifiedHeader, ProvenReceipt, SubscribedBlock
from chain_core.node.chain_view import ChainView, EpochAhead, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import follow
from chain_core.node.event_filter import EventFilter
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.values import Value

_ANOTHER_NODE = (
    *(Unreachable, DeadlinePassed, Overloaded, Unavailable, Internal, NotFound, SlowReader),
    *(InvalidProof, MalformedBytes),
)
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.1, 5.0
_NEXT = "ask another node; this one's answer proves nothing"


@dataclass(frozen=True, slots=True)
class VerifiedEvents:
    """One transaction under a final header, with its events as values: lists of [contract, kind, fields]."""

    receipt: VerifiedReceipt
    index: int
    events: Sequence[Value]


@dataclass(frozen=True, slots=True)
class EventBlock:
    """What fits at one final height, or the part that came; a subscription from ``resume_height`` misses nothing."""

    header: Header
    transactions: tuple[VerifiedEvents, ...]
    resume_height: int


class EventStream:
    """``blocks()`` runs until it is closed; ``faults`` holds the last refusal of each node."""

    def __init__(self, view: ChainView, nodes: Sequence[NodeClient], wanted: EventFilter, from_height: int) -> None:
        self._view, self._nodes, self._wanted = view, tuple(nodes), wanted
        self._height = from_height
        """The next height to hear of; 0: whichever comes first."""
        self._index = 0
        """At that height: transactions below this index were handed out."""
        self.faults: dict[str, DualchainError] = {}

    async def blocks(self) -> AsyncGenerator[EventBlock, None]:
        """Verified blocks, ascending. Raises the last node's refusal when all of them refuse twice in a row."""
        turn, failed, pause = 0, 0, _FIRST_PAUSE_S
        while True:
            node = self._nodes[turn]
            try:
                async with aclosing(node.subscribe(self._wanted, self._height)) as stream:
                    async for answer in stream:
                        try:
                            block = self._checked(answer)
                        except EpochAhead:
                            await follow(self._view, node)
                            block = self._checked(answer)
                        failed, pause = 0, _FIRST_PAUSE_S
                        yield block
            except _ANOTHER_NODE as refusal:
                self.faults[node.address] = refusal
                failed += 1
                if failed > 2 * len(self._nodes):
                    raise
            turn = (turn + 1) % len(self._nodes)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE_S)

    def _checked(self, answer: SubscribedBlock) -> EventBlock:
        header = self._view.check_header(answer.header)
        where = f"height {header.height}"
        complete = self._wanted.everything
        if header.height < self._height or (complete and self._height and header.height != self._height):
            raise InvalidProof(f"the next height is {self._height}", where=where, next_step=_NEXT)
        seen = self._index if header.height == self._height else 0
        found: list[VerifiedEvents] = []
        for proven, events in answer.transactions:
            item = self._transaction(answer.header, proven, events)
            if item.index < seen:
                continue  # handed out before the stream broke in the middle of a block
            if complete and item.index != seen:
                raise InvalidProof(f"transaction {seen} is left out", where=where, next_step=_NEXT)
            seen = item.index + 1
            found.append(item)
        if not answer.more and complete and seen != header.receipt_count:
            what = f"{seen} transactions, the header counts {header.receipt_count}"
            raise InvalidProof(what, where=where, next_step=_NEXT)
        # Only what is handed out counts as seen: the next node must not be told to pass over it.
        self._height, self._index = (header.height, seen) if answer.more else (header.height + 1, 0)
        return EventBlock(header, tuple(found), self._height)

    def _transaction(self, header: CertifiedHeader, proven: ProvenReceipt, events: bytes) -> VerifiedEvents:
        receipt = self._view.check_receipt(header, proven)
        if sm3(signed.EVENTS + events) != receipt.receipt.events_digest:
            where = f"height {receipt.header.height}"
            raise InvalidProof("the events are not those of the receipt", where=where, next_step=_NEXT)
        values = decode_value(events)
        assert isinstance(values, list | tuple)
        return VerifiedEvents(receipt, decode_inclusion(proven.proof).index, values)
