"""A chain of ``tests/unit/crosschain/chains.py`` behind real node APIs: blocks are made as transactions arrive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec import signed
from chain_core.codec.transaction import decode_envelope
from chain_core.crypto.providers import provider
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import RawServer, Unary, UnaryHandler, parse
from chain_core.node.api_names import method_name
from chain_core.node.assembly import Assembly
from chain_core.node.block_proofs import BlockProofs
from chain_core.node.queries import Queries
from chain_core.node.scope import OwnScope
from tests.unit.crosschain.chains import Chain

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
            "GetHeaders": queries.headers,
            "GetOutbox": queries.outbox,
        }
        self._server = RawServer({method_name(name): Unary(self._told(name, h)) for name, h in handlers.items()})

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
