"""`dualchain key`: a key file's life, as its commands show it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chain_core.crypto.errors import KeyFileRefused
from chain_core.crypto.keys import load_private_key
from chain_core.crypto.passphrase import PassphraseRefused, Source, Unlock
from chain_core.crypto.providers import signing_provider
from chain_core.node.key_cli import app


def call(*words: str | Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, words), "--json"])
    if isinstance(result.exception, KeyFileRefused | PassphraseRefused):
        raise result.exception
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


@pytest.fixture
def first(tmp_path: Path) -> str:
    return passphrase(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> str:
    return passphrase(tmp_path / "second")


def passphrase(path: Path) -> str:
    path.write_text(f"the {path.name} of several words\n")
    path.chmod(0o600)
    return f"file:{path}"


def opened(file: Path, source: str) -> bytes:
    return load_private_key(file, Unlock(Source("file", source.removeprefix("file:"))))


def test_a_key_from_its_making_to_another_passphrase(tmp_path: Path, first: str, second: str) -> None:
    file = tmp_path / "a.key"
    made = call("new", file, "--passphrase-from", first)
    assert made["iterations"] == 600_000 and made["encryption"].startswith("PBES2")
    public = signing_provider().sm2_public_key(opened(file, first)).hex()
    assert made["public_key"] == public and "BEGIN PUBLIC KEY" in made["public_key_pem"]

    assert "public_key" not in call("show", file)
    assert call("show", file, "--passphrase-from", first)["public_key"] == public

    call("change-passphrase", file, "--passphrase-from", first, "--new-passphrase-from", second)
    assert signing_provider().sm2_public_key(opened(file, second)).hex() == public
    with pytest.raises(KeyFileRefused, match="does not open it"):
        opened(file, first)

    plain = tmp_path / "plain.key"
    assert call("decrypt", file, "--out", plain, "--passphrase-from", second)["encryption"] == "none"
    assert call("show", plain)["public_key"] == public
    assert call("encrypt", plain, "--passphrase-from", first)["public_key"] == public
    assert opened(plain, first) == opened(file, second)


def test_refusals(tmp_path: Path, first: str) -> None:
    file = tmp_path / "a.key"
    with pytest.raises(PassphraseRefused, match="no terminal"):
        call("new", file)
    with pytest.raises(PassphraseRefused, match="not a source"):
        call("new", file, "--passphrase-from", "my own words")
    assert not file.exists()
    call("new", file, "--passphrase-from", first)
    for command in ("new", "encrypt"):
        with pytest.raises(KeyFileRefused, match="already"):
            call(command, file, "--passphrase-from", first)
    with pytest.raises(KeyFileRefused, match="already"):
        call("decrypt", file, "--out", file, "--passphrase-from", first)


def test_nothing_it_prints_is_secret(tmp_path: Path, first: str) -> None:
    file = tmp_path / "a.key"
    shown = json.dumps([call("new", file, "--passphrase-from", first), call("show", file, "--passphrase-from", first)])
    assert opened(file, first).hex() not in shown and "several words" not in shown
