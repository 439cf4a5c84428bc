"""How much a primary puts into a block follows from how long blocks took."""

import pytest

from chain_core.node.block_pace import FIRST, LEAST, BlockPace

MOST, TIMEOUT_MS = 2_000, 2_000


def block(pace: BlockPace, height: int, count: int, began_ms: int, took_ms: int) -> int:
    """A block alone in flight; the limit afterwards."""
    pace.proposed(height, began_ms)
    pace.finalised(height, count, began_ms + took_ms, TIMEOUT_MS)
    return pace.limit(MOST)


@pytest.mark.parametrize(
    ("count", "took_ms", "limit"),
    [
        (FIRST, 500, FIRST),  # in time
        (FIRST, 1_000, FIRST // 2),  # twice too long
        (100, 2_000, LEAST),  # few, and slow for another reason
        (0, 9_000, FIRST),  # an idle block says nothing
        (FIRST, -5_000, 2 * FIRST),  # the clock was set back: no time
    ],
)
def test_a_block_that_takes_too_long_makes_the_next_ones_smaller(count: int, took_ms: int, limit: int) -> None:
    assert block(BlockPace(), 1, count, 10_000, took_ms) == limit


def test_full_blocks_that_are_quick_let_it_grow_to_the_chains_limit() -> None:
    pace = BlockPace()
    limits = [block(pace, 1, FIRST, 0, 1_000)]
    for height in range(2, 7):
        limits.append(block(pace, height, limits[-1], height * 3_000, 200))
    assert limits == [128, 256, 512, 1_024, 2_000, 2_000]


def test_blocks_that_are_quick_because_they_are_small_prove_nothing() -> None:
    pace = BlockPace()
    assert block(pace, 1, 2_000, 0, 2_000) == 500
    assert block(pace, 2, 10, 3_000, 50) == 500
    assert block(pace, 3, 500, 4_000, 300) == 500  # full, and not so quick that twice as much would be in time


def test_heights_in_flight_together_are_counted_from_the_one_before() -> None:
    pace = BlockPace()
    for height in (1, 2, 3):
        pace.proposed(height, 0)
    for height in (1, 2, 3):
        pace.finalised(height, FIRST, height * 400, TIMEOUT_MS)
    assert pace.limit(MOST) == FIRST


def test_a_height_caught_up_with_says_nothing_and_proposals_seen_are_bounded() -> None:
    pace = BlockPace()
    pace.finalised(1, FIRST, 60_000, TIMEOUT_MS)
    assert pace.limit(MOST) == FIRST
    for height in range(2, 1_000):
        pace.proposed(height, 60_000)
    pace.finalised(2, FIRST, 99_000, TIMEOUT_MS)  # forgotten meanwhile
    assert pace.limit(MOST) == FIRST
