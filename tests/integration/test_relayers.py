"""Two relayers of one market as processes, killed under load: everything arrives, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.endurance.relayers import Lost, once, same, story

pytestmark = pytest.mark.integration


def test_relayers_that_are_killed_lose_nothing_and_carry_nothing_twice(tmp_path: Path) -> None:
    found = asyncio.run(story(tmp_path / "network", markets=1, backlog=80, seconds=0, kills=4, seed=3))
    assert cast_int(found["kills"]) >= 4
    assert cast_int(found["packets"]) >= 80
    assert cast_int(found["directives"]) >= 1


def cast_int(value: object) -> int:
    assert isinstance(value, int)
    return value


@pytest.mark.parametrize("sequences", [[0, 1], [0, 1, 1, 2], [0, 2, 1], [1, 2, 3]])
def test_what_is_missing_doubled_or_out_of_order_is_told(sequences: list[int]) -> None:
    once("packets", [0, 1, 2], 3)
    with pytest.raises(Lost):
        once("packets", sequences, 3)
    with pytest.raises(Lost):
        same("counters", len(sequences), len(sequences), 5)
