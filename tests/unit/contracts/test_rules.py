"""Each market rule by a table: what is accepted, what is refused, which facts the receipt names; on every path."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain_core.types.transaction import Operation
from contracts.assembly import market_documents
from contracts.hooks.guards import GUARDS
from contracts.hooks.rules import ALWAYS, REFUSALS, RULES, rules_document
from contracts.kernel.calendar import day_of
from contracts.kernel.moves import MoveKind
from contracts.kernel.records import TradeDays
from tests.unit.contracts.market import MONDAY, Market, account, noon, op, transfer

SATURDAY = MONDAY + 5
HOLIDAY, MAKE_UP, OPENED = MONDAY + 1, MONDAY + 6, MONDAY + 13
FRIDAY = MONDAY + 4
A, B, C = "investor-0", "investor-1", "investor-2"


def opened(**options: object) -> tuple[Market, bytes]:
    """Monday; A and B hold 100 each, everybody is qualified for a year."""
    market = Market.open(**options)  # type: ignore[arg-type]
    security = market.listed({A: 100, B: 100})
    market.qualified(*(f"investor-{n}" for n in range(12)))
    return market, security


def non_trade(security: bytes, source: str, to: str, quantity: int) -> Operation:
    parties = {"from": account(source), "to": account(to)}
    return op("transfer_non_trade", security=security, quantity=quantity, reason="gift", evidence=bytes(32), **parties)


# ---- the paths that shares can take

Path = Callable[[Market, bytes, str, str, int], str]


def by_transfer(market: Market, security: bytes, seller: str, buyer: str, quantity: int) -> str:
    """The receipt's rule; empty when it succeeded."""
    return market.one(seller, transfer(security, buyer, quantity)).rule


def by_hold(market: Market, security: bytes, seller: str, buyer: str, quantity: int) -> str:
    """A hold without price, settled by the buyer."""
    reference = f"h{market.height}"
    hold = op(
        "hold",
        reference=reference,
        security=security,
        quantity=quantity,
        counterparty=account(buyer),
        price_fen=0,
        expires_ms=market.time_ms + 86_400_000,
    )
    rule = market.one(seller, hold).rule
    if rule:
        return rule
    return market.one(buyer, op("move_held", hold=market.id_of("hold", seller, reference), payment=bytes(16))).rule


def by_template(market: Market, security: bytes, seller: str, buyer: str, quantity: int) -> str:
    """A negotiated transfer, accepted and settled in one transaction of the buyer's."""
    reference = f"n{market.height}"
    market.funded(buyer, 100)
    params = {
        "security": security,
        "quantity": quantity,
        "buyer": account(buyer),
        "price_fen": 100,
        "expires_ms": market.time_ms + 86_400_000,
    }
    order = op("create", "templates", template="csrc.negotiated-transfer", reference=reference, params=params)
    rule = market.one(seller, order).rule
    if rule:
        return rule
    instance = market.id_of("instance", seller, reference)
    steps = [op("call", "templates", instance=instance, method=method, args={}) for method in ("accept", "settle")]
    return market.one(buyer, *steps).rule


PATHS = {"transfer": by_transfer, "hold": by_hold, "template": by_template}


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> Path:
    return PATHS[request.param]


# ---- qualified investors


@pytest.mark.parametrize(
    ("until", "rule"),
    [
        (MONDAY + 30, ""),
        (MONDAY, ""),  # the last day of the proof counts
        (MONDAY - 1, "csrc.qualified_investor"),
        (0, "csrc.qualified_investor"),
    ],
)
def test_qualified_investor(path: Path, until: int, rule: str) -> None:
    market, security = opened()
    market.qualified(C, until=until)
    assert path(market, security, A, C, 10) == rule
    assert market.holding(security, C).total == (0 if rule else 10)


def test_the_seller_needs_no_proof() -> None:
    market, security = opened()
    market.qualified(A, until=0)
    market.ok(A, transfer(security, C, 1))


def test_facts_of_a_refusal() -> None:
    market, security = opened()
    market.qualified(C, until=MONDAY - 3)
    receipt = market.one(A, transfer(security, C, 1))
    assert (receipt.rule, receipt.parameters) == (
        "csrc.qualified_investor",
        (0, account(C), MONDAY - 3, MONDAY),
    )
    assert "qualified investor" in market.text(receipt) and str(MONDAY - 3) in market.text(receipt)


# ---- trading days


@pytest.mark.parametrize(
    ("day", "rule"),
    [
        (MONDAY, ""),
        (HOLIDAY, "csrc.trading_day"),
        (SATURDAY, "csrc.trading_day"),
        (MAKE_UP, "csrc.trading_day"),
        (OPENED, ""),
    ],
)
def test_trading_day(path: Path, day: int, rule: str) -> None:
    documents = market_documents([HOLIDAY], [MAKE_UP], [OPENED])
    market, security = opened(documents=documents)
    market.go_to(day)
    assert path(market, security, A, C, 1) == rule


@pytest.mark.parametrize("day", [HOLIDAY, SATURDAY, MAKE_UP])
def test_non_trade_registration_on_any_day(day: int) -> None:
    market, security = opened(documents=market_documents([HOLIDAY], [MAKE_UP]))
    market.qualified(C, until=0)
    market.go_to(day)
    market.ok("operator", non_trade(security, A, C, 10))
    assert market.trade_days(security, C) == TradeDays(0, 0)
    names = [name for _, name, _ in market.events()]
    assert names == ["transferred", "non_trade_reason"]


def test_the_day_is_chinas() -> None:
    """Sunday 16:00 UTC is Monday in China."""
    market, security = opened()
    market.time_ms = noon(MONDAY + 7) - 12 * 3_600_000 - 2_000
    assert market.refused(A, transfer(security, C, 1)) == "csrc.trading_day"
    assert day_of(market.time_ms) == MONDAY + 6
    market.ok(A, transfer(security, C, 1))
    assert day_of(market.time_ms) == MONDAY + 7


# ---- five trading days between buy and sale


@pytest.mark.parametrize(
    ("days", "rule"),
    [(0, "csrc.trade_gap"), (1, "csrc.trade_gap"), (4, "csrc.trade_gap"), (7, ""), (8, "")],
)
@pytest.mark.parametrize("order", ["buy then sell", "sell then buy"])
def test_trade_gap(path: Path, order: str, days: int, rule: str) -> None:
    """C buys on Monday and sells later; A sells on Monday and buys later. The next Monday is five trading days on."""
    market, security = opened()
    assert path(market, security, A, C, 10) == ""
    market.go_to(MONDAY + days)
    seller, buyer = (C, "investor-5") if order == "buy then sell" else (B, A)
    assert path(market, security, seller, buyer, 5) == rule


def test_the_gap_counts_trading_days_only() -> None:
    """A holiday in between pushes the first possible day on."""
    market, security = opened(documents=market_documents([MONDAY + 7]))
    market.ok(A, transfer(security, C, 10))
    market.go_to(MONDAY + 8)
    market.ok(C, transfer(security, "investor-5", 1))
    market.go_to(MONDAY + 14)
    receipt = market.one("investor-5", transfer(security, A, 1))
    assert (receipt.rule, receipt.parameters) == (
        "csrc.trade_gap",
        (0, account("investor-5"), security, MONDAY + 8, 4, 5),
    )


def test_the_same_direction_and_other_securities_are_free() -> None:
    market, security = opened()
    other = market.listed({A: 100, C: 50}, "BJ000002F.ESVUFR2401")
    market.ok(A, transfer(security, C, 10))
    market.ok(A, transfer(security, C, 10))
    market.ok(C, transfer(other, A, 10))
    market.ok(B, transfer(security, C, 10))


@pytest.mark.parametrize(("acquired", "rule"), [(MONDAY - 5, "csrc.trade_gap"), (MONDAY - 7, ""), (0, "")])
def test_a_purchase_before_custody_counts(acquired: int, rule: str) -> None:
    """A roll's day of the last purchase: Wednesday is three trading days before Monday, the Monday before it five."""
    market = Market.open()
    security = market.listed({A: 100}, acquired=acquired)
    market.qualified(C)
    assert by_transfer(market, security, A, C, 1) == rule


def test_selling_all_does_not_forget() -> None:
    """Whoever left the register still waits to buy again."""
    market, security = opened()
    market.ok(A, transfer(security, C, 100))
    assert account(A) not in market.roll(security)
    assert market.refused(B, transfer(security, A, 1)) == "csrc.trade_gap"


# ---- holder cap


def test_holder_cap(path: Path) -> None:
    market, security = opened(parameters={"holder_cap": 3})
    assert path(market, security, A, C, 10) == ""
    assert path(market, security, A, "investor-3", 10) == "csrc.holder_cap"
    assert path(market, security, A, C, 10) == ""
    assert path(market, security, B, "investor-3", 100) == ""  # B leaves, the other comes
    assert len(market.roll(security)) == 3


def test_two_hundred_holders() -> None:
    people = [f"p{n}" for n in range(202)]
    market = Market.open(people)
    security = market.listed(dict.fromkeys(people[:199], 5))
    market.qualified(*people)
    market.ok("p0", transfer(security, "p199", 1))
    receipt = market.one("p0", transfer(security, "p200", 1))
    assert (receipt.rule, receipt.parameters) == ("csrc.holder_cap", (0, security, 201, 200))
    assert market.refused("operator", non_trade(security, "p1", "p200", 1)) == "csrc.holder_cap"
    market.ok("p1", transfer(security, "p200", 5))


# ---- rules as data


def test_every_rule_has_its_guard_and_its_texts() -> None:
    judged = {rule.id for rule in RULES if rule.judges}
    assert judged == set(GUARDS)
    assert set(REFUSALS) == {rule.id for rule in RULES}
    for rule in RULES:
        assert rule.zh and rule.en and rule.article and rule.refusal.zh and rule.refusal.en
        assert (MoveKind.TRADE in rule.judges) == (rule.id in GUARDS)


@pytest.mark.parametrize("day", [MONDAY, MONDAY + 1])
def test_a_rule_is_in_force_from_its_day(path: Path, day: int) -> None:
    documents = market_documents(effective_from={"csrc.qualified_investor": MONDAY + 1})
    market, security = opened(documents=documents)
    market.qualified(C, until=0)
    market.go_to(day)
    assert path(market, security, A, C, 1) == ("csrc.qualified_investor" if day > MONDAY else "")


def test_freezes_have_no_date() -> None:
    for rule in ALWAYS:
        with pytest.raises(ValueError, match="effective"):
            rules_document({rule: 1})
    with pytest.raises(ValueError, match="effective"):
        rules_document({"csrc.stranger": 1})


def test_parameters_are_on_chain() -> None:
    market, security = opened(parameters={"trade_gap_days": 6, "holder_cap": 2})
    market.ok(A, transfer(security, B, 1))
    market.go_to(MONDAY + 7)
    assert market.refused(B, transfer(security, A, 1)) == "csrc.trade_gap"
    market.go_to(MONDAY + 8)
    market.ok(B, transfer(security, A, 1))
    assert market.refused(B, transfer(security, C, 1)) == "csrc.holder_cap"


# ---- what a transfer needs besides


@pytest.mark.parametrize(
    ("to", "quantity", "rule"),
    [
        (C, 100, ""),
        (C, 101, "kernel.insufficient"),
        (A, 1, "kernel.same_party"),
        ("nobody", 1, "kernel.not_accepted"),
        (C, 0, "10"),
        (C, 1 << 63, "10"),
    ],
)
def test_transfer(to: str, quantity: int, rule: str) -> None:
    market, security = opened()
    if rule:
        assert market.refused(A, transfer(security, to, quantity)) == rule
    else:
        market.ok(A, transfer(security, to, quantity))


def test_somebody_else_cannot_move_what_is_mine() -> None:
    """A transfer takes from the principal; acting for another needs his grant."""
    market, security = opened()
    assert market.refused(B, transfer(security, C, 1), on_behalf_of=account(A)) == "accounts.no_grant"
    market.ok(A, op("grant", "accounts", account=account(B)))
    market.ok(B, transfer(security, C, 1), on_behalf_of=account(A))
    assert market.holding(security, A).total == 99
    for name in (A, "bank", "issuer"):
        assert market.refused(name, non_trade(security, A, C, 1)) == "12"


def test_several_operations_are_one() -> None:
    """The second needs what the first brought; the third breaks a rule and takes all back."""
    market, security = opened()
    assert market.refused(A, transfer(security, C, 60), transfer(security, C, 60)) == "kernel.insufficient"
    assert market.holding(security, C).total == 0
    market.ok(A, transfer(security, C, 60), transfer(security, "investor-3", 40))
    assert [name for _, name, _ in market.events()] == ["transferred", "transferred"]
