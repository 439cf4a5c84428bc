"""Holders counted through pooled vehicles (穿透) and merged over staged issues."""

from __future__ import annotations

import pytest

from chain_core.types.transaction import Operation
from contracts.kernel.counting import counted
from contracts.kernel.records import FAMILY_MEMBER, decode_count, decode_security
from tests.unit.contracts.market import Market, account, listing, op, register, transfer

A, B, C, D, FUND = "investor-0", "investor-1", "investor-2", "investor-3", "investor-9"
SECOND = "BJ000001F.ESVUFR2402"


def vehicle(name: str, owners: int, exempt: bool = False) -> Operation:
    return op("set_vehicle", account=account(name), owners=owners, exempt=exempt, evidence=bytes(32))


def opened(cap: int) -> tuple[Market, bytes]:
    market = Market.open(parameters={"holder_cap": cap})
    security = market.listed({A: 100, B: 100})
    market.qualified(A, B, C, D, FUND)
    return market, security


def holders(market: Market, security: bytes) -> int:
    class Space:
        get = staticmethod(market.kernel)

    return counted(Space(), security, decode_security(market.kernel(b"S" + security) or b""))  # type: ignore[arg-type]


@pytest.mark.parametrize(("cap", "owners", "rule"), [(5, 3, ""), (4, 3, "csrc.holder_cap"), (3, 1, "")])
def test_a_vehicle_counts_as_its_owners(cap: int, owners: int, rule: str) -> None:
    market, security = opened(cap)
    market.ok("operator", vehicle(FUND, owners))
    receipt = market.one(A, transfer(security, FUND, 10))
    assert receipt.rule == rule
    assert holders(market, security) == (2 if rule else 2 + owners)
    if rule:
        assert receipt.parameters == (0, security, 5, 4)


def test_an_exempt_vehicle_is_one_holder_under_four_eyes() -> None:
    market, security = opened(3)
    assert market.refused("operator", vehicle(FUND, 50, exempt=True)) == "kernel.four_eyes"
    market.ok("operator", vehicle(FUND, 50, exempt=True), cosigners=("governor-2",))
    market.ok(A, transfer(security, FUND, 10))
    assert holders(market, security) == 3


def test_a_vehicle_that_grows_may_lift_a_register_above_the_cap_which_then_shrinks() -> None:
    """The truth is recorded; who would add a holder is refused, who leaves is not."""
    market, security = opened(4)
    market.ok(A, transfer(security, FUND, 10))
    market.ok("operator", vehicle(FUND, 7))
    assert holders(market, security) == 9
    assert market.refused(A, transfer(security, C, 1)) == "csrc.holder_cap"
    market.ok(B, transfer(security, C, 100))
    assert market.refused("operator", vehicle(FUND, 6)) == "kernel.four_eyes"
    market.ok("operator", vehicle(FUND, 1), cosigners=("governor-2",))
    assert holders(market, security) == 3
    market.ok(A, transfer(security, D, 1))


def test_a_vehicle_leaves() -> None:
    market, security = opened(9)
    market.ok("operator", vehicle(FUND, 5))
    market.ok(A, transfer(security, FUND, 10))
    market.go_to(market.day + 7)
    market.ok(FUND, transfer(security, C, 10))
    assert holders(market, security) == 3


def test_vehicles_in_the_first_register() -> None:
    """Initial registration counts through as well."""
    market = Market.open(parameters={"holder_cap": 6})
    market.ok("operator", vehicle(FUND, 5))
    security = market.registering(30)
    market.ok("operator", register(security, {FUND: 10}))
    market.ok("operator", register(security, {A: 10}))
    assert market.refused("operator", register(security, {B: 10})) == "csrc.holder_cap"
    assert holders(market, security) == 6
    market.ok("operator", op("unregister_holding", security=security, accounts=[account(FUND)]))
    assert holders(market, security) == 1


@pytest.mark.parametrize(
    ("owners", "who", "rule"),
    [(0, FUND, "10"), (100_001, FUND, "10"), (2, "nobody", "kernel.unknown_party"), (2, FUND, "")],
)
def test_wrong_vehicles(owners: int, who: str, rule: str) -> None:
    market, _ = opened(3)
    if rule:
        assert market.refused("operator", vehicle(who, owners)) == rule
    else:
        market.ok("operator", vehicle(who, owners))
    assert market.refused(A, vehicle(FUND, 2)) == "12"


def staged(cap: int) -> tuple[Market, bytes, bytes]:
    """A second stage of the same issue, with B and C in its register."""
    market, first = opened(cap)
    second = market.registering(20, SECOND)
    market.ok("operator", op("join_family", security=second, first=first))
    market.ok("operator", register(second, {B: 10, C: 10}), op("activate_security", security=second))
    return market, first, second


def test_stages_count_together_and_everybody_once() -> None:
    market, first, second = staged(4)
    assert holders(market, first) == holders(market, second) == 3
    market.ok(A, transfer(first, C, 10))  # holds the other stage already
    market.ok(A, transfer(first, D, 10))
    assert market.refused(B, transfer(second, FUND, 1)) == "csrc.holder_cap"
    market.ok(B, transfer(second, A, 10))  # leaves one stage, stays in the other
    assert holders(market, second) == 4
    assert decode_count(market.kernel(FAMILY_MEMBER + first + account(A))) == 2


def test_vehicles_in_a_family_count_once() -> None:
    market, first, second = staged(6)
    market.ok("operator", vehicle(FUND, 3))
    market.ok(A, transfer(first, FUND, 10))
    market.ok(B, transfer(second, FUND, 5))
    assert holders(market, first) == 6
    market.ok("operator", vehicle(FUND, 4))
    assert holders(market, first) == 7


def test_who_may_join_a_family() -> None:
    market, first, second = staged(9)
    third = market.registering(5, "BJ000001F.ESVUFR2403")

    def join(security: bytes, head: bytes) -> str:
        return market.refused("operator", op("join_family", security=security, first=head))

    assert join(third, second) == "kernel.not_of_family"  # named after the first
    assert join(second, first) == "kernel.not_of_family"  # is a member
    assert join(third, third) == "kernel.not_of_family"
    assert join(third, bytes(16)) == "kernel.unknown_security"
    bond = listing(5, "BJ000001F.BOND").args | {"instrument": 2}
    market.ok("operator", op("register_security", **bond))
    assert join(market.id_of("security", "operator", "BJ000001F.BOND"), first) == "kernel.not_of_family"
    market.ok("operator", register(third, {D: 5}))
    assert join(third, first) == "kernel.register_not_empty"


@pytest.mark.parametrize(("instrument", "rule"), [(1, ""), (2, ""), (3, ""), (4, "csrc.instrument"), (0, "10")])
def test_only_permitted_instruments(instrument: int, rule: str) -> None:
    market = Market.open()
    call = op("register_security", **(listing(5, "BJ000001F.X").args | {"instrument": instrument}))
    if rule:
        assert market.refused("operator", call) == rule
    else:
        market.ok("operator", call)
