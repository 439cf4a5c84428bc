"""The block's day is computed once a block, and nothing of it outlives the block."""

from __future__ import annotations

import gc

import pytest

from chain_core.execution.context import BlockContext, CallContext
from chain_core.execution.overlay import Namespace, Overlay
from contracts.hooks.today import today
from contracts.kernel.calendar import TradingCalendar
from contracts.kernel.records import KERNEL
from tests.unit.contracts.market import MONDAY, Market, noon, transfer
from tests.unit.execution.world import GENESIS_HASH


def contexts() -> int:
    gc.collect()
    return sum(isinstance(one, CallContext) for one in gc.get_objects())


def test_no_block_is_kept_alive_by_its_day() -> None:
    """A context holds the overlay of its block, and that the store."""
    before = contexts()
    market = Market.open()
    security = market.listed({"investor-0": 10, "investor-1": 5})
    market.qualified("investor-1")
    market.ok("investor-0", transfer(security, "investor-1", 1))
    assert contexts() == before


def test_the_day_is_worked_out_once_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    market = Market.open()
    security = market.listed({"investor-0": 10, "investor-1": 5})
    market.qualified("investor-1")
    asked: list[int] = []
    back = TradingCalendar.back

    def counted(self: TradingCalendar, day: int, count: int) -> int:
        asked.append(day)
        return back(self, day, count)

    monkeypatch.setattr(TradingCalendar, "back", counted)
    market.block(*(market.sign("investor-0", transfer(security, "investor-1", 1)) for _ in range(5)))
    assert asked == [MONDAY]
    market.go_to(MONDAY + 1)
    market.ok("investor-0", transfer(security, "investor-1", 1))
    assert asked == [MONDAY, MONDAY + 1]


def test_a_day_asked_for_before_the_parameters_are_in_force_is_not_kept() -> None:
    """A contract that begins the block before governance does may ask; the trades of the block go by the new cap."""
    market = Market.open()
    accounts = market.executor.assembly.accounts
    ctx = CallContext(BlockContext(GENESIS_HASH, 0, 1, 0, 0, noon(MONDAY)), Overlay(market), accounts, {})
    space = Namespace(Overlay(market), KERNEL)
    ctx.parameters = {"holder_cap": 5}
    first = today(space, ctx)
    assert (first.cap, today(space, ctx) is first) == (5, True)
    ctx.parameters = {"holder_cap": 3}
    assert today(space, ctx).cap == 3
