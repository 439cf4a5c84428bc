"""Genesis documents, calendar versions under four eyes, suitability; what governance decides binds the next trades."""

from __future__ import annotations

import pytest

from chain_core.execution.errors import InvalidGenesis
from chain_core.types.values import Value
from contracts.assembly import MARKET_ROLES, market_documents, market_parameters
from contracts.hooks.rules import effective_days
from contracts.kernel.calendar import decode_calendar
from contracts.kernel.records import CALENDAR, MARKET, RULES, SUITABILITY, decode_suitability
from tests.unit.contracts.market import MONDAY, Market, account, op, proof, transfer

A, B = "investor-0", "investor-1"
SATURDAY = MONDAY + 5


def calendar(*, holidays: tuple[int, ...] = (), workdays: tuple[int, ...] = (), opened: tuple[int, ...] = ()) -> object:
    return op("set_calendar", holidays=list(holidays), workdays=list(workdays), opened=list(opened))


# ---- genesis


def test_genesis_writes_what_the_documents_say() -> None:
    documents = market_documents([9, 7], [MONDAY + 6], [5], effective_from={"csrc.holder_cap": 12})
    market = Market.open(documents=documents)
    found = decode_calendar(market.kernel(CALENDAR) or b"")
    assert (found.version, found.holidays, found.workdays, found.opened) == (1, (7, 9), (MONDAY + 6,), (5,))
    days = effective_days(market.kernel(RULES) or b"")
    assert days["csrc.holder_cap"] == 12 and days["csrc.trade_gap"] == 0
    assert market.kernel(MARKET) == b"BJ"
    assert market_parameters() == {"holder_cap": 200, "trade_gap_days": 5}
    assert MARKET_ROLES == ("depository_bank", "operator")


def test_genesis_without_documents() -> None:
    market = Market.open(documents={})
    assert decode_calendar(market.kernel(CALENDAR) or b"").holidays == ()
    call = op("create", "templates", template="csrc.negotiated-transfer", reference="x", params={})
    assert market.refused(A, call) == "templates.unknown"


def changed(name: str, **fields: Value) -> dict[str, Value]:
    documents = market_documents()
    document = documents[name]
    assert isinstance(document, dict)
    return {**documents, name: {**document, **fields}}


def with_date(rule: str, day: int) -> dict[str, Value]:
    documents = market_documents()
    rules = documents["rules"]
    assert isinstance(rules, dict)
    return {**documents, "rules": {**rules, rule: {**rules[rule], "effective_from": day}}}


@pytest.mark.parametrize(
    ("documents", "place"),
    [
        ({"calendar": []}, "documents.calendar"),
        (changed("calendar", more=[]), "documents.calendar"),
        (changed("calendar", holidays=7), "documents.calendar.holidays"),
        (changed("calendar", holidays=[9, 7]), "documents.calendar.holidays"),
        (changed("calendar", workdays=[MONDAY]), "documents.calendar.workdays"),
        ({"rules": {}}, "documents.rules"),
        (changed("rules", stranger={}), "documents.rules"),
        (changed("rules", **{"csrc.trade_gap": {"effective_from": 0}}), "documents.rules"),
        (with_date("csrc.frozen_party", 1), "documents.rules"),
        (with_date("csrc.trade_gap", 1 << 32), "documents.rules"),
        ({"templates": []}, "documents.templates"),
        (changed("templates", stranger=7), "documents.templates.stranger"),
    ],
)
def test_wrong_documents(documents: dict[str, Value], place: str) -> None:
    with pytest.raises(InvalidGenesis) as refusal:
        Market.open(documents=documents)
    assert f"'{place}'" in refusal.value.what


LAXER = [("holder_cap", 1), ("holder_cap", 201), ("trade_gap_days", 4), ("trade_gap_days", 251)]


@pytest.mark.parametrize(("name", "value"), LAXER)
def test_wrong_parameters(name: str, value: int) -> None:
    """Neither the genesis nor the market's own governors set what is laxer than the regulation, or absurd."""
    with pytest.raises(InvalidGenesis):
        Market.open(parameters={name: value})
    change = op("propose", "governance", kind="parameters", content={"set": {name: value}}, effective_height=0)
    assert Market.open().refused("governor-1", change) == "governance.bad_parameter"


@pytest.mark.parametrize(("name", "value"), [("holder_cap", 2), ("trade_gap_days", 250)])
def test_stricter_parameters(name: str, value: int) -> None:
    market = Market.open(parameters={name: value})
    assert market.executor.parameters(market)[name] == value


def test_a_calendar_that_contradicts_itself_is_not_built() -> None:
    with pytest.raises(ValueError, match="workdays"):
        market_documents([SATURDAY], [SATURDAY])


# ---- the calendar


def test_a_new_calendar_needs_a_second_house() -> None:
    market = Market.open()
    call = calendar(holidays=(MONDAY + 3,), opened=(SATURDAY,))
    for cosigners in ((), (A,), ("governor-1",)):  # nobody; no governor; of the operator's own house
        assert market.refused("operator", call, cosigners=cosigners) == "kernel.four_eyes"
    assert market.refused("governor-2", call, cosigners=("operator",)) == "12"
    market.ok("operator", call, cosigners=("governor-2",))
    assert market.events() == [["kernel", "calendar_set", {"version": 2}]]
    found = decode_calendar(market.kernel(CALENDAR) or b"")
    assert (found.version, found.holidays, found.opened) == (2, (MONDAY + 3,), (SATURDAY,))


def test_the_new_calendar_binds_the_trades_of_its_days() -> None:
    market = Market.open()
    security = market.listed({A: 10})
    market.qualified(B)
    market.ok("operator", calendar(holidays=(MONDAY + 3,), opened=(SATURDAY,)), cosigners=("governor-2",))
    market.go_to(MONDAY + 3)
    assert market.refused(A, transfer(security, B, 1)) == "csrc.trading_day"
    market.go_to(SATURDAY)
    market.ok(A, transfer(security, B, 1))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (calendar(holidays=(MONDAY - 3, MONDAY)), "kernel.calendar_past"),
        (calendar(), "kernel.calendar_past"),
        (calendar(holidays=(MONDAY - 3,), opened=(MONDAY - 1,)), "kernel.calendar_past"),
        (calendar(holidays=(MONDAY - 3, MONDAY - 4)), "kernel.bad_days"),
        (calendar(holidays=(MONDAY - 3,), workdays=(MONDAY + 1,)), "kernel.bad_days"),
        (calendar(holidays=(MONDAY - 3, MONDAY + 1)), ""),
    ],
)
def test_days_gone_by_do_not_change(call: object, rule: str) -> None:
    market = Market.open(documents=market_documents([MONDAY - 3]))
    if rule:
        assert market.refused("operator", call, cosigners=("governor-2",)) == rule
    else:
        market.ok("operator", call, cosigners=("governor-2",))


# ---- parameters by governance


def test_governance_changes_the_cap() -> None:
    market = Market.open()
    security = market.listed({A: 10})
    market.qualified(B, "investor-3")
    change = op("propose", "governance", kind="parameters", content={"set": {"holder_cap": 2}}, effective_height=0)
    market.ok("governor-1", change)
    market.ok("governor-2", op("approve", "governance", proposal=1))
    market.ok(A, transfer(security, B, 1))
    for _ in range(12):
        market.block()
    assert market.executor.parameters(market)["holder_cap"] == 2
    assert market.refused(A, transfer(security, "investor-3", 1)) == "csrc.holder_cap"


# ---- suitability


def test_suitability_is_recorded_and_withdrawn() -> None:
    market = Market.open()
    row = {"account": account(A), "category": 2, "expires_day": MONDAY + 9}
    market.ok("operator", op("set_suitability", rows=[row]))
    assert decode_suitability(market.kernel(SUITABILITY + account(A)) or b"") == (2, MONDAY + 9, 0, 0)
    market.ok("operator", op("set_suitability", rows=[{**row, "expires_day": 0}]))
    assert market.kernel(SUITABILITY + account(A)) is None


@pytest.mark.parametrize(
    ("who", "changes", "rule"),
    [
        ("bank", {}, "12"),
        (A, {}, "12"),
        ("operator", {"account": account("nobody")}, "kernel.unknown_party"),
        ("operator", {"category": 0}, "10"),
        ("operator", {"category": 4}, "10"),
        ("operator", {"expires_day": 1 << 32}, "10"),
        ("operator", {"assets_fen": 49_999_999}, "csrc.investor_proof"),
        ("operator", {"experience_months": 23}, "csrc.investor_proof"),
        ("operator", {"experience_months": 1_201}, "10"),
    ],
)
def test_wrong_suitability(who: str, changes: dict[str, Value], rule: str) -> None:
    market = Market.open()
    row = proof(A, MONDAY + 9, **changes)
    assert market.refused(who, op("set_suitability", rows=[row])) == rule
