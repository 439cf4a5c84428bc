"""Random programs in both engines: what ours accepts has the same value in Starlark (docs/spec/tpl-1.md §10).

python -m tests.differential.campaign --programs 20000 --seed 1 --json
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.differential import campaign
from tests.differential.campaign import Starlark, compare

PROGRAMS = 150


def test_random_programs_mean_the_same() -> None:
    found = compare(seed=20261, programs=PROGRAMS)
    assert not found.differences, found.differences[0]
    assert found.same > PROGRAMS // 4, "most programs run to their end"


def test_what_the_other_engine_dies_of_is_sent_once_more_with_a_larger_stack() -> None:
    deep = "def main():\n    return len(" + "[" * 20_000 + "]" * 20_000 + ")\n"
    with Starlark() as other:
        assert "crashed" in other._answer(deep, "main", [])
        other._start()
        assert other.run(deep, "main", []) == {"value": ["i", "1"]}
        assert other.run("def main():\n    return 2\n", "main", []) == {"value": ["i", "2"]}


def test_what_it_dies_of_again_is_no_difference_and_is_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import os, sys\nsys.stdin.readline()\nos._exit(7)\n")
    monkeypatch.setattr(campaign, "_WORKER", worker)
    found = compare(seed=1, programs=2)
    assert len(found.crashed_other) == 2 and not found.differences and not found.same
    assert all("exit code 7" in one and "def main(" in one for one in found.crashed_other)
