"""The chains of ``tests/unit/crosschain/chains.py`` behind real node APIs: blocks are made as transactions arrive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec import signed
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.providers import provider
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawServer, ServerStream, Unary, UnaryHandler, parse
from chain_core.node.api_names import method_name
from chain_core.node.assembly import Assembly
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.ports import FinalBlock
from chain_core.node.queries import Queries
from chain_core.node.scope import OwnScope
from chain_core.node.subscriptions import PATIENCE_S, Subscriptions
from chain_core.types.transaction import Envelope, Receipt
from crosschain.relayer.config import Assignment, Party
from crosschain.relayer.worker import Relayer
from local_chain.assembly import local_assembly
from supervisory_chain.assembly import supervisory_assembly
from tests.unit.crosschain.chains import Chain, Layers, account, private_key

Alter = Callable[[str, bytes], bytes]
"""(method, honest response) -> what this node answers instead."""


@dataclass
class ServedNode:
    """One node's port. ``alter`` makes it lie, ``calls`` counts what it was asked."""

    chain: Chain
    assembly: Assembly
    alter: Alter | None = None
    calls: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def __post_init__(self) -> None:
        chain = self.chain
        self._scope = OwnScope(chain.genesis.chain_id, chain.hash, 0)
        self._proofs = BlockProofs(chain.store, self.assembly.messages())
        queries = Queries(self._scope, chain.genesis_bytes, chain.store, self._proofs)
        handlers = {
            "Submit": self._submit,
            "QueryState": queries.state,
            "GetHeader": queries.header,
            "GetHeaders": queries.headers,
            "GetOutbox": queries.outbox,
            "GetReceipt": queries.receipt,
            "GetBlock": queries.block,
            "GetEvents": queries.events,
        }
        self.subscribed = asyncio.Semaphore(0)
        """To be acquired once for each subscription that began."""
        self.subscriptions = Subscriptions(self._scope, chain.store, self._proofs)
        methods: dict[str, Unary | ServerStream] = {
            method_name(name): Unary(self._told(name, h)) for name, h in handlers.items()
        }
        methods[method_name("Subscribe")] = ServerStream(self._subscribe, PATIENCE_S)
        self._server = RawServer(methods)

    async def start(self) -> None:
        self.address = self._server.bind("127.0.0.1:0")
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    def _told(self, name: str, handler: UnaryHandler) -> UnaryHandler:
        async def call(caller: Caller, data: bytes) -> bytes:
            self.calls[name] += 1
            answer = await handler(caller, data)
            return self.alter(name, answer) if self.alter else answer

        return call

    async def _subscribe(self, caller: Caller, data: bytes) -> AsyncGenerator[bytes, None]:
        self.calls["Subscribe"] += 1
        self.subscribed.release()
        async for response in self.subscriptions.subscribe(caller, data):
            yield self.alter("Subscribe", response) if self.alter else response

    async def _submit(self, caller: Caller, data: bytes) -> bytes:
        """Verifies, executes at once, answers with the proven receipt; handed in again, the same receipt."""
        request = parse(pb.SubmitRequest, data)
        self._scope.check(request.scope, named=True)
        response = pb.SubmitResponse()
        for raw in request.envelopes:
            envelope = decode_envelope(raw)
            message = signed.message(signed.TX, self.chain.hash, envelope.body_bytes)
            (signer,) = envelope.signers
            assert provider().sm2_verify(signer.public_key, message, signer.signature)
            if self.chain.store.locate(envelope.transaction_id) is None:
                self.chain.block(envelope)
            place = self.chain.store.locate(envelope.transaction_id)
            assert place is not None
            response.items.add(status=pb.FINAL, receipt=self._proofs.receipt(*place))
            response.headers.append(self._proofs.header(place[0]))
        return response.SerializeToString()


def party(chain: Chain, addresses: Sequence[str]) -> Party:
    return Party(chain.genesis_bytes, chain.hash, tuple(addresses), account("courier"), private_key("courier"))


class Served:
    """Two nodes a chain, and a relayer between them."""

    def __init__(self, layers: Layers, above: list[ServedNode], below: list[ServedNode]) -> None:
        self.layers, self.above, self.below = layers, above, below
        clock = lambda: max(layers.supervisory.time_ms, layers.local.time_ms)  # noqa: E731
        supervisory = party(layers.supervisory, [node.address for node in above])
        local = party(layers.local, [node.address for node in below])
        self.assignment = Assignment(supervisory, local, 50, 30_000)
        self.relayer = Relayer(self.assignment, clock)

    async def until_idle(self) -> int:
        """Steps both ways until neither has anything to carry; how many transactions that took."""
        carried = 0
        while True:
            up, down = await self.relayer.step_up(), await self.relayer.step_down()
            if not (up or down):
                return carried
            carried += up + down
            assert carried < 50


def tell(chain: Chain, nodes: Sequence[ServedNode]) -> None:
    """From now on the chain's nodes tell their subscribers of each block that is made."""
    made = chain.block

    def block(*envelopes: Envelope, after_ms: int = 1_000) -> list[Receipt]:
        receipts = made(*envelopes, after_ms=after_ms)
        for node in nodes:
            node.subscriptions.finalised(FinalBlock(chain.height, b"", b"", (), ()))
        return receipts

    chain.block = block  # type: ignore[method-assign]


@asynccontextmanager
async def serve(layers: Layers, above: Alter | None = None, below: Alter | None = None) -> AsyncIterator[Served]:
    """The first node of a chain answers what ``above`` or ``below`` makes of it, the second one is honest."""
    upper = [ServedNode(layers.supervisory, supervisory_assembly(layers.supervisory.genesis), a) for a in (above, None)]
    lower = [ServedNode(layers.local, local_assembly(layers.local.genesis), b) for b in (below, None)]
    for node in (*upper, *lower):
        await node.start()
    tell(layers.supervisory, upper)
    tell(layers.local, lower)
    served = Served(layers, upper, lower)
    try:
        yield served
    finally:
        await served.relayer.close()
        for node in (*upper, *lower):
            await node.stop()
