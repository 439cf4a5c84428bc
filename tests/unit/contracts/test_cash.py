"""Client money comes and goes by the depository bank's instructions only, each once."""

from __future__ import annotations

import pytest

from chain_core.crypto.hashing import sm3
from chain_core.types.transaction import Operation
from contracts.kernel.records import MAX_QUANTITY, MONEY, Cash, decode_money
from tests.unit.contracts.market import Market, account, op

A, B = "investor-0", "investor-1"


def rows(method: str, *listed: tuple[str, int, str]) -> Operation:
    return op(method, rows=[{"account": account(n), "amount_fen": a, "reference": r} for n, a, r in listed])


@pytest.fixture
def market() -> Market:
    market = Market.open()
    market.ok("bank", rows("deposit", (A, 700, "in-1"), (B, 300, "in-2")))
    return market


def test_in_and_out(market: Market) -> None:
    assert market.cash(A) == Cash(700, 0)
    market.ok("bank", rows("withdraw", (A, 700, "out-1"), (B, 100, "out-2")))
    assert (market.cash(A), market.cash(B)) == (Cash(0, 0), Cash(200, 0))
    assert decode_money(market.kernel(MONEY)) == 200
    assert [name for _, name, _ in market.events()] == ["cash_withdrawn", "cash_withdrawn"]


@pytest.mark.parametrize("name", ["operator", A, "issuer", "relayer"])
@pytest.mark.parametrize("method", ["deposit", "withdraw"])
def test_nobody_but_the_bank(market: Market, name: str, method: str) -> None:
    assert market.refused(name, rows(method, (A, 1, "x"))) == "12"


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (rows("deposit", (A, 1, "in-1")), "kernel.instruction_done"),
        (rows("withdraw", (A, 1, "in-1")), "kernel.instruction_done"),
        (rows("deposit", (A, 1, "new"), (B, 1, "new")), "kernel.instruction_done"),
        (rows("withdraw", (A, 701, "new")), "kernel.insufficient_cash"),
        (rows("withdraw", ("nobody", 1, "new")), "kernel.insufficient_cash"),
        (rows("deposit", ("nobody", 1, "new")), "kernel.unknown_party"),
        (rows("deposit", (A, MAX_QUANTITY, "new")), "kernel.too_much"),
        (rows("deposit", (A, 0, "new")), "10"),
        (rows("deposit"), "10"),
    ],
)
def test_refused(market: Market, call: Operation, rule: str) -> None:
    assert market.refused("bank", call) == rule
    assert market.cash(A) == Cash(700, 0)


def test_a_refused_instruction_can_be_sent_again(market: Market) -> None:
    assert market.refused("bank", rows("withdraw", (A, 701, "out"))) == "kernel.insufficient_cash"
    market.ok("bank", rows("withdraw", (A, 700, "out")))
    assert market.refused("bank", rows("withdraw", (B, 1, "out"))) == "kernel.instruction_done"


@pytest.mark.parametrize("method", ["deposit", "withdraw"])
def test_an_instruction_of_the_predecessor_is_not_carried_out_on_the_successor(market: Market, method: str) -> None:
    """The bank never saw the receipt and asks the chain that goes on with the state, under another genesis hash."""
    market.ok("bank", rows("withdraw", (A, 100, "out-1")))
    market.chain = sm3(b"the successor")
    for reference in ("in-1", "out-1"):
        assert market.refused("bank", rows(method, (A, 100, reference))) == "kernel.instruction_done"
    assert market.cash(A) == Cash(600, 0)
    market.ok("bank", rows(method, (A, 100, "new")))


def test_held_money_does_not_leave(market: Market) -> None:
    security = market.listed({B: 10})
    expires = market.time_ms + 3_600_000
    hold = op(
        "hold",
        reference="h",
        security=security,
        quantity=10,
        counterparty=account(A),
        price_fen=600,
        expires_ms=expires,
    )
    market.ok(B, hold)
    pay = op("hold_cash", reference="p", against=market.id_of("hold", B, "h"), amount_fen=600, expires_ms=expires)
    market.ok(A, pay)
    receipt = market.one("bank", rows("withdraw", (A, 101, "out")))
    assert (receipt.rule, receipt.parameters) == ("kernel.insufficient_cash", (0, account(A), 100, 600, 101))
    market.ok("bank", rows("withdraw", (A, 100, "out")))


def test_a_frozen_partys_money_stays(market: Market) -> None:
    market.ok("relayer", op("freeze_holder", "border", account=account(A), directive="D-1"))
    assert market.refused("bank", rows("withdraw", (A, 1, "out"))) == "csrc.frozen_party"
    market.ok("bank", rows("deposit", (A, 1, "in-3")))
