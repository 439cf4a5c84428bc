"""The work directory: only an empty one, or with --replace one that an earlier demonstration made."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from chain_core.types.errors import DualchainError
from dualchain.demo import kept
from dualchain.demo.inputs import BadInput
from dualchain.demo.layout import FORMAT, PROCESSES, WorkDirectoryRefused, open_work_directory
from dualchain.demo.processes import ProcessFailed, ProcessGroup
from dualchain.demo.report import Report
from dualchain.demo.story import prepare

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "market-day"


def refused(work: Path, *, replace: bool = False) -> WorkDirectoryRefused:
    before = {path: path.is_file() and path.read_bytes() for path in work.rglob("*")} if work.is_dir() else {}
    with pytest.raises(WorkDirectoryRefused) as caught:
        open_work_directory(work, replace=replace)
    after = {path: path.is_file() and path.read_bytes() for path in work.rglob("*")} if work.is_dir() else {}
    assert before == after, "a refusal changes nothing"
    assert caught.value.next_step
    return caught.value


def test_a_new_or_empty_directory_is_marked(tmp_path: Path) -> None:
    open_work_directory(tmp_path / "deep" / "new")
    (tmp_path / "empty").mkdir()
    open_work_directory(tmp_path / "empty")
    assert (tmp_path / "deep" / "new" / "format").read_text() == (tmp_path / "empty" / "format").read_text() == FORMAT


@pytest.mark.parametrize("replace", [False, True])
def test_a_foreign_directory_is_left_alone(tmp_path: Path, replace: bool) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert "no demonstration's" in refused(tmp_path, replace=replace).what
    (tmp_path / "format").write_text("something else 1\n")
    refused(tmp_path, replace=replace)


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file").what == "not a directory"


def test_another_version_is_named(tmp_path: Path) -> None:
    (tmp_path / "format").write_text("dualchain-demo 2\n")
    assert "'dualchain-demo 2'" in refused(tmp_path).what


@pytest.mark.parametrize("version", [FORMAT, "dualchain-demo 2\n"])
def test_an_earlier_run_is_replaced_only_when_asked(tmp_path: Path, version: str) -> None:
    (tmp_path / "format").write_text(version)
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "summary.json").write_text("{}")
    refused(tmp_path)
    open_work_directory(tmp_path, replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["format"]
    assert (tmp_path / "format").read_text() == FORMAT


def test_replacing_follows_no_links(tmp_path: Path) -> None:
    work, other = tmp_path / "work", tmp_path / "other"
    open_work_directory(work)
    other.mkdir()
    (other / "kept.txt").write_text("")
    (work / "link").symlink_to(other)
    open_work_directory(work, replace=True)
    assert (other / "kept.txt").exists() and not (work / "link").exists()


def test_a_network_that_is_up_is_not_replaced(tmp_path: Path) -> None:
    open_work_directory(tmp_path)
    (tmp_path / PROCESSES).write_text("{}")
    refusal = refused(tmp_path, replace=True)
    assert f"dualchain demo stop {tmp_path}" in refusal.next_step
    assert kept.stop(tmp_path) == 0
    open_work_directory(tmp_path, replace=True)


def test_a_number_that_went_to_a_stranger_is_not_killed(tmp_path: Path) -> None:
    """A process of another program may have got the number of one of ours."""
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        (tmp_path / PROCESSES).write_text(json.dumps({"bj-0": stranger.pid}))
        assert kept.stop(tmp_path) == 0
        assert stranger.poll() is None
        with pytest.raises(kept.NothingRuns):
            kept.stop(tmp_path)
    finally:
        stranger.communicate(b"\n")
    assert stranger.returncode == 0


def report() -> Report:
    return Report(Console(file=io.StringIO()))


def test_bad_input_leaves_the_work_directory_alone(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"calendar\.csv is missing"):
        prepare(tmp_path / "work", tmp_path, report())
    assert not (tmp_path / "work").exists()


def test_input_inside_the_work_directory_is_refused(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "format").write_text(FORMAT)
    inputs = work / "evidence" / "inputs"
    inputs.mkdir(parents=True)
    for source in EXAMPLE.glob("*.csv"):
        (inputs / source.name).write_bytes(source.read_bytes())
    with pytest.raises(WorkDirectoryRefused, match="copy it elsewhere"):
        prepare(work, inputs, report(), replace=True)
    assert len(list(inputs.iterdir())) == 6


def test_a_process_that_ends_by_itself_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def story() -> DualchainError:
        group = ProcessGroup(tmp_path)
        try:
            await group.start("short", ["node", "run", "--config", str(tmp_path / "missing.toml")])
            async with asyncio.timeout(30):
                await group.watch()
        except ProcessFailed as failed:
            return failed
        finally:
            await group.stop()
        raise AssertionError("unreachable")

    failed = asyncio.run(story())
    assert "short ended with exit code 1" in failed.what and "missing.toml" in failed.what
    assert failed.where == str(tmp_path / "short.log")
