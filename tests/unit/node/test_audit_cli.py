"""``dualchain node audit``, and the same check with a shell and openssl alone."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_core.node.audit_cli import make_app
from chain_core.node.audit_format import READS, segments
from tests.unit.node.test_audit import FACTS, World

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "access.md"
RUN = CliRunner()


def call(*arguments: str) -> tuple[int, str]:
    result = RUN.invoke(make_app(), arguments)
    return result.exit_code, result.output


def shell_check(directory: Path) -> str:
    """The shell lines of the specification, word for word."""
    script = re.search(r"\n((?:    .*\n)+)\n\*\*What the chain", SPEC.read_text("utf-8"))
    assert script is not None
    result = subprocess.run(["sh", "-c", script[1]], cwd=directory, capture_output=True, text=True, check=False)
    assert not result.stderr
    return result.stdout


def test_show_finds_records(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(4)
    directory = str(world.directory)
    code, output = call("show", directory)
    rows = [json.loads(line) for line in output.splitlines()]
    assert (code, len(rows)) == (0, 4)
    assert {row["method"] for row in rows} == {FACTS["method"]}
    assert len(call("show", directory, "--caller", "证监会", "--method", "/M", "--object", "7")[1].splitlines()) == 4
    assert call("show", directory, "--caller", "somebody") == (0, "")
    assert call("show", directory, "--since", "1800000000000") == (0, "")
    assert call("show", directory, "--series", "refusals") == (0, "")


def test_verify_and_head(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(2)
    directory = str(world.directory)
    head = json.loads(call("head", directory)[1])
    assert (head["node"], head["chain"], head["reads"]["records"]) == ("one", "cd" * 32, 3)
    world.reads(2)
    code, output = call("verify", directory, "--head", head["reads"]["head"], "--json")
    assert (code, json.loads(output)["good"]) == (0, True)
    (path,) = segments(world.directory, READS)
    path.write_text("".join(f"{line}\n" for line in world.lines()[:2]), "ascii")
    code, output = call("verify", directory, "--head", head["reads"]["head"], "--json")
    assert (code, json.loads(output)["missing_heads"]) == (4, [head["reads"]["head"]])


def test_a_changed_line_is_named_everywhere(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(3)
    (path,) = segments(world.directory, READS)
    path.write_text(path.read_text("ascii").replace("height 7", "height 8", 1), "ascii")
    directory = str(world.directory)
    assert call("verify", directory)[0] == 4
    assert "line 2" in call("verify", directory)[1]
    assert call("show", directory)[0] == 4
    assert call("head", directory)[0] == 4


def test_nothing_there(tmp_path: Path) -> None:
    assert RUN.invoke(make_app(), ["verify", str(tmp_path)]).exit_code == 1


@pytest.mark.skipif(
    shutil.which("openssl") is None
    or subprocess.run(["openssl", "dgst", "-sm3", "/dev/null"], capture_output=True, check=False).returncode != 0,
    reason="this machine's openssl has no SM3",
)
def test_a_shell_and_openssl_suffice(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.reads(4)
    assert shell_check(world.directory) == ""
    (path,) = segments(world.directory, READS)
    path.write_text(path.read_text("ascii").replace("height 7", "height 8", 1), "ascii")
    assert shell_check(world.directory).startswith('broken: {"by"')
