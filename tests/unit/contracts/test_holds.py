"""Holds bind owner, counterparty, price and time; delivery versus payment moves both or nothing; pledges."""

from __future__ import annotations

import pytest

from chain_core.types.transaction import Operation
from contracts.kernel.holds import MAX_HOLD_MS
from contracts.kernel.records import Cash, Holding
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
NO_PAYMENT = bytes(16)
HOUR = 3_600_000


@pytest.fixture
def market() -> Market:
    market = Market.open()
    market.qualified(*(f"investor-{n}" for n in range(6)))
    market.funded(B, 1_000)
    return market


@pytest.fixture
def security(market: Market) -> bytes:
    return market.listed({A: 100, B: 50})


def hold(market: Market, security: bytes, /, **changes: object) -> Operation:
    fields = {
        "reference": "h",
        "security": security,
        "quantity": 40,
        "counterparty": account(B),
        "price_fen": 600,
        "expires_ms": market.time_ms + HOUR,
    }
    return op("hold", **{**fields, **changes})  # type: ignore[arg-type]


def pay(market: Market, against: bytes, /, **changes: object) -> Operation:
    fields = {"reference": "p", "against": against, "amount_fen": 600, "expires_ms": market.time_ms + HOUR}
    return op("hold_cash", **{**fields, **changes})  # type: ignore[arg-type]


def agreed(market: Market, security: bytes) -> tuple[bytes, bytes]:
    """A's shares held for B, B's money held for them."""
    market.ok(A, hold(market, security))
    shares = market.id_of("hold", A, "h")
    market.ok(B, pay(market, shares))
    return shares, market.id_of("hold", B, "p")


def test_delivery_versus_payment(market: Market, security: bytes) -> None:
    shares, payment = agreed(market, security)
    assert market.holding(security, A) == Holding(60, 0, 40, 0)
    assert market.cash(B) == Cash(400, 600)
    market.ok(B, op("move_held", hold=shares, payment=payment))
    assert market.holding(security, A) == Holding(60, 0, 0, 0)
    assert market.holding(security, B) == Holding(90, 0, 0, 1)
    assert (market.cash(A), market.cash(B)) == (Cash(600, 0), Cash(400, 0))
    assert [name for _, name, _ in market.events()] == ["settled", "paid", "transferred"]
    assert market.refused(B, op("move_held", hold=shares, payment=payment)) == "kernel.unknown_hold"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"quantity": 101}, "kernel.insufficient"),
        ({"counterparty": account(A)}, "kernel.same_party"),
        ({"counterparty": account("nobody")}, "kernel.unknown_party"),
        ({"expires_ms": 1}, "kernel.bad_expiry"),
        ({"expires_ms": (1 << 63) - 1}, "kernel.bad_expiry"),
        ({"security": bytes(16)}, "kernel.unknown_security"),
        ({"reference": ""}, "10"),
    ],
)
def test_wrong_holds(market: Market, security: bytes, changes: dict[str, object], rule: str) -> None:
    assert market.refused(A, hold(market, security, **changes)) == rule


def test_a_hold_lives_at_most_a_year(market: Market, security: bytes) -> None:
    latest = market.time_ms + 1_000 + MAX_HOLD_MS
    assert market.refused(A, hold(market, security, expires_ms=latest + 1)) == "kernel.bad_expiry"
    market.ok(A, hold(market, security, expires_ms=latest + 1_000))


def test_what_is_held_does_not_move(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, quantity=90))
    receipt = market.one(A, transfer(security, C, 11))
    assert (receipt.rule, receipt.parameters) == ("csrc.encumbered", (0, account(A), security, 10, 0, 90, 11))
    assert market.refused(A, hold(market, security, reference="h2", quantity=11)) == "csrc.encumbered"
    assert market.refused(A, hold(market, security, quantity=1)) == "kernel.hold_exists"
    market.ok(A, transfer(security, C, 10))


@pytest.mark.parametrize(
    ("who", "changes", "rule"),
    [
        (B, {"amount_fen": 599}, "kernel.wrong_price"),
        (B, {"against": bytes(16)}, "kernel.unknown_hold"),
        (B, {"expires_ms": 1}, "kernel.bad_expiry"),
        (C, {}, "kernel.not_for_you"),
        (B, {}, ""),
    ],
)
def test_holding_cash(market: Market, security: bytes, who: str, changes: dict[str, object], rule: str) -> None:
    market.ok(A, hold(market, security))
    call = pay(market, market.id_of("hold", A, "h"), **changes)
    assert (market.refused(who, call) if rule else market.ok(who, call).rule) == rule


def test_cash_that_is_not_there(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, price_fen=1_001))
    call = pay(market, market.id_of("hold", A, "h"), amount_fen=1_001)
    assert market.refused(B, call) == "kernel.insufficient_cash"


def test_settlement_needs_exactly_its_payment(market: Market, security: bytes) -> None:
    shares, payment = agreed(market, security)
    market.ok(A, hold(market, security, reference="other", quantity=1))
    other = market.id_of("hold", A, "other")
    cases = [
        (A, shares, NO_PAYMENT, "kernel.payment_missing"),
        (A, other, payment, "kernel.payment_differs"),
        (A, shares, other, "kernel.payment_differs"),
        (A, payment, NO_PAYMENT, "kernel.not_shares"),
        (A, shares, bytes([1]) * 16, "kernel.unknown_hold"),
        (C, shares, payment, "kernel.not_party"),
        ("operator", shares, payment, "kernel.not_party"),
    ]
    for who, hold_id, paid, rule in cases:
        assert market.refused(who, op("move_held", hold=hold_id, payment=paid)) == rule
    market.ok(A, op("move_held", hold=shares, payment=payment))


def test_a_gift_settles_without_payment(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, price_fen=0))
    market.ok(B, op("move_held", hold=market.id_of("hold", A, "h"), payment=NO_PAYMENT))
    assert market.holding(security, B).total == 90


def test_expiry(market: Market, security: bytes) -> None:
    """The last millisecond counts; afterwards only release is left, to anybody."""
    shares, payment = agreed(market, security)
    expires = int.from_bytes((market.kernel(b"O" + shares) or b"")[-8:], "big")
    assert market.refused(C, op("release", hold=shares)) == "kernel.owner_signs"
    market.time_ms = expires - 999
    assert market.refused(A, op("move_held", hold=shares, payment=payment)) == "kernel.hold_expired"
    market.ok(C, op("release", hold=shares))
    market.ok(B, op("release", hold=payment))
    assert market.holding(security, A) == Holding(100, 0, 0, 0)
    assert market.cash(B) == Cash(1_000, 0)


def test_on_the_last_millisecond(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, price_fen=0))
    shares = market.id_of("hold", A, "h")
    market.time_ms = int.from_bytes((market.kernel(b"O" + shares) or b"")[-8:], "big") - 1_000
    market.ok(B, op("move_held", hold=shares, payment=NO_PAYMENT))


def test_released_shares_leave_the_money_held_against_them(market: Market, security: bytes) -> None:
    """The buyer's money cannot go anywhere but back to him."""
    shares, payment = agreed(market, security)
    market.ok(A, op("release", hold=shares))
    assert market.refused(A, op("move_held", hold=shares, payment=payment)) == "kernel.unknown_hold"
    market.ok(B, op("release", hold=payment))
    assert market.cash(B) == Cash(1_000, 0)


def test_selling_the_whole_holding_by_hold(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, quantity=100, price_fen=0, counterparty=account(C)))
    market.ok(C, op("move_held", hold=market.id_of("hold", A, "h"), payment=NO_PAYMENT))
    assert market.roll(security) == [account(C), account(B)]


def test_pledges(market: Market, security: bytes) -> None:
    call = op("pledge", reference="L1", security=security, quantity=80, pledgee=account("bank"))
    market.ok(A, call)
    pledge = market.id_of("pledge", A, "L1")
    assert market.holding(security, A) == Holding(20, 80, 0, 0)
    assert market.refused(A, transfer(security, C, 21)) == "csrc.encumbered"
    assert market.refused(A, call) == "kernel.pledge_exists"
    for other in (
        op("pledge", reference="L2", security=security, quantity=21, pledgee=account("bank")),
        op("pledge", reference="L2", security=security, quantity=1, pledgee=account(A)),
        op("pledge", reference="L2", security=security, quantity=1, pledgee=account("nobody")),
    ):
        assert market.one(A, other).code != 0
    assert market.refused(A, op("release_pledge", pledge=pledge)) == "kernel.not_pledgee"
    market.ok("bank", op("release_pledge", pledge=pledge))
    assert market.refused("bank", op("release_pledge", pledge=pledge)) == "kernel.unknown_pledge"
    market.ok(A, transfer(security, C, 100))


def test_a_hold_outlives_weekends_but_trades_on_trading_days(market: Market, security: bytes) -> None:
    market.ok(A, hold(market, security, price_fen=0, expires_ms=market.time_ms + 20 * 24 * HOUR))
    shares = market.id_of("hold", A, "h")
    market.go_to(MONDAY + 5)
    assert market.refused(B, op("move_held", hold=shares, payment=NO_PAYMENT)) == "csrc.trading_day"
    market.go_to(MONDAY + 7)
    market.ok(B, op("move_held", hold=shares, payment=NO_PAYMENT))
