"""Quotas: no more than the rate and a burst in any time, who is blocked for how long, and bounded tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.network.quota import (
    SECOND_NS,
    SIGNATURES_AT_ONCE,
    Bucket,
    Limit,
    Quota,
    Quotas,
    SignatureQuota,
)
from chain_core.network.refusals import Overloaded, QuotaExceeded

LIMITS = st.builds(Limit, st.integers(1, 1_000), st.integers(1, 1_000))
STEPS = st.lists(st.tuples(st.integers(0, 3 * SECOND_NS), st.integers(1, 50)), min_size=1, max_size=60)


@given(LIMITS, STEPS)
def test_never_more_than_rate_and_burst_in_any_window(limit: Limit, steps: list[tuple[int, int]]) -> None:
    bucket, now = Bucket(limit, 0), 0
    taken: list[tuple[int, int]] = []
    for pause, amount in steps:
        now += pause
        if bucket.take(amount, now) == 0:
            taken.append((now, amount))
    for first in range(len(taken)):
        total = 0
        for at, amount in taken[first:]:
            total += amount
            assert total * SECOND_NS <= limit.per_s * (at - taken[first][0]) + limit.burst * SECOND_NS


@given(LIMITS, STEPS)
def test_the_hint_is_the_time_after_which_it_fits(limit: Limit, steps: list[tuple[int, int]]) -> None:
    bucket, now = Bucket(limit, 0), 0
    for pause, amount in steps:
        now += pause
        wait = bucket.take(amount, now)
        if wait and amount <= limit.burst:
            assert bucket.take(amount, now + wait - 1) > 0
            now += wait
            assert bucket.take(amount, now) == 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = Bucket(Limit(1, 2), 10 * SECOND_NS)
    assert [bucket.take(1, 10 * SECOND_NS), bucket.take(1, 10 * SECOND_NS)] == [0, 0]
    assert bucket.take(1, 0) == SECOND_NS
    assert bucket.take(1, 11 * SECOND_NS) == 0


def test_callers_have_quotas_of_their_own() -> None:
    quotas = Quotas({Quota.READ: Limit(1, 2)})
    quotas.call("one", Quota.READ, 10, 0)
    quotas.call("one", Quota.READ, 10, 0)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.call("one", Quota.READ, 10, SECOND_NS // 2)
    assert refused.value.retry_after_ms == 500
    assert isinstance(refused.value, Overloaded)  # clients that wait for room wait for quotas too
    quotas.call("other", Quota.READ, 10, 0)
    quotas.call("one", Quota.BULK, 10, 0)
    quotas.call("one", Quota.READ, 10, SECOND_NS)


def test_bytes_are_counted_over_all_methods() -> None:
    quotas = Quotas({Quota.BYTES: Limit(100, 1_000)})
    quotas.call("one", Quota.READ, 600, 0)
    with pytest.raises(QuotaExceeded, match="bytes"):
        quotas.call("one", Quota.BULK, 600, 0)
    quotas.call("one", Quota.BULK, 400, 0)


def test_signatures_at_once() -> None:
    quotas = Quotas()
    quotas.begin("one", SIGNATURES_AT_ONCE - 10, 0)
    with pytest.raises(QuotaExceeded, match="wait to be verified"):
        quotas.begin("one", 11, 0)
    quotas.begin("one", 10, 0)
    quotas.begin("other", 2_000, 0)
    quotas.end("one", SIGNATURES_AT_ONCE)
    quotas.begin("one", SIGNATURES_AT_ONCE + 1, 0)  # a call larger than the room passes alone


@pytest.mark.parametrize(
    ("verdicts", "blocked"),
    [
        ([(200, 2)], 0),
        ([(200, 3)], 30),
        ([(10, 3)], 30),  # no number of good ones in the window brings it below 1 % again
        ([(1, 1), (1, 1)], 0),
        ([(198, 0), (2, 2)], 0),
        ([(2_000, 2_000)], 30),
    ],
)
def test_bad_signatures(verdicts: list[tuple[int, int]], blocked: int) -> None:
    quotas = Quotas()
    assert max(quotas.judge("one", checked, bad, 0) for checked, bad in verdicts) == blocked


def test_who_goes_on_is_blocked_longer_and_forgiven_in_time() -> None:
    quotas, now, seconds = Quotas(), 0, []
    for _ in range(6):
        seconds.append(quotas.judge("one", 200, 200, now))
        with pytest.raises(QuotaExceeded, match="bad") as refused:
            quotas.call("one", Quota.SUBMIT, 1, now)
        assert refused.value.retry_after_ms == seconds[-1] * 1_000
        with pytest.raises(QuotaExceeded, match="bad"):
            quotas.begin("one", 1, now)
        quotas.call("one", Quota.READ, 1, now)  # reads cost no verification
        now += seconds[-1] * SECOND_NS
        quotas.call("one", Quota.SUBMIT, 1, now)
    assert seconds == [30, 60, 120, 240, 480, 480]
    assert quotas.judge("one", 200, 200, now + 600 * SECOND_NS) == 30


def test_a_crowd_of_names_frees_nobody_and_costs_bounded_memory() -> None:
    quotas = Quotas(callers=8, blocked=4)
    quotas.judge("villain", 200, 200, 0)
    for number in range(100):
        quotas.call(f"crowd {number}", Quota.SUBMIT, 1, 0)
    assert len(quotas) == 8
    with pytest.raises(QuotaExceeded, match="bad"):
        quotas.call("villain", Quota.SUBMIT, 1, 1)
    for number in range(4):
        quotas.judge(f"crowd {number}", 200, 200, 0)
    quotas.call("villain", Quota.SUBMIT, 1, 1)  # the longest blocked makes room: the table is bounded too


def test_whoever_is_blocked_is_told_once_a_block() -> None:
    told: list[tuple[str, int]] = []
    signatures = SignatureQuota(Quotas(), lambda: 0, lambda key, seconds: told.append((key, seconds)))
    one = signatures.of("one")
    one.judge(200, 0)
    assert one.blocked_ms() == 0
    one.judge(200, 200)
    one.judge(2_000, 2_000)  # what was under way when it was blocked is no second offence
    assert told == [("one", 30)]
    assert (one.blocked_ms(), signatures.of("other").blocked_ms()) == (30_000, 0)
