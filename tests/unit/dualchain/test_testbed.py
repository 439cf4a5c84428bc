"""The testbed begins in a directory of its own, and is a command of the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from dualchain.registry import app
from dualchain.testbed import bed
from dualchain.testbed.bed import CLIENTS, MARKET_OF, PEOPLE, DirectoryTaken


def test_a_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept", "utf-8")
    with pytest.raises(DirectoryTaken):
        bed.Testbed(tmp_path)
    result = CliRunner().invoke(app, ["testbed", str(tmp_path)])
    assert isinstance(result.exception, DirectoryTaken) and result.exception.next_step
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]


def test_nobody_stands_on_two_sides() -> None:
    entities = [PEOPLE[name][0] for name in PEOPLE]
    assert len(set(entities)) == len(entities)
    assert set(MARKET_OF) < set(CLIENTS) < set(PEOPLE) and len(set(MARKET_OF.values())) == len(MARKET_OF)
