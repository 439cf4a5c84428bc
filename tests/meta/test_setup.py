"""On a machine that lacks something, the set-up says what, and the command that brings it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

APT = "apt-get install -y python3 python3-venv make openssl"
FAKES = {
    "too_new": f'[ "$1" = --version ] && exec echo "Python 3.13.0"; '
    f'exec {sys.executable} -c "import sys; sys.version_info = (3, 13, 0); $2"',
    "no_venv": f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
    "good": f'exec {sys.executable} "$@"',
}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout with fake interpreters in bin/ and nothing installed."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/venv.sh", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name, text in FAKES.items():
        fake(tmp_path, name, text)
    return tmp_path


def fake(clone: Path, name: str, text: str) -> None:
    program = clone / "bin" / name
    program.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    program.chmod(0o755)


def set_up(clone: Path, *arguments: str) -> str:
    environment = {**os.environ, "PATH": f"{clone / 'bin'}:/usr/bin:/bin"}
    command = ["bash", "scripts/venv.sh", *arguments]
    result = subprocess.run(
        command, cwd=clone, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 1
    assert not (clone / ".venv" / "stamp").exists()
    return result.stderr


def test_an_interpreter_of_another_version(clone: Path) -> None:
    message = set_up(clone, str(clone / "bin/too_new"))
    assert "not a working CPython 3.11 or 3.12" in message
    assert APT in message


def test_no_interpreter_that_fits(clone: Path) -> None:
    for name in ("python3", "python3.11", "python3.12"):
        fake(clone, name, FAKES["too_new"])
    message = set_up(clone)
    assert "needs CPython 3.11 or 3.12 (python3 is: Python 3.13.0)" in message
    assert APT in message


def test_a_python_without_venv(clone: Path) -> None:
    message = set_up(clone, str(clone / "bin/no_venv"))
    assert "has no venv module" in message
    assert APT in message


def test_an_old_openssl(clone: Path) -> None:
    fake(clone, "openssl", 'echo "OpenSSL 1.1.1w  11 Sep 2023"')
    message = set_up(clone, str(clone / "bin/good"))
    assert "version 3 or newer (found: OpenSSL 1.1.1w" in message
    assert APT in message


def test_a_failed_installation_shows_pips_log(clone: Path) -> None:
    fake(
        clone,
        "broken_pip",
        f'case "$*" in *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0;; '
        f'*"-m pip"*) echo "pip: no route to the index"; exit 1;; esac; exec {sys.executable} "$@"',
    )
    message = set_up(clone, str(clone / "bin/broken_pip"))
    assert "pip: no route to the index" in message
    assert "Installing the packages failed" in message
