"""Article 22: tested, registered, confirmed, certified."""

import pytest

from crosschain.packets import CHAINS
from service_registry.records import SERVICES, certificate_key, report_key, service_key, version_key
from tests.guideline.house import House, of
from tests.guideline.story import service_of
from tests.unit.crosschain.chains import account


def test_test_and_confirmation_are_shown(house: House) -> None:
    texts = [one.what.en for one in house.holds(22).evidence]
    assert "roll passed the joint test of entity of tester" in texts


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"definition_hash": bytes(32)}, "is not the one that was tested"),
        ({"report_hash": bytes(32)}, "is not signed, or not passed"),
        ({"tester_entity": "entity of operator"}, "was tested by its publisher"),
    ],
)
def test_a_version_that_was_not_tested_so_is_seen(house: House, changes: dict[str, object], fault: str) -> None:
    house.upper.forge(of(SERVICES, version_key(service_of(house.upper.hash), 1)), **changes)
    house.fails(22, fault)


def test_a_report_that_is_missing_or_not_signed_is_seen(house: House) -> None:
    key = of(SERVICES, report_key(service_of(house.upper.hash), 1))
    house.upper.forge(key, signature=bytes(64))
    house.fails(22, "is not signed, or not passed")
    house.upper.put(key, None)
    house.fails(22, "was registered without a joint test")


@pytest.mark.parametrize(("who", "fault"), [("operator", "publisher of roll"), ("second operator", "consumer of roll")])
def test_a_party_without_a_certificate_is_seen(house: House, who: str, fault: str) -> None:
    house.upper.put(of(SERVICES, certificate_key(account(who))), None)
    house.fails(22, fault)


def test_a_service_without_a_chain_is_seen(house: House) -> None:
    house.upper.put(of(CHAINS, b"r" + house.market), None)
    house.fails(22, "the chain behind roll is not registered")


def test_a_draft_alone_is_unproven(house: House) -> None:
    house.upper.forge(of(SERVICES, service_key(service_of(house.upper.hash))), status="draft")
    house.unproven(22, "no service was ever registered")
