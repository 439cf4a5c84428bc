"""Random business over the kernel and every template on file keeps the books and the market's rules; with any of these
guards broken, the same business shows it. ``HYPOTHESIS_PROFILE=search`` looks fifty times further.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chain_core.execution.codes import EngineFault
from chain_core.execution.overlay import Namespace
from contracts.hooks import guards
from contracts.kernel import counting, movements
from contracts.kernel.invariants import BrokenInvariant
from contracts.kernel.records import HOLDING, encode_holding
from tests.unit.contracts.random_market import FILES, TEMPLATES, RandomMarket

WIDE = os.environ.get("HYPOTHESIS_PROFILE") == "search"
EXAMPLES, STEPS = (2_000 if WIDE else 40), 100


class AnyBusiness(RuleBasedStateMachine):
    """Every step is one or two blocks; the market and the observer look at each."""

    @initialize()
    def open(self) -> None:
        self.business = RandomMarket()

    @rule(random=st.randoms(use_true_random=False))
    def act(self, random: Random) -> None:
        self.business.act(random)

    @rule(seed=st.integers(0, 2**32 - 1))
    def act_a_while(self, seed: int) -> None:
        random = Random(seed)
        for _ in range(5):
            self.business.act(random)


def test_any_business() -> None:
    wanted = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS // 3,
        derandomize=not WIDE,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(AnyBusiness, settings=wanted)  # type: ignore[no-untyped-call]


def run_seed(seed: int, steps: int = STEPS, files: Sequence[dict[str, Any]] = FILES) -> RandomMarket:
    """The same business without hypothesis: what the replay and the broken guards use."""
    business, random = RandomMarket(files), Random(seed)
    for _ in range(steps):
        business.act(random)
    return business


TOLD = {
    *("transferred", "held", "settled", "paid", "pledged", "order_placed", "order_took_effect", "locked_up"),
    *("shares_entered", "shares_ended", "entitlements", "vehicle_set", "party_frozen", "security_frozen"),
}


def test_the_business_reaches_most_movements() -> None:
    """The machine is worth something only as long as much of what it tries is accepted."""
    missing, seed = set(TOLD), 0
    while missing and seed < 100:
        missing -= set(run_seed(seed).market.observer.seen)
        seed += 1
    assert not missing


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file["template"]))
def test_the_business_reaches_each_template(file: dict[str, Any]) -> None:
    assert file["template"] in TEMPLATES
    assert any(_begins(file, seed) for seed in range(60))


def _begins(file: dict[str, Any], seed: int) -> bool:
    """Whether a business with this template's examples alone has one accepted."""
    accepted = run_seed(seed, 50, [file]).accepted
    return any(name.startswith(f"{file['template']}.") for name in accepted)


# ---- broken on purpose


def nothing(*args: object, **kwargs: object) -> None:
    """A guard that guards nothing."""


def _one(*args: object, **kwargs: object) -> int:
    return 1


def _double_free(space: Namespace, security: bytes, owner: bytes, *, pledged: int = 0, frozen: int = 0) -> None:
    """What is released comes back, and a share more."""
    holding = movements.read_holding(space, security, owner)
    available = holding.available - pledged - frozen + 1
    after = holding._replace(available=available, pledged=holding.pledged + pledged, frozen=holding.frozen + frozen)
    space.put(HOLDING + security + owner, encode_holding(after))


BREAKAGES: dict[str, tuple[Any, str, Any]] = {
    "the holder cap is not asked": (guards.GUARDS, "csrc.holder_cap", nothing),
    "vehicles count as one": (counting, "weight_of", _one),
    "the investor's proof is not asked": (guards.GUARDS, "csrc.qualified_investor", nothing),
    "days of trades are not kept": (guards, "note_trade", nothing),
    "the trade gap is not asked": (guards.GUARDS, "csrc.trade_gap", nothing),
    "weekends are trading days": (guards.GUARDS, "csrc.trading_day", nothing),
    "lots bind nothing": (guards.GUARDS, "csrc.lock_up", nothing),
    "lots stay behind": (movements, "move_along", nothing),
    "the freeze of a party is not asked": (guards, "refuse_frozen_party", nothing),
    "the freeze of an instrument is not asked": (guards.GUARDS, "csrc.frozen_security", nothing),
    "a release gives a share more": (movements, "shift", _double_free),
    "what is bound is not held back": (guards, "refuse_encumbered", nothing),
}


SHOWN = (AssertionError, BrokenInvariant, EngineFault, struct.error)


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_guard_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, attribute, broken = BREAKAGES[name]
    if isinstance(place, dict):
        monkeypatch.setitem(place, attribute, broken)
    else:
        assert hasattr(place, attribute)
        monkeypatch.setattr(place, attribute, broken)
    for seed in range(400):
        try:
            run_seed(seed)
        except SHOWN:
            return
    pytest.fail("the business did not notice")
