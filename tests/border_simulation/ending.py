"""What has to hold at the end of a seed: every packet once or its difference on record, directives in order, no lie."""

from __future__ import annotations

from typing import cast

from chain_core.codec.seen import state_key
from chain_core.types.values import Value
from crosschain.channel_state import decode_source, source_key
from crosschain.packets import UPWARD_CHANNELS, count_in, directive_next_key, received_key
from crosschain.relayer import planner
from supervisory_chain.cases import case_key, count_key
from supervisory_chain.delivered import CONFLICT
from tests.border_simulation import courier, exchange
from tests.border_simulation.world import HOLDERS, Market, Violation, World, digests_of
from tests.unit.crosschain.chains import account


def check(world: World) -> None:
    """Raises Violation with what does not hold."""
    for market in world.markets:
        _compare(world, market)
        _packets(world, market)
        _directives(world, market)
        _headers(world, market)
        _requests(world, market)
    units = exchange.broken_units(world.above, [market.chain for market in world.markets])
    if units:
        raise Violation(units)


def _compare(world: World, market: Market) -> None:
    """After a recovery anybody shows what the branch chosen has under sequences that were delivered."""
    arrived = courier.arrived_from(world.above, market.chain)
    if arrived.settled is None:
        return
    for block in courier.emitted_by(market.chain, arrived, max(arrived.settled[0], 1), most=10_000):
        told = [row for row in block.packets if row[0].sequence < arrived.channels[row[0].channel][0]]
        for start in range(0, len(told), planner.MAX_BLOCK_PACKETS):
            part = planner.Emitted(block.height, block.certified, told[start : start + 64], block.history)
            (operation,) = planner.plan_compare(market.chain.hash, part)
            world.now_ms += 1_000
            envelope = world.above.sign("courier", world.now_ms, operation)
            (receipt,) = world.above.block(world.now_ms, envelope)
            if receipt.code != 0:
                raise Violation(f"{market.code}: packets cannot be compared: {receipt.rule} {receipt.parameters}")


def _packets(world: World, market: Market) -> None:
    chain = market.chain.hash
    sent = digests_of(market.chain)
    conflicts = _conflicts(world, chain)
    for channel in UPWARD_CHANNELS:
        record = cast(dict[str, int] | None, world.above.value(received_key(chain, channel)))
        taken = 0 if record is None else record["next"]
        emitted = sum(1 for name, _ in sent if name == channel)
        if taken < emitted:
            raise Violation(f"{market.code}: {emitted - taken} packets of {channel} are lost")
        for sequence in range(taken):
            digest = world.delivered.get((chain, channel, sequence))
            if digest is None:
                raise Violation(f"{market.code}: {channel} {sequence} counts as taken and never was")
            mine = sent.get((channel, sequence))
            if mine is not None and mine != digest and (channel, sequence) not in conflicts:
                raise Violation(f"{market.code}: {channel} {sequence} differs from the chain's and nobody knows")
            if mine is None and not market.chosen:
                raise Violation(f"{market.code}: {channel} {sequence} was never sent")
    if conflicts and not market.chosen:
        raise Violation(f"{market.code}: a conflict on a chain of one branch")


def _conflicts(world: World, chain: bytes) -> set[tuple[str, int]]:
    found = set()
    for number in range(count_in(world.above.get(count_key(chain)))):
        row = cast(dict[str, Value], world.above.value(case_key(chain, number)))
        facts = cast(dict[str, Value], row["facts"])
        if row["kind"] == CONFLICT:
            found.add((cast(str, facts["channel"]), cast(int, facts["sequence"])))
    return found


def _directives(world: World, market: Market) -> None:
    chain = market.chain.hash
    orders = world.orders[chain]
    issued = count_in(world.above.get(directive_next_key(chain)))
    if issued != len(orders):
        raise Violation(f"{market.code}: {issued} directives where {len(orders)} were issued")
    if market.executed.get(0, []) != list(range(issued)):
        raise Violation(f"{market.code}: executed {market.executed.get(0)} of {issued}: not once each in order")
    frozen = {str(account(who)): 0 for who in HOLDERS}
    for kind, subject in orders:
        if kind == "freeze_holder":
            frozen[subject] += 1
        elif kind == "unfreeze_holder":
            frozen[subject] = 0
    for who in HOLDERS:
        held = market.chain.get(state_key("kernel", b"Z" + account(who))) is not None
        if held != (frozen[str(account(who))] > 0):
            raise Violation(f"{market.code}: {who} is {'frozen' if held else 'free'}, which no directive says")


def _requests(world: World, market: Market) -> None:
    """Every request answered or refunded, exactly once; units conserved."""
    told = exchange.broken_promises(world.above, market.chain, forked=market.chosen)
    told = told or exchange.broken_units(market.chain, [world.above])
    if told:
        raise Violation(f"{market.code}: {told}")
    for one, other in ((world.above, market.chain), (market.chain, world.above)):
        source = decode_source(one.get(source_key(one.hash, other.hash)))
        world.count("requests answered", source.answered)
        world.count("requests refunded", source.refunded)


def _headers(world: World, market: Market) -> None:
    prefix = state_key("clients", b"h" + market.chain.hash)
    real = market.headers | set(market.chain.ledger.headers)
    for key, value in world.above.ledger.values.items():
        if key.startswith(prefix) and value not in real:
            raise Violation(f"{market.code}: a header that the chain never made is stored")
