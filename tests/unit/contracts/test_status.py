"""Status and layer, enterprises, disclosures, corrections."""

from __future__ import annotations

import pytest

from chain_core.codec.values import decode_value
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.records import DISCLOSURE, ENTERPRISE, decode_security
from tests.unit.contracts.market import Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
TWO = ("governor-2",)
LIVE, SUSPENDED, DELISTED, CLOSED = 2, 3, 4, 5
EVIDENCE = bytes(32)


@pytest.fixture
def market() -> Market:
    market = Market.open()
    market.security = market.listed({A: 100, B: 100})
    market.qualified(A, B, C)
    return market


def status(market: Market, to: int) -> Operation:
    return op("set_status", security=market.security, status=to, evidence=EVIDENCE)


def non_trade(market: Market, quantity: int) -> Operation:
    parties: dict[str, Value] = {"from": account(A), "to": account(C)}
    more: dict[str, Value] = {"quantity": quantity, "reason": "gift", "evidence": EVIDENCE}
    return op("transfer_non_trade", security=market.security, **parties, **more)


@pytest.mark.parametrize("to", [SUSPENDED, DELISTED])
def test_only_a_live_security_is_traded(market: Market, to: int) -> None:
    market.ok("operator", op("set_layer", security=market.security, layer=2, evidence=EVIDENCE))
    market.ok("operator", status(market, to))
    assert market.refused(A, transfer(market.security, C, 1)) == "csrc.security_status"
    market.ok("operator", non_trade(market, 1))
    layer = decode_security(market.kernel(b"S" + market.security) or b"").layer
    assert layer == (2 if to == SUSPENDED else 0)
    assert market.refused("operator", status(market, LIVE)) == "kernel.four_eyes"
    market.ok("operator", status(market, LIVE), cosigners=TWO)
    market.ok(A, transfer(market.security, C, 1))


@pytest.mark.parametrize(
    ("steps", "rule"),
    [
        ((LIVE,), "kernel.bad_status"),
        ((CLOSED,), "kernel.bad_status"),
        ((SUSPENDED, SUSPENDED), "kernel.bad_status"),
        ((DELISTED, SUSPENDED), "kernel.bad_status"),
        ((DELISTED, CLOSED), "kernel.register_not_empty"),
        ((SUSPENDED, DELISTED), ""),
    ],
)
def test_what_follows_what(market: Market, steps: tuple[int, ...], rule: str) -> None:
    *before, last = steps
    for step in before:
        market.ok("operator", status(market, step))
    assert market.one("operator", status(market, last), cosigners=TWO).rule == rule


@pytest.mark.parametrize(("layer", "rule"), [(1, ""), (9, ""), (0, "kernel.bad_layer"), (10, "10")])
def test_layers(market: Market, layer: int, rule: str) -> None:
    call = op("set_layer", security=market.security, layer=layer, evidence=EVIDENCE)
    if rule:
        assert market.refused("operator", call) == rule
    else:
        market.ok("operator", call)
    assert market.refused(A, call) == "12"


def enterprise(province: str = "BJ") -> Operation:
    row: dict[str, Value] = {"credit_code": "91110000MA0000000X", "province": province, "attributes": {"industry": "C"}}
    return op("register_enterprise", account=account("issuer"), evidence=EVIDENCE, **row)


def test_enterprises_of_the_province_only(market: Market) -> None:
    assert market.refused("operator", enterprise("SH")) == "csrc.province"
    market.ok("operator", enterprise())
    row = decode_value(market.kernel(ENTERPRISE + account("issuer")) or b"")
    assert isinstance(row, dict) and row["credit_code"] == "91110000MA0000000X"


def test_disclosures(market: Market) -> None:
    def disclose(**changes: Value) -> Operation:
        return op("disclose", **{"type": 1, "tier": 1, "digest": bytes(range(32)), **changes})

    assert market.refused("issuer", disclose()) == "kernel.not_enterprise"
    market.ok("operator", enterprise())
    market.ok("issuer", disclose())
    market.ok("issuer", disclose(type=10, tier=3, corrects=1))
    assert market.refused("issuer", disclose(corrects=3)) == "kernel.no_disclosure"
    for wrong in ({"type": 11}, {"type": 0}, {"tier": 4}):
        assert market.refused("issuer", disclose(**wrong)) == "10"
    row = decode_value(market.kernel(DISCLOSURE + account("issuer") + (2).to_bytes(4, "big")) or b"")
    assert isinstance(row, dict) and (row["type"], row["tier"], row["corrects"]) == (10, 3, 1)


def test_a_wrong_entry_is_taken_back_once(market: Market) -> None:
    market.ok("operator", non_trade(market, 30))

    def correct(corrected: int, **changes: Value) -> Operation:
        entry: dict[str, Value] = {
            "transaction": bytes(range(32)),
            "place": 0,
            "security": market.security,
            "source": account(A),
            "target": account(C),
            "quantity": 30,
            "corrected": corrected,
        }
        return op("correct", **{**entry, **changes}, evidence=EVIDENCE)

    assert market.refused("operator", correct(10)) == "kernel.four_eyes"
    market.ok("operator", correct(10), cosigners=TWO)
    assert market.refused("operator", correct(10, quantity=31), cosigners=TWO) == "kernel.entry_differs"
    assert market.refused("operator", correct(21), cosigners=TWO) == "kernel.above_entry"
    market.ok(C, transfer(market.security, B, 5))
    assert market.refused("operator", correct(20), cosigners=TWO) == "kernel.insufficient"  # only what still is there
    market.ok("operator", correct(15), cosigners=TWO)
    assert market.holding(market.security, A).total == 95
