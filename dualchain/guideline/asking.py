"""Questions to a running chain whose answers are verified before a check sees them (docs/spec/guideline.md §1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from chain_core.codec.block import decode_block, encode_certificate, encode_header, header_hash
from chain_core.codec.seen import state_key
from chain_core.codec.transaction import decode_envelope, decode_receipt
from chain_core.network.ingress import check_block_contents
from chain_core.network.secured.security import PLAINTEXT
from chain_core.node.answers import CertifiedHeader
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError, InvalidProof
from chain_core.types.transaction import Envelope, Operation, Receipt

WINDOW = 4_000
"""Blocks below the latest one in which a transaction is looked for."""
MAX_KEPT = 20_000
"""Blocks and transactions that are kept for the next question."""
MAX_LISTED = 1_000
"""Keys that one listing brings."""
_KEYS_AT_ONCE = 200
_STRANGER_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where something verified stands: a header by its SM3, and the transaction or state key under it."""

    chain: str
    height: int
    header: bytes
    transaction: bytes = b""
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Proven:
    """Values of full state keys, each proven under ``header``; None is proven absence."""

    chain: str
    header: Header
    values: Mapping[bytes, bytes | None]

    def place(self, key: bytes = b"") -> Place:
        """Where a value stands."""
        return Place(self.chain, self.header.height, hash_of(self.header), key=key)

    def __getitem__(self, key: bytes) -> bytes | None:
        return self.values[key]


@dataclass(frozen=True, slots=True)
class Found:
    """A final transaction with its proven receipt."""

    chain: str
    header: Header
    envelope: Envelope
    receipt: Receipt

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.chain, self.header.height, hash_of(self.header), transaction=self.receipt.transaction_id)

    def operations(self, contract: str, method: str = "") -> list[Operation]:
        """Its operations of a contract, of any method without one."""
        wanted = [one for one in self.envelope.body.operations if one.contract == contract]
        return [one for one in wanted if not method or one.method == method]


T = TypeVar("T")
Fits = Callable[[Found], bool]


def hash_of(header: Header) -> bytes:
    """SM3 of a header."""
    return header_hash(encode_header(header))


@dataclass(slots=True)
class AskedChain:
    """One chain's nodes, none of which is trusted. Raises InvalidProof, and the last node's refusal."""

    label: str
    client: VerifyingClient
    _blocks: dict[int, tuple[Found, ...]] = field(default_factory=dict)
    _kept: int = 0

    @property
    def view(self) -> ChainView:
        """What its genesis document lets one believe."""
        return self.client.view

    @property
    def hash(self) -> bytes:
        """The chain's identity."""
        return self.view.genesis_hash

    async def header(self, height: int | None = None) -> Header:
        """A certified header, the latest without a height."""
        return await self.client.header(height)

    async def view_of(self, certified: CertifiedHeader) -> Header:
        """A header that one node gave. Raises InvalidProof when it is not final on this chain."""

        async def look(node: NodeClient) -> Header:
            return self.view.check_header(certified)

        return await self.client.from_any(look)

    def place(self, header: Header) -> Place:
        """A header as a place."""
        return Place(self.label, header.height, hash_of(header))

    async def state(self, keys: Sequence[bytes]) -> Proven:
        """Proven values. Beyond 200 keys they may stand under several headers: the last one is named."""
        values: dict[bytes, bytes | None] = {}
        header: Header | None = None
        for start in range(0, max(1, len(keys)), _KEYS_AT_ONCE):
            part = keys[start : start + _KEYS_AT_ONCE]
            header, found = await self.client.state(part)
            values.update(zip(part, found, strict=True))
        assert header is not None
        return Proven(self.label, header, values)

    async def value(self, key: bytes) -> tuple[bytes | None, Place]:
        """One proven value and where it stands."""
        proven = await self.state([key])
        return proven[key], proven.place(key)

    async def listed(self, contract: str, prefix: bytes) -> dict[bytes, tuple[bytes, Place]]:
        """Full key -> proven value, of at most ``MAX_LISTED`` keys that a node names below a prefix.

        A node may leave keys out: what is found is proven, that there is nothing else is not.
        """
        full = state_key(contract, prefix)

        async def ask(node: NodeClient) -> list[bytes]:
            keys: list[bytes] = []
            more = True
            while more and len(keys) < MAX_LISTED:
                answer = await node.scan(full, keys[-1] if keys else b"", _KEYS_AT_ONCE)
                keys += [key for key, _ in answer.items]
                more = answer.more and bool(answer.items)
            return keys[:MAX_LISTED]

        keys = await self.client.from_any(ask)
        if not keys:
            return {}
        proven = await self.state(keys)
        return {key: (value, proven.place(key)) for key, value in proven.values.items() if value is not None}

    # ---- transactions

    async def block(self, height: int) -> tuple[Found, ...]:
        """All transactions of a height: content, receipts and order are those of the certified header."""
        known = self._blocks.get(height)
        if known is None:
            known = await self.client.from_any(lambda node: self._read(node, height))
            self._blocks[height] = known
            self._kept += 1 + len(known)
            while self._kept > MAX_KEPT and len(self._blocks) > 1:
                self._kept -= 1 + len(self._blocks.pop(next(iter(self._blocks))))
        return known

    async def _read(self, node: NodeClient, height: int) -> tuple[Found, ...]:
        answer = await node.block(height)
        block = decode_block(answer.block)
        header = self.view.check_header(CertifiedHeader(block.header, encode_certificate(block.certificate)))
        if header.height != height:
            raise InvalidProof(f"block {header.height} for height {height}", where=node.address)
        check_block_contents(block, header)
        self.view.check_receipts(header, answer.receipts)
        return tuple(
            Found(self.label, header, decode_envelope(raw), decode_receipt(receipt))
            for raw, receipt in zip(block.envelopes, answer.receipts, strict=True)
        )

    async def at(self, height: int, fits: Fits) -> Found | None:
        """The first transaction of a height that fits."""
        if height < 1:
            return None
        return next((found for found in await self.block(height) if fits(found)), None)

    async def newest(self, fits: Fits) -> AsyncIterator[Found]:
        """Transactions that fit, from the latest block downward, in the newest ``WINDOW`` blocks."""
        last = (await self.header()).height
        for height in range(last, max(0, last - WINDOW), -1):
            for found in reversed(await self.block(height)):
                if fits(found):
                    yield found

    async def last(self, fits: Fits) -> Found | None:
        """The newest of these, None when there is none in the window."""
        async for found in self.newest(fits):
            return found
        return None

    # ---- nodes

    async def each(self, ask: Callable[[NodeClient], Awaitable[T]]) -> dict[str, T | DualchainError]:
        """What every node answers for itself, by address; its refusal where it does not answer."""

        async def one(node: NodeClient) -> T | DualchainError:
            try:
                return await ask(node)
            except DualchainError as refusal:
                return refusal

        answers = await asyncio.gather(*(one(node) for node in self.client.nodes))
        return {node.address: answer for node, answer in zip(self.client.nodes, answers, strict=True)}

    async def at_address(self, address: str, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
        """What whoever listens at an address answers, in a session like those with the nodes. Raises its refusal."""
        client = NodeClient(address, security=self.client.security)
        try:
            return await ask(client)
        finally:
            await client.close()

    async def strangers(self) -> dict[str, DualchainError | None]:
        """What each node tells somebody without key and certificate; None: it answered him."""
        found: dict[str, DualchainError | None] = {}
        for node in self.client.nodes:
            stranger = NodeClient(
                node.address, genesis_hash=self.hash, ledger=self.view.ledger, timeout_s=_STRANGER_S, security=PLAINTEXT
            )
            try:
                await stranger.header()
                found[node.address] = None
            except DualchainError as refusal:
                found[node.address] = refusal
            finally:
                await stranger.close()
        return found


@dataclass(frozen=True, slots=True)
class Network:
    """The supervisory chain and the markets' chains that are asked, by region code of JR/T 0326."""

    upper: AskedChain
    markets: Mapping[str, AskedChain]

    @property
    def chains(self) -> tuple[AskedChain, ...]:
        """All of them."""
        return (self.upper, *self.markets.values())

    async def close(self) -> None:
        """End all connections."""
        await asyncio.gather(*(chain.client.close() for chain in self.chains))
