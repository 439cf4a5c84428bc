"""Article 21: services for the whole market."""

from crosschain.packets import chain_record_key
from service_registry.records import SERVICES, application_key, service_key
from tests.guideline.house import House, of
from tests.guideline.story import service_of
from tests.unit.crosschain.chains import account


def application(house: House) -> bytes:
    return of(SERVICES, application_key(service_of(house.upper.hash), account("second operator")))


def test_a_service_and_its_user_are_shown(house: House) -> None:
    assert [one.what.en for one in house.holds(21).evidence] == ["BJ's service roll is online", "JS may use roll"]


def test_a_service_of_a_chain_that_is_not_admitted_is_seen(house: House) -> None:
    house.upper.forge(chain_record_key(house.market), status="withdrawn")
    house.fails(21, "the chain behind the service roll is not admitted")


def test_a_user_of_the_same_market_is_seen(house: House) -> None:
    house.upper.forge(application(house), market="BJ")
    house.fails(21, "is used by its own market")


def test_without_a_user_or_a_service_it_is_unproven(house: House) -> None:
    house.upper.forge(application(house), status="applied")
    house.unproven(21, "no other market uses a service")
    house.upper.forge(of(SERVICES, service_key(service_of(house.upper.hash))), status="offline")
    house.unproven(21, "no service is online")
