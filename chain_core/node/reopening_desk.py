"""The client port's side of a reopening: an operator hands in an order, anybody asks how far it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.reopening import decode_order, encode_order, encode_reopening, encode_signed_statement
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import parse
from chain_core.node.queries import PAGE_BYTES
from chain_core.node.reopening import ReopeningRefused, words
from chain_core.node.replica import Replica
from chain_core.node.scope import OwnScope


@dataclass(frozen=True, slots=True)
class ReopeningDesk:
    """Of one ledger. ``fail`` is told what the replica raises beside refusals: it ends the node. ``turn`` returns when
    the replica may be given something."""

    scope: OwnScope
    replica: Replica
    names: Sequence[str]
    fail: Callable[[BaseException], None]
    turn: Callable[[], Awaitable[None]]

    async def hand_in(self, caller: Caller, data: bytes) -> bytes:
        """HandInReopening. Raises MalformedBytes, WrongChain, ReopeningRefused."""
        request = parse(pb.HandInReopeningRequest, data)
        self.scope.check(request.scope, named=True)
        order = decode_order(request.order)
        await self.turn()
        try:
            self.replica.take_order(order)
        except ReopeningRefused:
            raise
        except Exception as error:
            self.fail(error)
            raise
        return pb.HandInReopeningResponse(waits_for=self._words()).SerializeToString()

    async def show(self, caller: Caller, data: bytes) -> bytes:
        """GetReopenings. Raises MalformedBytes, WrongChain."""
        request = parse(pb.GetReopeningsRequest, data)
        self.scope.check(request.scope)
        state = self.replica.core.state
        slot = state.slot
        past = [encode_reopening(one) for one in self.replica.witness.past()[request.start :]]
        count = size = 0
        while count < len(past) and (not count or size + len(past[count]) <= PAGE_BYTES):
            size += len(past[count])
            count += 1
        return pb.GetReopeningsResponse(
            height=slot.height,
            epoch=state.config.epoch,
            attempt=slot.attempt,
            order=encode_order(slot.order) if slot.order is not None else b"",
            statements=[encode_signed_statement(slot.statements[signer]) for signer in sorted(slot.statements)],
            waits_for=self._words(),
            reopenings=past[:count],
            more=count < len(past),
        ).SerializeToString()

    def _words(self) -> str:
        return words(self.replica.core.state, self.names)
