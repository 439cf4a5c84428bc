"""Article 15: filing and classified protection."""

from typing import Any

import pytest

from chain_core.codec.values import decode_map
from crosschain.packets import CHAINS
from supervisory_chain.evidence import place
from tests.guideline.house import House, of
from tests.unit.crosschain.chains import account


def test_both_documents_and_their_acceptance_are_shown(house: House) -> None:
    assert sum(bool(one.place.transaction) for one in house.holds(15).evidence) == 4


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"until_day": 1}, "has expired"), ({"by": account("operator")}, "accepted by its own institution")],
)
def test_a_document_that_does_not_count_is_seen(house: House, changes: dict[str, Any], fault: str) -> None:
    key = of(CHAINS, place(house.market))
    kept: Any = decode_map(house.upper.chain.store.get(key) or b"", "evidence")
    accepted = {**kept["blockchain_filing"]["accepted"], **changes}
    house.upper.forge(key, blockchain_filing={"waiting": {}, "accepted": accepted})
    house.fails(15, f"BJ's blockchain_filing {fault}" if "own" not in fault else fault)


def test_a_document_that_waits_is_none(house: House) -> None:
    house.upper.forge(of(CHAINS, place(house.market)), classified_protection={"waiting": {}, "accepted": {}})
    house.fails(15, "BJ has no accepted classified_protection")
