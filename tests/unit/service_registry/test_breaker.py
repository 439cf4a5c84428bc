"""The circuit breaker moves as docs/spec/service-registry.md §7 says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_registry.breaker import (
    CLOSED,
    FAILURES,
    FIRST_REST_MS,
    LONGEST_REST_MS,
    OPEN,
    PROBING,
    Breaker,
    ask,
    failed,
    succeeded,
)

RESTING = Breaker(OPEN, 5, 2_000, 1_000)
TRYING = Breaker(PROBING, 5, 3_000, 1_000)

ASKED = [
    (Breaker(), 0, Breaker(), True),
    (Breaker(CLOSED, 4), 9, Breaker(CLOSED, 4), True),
    (RESTING, 1_999, RESTING, False),
    (RESTING, 2_000, TRYING, True),
    (TRYING, 2_999, TRYING, False),
    (TRYING, 3_000, Breaker(PROBING, 5, 4_000, 1_000), True),
]
FAILED = [
    (Breaker(), 0, Breaker(CLOSED, 1)),
    (Breaker(CLOSED, FAILURES - 1), 1_000, RESTING),
    (RESTING, 1_500, RESTING),
    (TRYING, 2_500, Breaker(OPEN, 6, 4_500, 2_000)),
    (Breaker(PROBING, 9, 0, LONGEST_REST_MS), 0, Breaker(OPEN, 10, LONGEST_REST_MS, LONGEST_REST_MS)),
]


@pytest.mark.parametrize(("before", "now_ms", "after", "allowed"), ASKED)
def test_asking(before: Breaker, now_ms: int, after: Breaker, allowed: bool) -> None:
    assert ask(before, now_ms) == (after, allowed)


@pytest.mark.parametrize(("before", "now_ms", "after"), FAILED)
def test_failing(before: Breaker, now_ms: int, after: Breaker) -> None:
    assert failed(before, now_ms) == after


@pytest.mark.parametrize("before", [Breaker(), Breaker(CLOSED, 4), RESTING, TRYING])
def test_succeeding(before: Breaker) -> None:
    assert succeeded(before) == Breaker()


@given(st.lists(st.tuples(st.integers(0, 40_000), st.booleans()), max_size=60))
def test_a_dead_endpoint_is_asked_again_and_a_living_one_recovers(steps: list[tuple[int, bool]]) -> None:
    breaker, now_ms = Breaker(), 0
    for pause, answers in steps:
        now_ms += pause
        breaker, allowed = ask(breaker, now_ms)
        if pause >= LONGEST_REST_MS:
            assert allowed, "it never rests longer than that"
        if allowed:
            breaker = succeeded(breaker) if answers else failed(breaker, now_ms)
            assert (breaker.state == CLOSED) or not answers
        assert breaker.rest_ms in (0, *(FIRST_REST_MS * 2**n for n in range(5)), LONGEST_REST_MS)
