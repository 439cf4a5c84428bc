"""Article 20: each step of business is recorded and reported."""

import asyncio
from dataclasses import replace

from crosschain.packets import REPORT_CHANNEL, received_key, sent_key
from tests.guideline.house import House


def test_a_step_and_the_reports_are_shown(house: House) -> None:
    assert any(one.place.transaction for one in house.holds(20).evidence)


def test_a_step_that_names_no_business_is_seen(house: House) -> None:
    (found,) = asyncio.run(house.bj.block(1))
    body = replace(found.envelope.body, business_id="")
    house.bj.keep_block(replace(found, envelope=replace(found.envelope, body=body)))
    house.fails(20, "names no business")


def test_reports_that_did_not_arrive_are_seen(house: House) -> None:
    house.upper.put(received_key(house.market, REPORT_CHANNEL), None)
    house.fails(20, "0 arrived at the supervisory chain")


def test_a_chain_that_reported_nothing_is_unproven(house: House) -> None:
    house.bj.put(sent_key(house.upper.hash, REPORT_CHANNEL), None)
    house.unproven(20, "BJ has reported nothing yet")
