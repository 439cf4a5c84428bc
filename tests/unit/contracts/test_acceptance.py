"""Nobody gets shares against his will: a movement without payment needs the receiver's own signature, once or
standing.
"""

from __future__ import annotations

import pytest

from chain_core.types.values import Value
from contracts.kernel.records import ACCEPTANCE, TradeDays
from tests.unit.contracts.market import MONDAY, Market, accept_transfers, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"


@pytest.fixture
def market() -> Market:
    """Nobody has accepted anything yet."""
    market = Market.open(accepting=False)
    market.qualified(A, B, C)
    return market


@pytest.fixture
def security(market: Market) -> bytes:
    return market.listed({A: 100, B: 100})


def gift(market: Market, security: bytes, buyer: str) -> dict[str, Value]:
    expires = market.time_ms + 3_600_000
    fields: dict[str, Value] = {"reference": "gift", "security": security, "quantity": 1, "price_fen": 0}
    return {**fields, "counterparty": account(buyer), "expires_ms": expires}


def test_one_share_cannot_be_pushed(market: Market, security: bytes) -> None:
    """Neither under B's trade gap, nor C into the register; the receipt names who did not accept."""
    for victim in (B, C):
        receipt = market.one(A, transfer(security, victim, 1))
        assert (receipt.rule, receipt.parameters) == ("kernel.not_accepted", (0, account(victim)))
        assert market.trade_days(security, victim) == TradeDays(0, 0)
    assert market.refused(A, transfer(security, C, 1), cosigners=(B,)) == "kernel.not_accepted"
    assert market.roll(security) == [account(A), account(B)]


def test_with_the_receivers_own_signature(market: Market, security: bytes) -> None:
    market.ok(A, transfer(security, C, 1), cosigners=(C,))
    assert market.refused(A, transfer(security, C, 1)) == "kernel.not_accepted"
    assert market.refused(A, transfer(security, A, 1)) == "kernel.same_party"
    assert market.holding(security, C).total == 1


def test_a_receiver_who_acts_for_the_owner_has_signed(market: Market, security: bytes) -> None:
    market.ok(A, op("grant", "accounts", account=account(C)))
    market.ok(C, transfer(security, C, 1), on_behalf_of=account(A))
    assert market.refused(C, transfer(security, B, 1), on_behalf_of=account(A)) == "kernel.not_accepted"


def test_standing_acceptance_is_given_and_withdrawn(market: Market, security: bytes) -> None:
    market.ok(C, accept_transfers())
    assert market.events() == [["kernel", "transfers_accepted", {"account": account(C), "accept": True}]]
    assert market.kernel(ACCEPTANCE + account(C)) == b"\x01"
    market.ok(A, transfer(security, C, 1))
    assert market.refused(A, transfer(security, B, 1)) == "kernel.not_accepted"
    for _ in range(2):
        market.ok(C, accept_transfers(False))
        assert market.kernel(ACCEPTANCE + account(C)) is None
        assert market.refused(A, transfer(security, C, 1)) == "kernel.not_accepted"
    assert market.holding(security, C).total == 1


def test_only_the_holder_accepts(market: Market) -> None:
    """Acting for him is not enough: he signs himself."""
    market.ok(C, op("grant", "accounts", account=account(A)))
    assert market.refused(A, accept_transfers(), on_behalf_of=account(C)) == "kernel.owner_signs"
    assert market.kernel(ACCEPTANCE + account(C)) is None
    market.ok(A, accept_transfers(), on_behalf_of=account(C), cosigners=(C,))
    assert market.kernel(ACCEPTANCE + account(C)) is not None
    assert market.kernel(ACCEPTANCE + account(A)) is None


def test_a_hold_without_price_is_no_way_round(market: Market, security: bytes) -> None:
    market.ok(A, op("hold", **gift(market, security, C)))
    call = op("move_held", hold=market.id_of("hold", A, "gift"), payment=bytes(16))
    assert market.refused(A, call) == "kernel.not_accepted"
    market.ok(C, call)
    assert market.trade_days(security, C) == TradeDays(MONDAY, 0)


def test_who_pays_has_accepted(market: Market, security: bytes) -> None:
    """His money is held against exactly these shares, so the owner may settle alone."""
    market.funded(C, 600)
    fields = {**gift(market, security, C), "price_fen": 600}
    market.ok(A, op("hold", **fields))
    shares = market.id_of("hold", A, "gift")
    market.ok(C, op("hold_cash", reference="c", against=shares, amount_fen=600, expires_ms=market.time_ms + 3_600_000))
    market.ok(A, op("move_held", hold=shares, payment=market.id_of("hold", C, "c")))
    assert market.holding(security, C).total == 1
