"""How long a proposal may be while governance changes the size of blocks (docs/spec/pbft.md §3)."""

from dataclasses import replace

import pytest

from tests.unit.consensus.bench import PARAMETERS, Bench, alarms, batch, kinds, pre_prepare

WIDE = replace(PARAMETERS, window_heights=4, max_block_transactions=2)


@pytest.mark.parametrize(
    ("height", "ids", "prepared", "told"),
    [
        (1, 2, True, []),
        (1, 5, True, []),
        (1, 6, False, ["BAD_PROPOSAL"]),
        (2, 5, True, []),
        (2, 6, False, []),
    ],
    ids=["within", "made before it was final", "more than ever", "the same, above", "unknown yet"],
)
def test_a_proposal_made_before_blocks_got_smaller_blames_nobody(
    height: int, ids: int, prepared: bool, told: list[str]
) -> None:
    """Blocks held five and hold two now. For a height further up a primary may know a limit that is not final here."""
    bench = Bench(1, parameters=replace(WIDE, former_block_transactions=5))
    message = pre_prepare(batch(height, *map(str, range(ids))))
    effects = bench.hear(message)
    assert ("CastPrepare" in kinds(effects)) is prepared
    assert alarms(effects) == told


def test_a_proposal_under_a_limit_that_grows_below_it_is_taken_when_that_is_final() -> None:
    bench = Bench(1, parameters=WIDE)
    message = pre_prepare(batch(2, *"abc"))
    assert bench.hear(message) == []
    bench.core.set_parameters(replace(WIDE, max_block_transactions=3))
    assert "CastPrepare" in kinds(bench.hear(message)), "it is sent again"
