"""The story is played once; each test asks a network of its own on the same ledgers, and may break it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.guideline.house import House, HouseChain
from tests.guideline.story import begin


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = begin(tmp_path_factory.mktemp("guideline"))
    yield house
    for chain in (house.upper, house.bj, house.js):
        chain.chain.store.close()


@pytest.fixture
def house(played: House) -> House:
    return House(*(HouseChain(one.label, one.chain) for one in (played.upper, played.bj, played.js)))
