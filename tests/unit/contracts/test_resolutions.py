"""New shares, redemption, reduction and recovery, conversion: under a resolution, money and shares both or neither."""

from __future__ import annotations

import pytest

from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.records import RESOLUTION, Cash, TradeDays, decode_resolution, decode_security
from tests.unit.contracts.market import MONDAY, Market, account, op, register, transfer

A, B, C, D = "investor-0", "investor-1", "investor-2", "investor-3"
TWO = ("governor-2",)
ISSUE, REDEMPTION, CONVERSION = 1, 2, 3


@pytest.fixture
def market() -> Market:
    market = Market.open(parameters={"holder_cap": 3})
    market.security = market.listed({A: 100, B: 100})
    market.qualified(A, B, C)
    return market


def resolved(market: Market, purpose: int, limit: int = 100, reference: str = "R", **more: Value) -> bytes:
    market.ok("operator", resolve(market, purpose, limit, reference, **more), cosigners=("issuer",))
    return market.id_of("resolution", "issuer", reference)


def resolve(market: Market, purpose: int, limit: int = 100, reference: str = "R", **more: Value) -> Operation:
    fields: dict[str, Value] = {
        "reference": reference,
        "purpose": purpose,
        "security": market.security,
        "limit": limit,
        "expires_day": MONDAY + 20,
        "evidence": bytes(32),
    }
    return op("resolve", **{**fields, **more})


def offer(market: Market, resolution: bytes, to: str, quantity: int, price_fen: int, reference: str = "o") -> Operation:
    return op(
        "offer",
        resolution=resolution,
        reference=reference,
        subscriber=account(to),
        quantity=quantity,
        price_fen=price_fen,
        expires_ms=market.time_ms + 9 * 86_400_000,
    )


def paid(market: Market, name: str, against: bytes, amount_fen: int) -> bytes:
    market.funded(name, amount_fen)
    reference = f"pay-{market.height}"
    expires = market.time_ms + 9 * 86_400_000
    market.ok(name, op("hold_cash", reference=reference, against=against, amount_fen=amount_fen, expires_ms=expires))
    return market.id_of("hold", name, reference)


def total(market: Market) -> int:
    return decode_security(market.kernel(b"S" + market.security) or b"").total


def left(market: Market, resolution: bytes) -> int:
    found = decode_resolution(market.kernel(RESOLUTION + resolution) or b"")
    return found.limit - found.used - found.reserved


def test_a_placement_is_paid_and_issued_at_once(market: Market) -> None:
    resolution = resolved(market, ISSUE)
    market.ok("issuer", offer(market, resolution, C, 40, 400))
    offered = market.id_of("hold", "issuer", "o")
    assert left(market, resolution) == 60
    assert market.refused(C, op("issue", offer=offered, payment=bytes(16))) == "kernel.payment_missing"
    payment = paid(market, C, offered, 400)
    market.ok(C, op("issue", offer=offered, payment=payment))
    assert (market.holding(market.security, C).total, total(market)) == (40, 240)
    assert market.cash("issuer") == Cash(400, 0)
    assert market.trade_days(market.security, C) == TradeDays(MONDAY, 0)
    assert market.refused(C, transfer(market.security, A, 1)) == "csrc.trade_gap"  # subscribed is bought


@pytest.mark.parametrize(
    ("who", "quantity", "rule"),
    [(D, 10, "csrc.qualified_investor"), (C, 101, "kernel.above_resolution"), ("issuer", 1, "kernel.same_party")],
)
def test_who_may_subscribe(market: Market, who: str, quantity: int, rule: str) -> None:
    resolution = resolved(market, ISSUE)
    receipt = market.one("issuer", offer(market, resolution, who, quantity, 10))
    if receipt.code == 0:
        offered = market.id_of("hold", "issuer", "o")
        payment = paid(market, who, offered, 10)
        receipt = market.one(who, op("issue", offer=offered, payment=payment))
    assert receipt.rule == rule


def test_staged_placements_meet_the_cap(market: Market) -> None:
    market.qualified(D)
    resolution = resolved(market, ISSUE)
    for name, rule in ((C, ""), (D, "csrc.holder_cap")):
        market.ok("issuer", offer(market, resolution, name, 5, 10, name))
        offered = market.id_of("hold", "issuer", name)
        payment = paid(market, name, offered, 10)
        assert market.one(name, op("issue", offer=offered, payment=payment)).rule == rule


def test_a_released_offer_counts_no_more(market: Market) -> None:
    resolution = resolved(market, ISSUE)
    market.ok("issuer", offer(market, resolution, C, 100, 10))
    assert market.refused("issuer", offer(market, resolution, B, 1, 10, "p")) == "kernel.above_resolution"
    assert market.refused(C, op("release", hold=market.id_of("hold", "issuer", "o"))) == "kernel.owner_signs"
    market.ok("issuer", op("release", hold=market.id_of("hold", "issuer", "o")))
    assert left(market, resolution) == 100


def test_the_issuer_signs(market: Market) -> None:
    assert market.refused("operator", resolve(market, ISSUE)) == "kernel.owner_signs"
    assert market.refused("issuer", resolve(market, ISSUE)) == "12"
    resolution = resolved(market, ISSUE)
    assert market.refused("operator", offer(market, resolution, C, 1, 1)) == "kernel.owner_signs"
    again = resolve(market, ISSUE)
    assert market.refused("operator", again, cosigners=("issuer",)) == "kernel.resolution_exists"
    market.go_to(MONDAY + 21)
    assert market.refused("issuer", offer(market, resolution, C, 1, 1)) == "kernel.resolution_over"
    assert market.refused("operator", resolve(market, ISSUE, 1, "S"), cosigners=("issuer",)) == "kernel.bad_order_day"


def redeemed(market: Market, quantity: int, price_fen: int) -> tuple[bytes, bytes]:
    expires = market.time_ms + 9 * 86_400_000
    hold: dict[str, Value] = {"counterparty": account("issuer"), "price_fen": price_fen, "expires_ms": expires}
    market.ok(A, op("hold", reference="h", security=market.security, quantity=quantity, **hold))
    shares = market.id_of("hold", A, "h")
    return shares, paid(market, "issuer", shares, price_fen)


@pytest.mark.parametrize("quantity", [40, 100])
def test_redemption(market: Market, quantity: int) -> None:
    resolution = resolved(market, REDEMPTION)
    shares, payment = redeemed(market, quantity, 500)
    call = op("redeem", resolution=resolution, hold=shares, payment=payment)
    assert market.refused(B, call) == "kernel.not_party"
    market.ok("issuer", call)
    assert (market.holding(market.security, A).total, total(market)) == (100 - quantity, 200 - quantity)
    assert (market.cash(A), market.cash("issuer")) == (Cash(500, 0), Cash(0, 0))
    assert len(market.roll(market.security)) == (1 if quantity == 100 else 2)


def test_redemption_needs_its_resolution(market: Market) -> None:
    issue, small = resolved(market, ISSUE), resolved(market, REDEMPTION, 39, "S")
    shares, payment = redeemed(market, 40, 500)
    for resolution, rule in (
        (issue, "kernel.other_resolution"),
        (small, "kernel.above_resolution"),
        (bytes(16), "kernel.unknown_resolution"),
    ):
        assert market.refused(A, op("redeem", resolution=resolution, hold=shares, payment=payment)) == rule


def test_reduction_and_recovery(market: Market) -> None:
    """Four eyes; never more comes back than went; locked shares shrink in proportion."""
    resolution = resolved(market, REDEMPTION)
    lot: dict[str, Value] = {"class": 1, "release_day": MONDAY + 90, "quantity": 50}
    lock = op("lock_up", security=market.security, account=account(A), lot=lot, evidence=bytes(32))
    market.ok("operator", lock)

    def rows(method: str, quantity: int) -> Operation:
        return op(method, resolution=resolution, rows=[{"account": account(A), "quantity": quantity}])

    assert market.refused("operator", rows("reduce", 60)) == "kernel.four_eyes"
    market.ok("operator", rows("reduce", 60), cosigners=TWO)
    assert (market.holding(market.security, A).total, total(market)) == (40, 140)
    assert market.refused("operator", rows("recover", 61), cosigners=TWO) == "kernel.not_reduced"
    assert market.refused("operator", rows("recover", 60)) == "kernel.four_eyes"
    market.ok("operator", rows("recover", 20), cosigners=TWO)
    market.ok("operator", rows("recover", 40), cosigners=TWO)
    assert market.refused("operator", rows("recover", 1), cosigners=TWO) == "kernel.not_reduced"
    assert left(market, resolution) == 100


@pytest.fixture
def bonds(market: Market) -> Market:
    """C holds 10 bonds of 100.00 yuan each; the conversion price is 3.00 yuan."""
    listing: dict[str, Value] = {
        "reference": "BOND",
        "name": "可转债",
        "issuer": account("issuer"),
        "province": "BJ",
        "unit_decimals": 0,
        "declared": 10,
        "legacy": False,
        "instrument": 2,
    }
    market.ok("operator", op("register_security", **listing))
    market.bond = market.id_of("security", "operator", "BOND")
    market.ok("operator", register(market.bond, {C: 10}), op("activate_security", security=market.bond))
    return market


def test_conversion(bonds: Market) -> None:
    """7 bonds are 70,000 fen: 233 shares, and 100 fen are left over."""
    terms: dict[str, Value] = {"security": bonds.bond, "target": bonds.security, "face_fen": 10_000, "price_fen": 300}
    resolution = resolved(bonds, CONVERSION, 10, **terms)
    call = op("convert", resolution=resolution, quantity=7)
    assert bonds.refused(C, call) == "kernel.escrow_short"
    bonds.funded("issuer", 150)
    bonds.ok("issuer", op("fund_resolution", resolution=resolution, amount_fen=150))
    assert bonds.refused(A, call) == "kernel.insufficient"
    bonds.ok(C, call)
    assert bonds.holding(bonds.security, C).total == 233 and bonds.holding(bonds.bond, C).total == 3
    assert (bonds.cash(C), bonds.cash("issuer")) == (Cash(100, 0), Cash(0, 50))
    assert bonds.refused(C, op("defund_resolution", resolution=resolution)) == "kernel.owner_signs"
    bonds.ok("issuer", op("defund_resolution", resolution=resolution))
    assert bonds.cash("issuer") == Cash(50, 0)


@pytest.mark.parametrize("wrong", [{"face_fen": 0}, {"target": bytes(16)}, {"target": None}, {"price_fen": 0}])
def test_wrong_conversions(bonds: Market, wrong: dict[str, Value]) -> None:
    terms: dict[str, Value] = {"security": bonds.bond, "target": bonds.security, "face_fen": 10_000, "price_fen": 300}
    merged = {name: value for name, value in {**terms, **wrong}.items() if value not in (None, 0)}
    call = resolve(bonds, CONVERSION, **merged)
    assert bonds.refused("operator", call, cosigners=("issuer",)) in (
        "kernel.bad_conversion",
        "kernel.unknown_security",
    )
