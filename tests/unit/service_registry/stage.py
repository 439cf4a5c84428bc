"""A gateway and a publisher's port around a chain in memory: real gRPC between the two, no network behind the chain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from chain_core._pb.dualchain.registry.v1 import registry_pb2 as pb
from chain_core.codec.seen import state_key
from chain_core.execution.codes import Code
from chain_core.network.identity import Caller
from chain_core.network.raw_rpc import Method, RawServer, Unary, parse
from chain_core.network.refusals import NotFound
from chain_core.node.answers import CertifiedHeader, ProvenReceipt
from chain_core.node.chain_view import VerifiedReceipt
from chain_core.types.errors import InvalidProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from service_registry.authority import Key
from service_registry.batcher import Batcher
from service_registry.bodies import AccessCode
from service_registry.calls import GATEWAY_CALL, SERVICE_CALL, SignedCall, SignedReply, sign_reply
from service_registry.chain import Account, RefusedByChain, RegistryChain
from service_registry.config import KeyPair
from service_registry.gateway import Gateway
from service_registry.record_store import RecordStore
from service_registry.recorder import Recorder
from tests.unit.execution.world import GENESIS_HASH, account
from tests.unit.service_registry.house import RESPONSE, House, private

SOMEBODY = Caller("loopback", "test")
Answer = Callable[[SignedCall], Awaitable[SignedReply]]
Lie = Callable[[pb.CallResponse], None]


class HouseChain(RegistryChain):
    """The house's state as if it were proven, its blocks as if nodes made them. ``deaf``: submissions are refused."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.deaf = False
        self.submitted: list[int] = []
        self.receipts: dict[bytes, VerifiedReceipt] = {}
        self.gate: asyncio.Event | None = None

    @property
    def genesis_hash(self) -> bytes:
        return GENESIS_HASH

    @property
    def client(self) -> Any:
        return SimpleNamespace(view=SimpleNamespace(check_receipt=self._check_receipt))

    @client.setter
    def client(self, value: object) -> None:
        raise AttributeError("there are no nodes")

    def _check_receipt(self, certified: CertifiedHeader, proven: ProvenReceipt) -> VerifiedReceipt:
        found = self.receipts.get(proven.receipt)
        if found is None or certified.header != b"header":
            raise InvalidProof("not a receipt of this chain", where="receipt")
        return found

    async def close(self) -> None:
        pass

    async def values(self, keys: Sequence[Key], *, not_below: int = 0) -> dict[Key, bytes | None]:
        return {(contract, key): self.house.world.state.get(state_key(contract, key)) for contract, key in keys}

    async def submit(self, who: Account, operations: Sequence[Operation], *, within_s: float = 30.0) -> VerifiedReceipt:
        if self.gate is not None:
            await self.gate.wait()
        if self.deaf:
            raise NotFound("nobody listens", where="submit")
        (operation,) = operations
        self.submitted.append(len(cast(list[Any], operation.args.get("records", []))))
        name = next(n for n in ("gateway", "tester", "consumer", "publisher") if account(n) == who.account)
        receipt = self.house.world.one(name, operation)
        if receipt.code != Code.OK:
            told = receipt.parameters[1:]
            raise RefusedByChain(receipt.rule, rule=receipt.rule, where="house", next_step="", parameters=told)
        header = SimpleNamespace(height=self.house.world.height)
        proven = ProvenReceipt(self.house.world.height, b"receipt %d" % self.house.world.height, b"proof")
        certified = CertifiedHeader(b"header", b"certificate")
        self.receipts[proven.receipt] = VerifiedReceipt(cast(Any, header), receipt, certified, proven)
        return self.receipts[proven.receipt]


async def honest(signed: SignedCall) -> SignedReply:
    """What the publisher answers unless told otherwise."""
    return sign_reply(GENESIS_HASH, signed.call, AccessCode.OK, RESPONSE, 0, private("publisher"))


@dataclass
class Stage:
    """``answer`` is what the publisher's port does; ``asked`` counts its calls."""

    house: House = field(default_factory=House.begin)
    answer: Answer = honest
    asked: int = 0
    ports: list[RawServer] = field(default_factory=list)
    told: asyncio.Condition = field(default_factory=asyncio.Condition)
    store: Path | None = None
    """Where the gateway keeps records; without, it records each."""
    batcher: Batcher | None = None

    def clock(self) -> int:
        """Block time."""
        return self.house.world.time_ms

    async def until_asked(self, count: int) -> None:
        """The publisher's port was called that often."""
        async with self.told:
            await asyncio.wait_for(self.told.wait_for(lambda: self.asked >= count), 10)

    async def __aenter__(self) -> Stage:
        self.server = RawServer(self.methods())
        self.endpoint = self.server.bind("127.0.0.1:0")
        await self.server.start()
        self.chain = HouseChain(self.house)
        self.recorder = Recorder(self.chain, Account(account("gateway"), b"", b""))
        self.recorder.start()
        self.begin()
        return self

    def begin(self) -> None:
        """The gateway's process, or the next one after a kill. Nothing hands in batches but ``batcher.hand_in``."""
        if self.store is not None:
            who, key = Account(account("gateway"), b"", b""), KeyPair.of(private("gateway"))
            self.batcher = Batcher(self.chain, who, key, RecordStore(self.store), self.clock)
            self.batcher.start_writing()
        self.gateway = Gateway(self.chain, self.recorder, self.clock, batcher=self.batcher)

    def methods(self) -> dict[str, Method]:
        """The publisher's."""
        return {SERVICE_CALL: Unary(self._serve)}

    async def __aexit__(self, *_: object) -> None:
        await self.recorder.stop()
        if self.batcher is not None:
            await self.batcher.stop()
        await self.gateway.close()
        for port in (self.server, *self.ports):
            await port.stop(0)

    async def _serve(self, caller: Caller, data: bytes) -> bytes:
        async with self.told:
            self.asked += 1
            self.told.notify_all()
        signed = SignedCall.of(parse(pb.CallRequest, data))
        return (await self.answer(signed)).message().SerializeToString()

    async def serve(self, lie: Lie = lambda _: None) -> str:
        """The gateway on a port of its own, which may alter its answers; the address."""

        async def call(caller: Caller, data: bytes) -> bytes:
            response = pb.CallResponse.FromString(await self.gateway.call(caller, data))
            lie(response)
            return response.SerializeToString()

        port = RawServer({**self.gateway.methods(), GATEWAY_CALL: Unary(call)})
        address = port.bind("127.0.0.1:0")
        await port.start()
        self.ports.append(port)
        return address

    async def call(self, signed: SignedCall) -> pb.CallResponse:
        """Through the gateway's handler."""
        return pb.CallResponse.FromString(await self.gateway.call(SOMEBODY, signed.message().SerializeToString()))


def play(story: Callable[[Stage], Awaitable[None]], store: Path | None = None, **definition: Value) -> None:
    """Tells a story on a fresh stage with a confirmed consumer; with ``store`` of a service recorded by batch."""

    async def main() -> None:
        async with Stage(store=store) as stage:
            recording: Value = "each" if store is None else "batch"
            stage.house.confirmed(**{"endpoints": [stage.endpoint], "recording": recording, **definition})
            await story(stage)

    asyncio.run(main())
