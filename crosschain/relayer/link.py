"""One chain as the relayer sees it: verified reads from any of its nodes, transactions to all of them.

A node whose answer does not verify is reported and another one is asked: nothing unverified is ever relayed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from chain_core.codec import signed
from chain_core.codec.block import decode_header, header_hash
from chain_core.codec.transaction import decode_envelope, encode_body, encode_envelope
from chain_core.codec.validator_set import hash_of_encoded_set
from chain_core.crypto.merkle import MerkleTree, leaf_hash
from chain_core.crypto.providers import signing_provider
from chain_core.network.refusals import ServiceRefusal
from chain_core.node.answers import CertifiedHeader, ItemStatus, OutboxAnswer, StateAnswer, SubscribedBlock
from chain_core.node.chain_view import ChainView, EpochAhead, VerifiedReceipt
from chain_core.node.client import NodeClient
from chain_core.node.epoch_following import closing_header, follow
from chain_core.node.event_filter import EventFilter
from chain_core.node.log import event
from chain_core.types.block import Header
from chain_core.types.errors import DualchainError, InvalidProof, MalformedBytes
from chain_core.types.packet import Packet
from chain_core.types.transaction import Envelope, Operation, Signer, TransactionBody
from crosschain.relayer.config import Party

log = logging.getLogger(__name__)

T = TypeVar("T")

WINDOW_MS = 300_000
"""How long a relayed transaction may wait for its block, where the chain allows it: longer than a primary that leaves
it out stays in office (docs/spec/directives.md §6), or none would ever be deposed for it."""
FINAL_WITHIN_S = 20.0
MAX_PAGE = 1_000
SILENCE_S = 60.0
"""An idle chain makes an empty block every 10 s: a node that tells of none for so long is left."""

OTHERS_WERE_FASTER = frozenset(
    {
        *("header.height", "inbox.replayed", "supervision.missing_directives", "supervision.rolled_back"),
        *("header.budget", "clients.rate", "inbox.rate"),
        *("channel.replayed", "channel.rate", "channel.refunded", "channel.unknown_request"),
    }
)
"""Rules that refuse what another relayer has just carried, or what finds no room in a block beside what others do."""


class NotBegun(ServiceRefusal):
    """The chain has no block yet: nothing of it can be proven."""

    code = "NOT_BEGUN"


class Behind(ServiceRefusal):
    """Every node that answers is below a block that is known to be final: planning on its state would repeat what a
    transaction of ours did, or miss what was told of.
    """

    code = "BEHIND"


class NotRelayed(ServiceRefusal):
    """No node of the chain made the transaction final in time."""

    code = "NOT_RELAYED"


class RefusedByChain(ServiceRefusal):
    """The transaction is final and was refused: the receipt's rule says why."""

    code = "REFUSED_BY_CHAIN"


class Overtaken(RefusedByChain):
    """Another relayer carried the same before, or took the block's room: it is planned again from the chains' state."""

    code = "OVERTAKEN"


@dataclass(frozen=True, slots=True)
class ProvenState:
    """Values of the keys asked for, all under one final header, with their proofs as the node gave them."""

    header: Header
    answer: StateAnswer
    values: tuple[bytes | None, ...]


class ChainLink:
    """Reads raise InvalidProof or the last node's refusal when no node gave a good answer; NotBegun before a block."""

    def __init__(self, name: str, party: Party, clock: Callable[[], int]) -> None:
        self.name = name
        self.view = ChainView(party.genesis_bytes)
        self._party = party
        self._now_ms = clock
        parameters = self.view.genesis.parameters
        self._window_ms = min(WINDOW_MS, parameters["max_window_ms"] - parameters["clock_tolerance_ms"])
        self._nodes = [
            NodeClient(address, genesis_hash=party.genesis_hash, security=party.security) for address in party.nodes
        ]
        self._turn = self._ear = 0
        self._reported: dict[str, str] = {}
        self._known_height = 0
        self._following = asyncio.Lock()
        self.on_bad_answer: Callable[[str], None] = lambda chain: None

    @property
    def genesis_hash(self) -> bytes:
        """Which chain."""
        return self._party.genesis_hash

    async def close(self) -> None:
        """Ends all connections."""
        await asyncio.gather(*(node.close() for node in self._nodes))

    def turn(self) -> None:
        """Asks another node first from now on, so that one that withholds is not asked for ever."""
        self._turn = (self._turn + 1) % len(self._nodes)

    # ---- reads

    async def state(self, keys: Sequence[bytes]) -> ProvenState:
        """Proven values of full state keys, not below what is known to be final: this relayer's own transactions and
        blocks it was told of. Raises Behind.
        """

        async def ask(node: NodeClient) -> ProvenState:
            answer = await node.state(keys)
            _check_begun(answer.header, node)
            header, values = self.view.check_state(keys, answer)
            if header.height < self._known_height:
                raise Behind(f"height {header.height}, {self._known_height} is final", where=node.address)
            return ProvenState(header, answer, tuple(values))

        return await self._from_any(ask)

    async def headers(self, start: int, count: int) -> list[tuple[Header, CertifiedHeader]]:
        """Final headers from ``start``, at most ``count``: the last one certified, the others linked to it by hash."""

        async def ask(node: NodeClient) -> list[tuple[Header, CertifiedHeader]]:
            page, _ = await node.headers(start, min(count, MAX_PAGE))
            return self._linked(start, page)

        return await self._from_any(ask)

    async def history(self, count: int) -> MerkleTree:
        """The tree over the first ``count`` headers, height 0 with them, as later headers commit to it."""
        leaves: list[bytes] = []
        while len(leaves) < count:
            # One header more than needed: that of height 0 has no certificate, the one above it names its hash.
            page = await self.headers(len(leaves), max(2, count - len(leaves)))
            if not page:
                raise InvalidProof(f"headers end at {len(leaves)}", where=self.name, next_step="ask another node")
            leaves += [leaf_hash(certified.header) for _, certified in page]
        return MerkleTree.from_hashes(leaves[:count])

    async def outbox(self, height: int) -> tuple[OutboxAnswer, list[Packet]]:
        """All packets of a final block with their proofs, its header certified."""

        async def ask(node: NodeClient) -> tuple[OutboxAnswer, list[Packet]]:
            answer = await node.outbox(height)
            header, packets = self.view.check_outbox(answer)
            if header.height != height:
                raise InvalidProof(f"header {header.height} for height {height}", where=node.address)
            return answer, packets

        return await self._from_any(ask)

    async def closing(self, epoch: int) -> tuple[CertifiedHeader, bytes] | None:
        """The last header of an epoch, certified, with the next one's encoded set; None while the epoch lasts."""

        async def ask(node: NodeClient) -> tuple[CertifiedHeader, bytes] | None:
            found = await closing_header(node, epoch)
            if found is not None:
                header = self.view.check_header(found[0])
                if header.epoch != epoch or hash_of_encoded_set(found[1]) != header.next_validator_set_hash:
                    raise InvalidProof(f"header {header.height} does not close epoch {epoch}", where=node.address)
            return found

        return await self._from_any(ask)

    def _linked(self, start: int, page: Sequence[CertifiedHeader]) -> list[tuple[Header, CertifiedHeader]]:
        if not page:
            return []
        last = self.view.check_header(page[-1])
        found = [(decode_header(certified.header), certified) for certified in page]
        expected = last.prev_hash
        for place in range(len(found) - 1, -1, -1):
            header, certified = found[place]
            if header.height != start + place:
                raise InvalidProof(f"header {header.height} where {start + place} belongs", where="headers")
            if place < len(found) - 1 and header_hash(certified.header) != expected:
                raise InvalidProof(f"header {header.height} is not the one that the next follows", where="headers")
            expected = header.prev_hash
        return found

    async def _from_any(self, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
        last: DualchainError | None = None
        first = self._turn
        for place in (*range(first, len(self._nodes)), *range(first)):
            node = self._nodes[place]
            try:
                answer = await self._through_epochs(node, ask)
                self._reported.pop(node.address, None)
                return answer
            except (InvalidProof, MalformedBytes) as error:
                self._report(node, error)
                last = error
            except ServiceRefusal as error:
                last = error
            if self._turn == place:  # questions run side by side: each node is passed over once
                self.turn()
        assert last is not None, "a chain has at least one node"
        raise last

    async def _through_epochs(self, node: NodeClient, ask: Callable[[NodeClient], Awaitable[T]]) -> T:
        """What ``ask`` answers, once the view has followed the chain into the epoch that the answer is of."""
        try:
            return await ask(node)
        except EpochAhead:
            await self._follow(node)
            return await ask(node)

    async def _follow(self, node: NodeClient) -> None:
        """Questions run side by side, and each epoch is entered once."""
        async with self._following:
            await follow(self.view, node)

    # ---- news

    async def listen(
        self, wanted: EventFilter, matters: Callable[[Header, SubscribedBlock], bool]
    ) -> AsyncGenerator[Header, None]:
        """Headers of blocks that matter, certified, as one node tells of them from now on; another one the next time.

        Whatever is read afterwards is not below them. Raises what ends it: the node's refusal, or its silence.
        """
        node = self._nodes[self._ear]
        self._ear = (self._ear + 1) % len(self._nodes)
        async with aclosing(node.subscribe(wanted)) as blocks:
            while True:
                try:
                    block = await asyncio.wait_for(anext(blocks), SILENCE_S)
                    if not matters(decode_header(block.header.header), block):
                        continue
                    header = await self._through_epochs(node, partial(self._checked, block.header))
                except TimeoutError:
                    raise ServiceRefusal(f"no block for {SILENCE_S:.0f} s", where=node.address) from None
                except (InvalidProof, MalformedBytes) as error:
                    self._report(node, error)
                    raise
                self._known_height = max(self._known_height, header.height)
                yield header

    async def _checked(self, certified: CertifiedHeader, _node: NodeClient) -> Header:
        return self.view.check_header(certified)

    def _report(self, node: NodeClient, error: DualchainError) -> None:
        """One line about a node, and no second one until it gives another reason or a good answer."""
        if self._reported.get(node.address) == str(error):
            return
        self._reported[node.address] = str(error)
        facts: Mapping[str, str | int] = {
            "chain": self.name,
            "node": node.address,
            "code": error.code,
            "reason": error.what,
            "where": error.where[:200],
        }
        event(log, logging.WARNING, "BAD_RPC_NODE", facts)
        self.on_bad_answer(self.name)

    # ---- transactions

    async def submit(self, operations: Sequence[Operation]) -> VerifiedReceipt:
        """Hands a transaction to all nodes; the verified receipt of its success.

        Raises RefusedByChain, NotRelayed, and MalformedBytes for operations that no envelope can carry.
        """
        envelope = self._sign(operations)
        tasks = [asyncio.create_task(self._hand_in(node, envelope)) for node in self._nodes]
        reasons: list[str] = []
        try:
            for next_done in asyncio.as_completed(tasks):
                outcome = await next_done
                if isinstance(outcome, VerifiedReceipt):
                    return self._judged(outcome)
                reasons.append(outcome)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        raise NotRelayed(
            "; ".join(reasons)[:600],
            where=f"{self.name} chain",
            next_step="check that its nodes run and make blocks; the relayer tries again by itself",
        )

    def _sign(self, operations: Sequence[Operation]) -> Envelope:
        party = self._party
        body = encode_body(
            TransactionBody(
                self.view.ledger,
                party.account,
                secrets.randbits(63),
                self._now_ms() + self._window_ms,
                tuple(operations),
            )
        )
        provider = signing_provider()
        signature = provider.sm2_sign(party.private_key, signed.message(signed.TX, party.genesis_hash, body))
        signer = Signer(provider.sm2_public_key(party.private_key), signature)
        return decode_envelope(encode_envelope(body, (signer,)))

    async def _hand_in(self, node: NodeClient, envelope: Envelope) -> VerifiedReceipt | str:
        """The verified receipt, or why this node gave none."""
        try:
            answer = await node.submit([envelope.raw], final_within_s=FINAL_WITHIN_S)
            (item,) = answer.items
            if item.status is ItemStatus.FINAL and item.receipt is not None:
                if len(answer.headers) != 1:
                    raise InvalidProof(f"{len(answer.headers)} headers for one receipt", where=node.address)
                if decode_header(answer.headers[0].header).epoch > self.view.epoch:
                    await self._follow(node)
                return self.view.check_own_receipt(envelope, answer.headers[0], item.receipt)
            return f"{node.address}: {item.refusal or 'not final in time'}"
        except (InvalidProof, MalformedBytes) as error:
            self._report(node, error)
            return f"{node.address}: {error}"
        except ServiceRefusal as error:
            return f"{node.address}: {error}"

    def _judged(self, verified: VerifiedReceipt) -> VerifiedReceipt:
        receipt = verified.receipt
        self._known_height = max(self._known_height, verified.header.height)
        if receipt.code == 0:
            return verified
        kind = Overtaken if receipt.rule in OTHERS_WERE_FASTER else RefusedByChain
        raise kind(
            f"code {receipt.code} {receipt.rule} {list(receipt.parameters)}",
            where=f"{self.name} chain, height {verified.header.height}",
            next_step="look at the rule; the relayer plans again from the chains' state",
        )


def _check_begun(certified: CertifiedHeader, node: NodeClient) -> None:
    if not certified.certificate and decode_header(certified.header).height == 0:
        raise NotBegun("no block yet", where=node.address, next_step="wait for the first transaction")
