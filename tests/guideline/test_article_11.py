"""Article 11: one identity across chains."""

from crosschain.identity.records import did_key
from supervisory_chain.codes import allocated_key, holder_key
from tests.guideline.house import House
from tests.guideline.story import did_of


def test_a_did_on_both_chains_and_the_codes_are_shown(house: House) -> None:
    texts = [one.what.en for one in house.holds(11).evidence]
    assert any("supervisory chain knows" in text for text in texts) and any(
        "2 investor codes" in text for text in texts
    )


def test_a_did_that_is_unknown_above_is_seen(house: House) -> None:
    house.upper.put(did_key(did_of("BJ")), None)
    house.fails(11, "supervisory chain does not know did:rem:beijing")


def test_a_did_that_differs_above_is_seen(house: House) -> None:
    house.upper.forge(did_key(did_of("BJ")), active=False)
    house.fails(11, "differs above and on BJ")


def test_another_markets_did_is_seen(house: House) -> None:
    house.bj.forge(did_key(did_of("BJ")), did=did_of("JS"))
    house.fails(11, "BJ registered did:rem:jiangsu")


def test_a_code_left_out_and_one_given_twice_are_seen(house: House) -> None:
    house.upper.put(holder_key("Q000000001"), None)
    house.fails(11, "code Q000000001 is missing")
    house.upper.put(holder_key("Q000000001"), house.upper.chain.store.get(holder_key("Q000000002")))
    house.fails(11, "Q000000001 and its holder do not lead to one another")


def test_without_any_code_it_is_unproven(house: House) -> None:
    house.upper.put(allocated_key("Q"), None)
    house.unproven(11, "no investor code")
