"""Article 14: twenty working days."""

from typing import Any

import pytest

from supervisory_chain.desk.records import decode_matter, matter_key, next_key
from tests.guideline.house import House
from tests.unit.crosschain.chains import START_MS, account

DAY_MS = 86_400_000
TODAY = START_MS // DAY_MS


def step(name: str, who: str = "operator") -> dict[str, Any]:
    return {"step": name, "by": account(who), "entity": who, "height": 1, "time_ms": START_MS, "document": bytes(32)}


def fields_of(house: House) -> dict[str, Any]:
    raw = house.upper.chain.store.get(matter_key(0))
    assert raw is not None
    return dict(decode_matter(raw).fields)


def test_a_notice_and_its_transaction_are_shown(house: House) -> None:
    assert any(one.place.transaction for one in house.holds(14).evidence)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"effective_day": TODAY + 5}, "working days ahead, 20 are needed"),
        ({"plan": b""}, "has no plan"),
        ({"kind": "migration"}, "has no data plan"),
    ],
)
def test_a_notice_that_should_have_been_refused_is_seen(house: House, changes: dict[str, Any], fault: str) -> None:
    house.upper.forge(matter_key(0), fields={**fields_of(house), **changes})
    house.fails(14, fault)


def test_an_early_beginning_needs_a_waiver_of_two(house: House) -> None:
    steps = [step("give_notice"), step("propose_waiver", "csrc-1"), step("confirm_waiver", "csrc-2"), step("begin")]
    house.upper.forge(matter_key(0), steps=steps)
    house.holds(14)
    house.upper.forge(matter_key(0), steps=[steps[0], steps[1], step("confirm_waiver", "csrc-1"), steps[3]])
    house.fails(14, "began before its day, without a waiver of two")
    house.upper.forge(matter_key(0), steps=[steps[0], steps[3]])
    house.fails(14, "began before its day")


def test_without_any_notice_it_is_unproven_and_a_hidden_one_is_seen(house: House) -> None:
    house.upper.put(matter_key(0), None)
    house.fails(14, "record 0 of the desk is proven absent")
    house.upper.put(next_key(), None)
    house.unproven(14, "no upgrade or migration was announced yet")
