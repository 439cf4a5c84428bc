"""Judicial freezes, their queue, thaw and execution; pledges released in part and enforced."""

from __future__ import annotations

import pytest

from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.orders import decode_order
from contracts.kernel.records import ORDER, PLEDGE, Cash, Holding, decode_pledge
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
TWO = ("governor-2",)


@pytest.fixture
def market() -> Market:
    market = Market.open()
    market.security = market.listed({A: 100, B: 100})
    market.qualified(A, B, C)
    return market


def freeze(market: Market, reference: str, quantity: int, until: int = MONDAY + 30) -> Operation:
    return op(
        "place_order",
        reference=reference,
        security=market.security,
        account=account(A),
        quantity=quantity,
        expires_day=until,
        evidence=bytes(32),
    )


def order(market: Market, reference: str) -> bytes:
    return market.id_of("order", "operator", reference)


def held(market: Market, *references: str) -> list[int]:
    raws = (market.kernel(ORDER + order(market, reference)) for reference in references)
    return [-1 if raw is None else decode_order(raw).held for raw in raws]


def act(market: Market, method: str, reference: str, **more: Value) -> Operation:
    return op(method, order=order(market, reference), evidence=bytes(32), **more)


def test_an_order_takes_four_eyes(market: Market) -> None:
    for cosigners in ((), ("governor-1",), (A,)):
        assert market.refused("operator", freeze(market, "J1", 60), cosigners=cosigners) == "kernel.four_eyes"
    assert market.refused("bank", freeze(market, "J1", 60), cosigners=TWO) == "12"
    market.ok("operator", freeze(market, "J1", 60), cosigners=TWO)
    assert market.holding(market.security, A) == Holding(40, 0, 60, 0)
    assert market.refused(A, transfer(market.security, C, 41)) == "csrc.encumbered"
    for method, more in (("thaw_order", {}), ("renew_order", {"expires_day": MONDAY + 99})):
        assert market.refused("operator", act(market, method, "J1", **more)) == "kernel.four_eyes"
    assert market.refused("operator", freeze(market, "J1", 1), cosigners=TWO) == "kernel.order_exists"


def test_the_queue(market: Market) -> None:
    """The first holds, the others wait in order of arrival, and take what the first leaves."""
    for reference, quantity in (("J1", 70), ("J2", 60), ("J3", 50)):
        market.ok("operator", freeze(market, reference, quantity), cosigners=TWO)
    assert held(market, "J1", "J2", "J3") == [70, 30, 0]
    market.ok("operator", act(market, "thaw_order", "J1"), cosigners=TWO)
    assert held(market, "J1", "J2", "J3") == [-1, 60, 40]
    assert [name for _, name, _ in market.events()] == ["order_ended", "order_took_effect", "order_took_effect"]
    assert market.holding(market.security, A) == Holding(0, 0, 100, 0)


def test_an_order_waits_for_a_pledge_and_a_hold(market: Market) -> None:
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=50, pledgee=account("bank")))
    hold = op(
        "hold",
        reference="h",
        security=market.security,
        quantity=50,
        counterparty=account(C),
        price_fen=0,
        expires_ms=market.time_ms + 9_000_000,
    )
    market.ok(A, hold)
    market.ok("operator", freeze(market, "J1", 80), cosigners=TWO)
    assert held(market, "J1") == [0]
    market.ok(A, op("release", hold=market.id_of("hold", A, "h")))
    market.ok("bank", op("release_pledge", pledge=market.id_of("pledge", A, "L")))
    assert held(market, "J1") == [80]
    assert market.holding(market.security, A) == Holding(20, 0, 80, 0)


@pytest.mark.parametrize("renewed", [False, True])
def test_expiry_is_automatic(market: Market, renewed: bool) -> None:
    """After its last day an order holds nothing: the next takes effect, and the rest can be sold at once."""
    market.ok("operator", freeze(market, "J1", 100, MONDAY + 1), cosigners=TWO)
    market.ok("operator", freeze(market, "J2", 30), cosigners=TWO)
    if renewed:
        call = act(market, "renew_order", "J1", expires_day=MONDAY + 3)
        market.ok("operator", call, cosigners=TWO)
    market.go_to(MONDAY + 2)
    assert market.one(A, transfer(market.security, C, 70)).rule == ("csrc.encumbered" if renewed else "")
    if not renewed:
        assert held(market, "J1", "J2") == [-1, 30]
        late = act(market, "renew_order", "J1", expires_day=MONDAY + 9)
        assert market.refused("operator", late, cosigners=TWO) == "kernel.unknown_order"


def test_anybody_settles_the_queue(market: Market) -> None:
    market.ok("operator", freeze(market, "J1", 100, MONDAY), cosigners=TWO)
    market.go_to(MONDAY + 1)
    market.ok(C, op("settle_orders", security=market.security, account=account(A)))
    assert market.holding(market.security, A) == Holding(100, 0, 0, 0)


def test_execution(market: Market) -> None:
    market.ok("operator", freeze(market, "J1", 70), cosigners=TWO)
    market.ok("operator", freeze(market, "J2", 70), cosigners=TWO)

    def execute(reference: str, quantity: int) -> Operation:
        return act(market, "execute_order", reference, to=account(C), quantity=quantity, amount_fen=0)

    assert market.refused("operator", execute("J2", 31), cosigners=TWO) == "kernel.order_holds_less"
    assert market.refused("operator", execute("J1", 10)) == "kernel.four_eyes"
    market.ok("operator", execute("J1", 50), cosigners=TWO)
    market.ok("operator", execute("J1", 20), cosigners=TWO)
    assert held(market, "J1", "J2") == [-1, 30]
    assert market.holding(market.security, C).total == 70


@pytest.mark.parametrize(
    ("quantity", "until", "rule"),
    [(1, MONDAY, ""), (1, MONDAY - 1, "kernel.bad_order_day"), (0, MONDAY, "10")],
)
def test_wrong_orders(market: Market, quantity: int, until: int, rule: str) -> None:
    receipt = market.one("operator", freeze(market, "J", quantity, until), cosigners=TWO)
    assert (receipt.rule or (str(receipt.code) if receipt.code else "")) == rule


# ---- pledges


def test_a_pledge_is_released_in_part(market: Market) -> None:
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=80, pledgee=account("bank")))
    pledge = market.id_of("pledge", A, "L")
    assert market.refused("bank", op("release_pledge", pledge=pledge, quantity=81)) == "kernel.pledge_holds_less"
    market.ok("bank", op("release_pledge", pledge=pledge, quantity=30))
    assert decode_pledge(market.kernel(PLEDGE + pledge) or b"").quantity == 50
    assert market.holding(market.security, A) == Holding(50, 50, 0, 0)


def enforce(market: Market, quantity: int, basis: str) -> Operation:
    pledge = market.id_of("pledge", A, "L")
    more: dict[str, Value] = {"quantity": quantity, "amount_fen": 0, "basis": basis, "evidence": bytes(32)}
    return op("enforce_pledge", pledge=pledge, to=account("bank"), **more)


def test_enforcement_by_agreement_and_by_judgment(market: Market) -> None:
    market.ok(A, op("pledge", reference="L", security=market.security, quantity=80, pledgee=account("bank")))
    assert market.refused("bank", enforce(market, 10, "agreement")) == "kernel.owner_signs"
    assert market.refused("bank", enforce(market, 10, "judgment"), cosigners=TWO) == "12"
    assert market.refused("operator", enforce(market, 10, "judgment")) == "kernel.four_eyes"
    market.ok("bank", enforce(market, 10, "agreement"), cosigners=(A,))
    market.ok("operator", freeze(market, "J1", 100), cosigners=TWO)
    assert market.refused("bank", enforce(market, 10, "agreement"), cosigners=(A,)) == "kernel.order_stands"
    market.ok("operator", enforce(market, 70, "judgment"), cosigners=TWO)
    assert market.kernel(PLEDGE + market.id_of("pledge", A, "L")) is None
    assert market.holding(market.security, "bank").total == 80
    assert market.cash("bank") == Cash(0, 0)
