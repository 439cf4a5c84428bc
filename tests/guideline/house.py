"""A supervisory chain and two markets' chains of the production contracts, whose people really sign; and the network
that a report asks, which a test may break on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chain_core._pb.dualchain.node.v1 import node_pb2 as pb
from chain_core.codec.block import encode_block
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope
from chain_core.codec.values import decode_value, encode_value
from chain_core.network.refusals import Unreachable
from chain_core.network.secured.security import SmClient
from chain_core.network.signing import sign_transaction
from chain_core.node.answers import BlockAnswer, CertifiedHeader, ScanAnswer
from chain_core.node.chain_view import ChainView
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError
from chain_core.types.transaction import Envelope, Operation, TransactionBody
from dualchain.guideline.articles import ARTICLES
from dualchain.guideline.asking import AskedChain, Found, Network
from dualchain.guideline.examination import Finding, Verdict
from dualchain.guideline.report import examine
from tests.unit.crosschain.chains import Chain, account, private_key, public_key

T = TypeVar("T")
Row = dict[str, Any]


class SigningChain(Chain):
    """Everybody's key is that of his name."""

    def sign(self, name: str, *operations: Operation, business_id: str = "", cosigner: str = "") -> Envelope:
        nonce = self.nonces[name] = self.nonces.get(name, 0) + 1
        until_ms = self.time_ms + 300_000
        others = (account(cosigner),) if cosigner else ()
        body = TransactionBody(0, account(name), nonce, until_ms, operations, business_id=business_id, cosigners=others)
        keys = [(private_key(one), public_key(one)) for one in (name, cosigner) if one]
        return decode_envelope(sign_transaction(self.hash, body, keys))

    def ok(self, name: str, *operations: Operation, cosigner: str = "") -> int:
        """A block with one transaction that succeeds; its height."""
        business_id = f"{self.genesis.market or 'CSRC'}-{name}"
        (receipt,) = self.block(self.sign(name, *operations, business_id=business_id, cosigner=cosigner))
        assert receipt.code == 0, (operations[0].method, receipt)
        return self.height


@dataclass
class Node:
    """One node's answers, from the ledger. ``down``: it does not answer; ``status``: what it says of itself."""

    address: str
    chain: Chain
    down: bool = False
    alter: Callable[[CertifiedHeader], CertifiedHeader] = lambda certified: certified
    said: Row = field(default_factory=dict)

    def _up(self) -> None:
        if self.down:
            raise Unreachable("nobody there", where=self.address)

    async def header(self, height: int | None = None) -> CertifiedHeader:
        self._up()
        return self.alter(CertifiedHeader(*self.chain.certified(self.chain.height if height is None else height)))

    async def block(self, height: int) -> BlockAnswer:
        self._up()
        block = self.chain.store.block(height)
        assert block is not None
        return BlockAnswer(encode_block(block), self.chain.store.receipts(height))

    async def scan(self, prefix: bytes, after: bytes = b"", limit: int = 0) -> ScanAnswer:
        self._up()
        return ScanAnswer(self.chain.height, tuple(self.chain.store.scan(prefix, after, limit)), False)

    async def status(self) -> pb.GetStatusResponse:
        self._up()
        told: Row = {"node": self.address, "version": "1.0", "genesis_hash": self.chain.hash, **self.said}
        return pb.GetStatusResponse(**told)


@dataclass
class Client:
    """Verifies headers, blocks and receipts like the real one; state is taken from the ledger and from ``forged``."""

    chain: Chain
    nodes: list[Node]
    forged: dict[bytes, bytes | None] = field(default_factory=dict)
    security: Any = field(default_factory=lambda: object.__new__(SmClient), repr=False)
    view: ChainView = field(init=False)

    def __post_init__(self) -> None:
        self.view = ChainView(self.chain.genesis_bytes)

    async def header(self, height: int | None = None) -> Header:
        return await self.from_any(lambda node: self._header(node, height))

    async def _header(self, node: Node, height: int | None) -> Header:
        return self.view.check_header(await node.header(height))

    async def state(self, keys: Sequence[bytes]) -> tuple[Header, list[bytes | None]]:
        values = [self.forged[key] if key in self.forged else self.chain.store.get(key) for key in keys]
        return await self.header(), values

    async def from_any(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        return await ask(next(node for node in self.nodes if not node.down))

    async def close(self) -> None:
        """There is nothing open."""


class HouseChain(AskedChain):
    """``open_doors``: nodes that answer strangers."""

    client: Any

    def __init__(self, label: str, chain: Chain) -> None:
        names = [one.name for one in chain.genesis.validators.validators]
        super().__init__(label, Client(chain, [Node(name, chain) for name in names]))  # type: ignore[arg-type]
        self.open_doors: set[str] = set()

    @property
    def chain(self) -> Chain:
        found: Chain = self.client.chain
        return found

    def node(self, number: int) -> Node:
        found: Node = self.client.nodes[number]
        return found

    async def strangers(self) -> dict[str, DualchainError | None]:
        refusal = DualchainError("no session")
        return {node.address: None if node.address in self.open_doors else refusal for node in self.client.nodes}

    async def at_address(self, address: str, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Endpoint number n of ``chains.registration`` listens at port 20,000 + n."""
        return await ask(self.node(int(address.rpartition(":")[2]) - 20_000))

    # ---- breaking it

    def keep_block(self, *found: Found) -> None:
        """What a block holds, as if its header said so."""
        self._blocks[found[0].header.height] = found

    def forge(self, key: bytes, /, **changes: Any) -> None:
        """Fields of a proven map as they never would become."""
        raw = self.client.forged.get(key, self.chain.store.get(key))
        assert raw is not None, key
        self.client.forged[key] = encode_value({**decode_value(raw), **changes})

    def put(self, key: bytes, value: bytes | None) -> None:
        """A proven value, or that there is none."""
        self.client.forged[key] = value


@dataclass
class House:
    """What a report asks, with the ledgers behind it."""

    upper: HouseChain
    bj: HouseChain
    js: HouseChain

    @property
    def network(self) -> Network:
        return Network(self.upper, {"BJ": self.bj, "JS": self.js})

    @property
    def market(self) -> bytes:
        """BJ's chain."""
        return self.bj.hash

    @staticmethod
    def encoded(value: Any) -> bytes:
        """A state value."""
        return encode_value(value)

    def examine(self, number: int) -> Finding:
        """The article's check on this network."""
        return asyncio.run(examine(self.network, ARTICLES[number]))

    def holds(self, number: int) -> Finding:
        """It holds, and says by what."""
        found = self.examine(number)
        assert found.verdict is Verdict.HOLDS, found.faults
        assert found.evidence and all(len(one.place.header) == 32 for one in found.evidence)
        return found

    def fails(self, number: int, *words: str) -> None:
        """It fails, and each of the words stands in a fault of its own; every fault is told in both languages."""
        found = self.examine(number)
        assert found.verdict is Verdict.FAILS, found
        texts = [fault.en for fault in found.faults]
        assert all(fault.zh and fault.en for fault in found.faults)
        for word in words:
            assert any(word in text for text in texts), (word, texts)

    def unproven(self, number: int, word: str) -> None:
        """Nothing contradicts it, and nothing shows it."""
        found = self.examine(number)
        assert found.verdict is Verdict.UNPROVEN, found
        assert any(word in fault.en for fault in found.faults), found.faults


def of(contract: str, key: bytes) -> bytes:
    """Full state key."""
    return state_key(contract, key)
