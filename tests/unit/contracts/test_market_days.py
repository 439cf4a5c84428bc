"""Random market days keep every invariant and follow every rule; with any guard broken, the same days show it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chain_core.execution.codes import EngineFault
from contracts.hooks import guards
from contracts.hooks.market_hook import MarketHook
from contracts.kernel import cash, holds
from contracts.kernel.invariants import BrokenInvariant
from contracts.kernel.roll import Roll
from tests.unit.contracts.machine import MarketDays

DAYS = settings(
    max_examples=25,
    stateful_step_count=30,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_market_days() -> None:
    run_state_machine_as_test(MarketDays, settings=DAYS)  # type: ignore[no-untyped-call]


def nothing(*args: object, **kwargs: object) -> None:
    """A guard that guards nothing."""


def _forget_slot(self: Roll, slot: int) -> None:
    """A register that forgets to fill the gap."""
    self.count -= 1


BREAKAGES = {
    **{rule: (guards.GUARDS, rule, nothing) for rule in guards.GUARDS},
    "csrc.encumbered": (guards, "refuse_encumbered", nothing),
    "money": (cash, "_refuse_short", nothing),
    "caller": (MarketHook, "before_call", nothing),
    "trade days": (guards, "note_trade", nothing),
    "roll": (Roll, "remove", _forget_slot),
    "freeing": (holds, "free", nothing),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_broken_guard_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, broken = BREAKAGES[name]
    if isinstance(place, dict):
        monkeypatch.setitem(place, attribute, broken)
    else:
        monkeypatch.setattr(place, attribute, broken)
    # What is tried depends on which modules are loaded: far more examples than are ever needed, stopped at the first.
    quick = settings(DAYS, phases=[Phase.generate], max_examples=3_000, report_multiple_bugs=False)
    with pytest.raises((AssertionError, BrokenInvariant, EngineFault, struct.error)):
        run_state_machine_as_test(MarketDays, settings=quick)  # type: ignore[no-untyped-call]


def test_a_movement_that_nobody_judged_halts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hook sees a movement past the guards, and the node halts instead of certifying it."""
    days = MarketDays()
    days.open()
    days.prove("di", 3)
    monkeypatch.setattr(guards, "judge", lambda *_: ())
    with pytest.raises(EngineFault, match="past the guards"):
        days.transfer("ann", "di", 1)
