"""Where passphrases come from, and from where not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chain_core.crypto import passphrase as module
from chain_core.crypto.passphrase import (
    Passphrase,
    PassphraseRefused,
    Source,
    Unlock,
    draw_passphrase,
    parse_source,
    read_passphrase,
)

WORDS = "correct horse battery"


def raw(found: Passphrase) -> bytes:
    return found._raw


def written(path: Path, text: bytes, mode: int = 0o600) -> Source:
    path.write_bytes(text)
    path.chmod(mode)
    return Source("file", str(path))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("prompt", Source("prompt")),
        ("file:/run/p", Source("file", "/run/p")),
        ("file:a:b", Source("file", "a:b")),
        ("credential:node", Source("credential", "node")),
        ("fd:3", Source("fd", "3")),
    ],
)
def test_sources(text: str, source: Source) -> None:
    assert parse_source(text) == source
    assert str(source) == text


@pytest.mark.parametrize(
    "text", ["", "secret words", "file:", "fd:-1", "fd:x", "fd:", "credential:../x", "credential:", "env:X", "prompt:"]
)
def test_what_is_no_source_is_refused_and_not_quoted(text: str) -> None:
    """Whoever writes the passphrase itself there must not find it in a log."""
    with pytest.raises(PassphraseRefused, match="not a source") as refused:
        parse_source(text)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_file(tmp_path: Path, end: bytes) -> None:
    assert raw(read_passphrase(written(tmp_path / "p", WORDS.encode() + end))) == WORDS.encode()


@pytest.mark.parametrize(
    ("text", "mode", "reason"),
    [
        (b"", 0o600, "not one line"),
        (b"\n", 0o600, "not one line"),
        (b"a\nb", 0o600, "not one line"),
        (b"a\0b", 0o600, "not one line"),
        (b"x" * 1_025, 0o600, "not one line"),
        (b"x" * 2_000, 0o600, "more than 1024"),
        (b"words", 0o640, "mode 0640"),
        (b"words", 0o604, "mode 0604"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: bytes, mode: int, reason: str) -> None:
    with pytest.raises(PassphraseRefused, match=reason) as refused:
        read_passphrase(written(tmp_path / "p", text, mode))
    assert refused.value.next_step and "words" not in str(refused.value).replace(str(tmp_path), "")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p", 0o600)
    with pytest.raises(PassphraseRefused, match="not a regular file"):
        read_passphrase(Source("file", str(tmp_path / "p")))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PassphraseRefused, match="No such file"):
        read_passphrase(Source("file", str(tmp_path / "none")))


def test_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    written(tmp_path / "node", WORDS.encode(), 0o440)
    assert raw(read_passphrase(Source("credential", "node"))) == WORDS.encode()
    written(tmp_path / "node", WORDS.encode(), 0o444)
    with pytest.raises(PassphraseRefused, match="mode 0444"):
        read_passphrase(Source("credential", "node"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(PassphraseRefused, match="LoadCredential"):
        read_passphrase(Source("credential", "node"))


def test_a_descriptor_is_read_to_its_end_and_closed() -> None:
    reading, writing = os.pipe()
    os.write(writing, WORDS.encode() + b"\n")
    os.close(writing)
    assert raw(read_passphrase(Source("fd", str(reading)))) == WORDS.encode()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(reading)
    with pytest.raises(PassphraseRefused, match="cannot be read"):
        read_passphrase(Source("fd", str(reading)))


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    asked: list[str] = []
    given = iter(answers)
    monkeypatch.setattr(module.sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(module.getpass, "getpass", lambda text: (asked.append(text), next(given))[1])
    return asked


def test_a_prompt_asks_once_to_open_and_twice_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = at_a_terminal(monkeypatch, WORDS, WORDS, WORDS)
    assert raw(read_passphrase(Source("prompt"))) == WORDS.encode()
    assert len(asked) == 1
    assert raw(read_passphrase(Source("prompt"), new=True)) == WORDS.encode()
    assert len(asked) == 3


def test_prompts_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, WORDS, WORDS + "!")
    with pytest.raises(PassphraseRefused, match="differ"):
        read_passphrase(Source("prompt"), new=True)


def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys.stdin, "isatty", lambda: False)
    with pytest.raises(PassphraseRefused, match=r"no terminal.*file:PATH"):
        read_passphrase(Source("prompt"))


def test_a_new_one_has_twelve_bytes(tmp_path: Path) -> None:
    source = written(tmp_path / "p", b"eleven byte")
    assert raw(read_passphrase(source)) == b"eleven byte"
    with pytest.raises(PassphraseRefused, match="at least 12"):
        read_passphrase(source, new=True)


def test_a_drawn_one_is_its_owners_alone_and_never_drawn_over(tmp_path: Path) -> None:
    path = tmp_path / "passphrase"
    made = draw_passphrase(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert raw(read_passphrase(Source("file", str(path)), new=True)) == raw(made)
    with pytest.raises(FileExistsError):
        draw_passphrase(path)


def test_it_is_read_when_a_file_needs_it_and_once(tmp_path: Path) -> None:
    source = written(tmp_path / "p", WORDS.encode())
    unlock = Unlock(source)
    first = unlock.passphrase()
    (tmp_path / "p").unlink()
    assert unlock.passphrase() is first
    assert Unlock(None).passphrase() is None
