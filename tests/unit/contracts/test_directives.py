"""Freezes: by the border contract only, before the block's business, beside each other until the last is lifted."""

from __future__ import annotations

import pytest

from chain_core.execution.codes import EngineFault
from chain_core.execution.executor import Executor
from contracts.assembly import market_contracts, market_grants
from contracts.kernel.contract import Kernel
from contracts.kernel.directives import MAX_FREEZES, is_frozen
from contracts.kernel.records import Holding
from tests.unit.contracts.market import Border, Market, account, op, transfer
from tests.unit.contracts.test_rules import non_trade

A, B, C = "investor-0", "investor-1", "investor-2"


def order(method: str, directive: str = "D-1", **fields: object) -> object:
    return op(method, "border", directive=directive, **fields)  # type: ignore[arg-type]


@pytest.fixture
def market() -> Market:
    market = Market.open()
    market.qualified(A, B, C)
    return market


@pytest.fixture
def security(market: Market) -> bytes:
    return market.listed({A: 100, B: 100})


def test_nobody_can_call_a_freeze() -> None:
    assert not [name for name in Kernel().methods if "freeze" in name]


def test_without_a_grant_the_node_halts() -> None:
    market = Market.open()
    contracts, hooks = market_contracts()
    market.executor = Executor((*contracts, Border()), hooks=hooks, grants=market_grants())
    with pytest.raises(EngineFault, match="granted no access"):
        market.one("relayer", order("freeze_holder", account=account(A)))


def test_a_frozen_holder(market: Market, security: bytes) -> None:
    market.ok(A, op("pledge", reference="L", security=security, quantity=5, pledgee=account(B)))
    market.ok("relayer", order("freeze_holder", account=account(A)))
    assert market.events() == [["border", "party_frozen", {"account": account(A), "directive": "D-1"}]]
    refused = [
        (A, transfer(security, C, 1)),
        (B, transfer(security, A, 1)),
        ("operator", non_trade(security, A, C, 1)),
        ("operator", non_trade(security, C, A, 1)),
        (A, op("release_pledge", pledge=market.id_of("pledge", A, "L"))),
        (A, op("create", "templates", template="csrc.negotiated-transfer", reference="x", params={})),
    ]
    for who, call in refused:
        receipt = market.one(who, call)
        assert (receipt.rule, receipt.parameters[1:]) == ("csrc.frozen_party", (account(A), "D-1")), call
    market.ok(B, transfer(security, C, 1))
    market.ok("relayer", order("unfreeze_holder", "D-2", account=account(A)))
    market.ok(A, transfer(security, C, 1))


def test_acting_for_a_frozen_party_is_acting(market: Market, security: bytes) -> None:
    market.ok(A, op("grant", "accounts", account=account(B)))
    market.ok("relayer", order("freeze_holder", account=account(A)))
    call = op("pledge", reference="L", security=security, quantity=5, pledgee=account(C))
    assert market.refused(B, call, on_behalf_of=account(A)) == "csrc.frozen_party"


def test_what_was_agreed_before_does_not_settle(market: Market, security: bytes) -> None:
    market.ok(
        A,
        op(
            "hold",
            reference="h",
            security=security,
            quantity=10,
            counterparty=account(C),
            price_fen=0,
            expires_ms=market.time_ms + 3_600_000,
        ),
    )
    hold = market.id_of("hold", A, "h")
    market.ok("relayer", order("freeze_holder", account=account(A)))
    assert market.refused(C, op("move_held", hold=hold, payment=bytes(16))) == "csrc.frozen_party"
    market.time_ms += 3_600_000
    market.ok(C, op("release", hold=hold))  # expired: nothing moves, it is A's again
    assert market.holding(security, A).available == 100


def test_a_directive_binds_all_business_of_its_block(market: Market, security: bytes) -> None:
    """Whatever place the primary gave it in the batch."""
    receipts = market.block(
        market.sign(A, transfer(security, C, 1)),
        market.sign("relayer", order("freeze_holder", account=account(A))),
    )
    assert [receipt.rule for receipt in receipts] == ["csrc.frozen_party", ""]


def test_freezes_stand_beside_each_other(market: Market, security: bytes) -> None:
    for directive in ("D-1", "D-2", "D-3"):
        market.ok("relayer", order("freeze_holder", directive, account=account(A)))
    assert market.refused("relayer", order("freeze_holder", "D-2", account=account(A))) == "kernel.frozen_already"
    for lifts in ("D-1", "D-3"):
        market.ok("relayer", order("lift", "D-9", account=account(A), lifts=lifts))
        receipt = market.one(A, transfer(security, C, 1))
        assert receipt.parameters == (0, account(A), "D-2")
    assert market.refused("relayer", order("lift", "D-9", account=account(A), lifts="D-3")) == "kernel.no_such_freeze"
    market.ok("relayer", order("lift", "D-9", account=account(A), lifts="D-2"))
    market.ok(A, transfer(security, C, 1))
    assert market.refused("relayer", order("unfreeze_holder", account=account(A))) == "kernel.no_such_freeze"


def test_one_directive_can_lift_them_all(market: Market, security: bytes) -> None:
    for directive in ("D-1", "D-2"):
        market.ok("relayer", order("freeze_holder", directive, account=account(A)))
    market.ok("relayer", order("unfreeze_holder", "D-3", account=account(A)))
    market.ok(A, transfer(security, C, 1))


def test_the_list_of_freezes_is_bounded(market: Market) -> None:
    for number in range(MAX_FREEZES):
        market.ok("relayer", order("freeze_holder", f"D-{number}", account=account(A)))
    assert market.refused("relayer", order("freeze_holder", "D-x", account=account(A))) == "kernel.too_many_freezes"


def test_unknown_holders(market: Market) -> None:
    assert market.refused("relayer", order("freeze_holder", account=account("nobody"))) == "kernel.unknown_party"
    assert market.refused("relayer", order("freeze_security", security=bytes(16))) == "kernel.unknown_security"


def test_a_frozen_instrument(market: Market, security: bytes) -> None:
    other = market.listed({A: 5}, "BJ000002F.ESVUFR2401")
    hold = op(
        "hold",
        reference="h",
        security=security,
        quantity=1,
        counterparty=account(C),
        price_fen=0,
        expires_ms=market.time_ms + 3_600_000,
    )
    for directive in ("D-1", "D-2"):
        market.ok("relayer", order("freeze_security", directive, security=security))
    for who, call in [
        (A, transfer(security, C, 1)),
        ("operator", non_trade(security, A, C, 1)),
        (A, hold),
        (A, op("pledge", reference="L", security=security, quantity=1, pledgee=account(B))),
    ]:
        assert market.refused(who, call) == "csrc.frozen_security"
    market.ok(A, transfer(other, C, 1))
    market.ok("relayer", order("unfreeze_security", "D-1", security=security))
    assert market.refused(A, transfer(security, C, 1)) == "csrc.frozen_security"
    market.ok("relayer", order("unfreeze_security", "D-2", security=security))
    assert market.refused("relayer", order("unfreeze_security", "D-2", security=security)) == "kernel.no_such_freeze"
    market.ok(A, transfer(security, C, 1))


def test_a_frozen_holding(market: Market, security: bytes) -> None:
    def frozen(quantity: int, directive: str = "D-1") -> object:
        return order("freeze_holding", directive, security=security, account=account(A), quantity=quantity)

    market.ok("relayer", frozen(60))
    market.ok("relayer", frozen(30, "D-2"))
    assert market.holding(security, A) == Holding(10, 0, 90, 0)
    assert market.refused(A, transfer(security, C, 11)) == "csrc.encumbered"
    assert market.refused("relayer", frozen(11, "D-3")) == "csrc.encumbered"
    assert market.refused("relayer", frozen(1)) == "kernel.frozen_already"
    assert market.refused("relayer", frozen(0, "D-3")) == "kernel.bad_quantity"
    market.ok(A, transfer(security, C, 10))
    lift = order("unfreeze_holding", "D-1", security=security, account=account(A))
    market.ok("relayer", lift)
    assert market.refused("relayer", lift) == "kernel.no_such_freeze"
    assert market.holding(security, A) == Holding(60, 0, 30, 0)
    market.ok(A, transfer(security, C, 60))


def test_is_frozen(market: Market) -> None:
    class Space:
        get = staticmethod(market.kernel)

    assert not is_frozen(Space(), account(A))
    market.ok("relayer", order("freeze_holder", account=account(A)))
    assert is_frozen(Space(), account(A))
