"""The command line reads well: every command of every persona says what it does."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from dualchain import cli
from tests.meta.sources import ROOT


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child_name, child in getattr(command, "commands", {}).items():
        yield from commands(child, f"{name} {child_name}")


def everything() -> list[tuple[str, Any]]:
    root = typer.main.get_command(cli.build([row.name for row in cli.SUB_COMMANDS]))
    return list(commands(root, "dualchain"))


@pytest.mark.parametrize(("name", "command"), everything(), ids=lambda value: value if isinstance(value, str) else "")
def test_command_has_help(name: str, command: Any) -> None:
    assert command.help, f"{name} has no help text"
    for parameter in command.params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), f"{name}: {parameter.name} has no help text"


def test_root_help_imports_no_persona() -> None:
    modules = [row.module for row in cli.SUB_COMMANDS]
    program = (
        "import sys\nfrom dualchain import cli\ncli.build(['--help'])\n"
        f"print([name for name in {modules!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_readme_names_every_persona() -> None:
    for readme in ("README.md", "README.zh-CN.md"):
        text = (ROOT / readme).read_text("utf-8")
        for row in cli.SUB_COMMANDS:
            assert f"dualchain {row.name}" in text, f"{readme} does not mention `dualchain {row.name}`"


def test_a_refusal_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise cli.DualchainError("the port is taken", where="port 7000", next_step="choose another")

    monkeypatch.setattr(cli, "build", lambda arguments: lambda prog_name: refuse())
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "REFUSED: the port is taken (at port 7000); next: choose another\n"
