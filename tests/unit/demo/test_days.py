"""Days of the demonstration: its calendar counts as the ledger's does, and its own day always trades."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from chain_core.types.transaction import Operation
from contracts.assembly import market_documents
from dualchain.demo.days import DAY_MS, UTC8_MS, Calendar, date_of, day_number, day_of_ms, parse_day, run_days
from dualchain.demo.inputs import read_calendar
from dualchain.demo.layout import market_calendar
from tests.unit.contracts.market import Market, account, op, transfer

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "market-day"
SUNDAY, HOLIDAY, MONDAY = date(2026, 11, 22), date(2026, 10, 1), date(2026, 11, 23)
PLAIN = Calendar(frozenset(), frozenset())


def test_a_day_begins_at_midnight_in_utc8() -> None:
    before = int(datetime(2026, 11, 22, 15, 59, 59, tzinfo=UTC).timestamp() * 1000)
    assert date_of(day_of_ms(before)) == date(2026, 11, 22)
    assert date_of(day_of_ms(before + 1000)) == date(2026, 11, 23)


def test_a_run_close_to_midnight_touches_two_days() -> None:
    midnight = (day_number(SUNDAY) + 1) * DAY_MS - UTC8_MS
    sunday = day_number(SUNDAY)
    assert run_days(midnight - 600_001) == (sunday,)
    assert run_days(midnight - 600_000) == (sunday, sunday + 1)
    assert run_days(midnight) == (sunday + 1,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("T", MONDAY),
        ("T-1", date(2026, 11, 20)),
        ("T-5", date(2026, 11, 16)),
        ("T+5", date(2026, 11, 30)),
        ("T-0", MONDAY),
        ("2026-11-22", SUNDAY),
    ],
)
def test_dates_are_absolute_or_trading_days_from_the_run(text: str, expected: date) -> None:
    assert date_of(parse_day(text, day_number(MONDAY), PLAIN)) == expected


def test_trading_days_skip_holidays_and_make_up_weekends_alike() -> None:
    calendar = read_calendar(EXAMPLE)
    after = day_number(date(2026, 10, 9))
    assert date_of(parse_day("T-1", after, calendar)) == date(2026, 10, 8)
    assert date_of(parse_day("T-2", after, calendar)) == date(2026, 9, 30)
    make_up = min(calendar.workdays)
    assert not calendar.trades(make_up)


@pytest.mark.parametrize("text", ["", "t-1", "T-1000", "T- 1", "2026-1-01", "2026-02-30", "20261122", "T-1x"])
def test_other_texts_are_no_dates(text: str) -> None:
    with pytest.raises(ValueError, match="date"):
        parse_day(text, day_number(MONDAY), PLAIN)


def ready_to_trade(day: int, calendar: Calendar) -> tuple[Market, bytes]:
    """A market on the demonstration's calendar, in the middle of ``day``, with a seller and a proven buyer."""
    days = market_calendar(calendar)
    market = Market.open(day=day, documents=market_documents(days.holidays, days.workdays, days.opened))
    security = market.listed({"investor-0": 500, "investor-1": 500})
    market.qualified("investor-2", until=day + 30)
    market.funded("investor-2", 1_000_00)
    return market, security


def deal(market: Market, security: bytes) -> tuple[list[Operation], list[Operation], list[Operation]]:
    """Order, acceptance and settlement of the negotiated-transfer template, as the demonstration makes them."""
    params = {
        "security": security,
        "quantity": 10,
        "buyer": account("investor-2"),
        "price_fen": 5_00,
        "expires_ms": market.time_ms + 3_600_000,
    }
    instance = market.id_of("instance", "investor-0", "ORD-1")
    create = op("create", "templates", template="csrc.negotiated-transfer", reference="ORD-1", params=params)
    call = lambda method: [op("call", "templates", instance=instance, method=method, args={})]  # noqa: E731
    return [create], call("accept"), call("settle")


@pytest.mark.parametrize("run_day", [SUNDAY, HOLIDAY], ids=["a Sunday", "a holiday"])
def test_the_runs_day_trades_because_genesis_opened_it(run_day: date) -> None:
    day = day_number(run_day)
    calendar = read_calendar(EXAMPLE).opening(day)
    assert calendar.opened == {day} and market_calendar(calendar).opened == (day,)
    market, security = ready_to_trade(day, calendar)
    order, acceptance, settlement = deal(market, security)
    market.ok("investor-0", *order)
    market.ok("investor-2", *acceptance)
    market.ok("operator", *settlement)
    assert market.day == day
    assert market.holding(security, "investor-2").total == 10
    assert market.trade_days(security, "investor-2").bought == day
    # The next day is open again only if the calendar says so.
    market.go_to(day_number(SUNDAY))
    if run_day != SUNDAY:
        assert market.refused("investor-1", transfer(security, "investor-2", 1)) == "csrc.trading_day"


@pytest.mark.parametrize("run_day", [SUNDAY, HOLIDAY], ids=["a Sunday", "a holiday"])
def test_without_that_the_ledger_refuses_trades_on_it(run_day: date) -> None:
    day = day_number(run_day)
    market, security = ready_to_trade(day, read_calendar(EXAMPLE))
    assert market.refused("investor-0", transfer(security, "investor-2", 1)) == "csrc.trading_day"
    order, acceptance, settlement = deal(market, security)
    outcomes = []
    for who, operations in (("investor-0", order), ("investor-2", acceptance), ("operator", settlement)):
        receipt = market.one(who, *operations)
        outcomes.append(receipt.rule)
        if receipt.code:
            break
    assert outcomes[-1] == "csrc.trading_day"
    assert market.holding(security, "investor-2").total == 0


def test_an_opened_day_counts_as_a_trading_day() -> None:
    """T-3 of a Sunday run counts back from Sunday, which is a trading day itself."""
    day = day_number(SUNDAY)
    calendar = PLAIN.opening(day)
    assert date_of(parse_day("T-1", day, calendar)) == date(2026, 11, 20)
    assert date_of(parse_day("T-1", day_number(MONDAY), calendar)) == SUNDAY
