"""Article 18: isolation, and duties apart."""

import pytest

from chain_core.execution.account_records import RECORD_PREFIX
from tests.guideline.house import House
from tests.unit.crosschain.chains import account


def test_rights_are_on_record_on_every_chain(house: House) -> None:
    assert [one.place.chain for one in house.holds(18).evidence] == ["supervisory", "BJ", "JS"]


@pytest.mark.parametrize(
    "roles", [["csrc", "operator"], ["governor", "registrar"], ["auditor", "governor"], ["auditor", "registrar"]]
)
def test_an_account_with_two_duties_is_seen(house: House, roles: list[str]) -> None:
    house.upper.forge(RECORD_PREFIX + account("courier"), roles=roles)
    house.fails(18, f"an account of entity of courier holds {' and '.join(roles)}")


def test_an_account_that_is_closed_holds_nothing(house: House) -> None:
    house.upper.forge(RECORD_PREFIX + account("courier"), roles=["csrc", "operator"], status="closed")
    house.holds(18)


def test_a_node_that_answers_strangers_is_seen(house: House) -> None:
    house.js.open_doors.add("jiangsu-3")
    house.fails(18, "jiangsu-3 answered somebody without a certificate")
