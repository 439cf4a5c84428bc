"""Article 13: nodes run on, on one release, patched."""

import pytest

from crosschain.packets import count_in
from supervisory_chain.cases import case_key, count_key
from tests.guideline.house import House


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dualchain.guideline.article_13.PAUSES_S", (0.0,))


def test_releases_advisory_and_patch_are_shown(house: House) -> None:
    texts = [one.what.en for one in house.holds(13).evidence]
    assert "4 nodes of BJ run 1.0" in texts and any(text.startswith("patch record") for text in texts)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"version": "1.1"}, "run several releases: 1.0, 1.1"),
        ({"halted": "EXECUTION_DIVERGED"}, "does not go on: EXECUTION_DIVERGED"),
        ({"not_progressing": "no quorum"}, "does not go on: no quorum"),
    ],
)
def test_a_node_in_trouble_is_seen(house: House, said: dict[str, object], fault: str) -> None:
    house.bj.node(2).said = said
    house.fails(13, fault)


def test_a_node_that_is_down_is_seen(house: House) -> None:
    house.bj.node(3).down = True
    house.fails(13, "BJ's node beijing-3 is down")


def test_a_patch_that_is_overdue_is_seen(house: House) -> None:
    assert not count_in(house.upper.chain.store.get(count_key(house.market)))
    case = {"facts": {}, "height": 1, "time_ms": 1, "closed_by": b"", "reference": "", "status": "open"}
    house.upper.put(count_key(house.market), house.encoded(1))
    house.upper.put(case_key(house.market, 0), house.encoded({**case, "kind": "overdue_patch"}))
    house.fails(13, "BJ has not patched in time")
