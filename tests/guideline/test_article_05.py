"""Article 5: the provincial regulator leads, directives are carried out in time."""

from chain_core.execution.account_records import RECORD_PREFIX
from crosschain.packets import DIRECTIVES
from tests.guideline.house import House, of
from tests.unit.crosschain.chains import account


def test_an_account_and_an_executed_directive_are_shown(house: House) -> None:
    texts = [one.what.en for one in house.holds(5).evidence]
    assert any("provincial regulator" in text for text in texts) and any("example document" in text for text in texts)


def test_a_late_directive_is_seen(house: House) -> None:
    key = of(DIRECTIVES, b"s" + house.market + bytes(8))
    house.upper.forge(key, ack={"code": 0, "height": 1, "time_ms": 1, "packet": bytes(32), "on_time": False})
    house.fails(5, "BJ did not carry out directive 0 in time")


def test_a_directive_that_is_missing_is_seen(house: House) -> None:
    house.upper.put(of(DIRECTIVES, b"s" + house.market + bytes(8)), None)
    house.fails(5, "directive 0 to BJ is missing")


def test_without_a_provincial_regulator_it_is_unproven(house: House) -> None:
    house.upper.forge(RECORD_PREFIX + account("provincial"), roles=[])
    house.unproven(5, "no provincial regulator has an account")
