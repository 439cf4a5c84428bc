"""Article 19: access records on the chain."""

import pytest

from service_registry.batch_records import batch_key
from service_registry.records import SERVICES, certificate_key, log_key, service_key
from tests.guideline.house import House, of
from tests.guideline.story import service_of
from tests.unit.crosschain.chains import account, public_key


def test_a_record_its_log_and_a_batch_are_shown(house: House) -> None:
    texts = [one.what.en for one in house.holds(19).evidence]
    assert any("log counts 3 calls" in text for text in texts) and any("records of 2 calls" in text for text in texts)


@pytest.mark.parametrize("party", ["operator", "second operator"])
def test_a_record_that_one_side_did_not_sign_is_seen(house: House, party: str) -> None:
    house.upper.forge(of(SERVICES, certificate_key(account(party))), key=public_key("somebody else"), height=0)
    house.fails(19, "a signature on the record of call")


def test_a_record_that_is_not_counted_is_seen(house: House) -> None:
    service = service_of(house.upper.hash)
    house.upper.put(of(SERVICES, log_key(service, account("second operator"))), None)
    house.fails(19, "the access log does not count the call")
    house.upper.put(of(SERVICES, service_key(service)), None)
    house.fails(19, "is not registered")


def test_a_batch_with_another_root_is_seen(house: House) -> None:
    house.upper.forge(of(SERVICES, batch_key(account("gateway"), 1)), root=bytes(32))
    house.fails(19, "the records of batch 1 are not those on the chain")
