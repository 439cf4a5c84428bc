"""Lock-ups (限售): what may be sold, what may be pledged, what goes along with a non-trade transfer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_core.types.errors import MalformedBytes
from chain_core.types.transaction import Operation
from chain_core.types.values import Value
from contracts.kernel.lots import Lot, decode_lots, encode_lots, in_proportion, locked
from contracts.kernel.records import LOTS, Flag, Holding, decode_security
from tests.unit.contracts.market import MONDAY, Market, account, op, transfer

A, B, C = "investor-0", "investor-1", "investor-2"
FRIDAY, NEXT = MONDAY + 4, MONDAY + 7


@pytest.fixture
def market() -> Market:
    """A holds 100, of which 60 are locked until next Monday."""
    market = Market.open()
    market.security = market.listed({A: 100, B: 100})
    market.qualified(A, B, C)
    market.ok("operator", lock(market, A, 60))
    return market


def lot(quantity: int, day: int = NEXT, lot_class: int = 1) -> dict[str, Value]:
    return {"class": lot_class, "release_day": day, "quantity": quantity}


def lock(
    market: Market, name: str, quantity: int, method: str = "lock_up", /, day: int = NEXT, **more: Value
) -> Operation:
    security: bytes = market.security
    return op(method, security=security, account=account(name), lot=lot(quantity, day), evidence=bytes(32), **more)


def lots(market: Market, name: str) -> list[Lot]:
    return decode_lots(market.kernel(LOTS + market.security + account(name)))


def non_trade(market: Market, source: str, to: str, quantity: int, **more: Value) -> Operation:
    parties: dict[str, Value] = {"from": account(source), "to": account(to)}
    security: bytes = market.security
    fields: dict[str, Value] = {"quantity": quantity, "reason": "inheritance", "evidence": bytes(32)}
    return op("transfer_non_trade", security=security, **parties, **fields, **more)


@pytest.mark.parametrize(
    ("day", "quantity", "rule"),
    [(MONDAY, 40, ""), (MONDAY, 41, "csrc.lock_up"), (FRIDAY, 41, "csrc.lock_up"), (NEXT, 100, "")],
)
def test_a_sale_leaves_what_is_locked(market: Market, day: int, quantity: int, rule: str) -> None:
    """The release day itself is free, and nobody has to release anything."""
    market.go_to(day)
    receipt = market.one(A, transfer(market.security, C, quantity))
    assert receipt.rule == rule
    if rule:
        assert receipt.parameters[1:] == (account(A), market.security, 60, 100 - quantity)
    assert (lots(market, A) == []) == (day == NEXT)


def test_a_settlement_is_judged_too(market: Market) -> None:
    hold = op(
        "hold",
        reference="h",
        security=market.security,
        quantity=50,
        counterparty=account(C),
        price_fen=0,
        expires_ms=market.time_ms + 9 * 86_400_000,
    )
    market.ok(A, hold)
    settle = op("move_held", hold=market.id_of("hold", A, "h"), payment=bytes(16))
    assert market.refused(C, settle) == "csrc.lock_up"
    market.go_to(NEXT)
    market.ok(C, settle)


def test_locked_shares_are_pledged_and_frozen(market: Market) -> None:
    security: bytes = market.security
    market.ok(A, op("pledge", reference="L", security=security, quantity=80, pledgee=account("bank")))
    freeze = op("freeze_holding", "border", security=security, account=account(A), quantity=20, directive="D")
    market.ok("relayer", freeze)
    assert market.holding(security, A) == Holding(0, 80, 20, 0)


@pytest.mark.parametrize(
    ("quantity", "named", "rule", "left", "went"),
    [
        (50, None, "", [Lot(1, NEXT, 30)], [Lot(1, NEXT, 30)]),
        (100, None, "", [], [Lot(1, NEXT, 60)]),
        (33, None, "", [Lot(1, NEXT, 40)], [Lot(1, NEXT, 20)]),
        (40, [], "", [Lot(1, NEXT, 60)], []),
        (41, [], "csrc.lock_up", [], []),
        (50, [lot(50)], "", [Lot(1, NEXT, 10)], [Lot(1, NEXT, 50)]),
        (50, [lot(51)], "csrc.lock_up", [], []),
        (50, [lot(61)], "kernel.no_such_lot", [], []),
        (50, [lot(10, FRIDAY)], "kernel.no_such_lot", [], []),
    ],
)
def test_lots_go_along(
    market: Market, quantity: int, named: list[Value] | None, rule: str, left: list[Lot], went: list[Lot]
) -> None:
    more: dict[str, Value] = {} if named is None else {"lots": named}
    call = non_trade(market, A, C, quantity, **more)
    if rule:
        assert market.refused("operator", call) == rule
        return
    market.ok("operator", call)
    assert lots(market, A) == left and lots(market, C) == went
    assert ("lock_up_moved" in [name for _, name, _ in market.events()]) == bool(went)


def test_early_release_and_change_take_four_eyes(market: Market) -> None:
    release = lock(market, A, 10, "release_lock_up")
    change = lock(market, A, 20, "change_lock_up", to_class=4, to_day=NEXT + 30)
    for call in (release, change):
        assert market.refused("operator", call) == "kernel.four_eyes"
        assert market.refused("operator", call, cosigners=("governor-1",)) == "kernel.four_eyes"
        assert market.refused(A, call) == "12"
        market.ok("operator", call, cosigners=("governor-2",))
    assert lots(market, A) == [Lot(1, NEXT, 30), Lot(4, NEXT + 30, 20)]
    too_much = lock(market, A, 31, "release_lock_up")
    assert market.refused("operator", too_much, cosigners=("governor-2",)) == "kernel.no_such_lot"


@pytest.mark.parametrize(
    ("quantity", "day", "rule"),
    [
        (40, NEXT, ""),
        (41, NEXT, "kernel.locked_too_much"),
        (1, MONDAY, "kernel.bad_lot"),
        (1, MONDAY + 1, ""),
    ],
)
def test_what_can_be_locked(market: Market, quantity: int, day: int, rule: str) -> None:
    assert market.one("operator", lock(market, A, quantity, day=day)).rule == rule


def test_the_number_of_lots_is_bounded(market: Market) -> None:
    for number in range(1, 16):
        market.ok("operator", lock(market, A, 1, day=NEXT + number))
    assert market.refused("operator", lock(market, A, 1, day=NEXT + 16)) == "kernel.too_many_lots"
    market.ok("operator", lock(market, A, 1, day=NEXT + 3))


def test_a_register_without_lots_has_no_flag(market: Market) -> None:
    other = market.listed({A: 5}, "BJ000002F.ESVUFR2401")
    flags = [decode_security(market.kernel(b"S" + s) or b"").flags for s in (market.security, other)]
    assert flags == [Flag.LOTS, 0]


def test_rows_taken_back_take_their_lots_along() -> None:
    market = Market.open()
    market.security = market.registering(10)
    row: dict[str, Value] = {"account": account(A), "quantity": 10, "acquired_day": 0}
    market.ok("operator", op("register_holding", security=market.security, rows=[row]), lock(market, A, 5))
    market.ok("operator", op("unregister_holding", security=market.security, accounts=[account(A)]))
    assert lots(market, A) == []


LOT = st.builds(Lot, st.integers(1, 9), st.just(NEXT), st.integers(1, 1_000))


@given(st.lists(LOT, min_size=1, max_size=5, unique_by=lambda lot: lot[0]), st.data())
def test_in_proportion(found: list[Lot], data: st.DataObject) -> None:
    """What goes along fits into what moves, what stays fits into what stays; no lot gives more than it has."""
    bound = locked(found, MONDAY)
    total = data.draw(st.integers(bound, bound + 500))
    quantity = data.draw(st.integers(1, total))
    moved = {lot.lot_class: lot.quantity for lot in in_proportion(found, quantity, total)}
    gone = sum(moved.values())
    assert gone == -(-bound * quantity // total)
    assert gone <= quantity and bound - gone <= total - quantity
    assert all(moved.get(lot.lot_class, 0) <= lot.quantity for lot in found)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        encode_lots([Lot(1, 5, 1)] * 2),
        encode_lots([Lot(1, 5, 0)]),
        encode_lots([Lot(1, n, 1) for n in range(17)]),
    ],
)
def test_lots_are_read_strictly(raw: bytes) -> None:
    with pytest.raises(MalformedBytes):
        decode_lots(raw)
