"""A newcomer publishes a service, and another market calls it, with nothing but docs/guides/publish-a-service.md."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.network import drawn_ports

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/guides/publish-a-service.md"
LONG = ("dualchain registry testbed", "dualchain registry serve")
"""What runs in a terminal of its own, and says READY."""
ENDS_S = 30


def blocks() -> list[tuple[str, str, str]]:
    """(language, file, content) of each fenced block, in order."""
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [(language, file, content) for language, file, content in found]


@dataclass
class Reader:
    """Somebody at a machine: a directory, terminals, a shell that remembers what was set."""

    home: Path
    terminals: ExitStack
    port: int
    known: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        tools = self.home / "tools"
        tools.mkdir()
        for name, words in (("dualchain", "-m dualchain"), ("python3", "")):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
            tool.chmod(0o755)
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tools}:{os.environ['PATH']}"}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def do(self, language: str, file: str, content: str) -> None:
        content = content.replace("7400", str(self.port))
        if file:
            (self.home / file).write_text(content, "utf-8")
        elif language == "sh":
            for line in content.splitlines():
                self._long(line) if line.startswith(LONG) else self._short(line)

    def _short(self, line: str) -> None:
        if re.match(r"[A-Z]+=", line):
            self.known.append(line)
        ran = subprocess.run(
            ["bash", "-ec", "\n".join([*self.known, line])],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"
        self.said[line] = ran.stdout

    def _long(self, line: str) -> None:
        self.terminals.enter_context(self._terminal(line))

    @contextmanager
    def _terminal(self, line: str) -> Iterator[None]:
        log = self.home / f"terminal-{len(list(self.home.glob('terminal-*')))}"
        with log.open("wb") as stream:
            running = subprocess.Popen(
                ["bash", "-ec", f"exec {line}"],
                cwd=self.home,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        try:
            assert running.stdout is not None
            assert any(told.startswith("READY") for told in running.stdout), f"{line}\n{log.read_text()}"
            yield
        finally:
            running.send_signal(signal.SIGINT)
            try:
                ended = running.wait(ENDS_S)
            except subprocess.TimeoutExpired:
                running.kill()
                raise
            assert ended == 0, f"{line}\n{log.read_text()}"

    def saw(self, start: str) -> str:
        """What the command that starts so printed."""
        return next(said for line, said in self.said.items() if line.startswith(start))


def test_the_guide(tmp_path: Path) -> None:
    with ExitStack() as terminals:
        reader = Reader(tmp_path, terminals, drawn_ports(1)[0])
        for language, file, content in blocks():
            reader.do(language, file, content)
        assert "all held" in reader.saw("dualchain registry test ")
        assert "verdict: pass" in reader.saw("dualchain registry joint-test")
        assert "index: 101.25" in reader.saw("dualchain registry call")
        assert reader.saw("python3 use.py") == "101.25\n"
        assert reader.saw("python3 often.py") == "101.25\n" * 2
        source = reader.saw("dualchain registry check-source")
        assert "entity: 北京股权交易中心有限公司" in source and "verified: True" in source
        audited = reader.saw("dualchain registry records")
        assert audited.count("code: OK") == 6 and audited.count("code: BAD_REQUEST") == 1
        assert "digests: equal" in audited
        assert "amount_fen: 250" in reader.saw("dualchain registry usage")


def test_every_block_of_the_guide_is_one_that_is_run() -> None:
    assert [language for language, _, _ in blocks() if language not in ("sh", "text")] == ["json", *["python"] * 3]
    text = "".join(content for language, _, content in blocks() if language == "sh")
    assert all(line.startswith(("dualchain registry ", "python3 ", "SERVICE=")) for line in text.splitlines())
