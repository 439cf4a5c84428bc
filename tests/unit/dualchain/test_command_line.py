"""The root command: each persona's help for a newcomer, and completion of the words that are being typed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from dualchain import cli

PERSONAS = {
    "local": ("init", "roll", "holding", "cash", "security"),
    "supervisory": ("init", "market", "following", "directives"),
    "node": ("run", "status", "header", "block", "receipt", "state"),
    "demo": ("run", "verify", "stop"),
    "relayer": ("run",),
    "registry": ("list",),
}


def printed(*words: str) -> str:
    result = CliRunner().invoke(cli.build(words), words, env={"COLUMNS": "160", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_root_help_lists_every_persona_with_what_it_is_for() -> None:
    text = printed("--help")
    for row in cli.SUB_COMMANDS:
        assert row.name in text and row.help[:40] in text


@pytest.mark.parametrize("persona", PERSONAS)
def test_a_personas_help_lists_its_commands(persona: str) -> None:
    text = printed(persona, "--help")
    for command in PERSONAS[persona]:
        assert f" {command} " in text


@pytest.mark.parametrize("persona", [row.name for row in cli.SUB_COMMANDS])
def test_every_persona_has_help(persona: str) -> None:
    text = printed(persona, "--help")
    assert "Usage:" in text and "Commands" in text


def completions(typed: str, **names: str) -> list[str]:
    """What a shell is offered at the end of the line; ``names`` are the variables of its script."""
    shown = subprocess.run(
        [sys.executable, "-m", "dualchain"],
        env={**os.environ, **{name: text.format(typed) for name, text in names.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [
        ("dualchain lo", 1, {"local", "lookup"}),
        ("dualchain local ro", 2, {"roll"}),
        ("dualchain demo ", 2, {"run", "verify", "stop", "bureau"}),
        ("dualchain supervisory f", 2, {"following"}),
    ],
)
def test_bash_completes_personas_and_their_commands(typed: str, word: int, expected: set[str]) -> None:
    script = {"_DUALCHAIN_COMPLETE": "complete_bash", "COMP_WORDS": "{}", "COMP_CWORD": str(word)}
    assert set(completions(typed, **script)) == expected


def test_zsh_completes_them_too() -> None:
    shown = completions("dualchain local ro", _DUALCHAIN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="{}")
    assert '"roll":"The' in " ".join(shown)
