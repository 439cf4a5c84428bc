"""Random programs in both engines: what ours accepts has the same value in Starlark (docs/spec/tpl-1.md §10).

python -m tests.differential.campaign --programs 20000 --seed 1 --json
"""

from __future__ import annotations

from tests.differential.campaign import compare

PROGRAMS = 150


def test_random_programs_mean_the_same() -> None:
    found = compare(seed=20261, programs=PROGRAMS)
    assert not found.differences, found.differences[0]
    assert found.same > PROGRAMS // 4, "most programs run to their end"
