"""``dualchain template``: an author's and an approver's desk, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chain_core.types.errors import DualchainError
from contracts.templates.catalogue import CASES, SOURCES, catalogue
from local_chain.filing.cli import app

TRANSFER = "csrc.negotiated-transfer"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def author(folder: Path, before: str = "", after: str = "") -> Path:
    """A copy of a common template under an operator's id, with one change, beside its examples."""
    path = folder / "mine.star"
    source = (SOURCES / f"{TRANSFER}.star").read_text("utf-8").replace(f'"id": "{TRANSFER}"', '"id": "bj.transfer"')
    assert before in source
    path.write_text(source.replace(before, after), "utf-8")
    cases = (CASES / f"{TRANSFER}.toml").read_text("utf-8").replace(TRANSFER, "bj.transfer")
    path.with_suffix(".toml").write_text(cases, "utf-8")
    return path


def test_lint_gives_the_identity() -> None:
    code, text = run("lint", TRANSFER, "--json")
    row = json.loads(text)
    [shipped] = [one for one in catalogue() if one.compiled.template.id == TRANSFER]
    assert (code, row["tree_sm3"], row["capabilities"]) == (0, shipped.compiled.identity.hex(), ["hold"])
    assert row["about"].startswith("csrc.negotiated-transfer: shares sold by agreement")


MISTAKES = {
    "language": ('order = call["params"]', 'order = eval(call["params"])', "unknown_function", "line"),
    "operation": ("ctx.move_held(", "ctx.move_freely(", "unknown_operation", "line"),
    "declaration": ('"initial": ["ordered"]', '"initial": ["nowhere"]', "bad_declaration", "mine.star"),
    "character": ("The seller's order", "The seller\u2019s order\u202e", "bad_character", "line"),
}


@pytest.mark.parametrize(("before", "after", "reason", "where"), MISTAKES.values(), ids=MISTAKES.keys())
def test_lint_names_the_line(tmp_path: Path, before: str, after: str, reason: str, where: str) -> None:
    path = author(
        tmp_path,
        before,
        after.replace("eval", 'eval(call["params"])[0] or call') if reason == "unknown_function" else after,
    )
    with pytest.raises(DualchainError) as caught:
        run("lint", str(path))
    assert reason in str(caught.value)
    assert where.split(maxsplit=1)[0] in str(caught.value)


def test_examples_of_an_own_template(tmp_path: Path) -> None:
    code, text = run("test", str(author(tmp_path)), "--json")
    found = json.loads(text)
    assert (code, found["ok"], found["templates"][0]["template"]) == (0, True, "bj.transfer")


def test_an_example_that_goes_otherwise_fails_the_command(tmp_path: Path) -> None:
    """The settlement forgets to move anything: its examples notice."""
    path = author(tmp_path, 'ctx.move_held(ctx.get("shares"), payment=ctx.get("payment"))', 'ctx.get("shares")')
    code, text = run("test", str(path), "--json")
    found = json.loads(text)
    assert (code, found["ok"]) == (1, False)
    assert "sold, accepted and settled" in {row["case"] for row in found["templates"][0]["wrong"]}


def test_nothing_to_test_is_said(tmp_path: Path) -> None:
    with pytest.raises(DualchainError, match="nothing to test"):
        run("test")
    with pytest.raises(DualchainError, match="no such template"):
        run("test", "csrc.stranger")


def test_diff_says_whether_the_trees_differ(tmp_path: Path) -> None:
    code, text = run("diff", TRANSFER, str(author(tmp_path)), "--json")
    found = json.loads(text)
    assert code == 0 and not found["same_tree"]
    assert '+    "id": "bj.transfer",' in found["lines"]


def test_every_tree_of_this_build_is_that_of_its_source() -> None:
    code, text = run("build", "--json")
    assert (code, json.loads(text)["written"]) == (0, [])
