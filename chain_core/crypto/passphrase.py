"""Passphrases: where they come from, and the keys derived from them (docs/spec/keys.md §3).

Never from an argument or an environment variable's value: both are there for others to read.
"""

from __future__ import annotations

import getpass
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from chain_core.crypto import pbes2
from chain_core.crypto.errors import CryptoError

MAX_BYTES = 1_024
MIN_NEW_BYTES = 12
_DERIVED = 16
SOURCES = "prompt, file:PATH, credential:NAME or fd:N"
CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"
"""systemd's variable: it names a directory, it holds no secret."""


class PassphraseRefused(CryptoError):
    """No passphrase was to be had there, or it cannot be one; ``where`` is the source."""

    code = "PASSPHRASE_REFUSED"


class Passphrase:
    """One passphrase and the keys derived from it so far; its text hides it.

    ``salt`` is for all that is encrypted with it in this process: one derivation serves a whole network's keys.
    """

    __slots__ = ("_derived", "_raw", "salt")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.salt = secrets.token_bytes(pbes2.SALT_SIZE)
        self._derived: dict[tuple[bytes, int], bytes] = {}

    def __repr__(self) -> str:
        return "<passphrase>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a passphrase is not pickled")

    def key(self, salt: bytes, iterations: int) -> bytes:
        """The 16-byte key for these parameters."""
        known = self._derived.get((salt, iterations))
        if known is None:
            known = pbes2.derive(self._raw, salt, iterations)
            if len(self._derived) >= _DERIVED:
                self._derived.clear()
            self._derived[salt, iterations] = known
        return known


@dataclass(frozen=True, slots=True)
class Source:
    """Where a passphrase is to be read: ``value`` is a path, a credential's name or a descriptor's number."""

    kind: Literal["prompt", "file", "credential", "fd"]
    value: str = ""

    def __str__(self) -> str:
        return self.kind if self.kind == "prompt" else f"{self.kind}:{self.value}"


class Unlock:
    """How a process opens key files: by a passphrase, read once and only when a file needs it; ``plain`` admits
    unencrypted ones."""

    __slots__ = ("_passphrase", "plain", "source")

    def __init__(
        self, source: Source | None = None, *, plain: bool = False, passphrase: Passphrase | None = None
    ) -> None:
        """``passphrase``: when it was read already."""
        self.source, self.plain, self._passphrase = source, plain, passphrase

    def passphrase(self) -> Passphrase | None:
        """The passphrase, None when no source was named. Raises PassphraseRefused."""
        if self._passphrase is None and self.source is not None:
            self._passphrase = read_passphrase(self.source)
        return self._passphrase


def parse_source(text: str) -> Source:
    """A source as it is written on a command line. Raises PassphraseRefused; the text is never quoted back."""
    kind, colon, value = text.partition(":")
    if text == "prompt":
        return Source("prompt")
    if colon and value:
        if kind == "file":
            return Source("file", value)
        if kind == "credential" and "/" not in value and value not in (".", ".."):
            return Source("credential", value)
        if kind == "fd" and value.isdecimal() and len(value) < 6:
            return Source("fd", value)
    raise PassphraseRefused("not a source of passphrases", where="--passphrase-from", next_step=f"write {SOURCES}")


def read_passphrase(source: Source, *, new: bool = False, purpose: str = "the key files") -> Passphrase:
    """The passphrase at ``source``; with ``new`` a prompt asks twice and a short one is refused.

    Raises PassphraseRefused.
    """
    raw = _prompt(new, purpose) if source.kind == "prompt" else _one_line(_read(source), source)
    if new and len(raw) < MIN_NEW_BYTES:
        what = f"{len(raw)} bytes; a new passphrase has at least {MIN_NEW_BYTES}"
        raise PassphraseRefused(what, where=str(source), next_step="choose several words")
    return Passphrase(raw)


def draw_passphrase(path: Path) -> Passphrase:
    """A random passphrase, written to a new file with mode 0600: for networks that live on one machine."""
    text = secrets.token_urlsafe(24)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return Passphrase(text.encode())


def _prompt(new: bool, purpose: str) -> bytes:
    where = "prompt"
    if not sys.stdin.isatty():
        step = f"name another source with --passphrase-from: {SOURCES}"
        raise PassphraseRefused("there is no terminal to ask at", where=where, next_step=step)
    first = getpass.getpass(f"Passphrase for {purpose}: ").encode()
    if new and getpass.getpass("The same again: ").encode() != first:
        raise PassphraseRefused("the two differ", where=where, next_step="try again")
    return _checked(first, where)


def _read(source: Source) -> bytes:
    where = str(source)
    try:
        if source.kind == "fd":
            with os.fdopen(int(source.value), "rb") as stream:
                return _bounded(stream.read(MAX_BYTES + 3), where)
        path = Path(source.value)
        if source.kind == "credential":
            directory = os.environ.get(CREDENTIALS_DIRECTORY, "")
            if not directory:
                what = "there are no credentials: the process was not started by systemd with LoadCredential="
                step = "start the service, or name another source with --passphrase-from"
                raise PassphraseRefused(what, where=where, next_step=step)
            path = Path(directory) / source.value
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            about = os.fstat(file.fileno())
            mode = stat.S_IMODE(about.st_mode)
            # systemd may give a service's user access by an ACL, which shows in the group's bits
            wide = mode & (0o007 if source.kind == "credential" else 0o077)
            if wide or not stat.S_ISREG(about.st_mode):
                what = f"mode {mode:04o} lets others at it" if wide else "not a regular file"
                raise PassphraseRefused(what, where=where, next_step=f"chmod 600 {path}")
            return _bounded(file.read(MAX_BYTES + 3), where)
    except OSError as error:
        step = f"name a readable source: {SOURCES}"
        raise PassphraseRefused(f"cannot be read: {error.strerror}", where=where, next_step=step) from error


def _bounded(raw: bytes, where: str) -> bytes:
    if len(raw) > MAX_BYTES + 2:
        raise PassphraseRefused(f"more than {MAX_BYTES} bytes", where=where, next_step="write one line")
    return raw


def _one_line(raw: bytes, source: Source) -> bytes:
    return _checked(raw.removesuffix(b"\n").removesuffix(b"\r"), str(source))


def _checked(raw: bytes, where: str) -> bytes:
    if not 1 <= len(raw) <= MAX_BYTES or any(byte in raw for byte in (b"\n", b"\r", b"\0")):
        what = f"not one line of 1 to {MAX_BYTES} bytes"
        raise PassphraseRefused(what, where=where, next_step="write the passphrase alone, on one line")
    return raw
