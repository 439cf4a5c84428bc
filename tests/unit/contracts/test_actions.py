"""Corporate actions over a record date: who gets what, to the last unit; fruits stay with what binds the shares."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.lots import Lot, read_lots
from contracts.kernel.records import Cash, Holding, decode_security
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
TWO = ("governor-2",)


def opened(rows: dict[str, int] | None = None, people: Sequence[str] = ()) -> Market:
    market = Market.open(people) if people else Market.open()
    market.security = market.listed(rows or {A: 100, B: 55, C: 45}, legacy=bool(people))
    market.qualified(*(people or (A, B, C)))
    return market


def announce(market: Market, reference: str = "D", **changes: Value) -> Operation:
    fields: dict[str, Value] = {
        "reference": reference,
        "security": market.security,
        "base": 10,
        "cash_fen": 0,
        "shares": 0,
        "grows": True,
        "largest_remainder": False,
        "record_day": MONDAY + 1,
        "evidence": bytes(32),
    }
    return op("announce_action", **{**fields, **changes})


def begun(market: Market, cash_fen: int = 0, **changes: Value) -> bytes:
    """Announced, funded with what it takes, on the day after the record date."""
    market.ok("operator", announce(market, cash_fen=cash_fen, **changes), cosigners=("issuer",))
    action = market.id_of("action", "issuer", "D")
    record = decode_security(market.kernel(b"S" + market.security) or b"")
    needed = record.total * cash_fen // int(str(changes.get("base", 10)))
    if needed:
        market.funded("issuer", needed)
        market.ok("issuer", op("fund_action", action=action, amount_fen=needed))
    market.go_to(MONDAY + 2)
    return action


def done(market: Market, action: bytes) -> int:
    """Steps until it is through; how many."""
    for number in range(1, 200):
        market.ok("bank" if number % 2 else "issuer", op("step_action", action=action))
        names = [name for _, name, _ in market.events()]
        if names and names[-1] in ("action_over", "shares_entered", "rest_not_given"):
            return number
    raise AssertionError("never through")


def shares(market: Market, *names: str) -> list[int]:
    return [market.holding(market.security, name).total for name in names]


def test_a_dividend_is_rounded_down_and_the_rest_is_the_issuers() -> None:
    market = opened({A: 101, B: 56, C: 45})
    action = begun(market, cash_fen=3)
    assert done(market, action) == 1
    assert [market.cash(name) for name in (A, B, C, "issuer")] == [Cash(30, 0), Cash(16, 0), Cash(13, 0), Cash(1, 0)]


def test_the_register_closes_after_the_record_date_and_opens_at_the_end() -> None:
    """The roll is that of the end of the record date: its trades count, the next day's wait."""
    market = opened()
    market.ok("operator", announce(market, shares=1), cosigners=("issuer",))
    action = market.id_of("action", "issuer", "D")
    market.go_to(MONDAY + 1)
    market.ok(A, transfer(market.security, B, 10))
    assert market.refused(A, op("step_action", action=action)) == "kernel.action_early"
    market.go_to(MONDAY + 2)
    assert market.refused(A, transfer(market.security, B, 10)) == "kernel.register_closed"
    done(market, action)
    assert shares(market, A, B, C) == [99, 71, 49]
    market.ok(A, transfer(market.security, B, 10))
    assert market.refused(A, op("step_action", action=action)) == "kernel.action_over"


@pytest.mark.parametrize(
    ("changes", "expected", "last"),
    [
        ({}, [13, 6, 3], "action_over"),  # 3.0, 1.5, 0.9 rounded down: one of five is not made
        ({"rest_to": account(A)}, [14, 6, 3], "shares_entered"),
        ({"largest_remainder": True}, [13, 6, 4], "action_over"),
        ({"rest_to": account("issuer")}, [13, 6, 3], "rest_not_given"),  # a fourth holder
    ],
)
def test_rounding_of_a_bonus(changes: dict[str, Value], expected: list[int], last: str) -> None:
    market = Market.open(parameters={"holder_cap": 3})
    market.security = market.listed({A: 10, B: 5, C: 3})
    done(market, begun(market, shares=3, **changes))
    assert shares(market, A, B, C) == expected
    assert market.events()[-1][1] == last


def test_the_rest_goes_to_no_stranger() -> None:
    market = opened({A: 10, B: 5, C: 3})
    done(market, begun(market, shares=3, rest_to=account("nobody")))
    assert market.events()[-1][1] == "rest_not_given" and len(market.roll(market.security)) == 3


def test_fruits_stay_with_pledges_orders_and_directives() -> None:
    """Ten get five shares and 20 fen: of A's 100, 40 are pledged, 30 frozen by a court, 10 by a directive."""
    market = opened()
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=40, pledgee=account("bank")))
    order = op(
        "place_order",
        reference="J",
        security=market.security,
        account=account(A),
        quantity=30,
        expires_day=MONDAY + 60,
        evidence=bytes(32),
    )
    market.ok("operator", order, cosigners=TWO)
    directive = op("freeze_holding", "border", security=market.security, account=account(A), quantity=10, directive="D")
    market.ok("relayer", directive)
    done(market, begun(market, cash_fen=20, shares=5))
    assert market.holding(market.security, A) == Holding(30, 60, 60, 0)
    assert market.cash(A) == Cash(40, 160)
    market.ok("bank", op("release_pledge", pledge=market.id_of("pledge", A, "L")))
    assert market.cash(A) == Cash(120, 80)
    market.ok("relayer", op("unfreeze_holding", "border", security=market.security, account=account(A), directive="D"))
    assert market.cash(A) == Cash(140, 60)
    execute = op(
        "execute_order",
        order=market.id_of("order", "operator", "J"),
        to=account(B),
        quantity=45,
        amount_fen=60,
        evidence=bytes(32),
    )
    market.ok("operator", execute, cosigners=TWO)
    assert market.cash(A) == Cash(140, 0) and market.cash(B).available == 110 + 60


def test_lots_grow_and_shrink_with_the_holding() -> None:
    market = opened()
    lot: dict[str, Value] = {"class": 1, "release_day": MONDAY + 90, "quantity": 50}
    lock = op("lock_up", security=market.security, account=account(A), lot=lot, evidence=bytes(32))
    market.ok("operator", lock)
    done(market, begun(market, shares=5))

    class Space:
        get = staticmethod(market.kernel)

    assert read_lots(Space(), market.security, account(A)) == [Lot(1, MONDAY + 90, 75)]  # type: ignore[arg-type]


def test_a_reduction_against_cash_takes_from_pledges_in_proportion() -> None:
    market = opened()
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=100, pledgee=account("bank")))
    done(market, begun(market, cash_fen=50, shares=4, grows=False))
    assert market.holding(market.security, A) == Holding(0, 60, 0, 0)
    assert shares(market, B, C) == [33, 27]
    assert market.cash(A) == Cash(0, 500)


def test_everything_is_redeemed() -> None:
    """At maturity: nobody is left, the pledgee's claim is now on the money."""
    market = opened()
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=30, pledgee=account("bank")))
    done(market, begun(market, cash_fen=1_000, shares=10, grows=False))
    assert market.roll(market.security) == []
    assert market.cash(A) == Cash(7_000, 3_000)
    market.ok("bank", op("release_pledge", pledge=market.id_of("pledge", A, "L")))
    assert market.cash(A) == Cash(10_000, 0)


def test_open_holds_in_the_way_of_a_reduction_are_released() -> None:
    market = opened()
    expires = market.time_ms + 30 * 86_400_000
    hold = op(
        "hold",
        reference="h",
        security=market.security,
        quantity=90,
        counterparty=account(C),
        price_fen=7,
        expires_ms=expires,
    )
    market.ok(A, hold)
    market.funded(C, 7)
    held = market.id_of("hold", A, "h")
    market.ok(C, op("hold_cash", reference="p", against=held, amount_fen=7, expires_ms=expires))
    payment = market.id_of("hold", C, "p")
    assert market.refused("operator", op("release_in_action", hold=held)) == "kernel.no_action"
    action = begun(market, shares=5, grows=False)
    assert market.refused(B, op("step_action", action=action)) == "kernel.held_in_action"
    assert market.refused("operator", op("release_in_action", hold=payment)) == "kernel.no_action"
    market.ok("operator", op("release_in_action", hold=held), op("release_in_action", hold=payment))
    done(market, action)
    assert shares(market, A) == [50] and market.cash(C) == Cash(7, 0)


def test_many_holders_take_many_steps() -> None:
    people = [f"p{n}" for n in range(300)]
    market = opened(dict.fromkeys(people, 7), people)
    action = begun(market, shares=1, largest_remainder=True)
    assert done(market, action) == 5
    assert sum(shares(market, *people)) == 2_100 + 210


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"record_day": MONDAY - 1}, "kernel.bad_order_day"),
        ({}, "kernel.bad_terms"),
        ({"shares": 11, "grows": False}, "kernel.bad_terms"),
        ({"base": 0, "shares": 1}, "10"),
        ({"base": 1_001, "shares": 1, "largest_remainder": True}, "kernel.bad_terms"),
    ],
)
def test_wrong_terms(changes: dict[str, Value], rule: str) -> None:
    market = opened()
    assert market.refused("operator", announce(market, **changes), cosigners=("issuer",)) == rule


def test_who_decides() -> None:
    market = opened()
    assert market.refused("operator", announce(market, shares=1)) == "kernel.owner_signs"
    market.ok("operator", announce(market, cash_fen=5), cosigners=("issuer",))
    action = market.id_of("action", "issuer", "D")
    again = announce(market, "E", shares=1)
    assert market.refused("operator", again, cosigners=("issuer",)) == "kernel.register_closed"
    market.go_to(MONDAY + 2)
    assert market.refused(A, op("step_action", action=action)) == "kernel.escrow_short"
    market.funded("issuer", 30)
    assert market.refused(A, op("fund_action", action=action, amount_fen=30)) == "kernel.owner_signs"
    market.ok("issuer", op("fund_action", action=action, amount_fen=30))
    assert market.refused(A, op("withdraw_action", action=action)) == "kernel.four_eyes"
    market.ok("issuer", op("withdraw_action", action=action))
    assert market.cash("issuer") == Cash(30, 0)
    market.ok(A, transfer(market.security, B, 1))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=7), st.integers(1, 30), st.integers(1, 12), st.booleans())
def test_largest_remainder_is_exact(rows: list[int], base: int, units: int, grows: bool) -> None:
    """The whole changes by the ratio of the whole, each by less than one unit from his own."""
    units = units if grows else min(units, base)
    market = opened({f"investor-{n}": quantity for n, quantity in enumerate(rows)})
    done(market, begun(market, base=base, shares=units, grows=grows, largest_remainder=True))
    found = shares(market, *(f"investor-{n}" for n in range(len(rows))))
    change = [(after - before) * (1 if grows else -1) for before, after in zip(rows, found, strict=True)]
    assert sum(change) == sum(rows) * units // base
    assert all(
        before * units // base <= c <= -(-before * units // base) for before, c in zip(rows, change, strict=True)
    )
