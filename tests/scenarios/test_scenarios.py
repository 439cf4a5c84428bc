"""Scenario scripts with golden transcripts: blocks of a command, ``----``, and what follows from it.

``pytest tests/scenarios --rewrite`` writes the transcripts anew.
"""

from pathlib import Path

import pytest

from tests.scenarios.cluster import Cluster

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))


def played(text: str) -> str:
    """The script with the transcript that its commands have now; comments and blank lines stay."""
    cluster = Cluster()
    out: list[str] = []
    commands: list[str] = []
    in_answer = False
    for line in [*text.splitlines(), ""]:
        if in_answer and line.strip():
            continue
        in_answer = False
        if line == "----":
            answers = [answer for command in commands for answer in cluster.run(command)]
            out.extend(["----", *answers])
            commands, in_answer = [], True
            continue
        out.append(line)
        if line.strip() and not line.startswith("#"):
            commands.append(line)
    return "\n".join(out).rstrip() + "\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_scenario(script: Path, request: pytest.FixtureRequest) -> None:
    text = script.read_text("utf-8")
    now = played(text)
    if request.config.getoption("--rewrite", False):
        script.write_text(now, "utf-8")
    else:
        assert now == text, f"{script.name} plays otherwise; look at it, then pytest tests/scenarios --rewrite"


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 6
