"""Article 25: risks are watched, and alarmed."""

from crosschain.packets import CASES
from supervisory_chain.risk.contract import alarms_place
from supervisory_chain.risk.indicators import RISK, window_place
from tests.guideline.house import House, of


def alarms(house: House) -> bytes:
    return of(RISK, alarms_place(house.market))


def test_the_indicators_of_each_market_are_recomputed(house: House) -> None:
    texts = [one.what.en for one in house.holds(25).evidence]
    assert any("13 risk indicators of BJ are assessed" in text for text in texts)


def test_a_market_that_nobody_assesses_is_seen(house: House) -> None:
    house.upper.put(of(RISK, window_place(house.market)), None)
    house.fails(25, "risk indicators of BJ are not assessed")
    house.upper.put(
        of(RISK, window_place(house.market)), house.upper.chain.store.get(of(RISK, window_place(house.js.hash)))
    )
    house.upper.forge(of(RISK, window_place(house.market)), day=1)
    house.fails(25, "risk indicators of BJ are not assessed")


def test_an_indicator_at_its_threshold_without_an_alarm_is_seen(house: House) -> None:
    threshold = {"raise_at": 1, "clear_at": 0, "severity": 2}
    house.upper.put(of(RISK, b"tlag_ms"), house.encoded(threshold))
    house.fails(25, "the indicator lag_ms of BJ is")


def test_an_alarm_is_a_case(house: House) -> None:
    house.upper.put(alarms(house), house.encoded({"lag_ms": {"case": 0, "since_ms": 1, "value": 2}}))
    house.fails(25, "the alarm lag_ms of BJ is no case")
    case = {"height": 1, "time_ms": 1, "closed_by": b"", "reference": "", "status": "open", "kind": "risk_alarm"}
    house.upper.put(of(CASES, b"n" + house.market), house.encoded(1))
    facts = {"indicator": "lag_ms", "value": 2, "raise_at": 1, "severity": 2}
    house.upper.put(of(CASES, b"c" + house.market + bytes(8)), house.encoded({**case, "facts": facts}))
    assert any("lag_ms" in one.what.en for one in house.holds(25).evidence)
