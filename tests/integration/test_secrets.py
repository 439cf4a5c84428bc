"""After a full demonstration no key and no passphrase is anywhere but where it belongs (docs/spec/keys.md §4)."""

from __future__ import annotations

import base64
import re
import resource
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import Source, Unlock
from tests.integration.demo_runs import Told, dualchain, pids, run_demo
from tests.integration.secret_search import Search, files, forms

pytestmark = pytest.mark.integration

LIMIT = re.compile(r"^Max core file size\s+(\S+)\s+(\S+)", re.MULTILINE)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    work = tmp_path_factory.mktemp("demo") / "work"
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # as on a machine where cores are written
    try:
        yield run_demo(work, "--keep")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
        if (work / "processes.json").exists():
            dualchain("demo", "stop", work)


def key_files(work: Path) -> list[Path]:
    return [path for path in files(work) if path.suffix == ".key"]


@pytest.fixture(scope="module")
def search(told: Told) -> Search:
    """For every key of every key file, and the passphrase that opens them."""
    unlock = Unlock(Source("file", str(told.work / "passphrase")))
    wanted = {str(path.relative_to(told.work)): bytes(load_private_key(path, unlock)) for path in key_files(told.work)}
    assert len(wanted) > 40
    return Search({**wanted, "passphrase": (told.work / "passphrase").read_bytes().strip()})


def test_the_search_finds_what_is_there() -> None:
    """In each form, at each offset, over a chunk's border, and broken into lines as PEM does."""
    secret = secrets.token_bytes(32)
    one = Search({"it": secret, "other": secrets.token_bytes(32)})
    for form in forms(secret):
        for before in (b"", b"x", b"y" * ((4 << 20) - 7)):
            assert one.names_in(before + form + b"z") == {"it"}
    for offset in range(7):
        der = b"d" * offset + secret + b"more"
        assert one.names_in(base64.encodebytes(der)) == {"it"}
        assert one.names_in(base64.urlsafe_b64encode(der)) == {"it"}
    assert one.names_in(secret[:-1] + b"\0") == set()
    assert one.names_in(secrets.token_bytes(100_000)) == set()


def test_every_key_file_is_encrypted_and_its_owners_alone(told: Told) -> None:
    for path in [*key_files(told.work), told.work / "passphrase"]:
        assert path.stat().st_mode & 0o777 == 0o600, path
    for path in key_files(told.work):
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"), path


def test_no_file_of_the_work_directory_holds_a_secret(told: Told, search: Search) -> None:
    """Logs, evidence, ledgers, recordings, configurations, key files: all of them."""
    looked = 0
    for path in files(told.work):
        data = path.read_bytes()
        looked += len(data)
        allowed = {"passphrase"} if path == told.work / "passphrase" else set()
        assert search.names_in(data) == allowed, path
        assert b"-----BEGIN PRIVATE KEY-----" not in data, path
    assert looked > 1_000_000
    assert search.names_in(told.output.encode()) == set()


def test_no_process_shows_a_secret_or_leaves_a_core(told: Told, search: Search) -> None:
    running = pids(told.work)
    assert len(running) >= 14
    for pid in running:
        process = Path("/proc") / str(pid)
        for name in ("cmdline", "environ"):
            assert search.names_in((process / name).read_bytes()) == set(), f"{name} of {pid}"
        limits = LIMIT.search((process / "limits").read_text())
        assert limits is not None and limits.groups() == ("0", "0"), f"{pid} may write a core file"


def test_logs_name_no_secret_by_accident(told: Told) -> None:
    """Hidden keys are not to be logged at all: a log that shows the mark shows that somebody tried."""
    for path in files(told.work / "logs"):
        text = path.read_text("utf-8", "replace")
        assert "<private key>" not in text and "<passphrase>" not in text, path
