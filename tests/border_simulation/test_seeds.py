"""Some seeds of the border's simulation, and that it would notice: guards taken away one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from unittest import mock

import pytest

from tests.border_simulation.runs import run

MARKETS, TICKS = 9, 24


def test_a_few_seeds_hold_and_do_what_they_are_for() -> None:
    total = Counter[str]()
    for seed in range(1, 6):
        done = run(seed, markets=MARKETS, ticks=TICKS)
        assert done.violation == "", f"python -m tests.border_simulation --first {seed} --seeds 1"
        total.update(done.tally)
    happened = ("packets", "directives", "lies", "forks", "recoveries", "equivocators", "changes of validators")
    for what in (*happened, "requests answered", "requests refunded"):
        assert total[what] > 0, what


def test_all_markets_with_the_real_signatures() -> None:
    assert run(0, ticks=8, real=True).violation == ""


def _nothing(*_: object) -> None:
    return None


GUARDS: dict[str, tuple[str, Callable[..., object]]] = {
    "a difference opens no case": ("supervisory_chain.inbox.same_as_delivered", lambda *_: True),
    "proofs are not looked at": ("supervisory_chain.inbox.check_inclusion", _nothing),
    "directives are not proven": ("local_chain.supervision.check_state_proof", _nothing),
    "a deadline is nobody's concern": ("crosschain.channel.late", lambda *_: False),
}


@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_taken_away_is_noticed(name: str) -> None:
    target, broken = GUARDS[name]
    with mock.patch(target, broken):
        # A lie that only this guard stops comes up in one seed of a few: the first that notices is enough.
        runs = (run(seed, markets=MARKETS, ticks=TICKS) for seed in range(1, 60))
        assert any(done.violation for done in runs)
