"""The demonstration as a user runs it: a child process with its output, and the evidence it leaves."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.nursery import finished

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "market-day"
PATIENCE_S = 300
PROGRAM = (sys.executable, "-m", "dualchain")
CHAINS = ("supervisory", "BJ", "JS")


def dualchain(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command in a process of its own."""
    return finished("dualchain", *arguments, within_s=PATIENCE_S)


@dataclass(frozen=True)
class Told:
    """A run that came to its end."""

    work: Path
    output: str
    genesis: tuple[str, ...]
    manifest: str

    @property
    def evidence(self) -> Path:
        return self.work / "evidence"

    @property
    def summary(self) -> dict[str, Any]:
        found = json.loads((self.work / "summary.json").read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    def step(self, name: str) -> dict[str, Any]:
        (found,) = [row for row in self.summary["steps"] if row["step"] == name]
        assert isinstance(found, dict)
        return found

    def chain_id(self, chain: str) -> str:
        return str(self.summary["chains"][chain]["chain_id"])

    def verify(self, directory: Path | None = None, **changed: str) -> list[str | Path]:
        """The printed command's arguments, for another directory or with another hash."""
        hashes = [changed.get("genesis", self.genesis[0]), *self.genesis[1:]]
        named = [word for one in hashes for word in ("--genesis", one)]
        return [
            "demo",
            "verify",
            directory or self.evidence,
            *named,
            "--manifest",
            changed.get("manifest", self.manifest),
        ]


def run_demo(work: Path, *options: str | Path) -> Told:
    """Run it; the hashes are read from what it prints, as a user would."""
    ended = dualchain("demo", "run", "--work-dir", work, *options)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr
    (line,) = [line for line in ended.stdout.splitlines() if " demo verify " in line]
    genesis = tuple(re.findall(r"--genesis ([0-9a-f]{64})", line))
    (manifest,) = re.findall(r"--manifest ([0-9a-f]{64})", line)
    return Told(work, ended.stdout, genesis, manifest)


def smaller_input(target: Path) -> Path:
    """The example with nobody in it who neither trades nor is named by a directive."""
    parties: set[str] = set()
    target.mkdir()
    for name in ("calendar.csv", "orders.csv", "directives.csv"):
        (target / name).write_bytes((EXAMPLE / name).read_bytes())
    for name, columns in (("orders.csv", ("seller", "buyer")), ("directives.csv", ("holder",))):
        with (EXAMPLE / name).open(encoding="utf-8") as stream:
            parties |= {row[column] for row in csv.DictReader(stream) for column in columns}
    for name in ("roll.csv", "investors.csv", "cash.csv"):
        header, *lines = (EXAMPLE / name).read_text("utf-8").splitlines()
        kept = [line for line in lines if parties & set(line.split(","))]
        (target / name).write_text("\n".join([header, *kept]) + "\n", "utf-8")
    return target


def pids(work: Path) -> list[int]:
    """The processes that a run wrote down."""
    found = json.loads((work / "processes.json").read_text("utf-8"))
    return list(found.values())


def alive(pid: int) -> bool:
    """Whether it runs; one that ended and waits to be collected does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def left(work: Path) -> list[str]:
    """Processes that were started for a work directory and still run, whether it knows of them or not."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and alive(int(entry.name)):
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes()
                if f"{work}/".encode() in line:
                    found.append(line.replace(b"\0", b" ").decode())
    return found


@contextmanager
def started(work: Path, until: str) -> Iterator[subprocess.Popen[str]]:
    """A run that has printed ``until`` and goes on; ended by force if the test does not end it."""
    process = subprocess.Popen(
        [*PROGRAM, "demo", "run", "--work-dir", str(work)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if until in line:
                break
        else:
            raise AssertionError(f"ended before {until!r}: {process.communicate()[1]}")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
            dualchain("demo", "stop", work)
