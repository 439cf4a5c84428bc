"""From an empty register to a live security: who may, what is refused, what stays behind."""

import pytest

from contracts.kernel.records import Holding, Status, TradeDays, decode_security
from tests.unit.contracts.market import MONDAY, Market, account, listing, op, register, transfer

CODE = "BJ000001F.ESVUFR2401"


def test_a_register_is_filled_and_goes_live() -> None:
    market = Market.open()
    security = market.registering(100)
    market.ok("operator", register(security, {"investor-0": 60}, acquired=MONDAY - 10))
    assert market.refused("operator", op("activate_security", security=security)) == "kernel.sum_differs"
    market.ok("operator", register(security, {"investor-1": 40}))
    market.ok("operator", op("activate_security", security=security))
    assert market.events() == [["kernel", "security_live", {"security": security, "total": 100, "holders": 2}]]
    assert market.holding(security, "investor-0") == Holding(60, 0, 0, 0)
    assert market.trade_days(security, "investor-0") == TradeDays(MONDAY - 10, 0)
    assert market.trade_days(security, "investor-1") == TradeDays(0, 0)
    assert market.roll(security) == [account("investor-0"), account("investor-1")]
    record = decode_security(market.kernel(b"S" + security) or b"")
    assert (record.status, record.total, record.issuer) == (Status.LIVE, 100, account("issuer"))


def test_an_issue_begins_with_an_empty_register() -> None:
    """Live with nobody; a row is above what is declared; no legacy mark for a register that has no past."""
    market = Market.open()
    security = market.registering(0)
    assert market.refused("operator", register(security, {"investor-0": 1})) == "kernel.above_declared"
    market.ok("operator", op("activate_security", security=security))
    assert market.events() == [["kernel", "security_live", {"security": security, "total": 0, "holders": 0}]]
    assert market.roll(security) == []
    market.qualified("investor-1")
    assert market.refused("investor-0", transfer(security, "investor-1", 1)) == "kernel.insufficient"


def test_rows_are_taken_back_while_registering() -> None:
    market = Market.open()
    security = market.registering(100)
    market.ok("operator", register(security, {"investor-0": 60, "investor-1": 30, "investor-2": 10}, acquired=MONDAY))
    gone = [account("investor-0"), account("investor-2")]
    market.ok("operator", op("unregister_holding", security=security, accounts=gone))
    assert market.roll(security) == [account("investor-1")]
    assert market.trade_days(security, "investor-0") == TradeDays(0, 0)
    assert market.refused("operator", op("unregister_holding", security=security, accounts=gone)) == (
        "kernel.not_registered"
    )
    market.ok("operator", register(security, {"investor-0": 70}))
    market.ok("operator", op("activate_security", security=security))
    wrong = op("unregister_holding", security=security, accounts=[account("investor-1")])
    assert market.refused("operator", wrong) == "kernel.not_registering"


def test_nothing_moves_before_it_is_live() -> None:
    market = Market.open()
    security = market.registering(100)
    market.ok("operator", register(security, {"investor-0": 100}))
    market.qualified("investor-1")
    assert market.refused("investor-0", transfer(security, "investor-1", 1)) == "kernel.not_live"


@pytest.mark.parametrize(
    ("rows", "acquired", "rule"),
    [
        ({"investor-0": 101}, 0, "kernel.above_declared"),
        ({"nobody": 1}, 0, "kernel.unknown_party"),
        ({"investor-0": 1}, MONDAY + 1, "kernel.future_day"),
        ({"investor-9": 1}, 0, "kernel.registered"),
        ({"investor-0": 0}, 0, "10"),
        ({f"investor-{n}": 1 for n in range(65)}, 0, "10"),
    ],
)
def test_wrong_rows(rows: dict[str, int], acquired: int, rule: str) -> None:
    market = Market.open()
    security = market.registering(100)
    market.ok("operator", register(security, {"investor-9": 1}))
    assert market.refused("operator", register(security, rows, acquired)) == rule


def test_a_batch_of_rows_is_entered_whole_or_not() -> None:
    market = Market.open()
    security = market.registering(100)
    rows = {f"investor-{n}": 10 for n in range(5)} | {"nobody": 1}
    assert market.refused("operator", register(security, rows)) == "kernel.unknown_party"
    assert market.roll(security) == []


def test_the_registrar_keeps_his_register() -> None:
    """Another operator's account neither enters rows nor activates; each reference is registered once."""
    market = Market.open()
    security = market.registering(100)
    assert market.refused("operator", listing(50, CODE)) == "kernel.security_exists"
    assert market.refused("operator", listing(50, "JS000101G.ESVUFR2403", province="JS")) == "csrc.province"
    unknown = bytes(16)
    assert market.refused("operator", op("activate_security", security=unknown)) == "kernel.unknown_security"
    for name in ("bank", "investor-0", "issuer"):
        assert market.refused(name, listing(50, "X")) == "12"
        assert market.refused(name, register(security, {"investor-0": 1})) == "12"


def test_the_cap_while_registering() -> None:
    """Two hundred holders fit; the two hundred and first only in a legacy register."""
    people = [f"p{n}" for n in range(202)]
    market = Market.open(people)
    market.listed(dict.fromkeys(people[:200], 1))
    over = market.registering(201, "BJ000002F.ESVUFR2401")
    for start in range(0, 192, 64):
        market.ok("operator", register(over, dict.fromkeys(people[start : start + 64], 1)))
    rest = dict.fromkeys(people[192:201], 1)
    assert market.refused("operator", register(over, rest)) == "csrc.holder_cap"
    legacy = market.listed(dict.fromkeys(people, 2), "BJ000003F.ESVUFR2401", legacy=True)
    assert len(market.roll(legacy)) == 202


def test_the_operator_alone_lifts_no_cap() -> None:
    """A register beyond the cap takes a governor of another house beside the operator; the event says so."""
    market = Market.open()
    call = listing(50, CODE, legacy=True)
    for cosigners in ((), ("investor-0",), ("governor-1",)):  # nobody; no governor; of the operator's own house
        assert market.refused("operator", call, cosigners=cosigners) == "kernel.four_eyes"
    market.ok("operator", call, cosigners=("governor-2",))
    (event,) = market.events()
    assert event[1] == "security_registered" and event[2]["legacy"] is True  # type: ignore[index,call-overload]


def test_a_legacy_register_only_shrinks() -> None:
    people = [f"p{n}" for n in range(8)]
    market = Market.open(people, parameters={"holder_cap": 4})
    security = market.listed(dict.fromkeys(people[:6], 10), legacy=True)
    market.qualified(*people)
    assert market.refused("p0", transfer(security, "p6", 3)) == "csrc.holder_cap"
    market.ok("p0", transfer(security, "p1", 10))
    assert len(market.roll(security)) == 5
    market.ok("p2", transfer(security, "p7", 10))  # one leaves, one comes: it did not grow
    assert len(market.roll(security)) == 5
    market.ok("p3", transfer(security, "p1", 10))
    assert market.refused("p4", transfer(security, "p6", 3)) == "csrc.holder_cap"
    market.ok("p4", transfer(security, "p1", 10))
    market.ok("p5", transfer(security, "p6", 3))  # three of four before
    assert len(market.roll(security)) == 4
