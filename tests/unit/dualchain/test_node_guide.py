"""The guide for operators can be followed as it stands: its networks are laid out, its other commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dualchain.cli import build

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "operate-a-node.md"


def commands() -> list[list[str]]:
    """The command lines of all shell blocks, without the program's name."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("dualchain ")]


def test_the_networks_of_the_guide_are_laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("calendar.csv").write_text("date,kind\n2026-10-01,holiday\n", "utf-8")
    Path("passphrase").write_text("several words of a guide\n", "utf-8")
    Path("passphrase").chmod(0o600)
    made = [words for words in commands() if "init" in words and words[0] != "signer"]
    assert [words[0] for words in made] == ["supervisory", "local"]
    for words in made:
        result = CliRunner().invoke(build(words), words)
        assert result.exit_code == 0, result.output + repr(result.exception)
    for words in commands():
        for option in ("--config", "--genesis", "--supervisory-genesis"):
            if option in words and words[0] != "signer":
                assert Path(words[words.index(option) + 1]).is_file()


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_guide_exists(words: list[str]) -> None:
    deep = tuple(words[:2]) == ("supervisory", "successor") or words[1] in ("audit", "ledgers", "reopen", "validators")
    depth = 3 if deep else 2
    result = CliRunner().invoke(build(words), [*words[:depth], "--help"], env={"COLUMNS": "160", "NO_COLOR": "1"})
    assert result.exit_code == 0
    for option in words:
        if option.startswith("--"):
            assert option in result.output
