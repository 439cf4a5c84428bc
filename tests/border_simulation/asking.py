"""Requests in a seed: some ask, and relayers carry, race, lie, withhold and repeat (exchange.py says how)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.border_simulation import courier, exchange
from tests.border_simulation.chain import SimChain

if TYPE_CHECKING:
    from tests.border_simulation.world import Market, World


def ask(world: World) -> None:
    """Some of the markets ask the regulator, and he some of them."""
    rng = world.rng
    for market in rng.sample(world.markets, max(1, len(world.markets) // 8)):
        upward = rng.random() < 0.5
        asked = exchange.question(rng, market.chain, world.now_ms, upward=upward)
        if upward:
            market.waiting.append(asked)
        else:
            world.upward.append(("courier", (asked,), False))
        world.count("requests")


def serve(world: World, market: Market, branch: SimChain, kind: str) -> None:
    """What a relayer of that kind does for requests: brings them down, and shows what was not received in time."""
    rng = world.rng
    down = exchange.plan_down(world.above, market.chain)
    above, below = exchange.plan_refunds(world.above, branch)
    if kind == "repeat":
        market.waiting += [rng.choice(market.old_down)] if market.old_down else []
    elif kind == "lie":
        market.waiting += [operation for plan in (down, below) if plan for operation in courier.lie(plan, rng)]
        if above:
            world.upward.append(("operator", courier.lie(above, rng), True))
            world.count("lies")
    elif kind == "withhold":
        market.waiting += courier.withheld(down, rng)
    else:
        for _ in range(1 + (kind == "race")):
            market.waiting += [*down, *below]
            if above:
                world.upward.append(("courier", above, False))
        market.old_down += [*down, *below]
