"""Article 4: operators apply, the regulator admits."""

from crosschain.packets import CHAINS, chain_record_key
from supervisory_chain.admission import trail_place
from tests.guideline.house import House, of
from tests.unit.crosschain.chains import account


def test_registration_and_admission_are_shown_as_transactions(house: House) -> None:
    found = house.holds(4)
    assert len({one.place.transaction for one in found.evidence}) == 4


def test_a_suspended_market_is_seen(house: House) -> None:
    house.upper.forge(chain_record_key(house.market), status="suspended")
    house.fails(4, "BJ is suspended, not admitted")


def test_an_admission_by_the_applicant_is_seen(house: House) -> None:
    house.upper.forge(chain_record_key(house.market), admitted_by=account("operator"))
    house.fails(4, "without the role csrc", "by one institution", "admission is not at its height")


def test_an_admission_by_one_officer_alone_is_seen(house: House) -> None:
    key, step = of(CHAINS, trail_place(house.market)), {"entity": "", "height": 1, "time_ms": 1, "document": bytes(32)}
    rows = [{**step, "step": name, "by": account("csrc-1")} for name in ("approve", "admit")]
    house.upper.put(key, house.encoded(rows))
    house.fails(4, "one officer both approved and admitted BJ")
