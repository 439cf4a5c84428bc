"""How much a primary puts into a block follows from how long blocks took."""

import pytest

from chain_core.node.block_pace import FIRST, LEAST, BlockPace

MOST, TIMEOUT_MS = 2_000, 2_000


def block(pace: BlockPace, height: int, count: int, took_ms: int, began_ms: int) -> int:
    """A block alone in flight; the limit afterwards."""
    pace.proposed(height, began_ms)
    pace.finalised(height, count, began_ms + took_ms, TIMEOUT_MS)
    return pace.limit(MOST)


def after(*blocks: tuple[int, int]) -> list[int]:
    """The limit after each of these blocks: how many transactions it held, and how long it took."""
    pace = BlockPace()
    return [block(pace, height, *one, 5_000 * height) for height, one in enumerate(blocks, 1)]


QUICK = (1, 50)
"""A block of one transaction: the round itself takes as long."""


@pytest.mark.parametrize(
    ("blocks", "limits"),
    [
        pytest.param([QUICK, (FIRST, 1_050)], [FIRST, FIRST], id="in time"),
        pytest.param([QUICK, (FIRST, 2_050)], [FIRST, FIRST // 2], id="twice too long"),
        pytest.param([QUICK, (FIRST, 9_000)], [FIRST, LEAST], id="far too long"),
        pytest.param([QUICK, (100, 4_000)], [FIRST, FIRST], id="few, and slow for another reason"),
        pytest.param([(0, 9_000)], [FIRST], id="an idle block says nothing"),
        pytest.param([QUICK, (FIRST, 350), (512, 620), (512, 620)], [FIRST, 512, 512, 512], id="quick and full: more"),
        pytest.param([QUICK, (10, 60)], [FIRST, FIRST], id="quick because it is small"),
        pytest.param([(FIRST, 900), (512, 950), (1_024, 999)], [512, 1_024, MOST], id="long lines, quick machines"),
        pytest.param([(FIRST, 1_600), (128, 1_600)], [LEAST, LEAST], id="always too long"),
        pytest.param([(FIRST, -5_000)], [2 * FIRST], id="a clock that was set back: no time"),
    ],
)
def test_the_limit_follows_what_blocks_take(blocks: list[tuple[int, int]], limits: list[int]) -> None:
    assert after(*blocks) == limits


def test_heights_in_flight_together_are_counted_from_the_one_before() -> None:
    pace = BlockPace()
    for height in (1, 2, 3):
        pace.proposed(height, 0)
    for height in (1, 2, 3):
        pace.finalised(height, FIRST, height * 1_200, TIMEOUT_MS)
    assert pace.limit(MOST) > FIRST, "1.2 s each, not 3.6 for the last"


def test_a_height_caught_up_with_says_nothing_and_proposals_seen_are_bounded() -> None:
    pace = BlockPace()
    pace.finalised(1, FIRST, 60_000, TIMEOUT_MS)
    assert pace.limit(MOST) == FIRST
    for height in range(2, 1_000):
        pace.proposed(height, 60_000)
    pace.finalised(2, FIRST, 99_000, TIMEOUT_MS)  # forgotten meanwhile
    assert pace.limit(MOST) == FIRST
