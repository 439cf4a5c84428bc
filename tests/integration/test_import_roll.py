"""A small roll through the adapter's command onto four node processes: killed three times, resumed, reconciled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.endurance.import_roll import story

pytestmark = pytest.mark.integration


def test_a_roll_is_brought_in_through_kills(tmp_path: Path) -> None:
    found = asyncio.run(story(tmp_path / "network", holdings=400, registers=8, kills=3, seed=1))
    assert found["above_the_cap"] == 1 and found["kills"] == 3
    assert found["with_envelopes_on_their_way"]
