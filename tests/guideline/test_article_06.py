"""Article 6: one chain a market, assessed and tested before it is connected."""

import pytest

from crosschain.packets import CHAINS
from dualchain.guideline.registered import market_key
from supervisory_chain.evidence import place
from tests.guideline.house import House, of


def test_papers_and_report_are_shown(house: House) -> None:
    texts = " ".join(one.what.en for one in house.holds(6).evidence)
    assert all(word in texts for word in ("security_assessment", "penetration_test", "joint-test report"))


def test_a_second_chain_of_a_market_is_seen(house: House) -> None:
    house.upper.put(market_key("BJ"), house.js.hash)
    house.fails(6, "BJ has another followed chain")


def test_an_admission_without_papers_and_test_is_seen(house: House) -> None:
    house.upper.put(of(CHAINS, place(house.market)), None)
    house.upper.put(of(CHAINS, b"j" + house.market), None)
    house.fails(6, "no accepted security_assessment", "no accepted penetration_test", "without a joint-test report")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tester_entity": "entity of  operator"}, "tested by its registrant"),
        ({"height": 10**6}, "after its admission"),
    ],
)
def test_a_test_that_does_not_count_is_seen(house: House, changes: dict[str, object], fault: str) -> None:
    house.upper.forge(of(CHAINS, b"j" + house.market), **changes)
    house.fails(6, fault)
