"""Article 24: inspections to their end."""

from supervisory_chain.desk.records import decode_matter, matter_key
from tests.guideline.house import House
from tests.guideline.test_article_14 import TODAY, step


def test_an_inspection_and_its_last_step_are_shown(house: House) -> None:
    assert any(one.place.transaction for one in house.holds(24).evidence)


def test_one_that_its_opener_closed_is_seen(house: House) -> None:
    steps = [step("open_inspection", "csrc-1"), step("close_inspection", "csrc-1")]
    house.upper.forge(matter_key(1), steps=steps)
    house.fails(24, "inspection 1 was closed by who opened it")


def test_an_overdue_one_is_seen_unless_it_was_escalated(house: House) -> None:
    raw = house.upper.chain.store.get(matter_key(1))
    assert raw is not None
    fields = {**decode_matter(raw).fields, "deadline_day": TODAY - 3, "escalated": False}
    house.upper.forge(matter_key(1), state="rectifying", fields=fields, steps=[step("open_inspection", "csrc-1")])
    house.fails(24, "rectification of inspection 1 is overdue")
    house.upper.forge(matter_key(1), fields={**fields, "escalated": True})
    house.holds(24)


def test_without_any_inspection_it_is_unproven(house: House) -> None:
    house.upper.forge(matter_key(1), machine="notice")
    house.unproven(24, "there was no inspection yet")
