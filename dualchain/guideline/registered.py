"""The registered markets, proven: for each region its chain, or none (docs/spec/registration.md §1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chain_core.codec.seen import state_key
from chain_core.execution.account_records import RECORD_PREFIX, AccountRecord, decode_record
from contracts.codes.regions import REGIONS
from crosschain.following import Position, decode_position
from crosschain.packets import ADMITTED, CHAINS, FOLLOWED, chain_record_key, client_key, read_chain
from dualchain.guideline.asking import AskedChain, Place
from dualchain.guideline.examination import Examination


@dataclass(frozen=True, slots=True)
class Market:
    """A market's registered chain: its record, how far it is followed, and where both stand."""

    code: str
    chain: bytes
    record: Mapping[str, Any]
    position: Position
    place: Place
    """Of the record."""
    followed: Place
    """Of the position."""

    @property
    def admitted(self) -> bool:
        """Whether it has its full part in the network: neither suspended nor about to leave."""
        return bool(self.record["status"] == ADMITTED)


def market_key(code: str) -> bytes:
    """Full state key of the genesis hash of a market's chain."""
    return state_key(CHAINS, b"m" + code.encode("ascii"))


async def registered(upper: AskedChain) -> list[Market]:
    """All registered chains, whatever their status."""
    listed = await upper.state([market_key(code) for code in REGIONS])
    chains = {code: chain for code in sorted(REGIONS) if (chain := listed[market_key(code)]) is not None}
    keys = [key for chain in chains.values() for key in (chain_record_key(chain), client_key(chain))]
    proven = await upper.state(keys)
    found = []
    for code, chain in chains.items():
        record = read_chain(proven[chain_record_key(chain)] or b"")
        places = (proven.place(chain_record_key(chain)), proven.place(client_key(chain)))
        found.append(Market(code, chain, record, decode_position(proven[client_key(chain)]), *places))
    return found


async def followed(exam: Examination) -> list[Market]:
    """The followed chains; each must be one that the report was given nodes of. Says so when there is none."""
    markets = [market for market in await registered(exam.network.upper) if market.record["status"] in FOLLOWED]
    if not markets:
        exam.lacks("监管链上没有已接入的地方业务链", "the supervisory chain follows no market's chain")
    return [market for market in markets if _asked(exam, market)]


def _asked(exam: Examination, market: Market) -> bool:
    own = exam.network.markets.get(market.code)
    return exam.require(
        own is not None and own.hash == market.chain,
        f"{market.code} 已接入，但未向报告提供其节点",
        f"{market.code} is followed, and the report was not given nodes of this chain",
    )


async def account_of(chain: AskedChain, account: bytes) -> tuple[AccountRecord | None, Place]:
    """An account's proven record, None when there is none."""
    raw, place = await chain.value(RECORD_PREFIX + account)
    return (None if raw is None else decode_record(raw)), place


async def accounts_of(chain: AskedChain) -> dict[bytes, tuple[AccountRecord, Place]]:
    """Accounts that a node lists, each proven."""
    listed = await chain.listed("accounts", b"a")
    return {key[len(RECORD_PREFIX) :]: (decode_record(raw), place) for key, (raw, place) in listed.items()}
