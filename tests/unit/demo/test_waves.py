"""Orders that share a party stay in the order of the file; all others may run together. What a refusal reads like."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from dualchain.demo.actors import Desk
from dualchain.demo.inputs import MarketDay, Order
from dualchain.demo.trading import in_the_input_s_words, waves

PARTIES = st.sampled_from([f"H-{n}" for n in range(6)])


def orders(parties: list[tuple[str, str]]) -> list[Order]:
    return [Order(n + 2, f"O-{n}", "BJ", "BJ000001F.ESVUFR2401", s, b, 1, 1) for n, (s, b) in enumerate(parties)]


def test_an_example() -> None:
    given_orders = orders([("A", "B"), ("C", "D"), ("B", "C"), ("E", "F"), ("A", "E")])
    found = [[order.order for order in wave] for wave in waves(given_orders)]
    assert found == [["O-0", "O-1", "O-3"], ["O-2", "O-4"]]


def test_no_orders_make_no_waves() -> None:
    assert waves([]) == []


@given(st.lists(st.tuples(PARTIES, PARTIES), max_size=20))
def test_waves_keep_everybodys_order(parties: list[tuple[str, str]]) -> None:
    listed = orders(parties)
    place = {order.order: number for number, wave in enumerate(waves(listed)) for order in wave}
    assert len(place) == len(listed)
    for number, first in enumerate(listed):
        for second in listed[number + 1 :]:
            if {first.seller, first.buyer} & {second.seller, second.buyer}:
                assert place[first.order] < place[second.order]


def test_a_refusal_in_the_input_s_words() -> None:
    """Day numbers of receipts become dates in both languages; 0, which is no day, and other numbers stay."""
    desk = cast(Desk, SimpleNamespace(actors={}, chain=SimpleNamespace(label="BJ")))
    day = cast(MarketDay, SimpleNamespace(holdings=()))
    for text, words in (
        (
            "证明有效期至第 20776 日，成交日为第 20778 日（0 为无证明）",
            "证明有效期至 2026-11-19，成交日为 2026-11-21（0 为无证明）",
        ),
        ("valid through day 20776, trade on day 20778", "valid through 2026-11-19, trade on 2026-11-21"),
        ("holds 49800, 49900 are needed; day 0", "holds 49800, 49900 are needed; day 0"),
    ):
        assert in_the_input_s_words(desk, day, text) == words
