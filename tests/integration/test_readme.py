"""A reader of README gets from ``init`` to a served query with what ``init`` wrote, and is told what is missing."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from dualchain.demo.processes import ProcessGroup, command
from tests.integration.network import drawn_ports

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN_S = 120.0


def block(page: str) -> list[str]:
    """The command lines of the page's chain of one's own."""
    found = re.search(r"```sh\n([^`]*supervisory init.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert found is not None
    return found[1].replace("\\\n", " ").splitlines()


def test_both_languages_say_the_same() -> None:
    assert [line.partition("#")[0] for line in block("README.md")] == [
        line.partition("#")[0] for line in block("README.zh-CN.md")
    ]


def test_a_chain_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``init``, four nodes, a proven header; without the line of the credentials a refusal that names it."""
    written = "\n".join(block("README.md"))
    ports = re.findall(r",(70\d\d),(70\d\d)", written)
    for old, new in zip((port for pair in ports for port in pair), drawn_ports(8), strict=True):
        written = re.sub(rf"\b{old}\b", str(new), written)
    init, run, export, header = written.splitlines()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("DUALCHAIN_CREDENTIALS", raising=False)

    async def call(line: str) -> tuple[int | None, str]:
        pipe = asyncio.subprocess.PIPE
        words = command(*shlex.split(line)[1:])
        ran = await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=asyncio.subprocess.STDOUT)
        said, _ = await ran.communicate()
        return ran.returncode, said.decode()

    async def story() -> None:
        code, said = await call(init)
        assert code == 0 and "DUALCHAIN_CREDENTIALS" in said, said
        nodes, each = ProcessGroup(tmp_path / "logs"), re.search(r"for n in ([\d ]+); do \S+ (.*?) 2>", run)
        assert each is not None
        try:
            lines = {n: each[2].replace("$n", n).split() for n in each[1].split()}
            await nodes.start_all(lines, START_WITHIN_S)
            code, said = await call(header)
            assert code == 1 and "SESSION_REQUIRED" in said and "export DUALCHAIN_CREDENTIALS=" in said, said
            name, _, folder = export.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, folder)
            code, said = await call(header)
            while "wait for the first block" in said:  # as it says
                code, said = await call(header)
            assert code == 0 and "verified" in said, said
        finally:
            await nodes.stop()

    asyncio.run(story())
