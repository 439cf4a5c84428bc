"""Article 12: government data by authorisation."""

import pytest

from crosschain.identity.data_uses import bureau_place, full_key, grant_place, use_place
from crosschain.identity.records import credential_key
from tests.guideline.house import House
from tests.guideline.story import BUREAU, authorisation_of

CREDENTIAL = authorisation_of("BJ")
USE = full_key(use_place(CREDENTIAL, 1))


def test_a_use_and_its_counting_are_shown(house: House) -> None:
    assert sum(bool(one.place.transaction) for one in house.holds(12).evidence) == 2


def test_a_use_that_nobody_granted_is_seen(house: House) -> None:
    house.bj.put(full_key(grant_place(CREDENTIAL)), None)
    house.fails(12, "was never granted")


@pytest.mark.parametrize("counts", [{"used": 0}, {"used": 3}])
def test_a_use_beyond_the_grant_is_seen(house: House, counts: dict[str, int]) -> None:
    house.bj.forge(full_key(grant_place(CREDENTIAL)), **counts)
    house.fails(12, "is beyond the 2 that were granted")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"subject": "did:rem:beijing:Q000000001"}, "was not authorised by the owner"),
        ({"kind": "CreditData"}, "was not authorised by the owner"),
        ({"expires_ms": 1}, "outside of the authorisation's time"),
    ],
)
def test_an_authorisation_that_does_not_cover_it_is_seen(house: House, changes: dict[str, object], fault: str) -> None:
    house.bj.forge(credential_key(CREDENTIAL), **changes)
    house.fails(12, fault)


def test_a_credential_or_bureau_that_is_not_on_record_is_seen(house: House) -> None:
    house.bj.put(credential_key(CREDENTIAL), None)
    house.bj.put(full_key(bureau_place(BUREAU)), None)
    house.fails(12, "there is no credential for the use", "is not named")


def test_a_use_that_no_transaction_counted_is_seen(house: House) -> None:
    house.bj.forge(USE, request=bytes(32))
    house.fails(12, "no transaction counted the use")


def test_what_is_only_begun_proves_nothing(house: House) -> None:
    for chain in (house.bj, house.js):
        chain.forge(full_key(use_place(authorisation_of(chain.label), 1)), bureau="", receipt=b"")
    house.unproven(12, "never called by an authorisation")
