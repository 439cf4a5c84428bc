"""Article 26: in force from a date."""

from contracts.hooks.rules import RULE_IDS
from contracts.kernel.records import KERNEL, RULES
from tests.guideline.house import House, of
from tests.guideline.test_article_14 import TODAY


def test_every_rule_is_in_force(house: House) -> None:
    assert [one.place.chain for one in house.holds(26).evidence] == ["BJ", "JS"]


def test_a_rule_of_the_future_is_seen(house: House) -> None:
    name = RULE_IDS[-1]
    rule = {"article": "", "effective_from": TODAY + 30, "zh": "", "en": "", "parameters": []}
    house.bj.forge(of(KERNEL, RULES), **{name: rule})
    house.fails(26, f"BJ's rule {name} is not in force")


def test_rules_that_are_missing_are_seen(house: House) -> None:
    house.bj.put(of(KERNEL, RULES), house.encoded({}))
    house.fails(26, *(f"BJ's rule {name}" for name in RULE_IDS))
    house.bj.put(of(KERNEL, RULES), None)
    house.fails(26, "BJ: a record cannot be read")
