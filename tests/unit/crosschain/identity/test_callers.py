"""A resolver's callers: each has its own rate, none fills the memory."""

from __future__ import annotations

import pytest

from chain_core.network.quota import Limit
from crosschain.identity.callers import MAX_CALLERS, Callers, caller_of

SECOND_NS = 1_000_000_000


def test_a_caller_has_a_burst_and_then_a_rate() -> None:
    callers = Callers(Limit(2, 5))
    assert [callers.wait_ns("a", 0) for _ in range(5)] == [0] * 5
    assert callers.wait_ns("a", 0) == SECOND_NS // 2
    assert callers.wait_ns("b", 0) == 0, "another caller's burst is his own"
    assert callers.wait_ns("a", SECOND_NS // 2) == 0
    assert callers.wait_ns("a", SECOND_NS // 2) > 0


def test_the_table_is_bounded_and_forgets_who_asked_longest_ago() -> None:
    callers = Callers(Limit(1, 1), most=2)
    assert callers.wait_ns("a", 0) == callers.wait_ns("b", 1) == 0
    assert callers.wait_ns("a", 2) > 0
    assert callers.wait_ns("c", 3) == 0 and len(callers) == 2
    assert callers.wait_ns("a", 4) > 0, "a asked after b, so b left"
    assert callers.wait_ns("b", 5) == 0
    many = Callers(Limit(1, 1))
    for number in range(MAX_CALLERS + 10):
        many.wait_ns(str(number), number)
    assert len(many) == MAX_CALLERS


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_whom_an_address_counts_as(address: str | None, caller: str) -> None:
    assert caller_of(address) == caller
