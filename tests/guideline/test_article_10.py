"""Article 10: what is registered is what the chain is."""

import pytest

from crosschain.packets import chain_record_key
from supervisory_chain.cases import case_key, count_key
from tests.guideline.house import House

ENDPOINT = {"node": "beijing-0", "address": "127.0.0.1:20000"}


def test_record_and_endpoints_agree_with_the_chain(house: House) -> None:
    assert [one.place.chain for one in house.holds(10).evidence] == ["supervisory", "supervisory"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"consensus": ""}, "registered no consensus"),
        ({"chain_id": "other"}, "registered chain id differs"),
        ({"validators_epoch": 1}, "registered validators of epoch 1"),
        ({"validators": []}, "consensus nodes are not its chain's"),
        ({"endpoints": [ENDPOINT]}, "fewer than two nodes"),
    ],
)
def test_a_record_that_is_not_current_is_seen(house: House, changes: dict[str, object], fault: str) -> None:
    house.upper.forge(chain_record_key(house.market), **changes)
    house.fails(10, fault)


def test_a_dead_link_and_one_to_another_chain_are_seen(house: House) -> None:
    house.bj.node(0).down = True
    house.bj.node(1).said = {"genesis_hash": house.js.hash}
    house.fails(10, "BJ beijing-0 127.0.0.1:20000: cannot be verified", "127.0.0.1:20001 is not the node beijing-1")


def test_an_open_case_of_drift_is_seen_and_a_closed_one_is_not(house: House) -> None:
    case = {"facts": {}, "height": 1, "time_ms": 1, "closed_by": b"", "reference": "", "kind": "endpoint_drift"}
    house.upper.put(count_key(house.market), house.encoded(1))
    house.upper.put(case_key(house.market, 0), house.encoded({**case, "status": "closed"}))
    house.holds(10)
    house.upper.forge(case_key(house.market, 0), status="open")
    house.fails(10, "case 0: endpoint_drift")


def test_a_case_that_a_node_leaves_out_is_seen(house: House) -> None:
    house.upper.put(count_key(house.market), house.encoded(1))
    house.fails(10, "case 0 is proven absent")
