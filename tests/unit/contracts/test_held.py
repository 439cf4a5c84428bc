"""What an account holds, list and holdings: kept by every movement that makes somebody join or leave a register."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.types.transaction import Operation
from contracts.kernel import movements
from contracts.kernel.roll import HELD_CHUNK, HELD_HEAD, read_held
from tests.unit.contracts.market import Market, account, op, register, transfer

PEOPLE = ("ann", "bo", "cy", "di")


def held(market: Market, name: str) -> list[bytes]:
    return read_held(market.kernel, account(name))


def give(security: bytes, source: str, target: str, quantity: int) -> Operation:
    args = {"security": security, "from": account(source), "to": account(target), "quantity": quantity}
    return op("transfer_non_trade", reason="gift", evidence=bytes(32), **args)  # type: ignore[arg-type]


def test_an_account_knows_what_it_holds() -> None:
    market = Market.open(PEOPLE)
    first = market.listed({"ann": 10, "bo": 5}, "one")
    second = market.listed({"ann": 3, "cy": 1}, "two")
    assert [held(market, name) for name in PEOPLE] == [[first, second], [first], [second], []]
    market.ok("operator", give(first, "ann", "di", 10))
    assert [held(market, name) for name in PEOPLE] == [[second], [first], [second], [first]]
    market.ok("operator", give(first, "di", "bo", 4))
    assert [held(market, name) for name in PEOPLE] == [[second], [first], [second], [first]]
    market.ok("operator", give(first, "di", "ann", 6))
    assert [held(market, name) for name in PEOPLE] == [[second, first], [first], [second], []]


def test_rows_taken_back_leave_no_trace_in_the_list() -> None:
    market = Market.open(PEOPLE)
    security = market.registering(100)
    market.ok("operator", register(security, {"ann": 60, "bo": 40}))
    market.ok("operator", op("unregister_holding", security=security, accounts=[account("ann")]))
    assert (held(market, "ann"), held(market, "bo")) == ([], [security])


def test_a_transfer_between_holders_touches_no_list() -> None:
    """The path of throughput: two holdings and two trade days, nothing else."""
    market = Market.open(PEOPLE)
    security = market.listed({"ann": 10, "bo": 5})
    market.qualified("bo")
    before = dict(market.state)
    market.ok("ann", transfer(security, "bo", 1))
    changed = {key for key, value in market.state.items() if before.get(key) != value and b"kernel" in key[:8]}
    assert len(changed) == 4
    assert not any(key[len(b"\x06kernel") :][:1] in (HELD_HEAD, HELD_CHUNK, b"R", b"r") for key in changed)


def test_a_full_list_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whoever reads a proof never has to go through more than the limit."""
    market = Market.open(PEOPLE)
    first, second = (market.listed({"ann": 10, "bo": 10}, reference) for reference in ("one", "two"))
    monkeypatch.setattr(movements, "MAX_LISTED", 2)
    assert market.refused("operator", give(first, "ann", "cy", 1)) == "kernel.list_full"
    third = market.registering(3, "three")
    assert market.refused("operator", register(third, {"ann": 3})) == "kernel.list_full"
    monkeypatch.setattr(movements, "MAX_LISTED", 3)
    market.ok("operator", register(third, {"ann": 3}))
    assert held(market, "ann") == [first, second, third]


STEP = st.tuples(st.integers(0, 2), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.integers(1, 6))


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=25))
def test_the_list_is_what_is_held(steps: list[tuple[int, str, str, int]]) -> None:
    """Random gifts of three securities; the observer only adds and subtracts. Invariants are checked after each."""
    market = Market.open(PEOPLE)
    books: dict[bytes, dict[str, int]] = {}
    for number in range(3):
        rows = dict.fromkeys(PEOPLE[: number + 2], 4)
        books[market.listed(rows, f"security {number}")] = rows
    securities = list(books)
    for number, source, target, quantity in steps:
        security = securities[number]
        rows = books[security]
        receipt = market.one("operator", give(security, source, target, quantity))
        fits = source != target and rows.get(source, 0) >= quantity
        assert (receipt.code == 0) == fits
        if fits:
            rows[source] -= quantity
            rows[target] = rows.get(target, 0) + quantity
    for name in PEOPLE:
        assert sorted(held(market, name)) == sorted(s for s, rows in books.items() if rows.get(name))
