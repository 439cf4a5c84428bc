"""A version that breaks its consumers is registered after its notice came into force, and not before (art. 13, 14)."""

from __future__ import annotations

import pytest

from chain_core.codec.values import encode_value
from chain_core.crypto.hashing import sm3
from chain_core.execution.codes import Code
from chain_core.types.transaction import Receipt
from chain_core.types.values import Value
from contracts.kernel.calendar import day_of
from tests.unit.execution.world import op
from tests.unit.service_registry.house import SERVICE, House, chain_of, refused
from tests.unit.service_registry.states import CHANGED, OWN

DAY_MS = 86_400_000
HASH = sm3(encode_value(CHANGED))
BREAKS = ("request /question: type allows less than before",)
NOT_ANNOUNCED = ("services.not_announced", (HASH,))


@pytest.fixture
def house(states: dict[str, House]) -> House:
    """A version in test that passed all, and breaks the one in force."""
    house = states["online, changed, tested"].branch()
    house.ok("tester", "file_report", **house.filing(house.report(breaks=BREAKS)))
    return house


def register(house: House) -> Receipt:
    return house.do("publisher", "register", service=SERVICE)


def notice(house: House, who: str = "publisher", days: int = 28, **changes: Value) -> Receipt:
    args: dict[str, Value] = {
        "chain": chain_of("BJ" if who == "publisher" else "JS"),
        "kind": "service",
        "subject": "a shorter answer",
        "compatible": False,
        "plan": sm3(b"plan"),
        "effective_day": day_of(house.world.time_ms) + days,
        "service": SERVICE,
        "definition": HASH,
        **changes,
    }
    return house.world.one(who, op("desk", "give_notice", **args))


def step(house: House, who: str, name: str, number: int = 0) -> Receipt:
    return house.world.one(who, op("desk", name, number=number, document=sm3(b"document")))


def ok(receipt: Receipt) -> None:
    assert receipt.code == Code.OK, receipt


def test_compatible_versions_need_none(states: dict[str, House]) -> None:
    ok(register(states["online, changed, tested"].branch()))


def test_twenty_working_days_later(house: House) -> None:
    assert refused(register(house)) == NOT_ANNOUNCED
    assert refused(notice(house, days=20))[0] == "desk.too_soon"
    assert refused(notice(house, days=20, compatible=True))[0] == "desk.too_soon", "whatever it calls itself"
    ok(notice(house))
    assert refused(register(house)) == NOT_ANNOUNCED
    assert refused(step(house, "publisher", "begin"))[0] == "desk.too_soon"
    house.world.time_ms += 28 * DAY_MS
    assert refused(register(house)) == NOT_ANNOUNCED, "the day has come, the publisher has not begun"
    ok(step(house, "publisher", "begin"))
    ok(register(house))
    assert house.service.version == 2


def test_a_waiver_of_two_lets_a_patch_through(house: House) -> None:
    ok(notice(house))
    ok(step(house, "csrc-1", "propose_waiver"))
    assert refused(step(house, "csrc-1", "confirm_waiver"))[0] == "desk.four_eyes"
    ok(step(house, "csrc-2", "confirm_waiver"))
    ok(step(house, "publisher", "begin"))
    ok(register(house))


@pytest.mark.parametrize("end", ["withdraw_notice", "roll_back", "object"])
def test_a_notice_that_ended_or_was_objected_to_is_none(house: House, end: str) -> None:
    ok(notice(house))
    if end == "roll_back":
        house.world.time_ms += 28 * DAY_MS
        ok(step(house, "publisher", "begin"))
    ok(step(house, "csrc-1" if end == "object" else "publisher", end))
    assert refused(register(house)) == NOT_ANNOUNCED


def test_the_notice_is_of_exactly_this_definition(house: House) -> None:
    ok(notice(house, definition=sm3(b"another")))
    house.world.time_ms += 28 * DAY_MS
    ok(step(house, "publisher", "begin"))
    assert refused(register(house)) == NOT_ANNOUNCED
    house.ok("publisher", "change", **OWN["change"])


def test_nobody_announces_for_another_and_other_notices_name_no_service(house: House) -> None:
    assert refused(notice(house, "consumer"))[0] == "desk.no_service"
    assert refused(notice(house, service=bytes(16)))[0] == "desk.no_service"
    assert refused(notice(house, kind="upgrade"))[0] == "desk.no_service"
    for name in ("service", "definition"):
        args = {"service": SERVICE, "definition": HASH}
        args.pop(name)
        chain: dict[str, Value] = {"chain": chain_of("BJ"), "kind": "service", "subject": "s", "compatible": False}
        when: dict[str, Value] = {"plan": HASH, "effective_day": day_of(house.world.time_ms) + 28}
        receipt = house.world.one("publisher", op("desk", "give_notice", **chain, **when, **args))
        assert refused(receipt)[0] == "desk.no_service"
