"""Which markets there are: proven present or absent for each region of JR/T 0326, with how far each was followed
(docs/spec/see-through.md §2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_core.codec.seen import state_key
from chain_core.codec.values import decode_map
from chain_core.crypto.hashing import sm3
from chain_core.node.answers import StateAnswer
from chain_core.node.chain_view import ChainView
from chain_core.node.client import NodeClient
from chain_core.node.verifying_client import VerifyingClient
from chain_core.types.block import Header
from chain_core.types.errors import InvalidProof
from chain_core.types.ids import HASH_SIZE
from contracts.codes.regions import REGIONS
from crosschain.complete_lists import ListEvidence, Values
from crosschain.following import Position, decode_position
from crosschain.looking.inquiry import Fresh, Inquiry, fetch, prove
from crosschain.packets import CHAINS, FOLLOWED, chain_record_key, client_key
from supervisory_chain.chains import PIECE_BYTES


@dataclass(frozen=True, slots=True)
class Market:
    """A market's chain as the supervisory chain has it. ``endpoints``: (validator's name, host:port)."""

    market: str
    chain: bytes
    chain_id: str
    admitted: bool
    document_bytes: int
    endpoints: tuple[tuple[str, str], ...]
    followed: Position


@dataclass(frozen=True, slots=True)
class MarketList:
    """All markets with a chain under ``header``; every other region is proven to have none."""

    header: Header
    markets: tuple[Market, ...]

    def admitted(self) -> dict[str, Market]:
        """Those that are asked, by region code."""
        return {one.market: one for one in self.markets if one.admitted}


@dataclass(frozen=True, slots=True)
class MarketsInquiry(Inquiry):
    """What is asked of the supervisory chain: 35 keys, then registration and client of each chain there is."""

    @property
    def what(self) -> str:
        return "markets"

    def rounds(self, known: Values) -> Iterator[Sequence[bytes]]:
        yield [market_key(code) for code in REGIONS]
        chains = [chain for code in REGIONS if (chain := known[market_key(code)]) is not None]
        if not all(len(chain) == HASH_SIZE for chain in chains):
            raise self.refuse("a market leads to something that is no chain")
        yield [key for chain in chains for key in (chain_record_key(chain), client_key(chain))]


def market_key(code: str) -> bytes:
    """Full state key of the genesis hash of a market's chain."""
    return state_key(CHAINS, b"m" + code.encode("ascii"))


def check_markets(view: ChainView, evidence: ListEvidence, fresh: Fresh) -> MarketList:
    """The markets that the evidence proves, all of them. Raises InvalidProof, MalformedBytes."""
    inquiry = MarketsInquiry()
    header, values = prove(view, inquiry, evidence, fresh)
    found = [
        _market(inquiry, values, code, chain)
        for code in sorted(REGIONS)
        if (chain := values[market_key(code)]) is not None
    ]
    return MarketList(header, tuple(found))


def _market(inquiry: MarketsInquiry, values: Values, code: str, chain: bytes) -> Market:
    raw = values[chain_record_key(chain)]
    if raw is None:
        raise inquiry.refuse(f"market {code} leads to a chain that is not registered")
    record = decode_map(raw, "chain")
    if record["market"] != code:
        raise inquiry.refuse(f"market {code} leads to the chain of market {record['market']!r}")
    rows = cast(Sequence[Mapping[str, str]], record["endpoints"])
    return Market(
        code,
        chain,
        cast(str, record["chain_id"]),
        record["status"] in FOLLOWED,
        cast(int, record["document_bytes"]),
        tuple((row["node"], row["address"]) for row in rows),
        decode_position(values[client_key(chain)]),
    )


async def fetch_markets(client: VerifyingClient, fresh: Fresh) -> tuple[MarketList, ListEvidence]:
    """The markets from any node of the supervisory chain. Raises InvalidProof, the last node's refusal."""

    async def ask(node: NodeClient) -> tuple[MarketList, ListEvidence]:
        evidence = await fetch(node, MarketsInquiry())
        return check_markets(client.view, evidence, fresh), evidence

    return await client.from_any(ask)


async def fetch_document(client: VerifyingClient, market: Market) -> bytes:
    """A market's genesis document, from any node: its hash is the chain's identity. Raises InvalidProof."""
    keys = [
        state_key(CHAINS, b"g" + market.chain + number.to_bytes(4, "big"))
        for number in range(-(-market.document_bytes // PIECE_BYTES))
    ]

    async def ask(node: NodeClient) -> bytes:
        answer: StateAnswer = await node.state(keys)
        document = b"".join(item.value or b"" for item in answer.items)
        if sm3(document) != market.chain:
            raise InvalidProof(
                "these bytes are not the registered document",
                where=f"market {market.market}",
                next_step="ask another node",
            )
        return document

    return await client.from_any(ask)
