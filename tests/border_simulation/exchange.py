"""Requests and answers of the simulated world, both ways: who asks, who carries, and what has to hold at the end."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import cast

from chain_core.codec.proofs import decode_packet, encode_inclusion
from chain_core.codec.values import decode_map
from chain_core.crypto.merkle import MerkleTree
from chain_core.node.answers import ProvenPacket, StateItem
from chain_core.types.packet import InclusionProof
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from crosschain.channel import AckCode
from crosschain.channel_services import PARTY_STATUS, ROLL_HEAD
from crosschain.channel_state import (
    decode_source,
    decode_units,
    local_received_key,
    request_key,
    source_key,
    totals_key,
)
from crosschain.packets import ACK_KIND, CHANNEL, SERVICE_CHANNEL, count_in, read_channel, sent_key
from crosschain.relayer import services
from crosschain.relayer.planner import Emitted, Plan
from crosschain.relayer.services import Side
from tests.border_simulation.chain import SimChain
from tests.unit.crosschain.chains import op

SHORTEST_MS, LONGEST_MS = 500, 14_000
"""Deadlines: some have passed when the first relayer comes by."""


# ---- who asks


def question(rng: random.Random, market: SimChain, now_ms: int, *, upward: bool) -> Operation:
    """Of the market to the regulator, or of the regulator to the market."""
    timeout_ms = now_ms + rng.randint(SHORTEST_MS, LONGEST_MS)
    if upward:
        asked: dict[str, Value] = {"entity": rng.choice((f"entity 0 of {market.name}", "nobody"))}
        return op(CHANNEL, "request", service=PARTY_STATUS, arguments=asked, timeout_ms=timeout_ms)
    about: dict[str, Value] = {"security": bytes(16)}
    return op(CHANNEL, "request", chain=market.hash, service=ROLL_HEAD, arguments=about, timeout_ms=timeout_ms)


def waits(above: SimChain, market: SimChain) -> bool:
    """Whether a request of either chain has not ended, or waits for its acknowledgement."""
    return any(decode_source(one.get(source_key(one.hash, other.hash))).waiting for one, other in _pairs(above, market))


def _pairs(above: SimChain, market: SimChain) -> Sequence[tuple[SimChain, SimChain]]:
    return (above, market), (market, above)


# ---- who carries: what the real worker would send (crosschain/relayer/service_courier.py)


def plan_down(above: SimChain, market: SimChain) -> Plan:
    sent = count_in(above.get(sent_key(market.hash, SERVICE_CHANNEL)))
    if sent <= read_channel(market.get(local_received_key(market.hash, above.hash)))[0]:
        return ()
    upper, lower = _sides(above, market, proven=False)
    start = services.scan_start(upper, lower, 0)
    if start is None or not lower.open:
        return ()
    return services.plan_down(lower, list(_emitted(above, market, start, lower.taken[0])))


def plan_refunds(above: SimChain, market: SimChain) -> tuple[Plan, Plan]:
    """On the supervisory chain, and on the market's. Proofs are made once it is known that they are needed."""
    if not waits(above, market):
        return (), ()
    upper, lower = _sides(above, market, proven=False)
    if not services.plan_refund_above(market.hash, upper, lower) and not services.plan_refund_below(upper, lower):
        return (), ()
    upper, lower = _sides(above, market, proven=True)
    return services.plan_refund_above(market.hash, upper, lower), services.plan_refund_below(upper, lower)


def _sides(above: SimChain, market: SimChain, *, proven: bool) -> tuple[Side, Side]:
    pair = market.hash, above.hash
    return (
        _side(above, services.supervisory_keys(*pair), proven=proven),
        _side(market, services.local_keys(*pair), proven=proven),
    )


def _side(chain: SimChain, keys: Sequence[bytes], *, proven: bool) -> Side:
    items = [StateItem(*chain.ledger.prove(key)) if proven else StateItem(chain.get(key), b"") for key in keys]
    return services.read_side(chain.certified(chain.height), items)


def _emitted(above: SimChain, market: SimChain, start: int, expected: int) -> Iterable[Emitted]:
    found = 0
    for height in above.ledger.packets_above(start - 1):
        raws = above.ledger.outboxes[height]
        packets = [(index, raw, decode_packet(raw)) for index, raw in enumerate(raws) if market.hash in raw]
        mine = [row for row in packets if row[2].destination_genesis == market.hash and row[2].sequence >= expected]
        if not mine:
            continue
        tree = MerkleTree(raws)
        rows = []
        for index, raw, packet in mine:
            proof = encode_inclusion(InclusionProof(index, tree.count, tree.path(index)))
            rows.append((packet, ProvenPacket(raw, proof)))
        yield Emitted(height, above.certified(height), rows)
        found += 1
        if found == services.MAX_BLOCKS:
            return


# ---- what has to hold


def broken_promises(above: SimChain, market: SimChain, *, forked: bool) -> str:
    """What does not hold between the two, "" when all does. After a fork only the asking end can be judged."""
    for asking, asked in _pairs(above, market):
        source = decode_source(asking.get(source_key(asking.hash, asked.hash)))
        told = f"{asking.name} asked {asked.name}"
        if source.waiting or source.asked != source.answered + source.refunded:
            return f"{told} {source.asked} times, {source.answered} answered, {source.refunded} refunded"
        rows = [decode_map(asking.get(request_key(asking.hash, asked.hash, n)) or b"") for n in range(source.asked)]
        answered = {cast(int, row["sequence"]) for row in rows if row["status"] == "answered"}
        if len(answered) != source.answered or any(row["status"] == "waiting" for row in rows):
            return f"{told}: records say {len(answered)} answered, the channel {source.answered}"
        if forked:
            continue
        executed = _executed(asked, asking)
        if len(executed) != len(set(executed)) or set(executed) != answered:
            return f"{told}: executed {sorted(executed)}, answered {sorted(answered)}"
        if source.broken or source.unreadable:
            return f"{told}: {source.broken} broken, {source.unreadable} unreadable between honest chains"
    return ""


def broken_units(chain: SimChain, peers: Iterable[SimChain]) -> str:
    """Whether units were made or lost: "" when not."""
    units = decode_units(chain.get(totals_key()))
    paid = 0
    for peer in peers:
        source = decode_source(chain.get(source_key(chain.hash, peer.hash)))
        rows = [decode_map(chain.get(request_key(chain.hash, peer.hash, n)) or b"") for n in range(source.asked)]
        paid += sum(cast(int, row["units"]) for row in rows if row["status"] == "answered")
    if (units.escrow, units.paid, units.available) != (0, paid, units.granted - paid):
        return f"{chain.name}: {units}, of which {paid} were paid"
    return ""


def _executed(asked: SimChain, asking: SimChain) -> list[int]:
    """Sequences of the requests that the chain executed, as its own acknowledgements say."""
    found = []
    for outbox in asked.ledger.outboxes:
        for raw in outbox:
            packet = decode_packet(raw)
            if (packet.channel, packet.kind, packet.destination_genesis) == (SERVICE_CHANNEL, ACK_KIND, asking.hash):
                row = decode_map(packet.payload)
                if row["code"] == AckCode.ANSWERED:
                    found.append(cast(int, row["sequence"]))
    return found
