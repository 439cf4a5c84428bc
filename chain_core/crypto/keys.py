"""SM2 keys in files: PKCS#8 PEM as ``openssl pkey`` reads and writes it, encrypted (docs/spec/keys.md §2) or not,
readable by their owner only: a file with a wider mode is refused.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chain_core.crypto import pbes2
from chain_core.crypto.errors import KeyFileRefused
from chain_core.crypto.passphrase import SOURCES, Passphrase, Unlock
from chain_core.crypto.pkcs8 import (
    ENCRYPTED,
    GENERATE,
    pem,
    private_key_info,
    private_key_pem,
    public_key_pem,
    read_pem,
    read_private_key_info,
)
from chain_core.crypto.private_key import PrivateKey

__all__ = [
    "KeyFacts",
    "encrypted_key_pem",
    "inspect_key_file",
    "load_key_info",
    "load_private_key",
    "private_key_pem",
    "public_key_pem",
    "replace_private_key",
    "write_private_key",
]

K = TypeVar("K")
_LARGEST_FILE = 8_192


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What a key file says without its passphrase; ``iterations`` 0: it is not encrypted."""

    iterations: int
    salt_bytes: int


def encrypted_key_pem(private_key: bytes, passphrase: Passphrase, iterations: int = pbes2.ITERATIONS) -> str:
    """Encrypted PKCS#8 PEM of a 32-byte key. Raises InvalidKey."""
    key = passphrase.key(passphrase.salt, iterations)
    return pem(ENCRYPTED, pbes2.seal(key, passphrase.salt, iterations, private_key_info(private_key)))


def write_private_key(path: Path, private_key: bytes, passphrase: Passphrase | None = None) -> None:
    """Writes the key as PEM, mode 0600, atomically and synced; refuses to replace a file.

    Encrypted when there is a passphrase. Raises InvalidKey; KeyFileRefused when the file exists or its directory
    cannot be written.
    """
    # A link fails where a rename would silently take the place of an existing key.
    _write(path, private_key, passphrase, lambda temporary: os.link(temporary, path))


def replace_private_key(path: Path, private_key: bytes, passphrase: Passphrase | None) -> None:
    """The same in place of the file that is there, at once or not at all: to encrypt, decrypt, change a passphrase."""
    _write(path, private_key, passphrase, lambda temporary: os.replace(temporary, path))  # noqa: PTH105 - as os.link


def _write(path: Path, private_key: bytes, passphrase: Passphrase | None, put: Callable[[str], None]) -> None:
    text = private_key_pem(private_key) if passphrase is None else encrypted_key_pem(private_key, passphrase)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            put(temporary)
        finally:
            Path(temporary).unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError as error:
        raise KeyFileRefused(
            "the file exists already", where=str(path), next_step="move it away; a key is never overwritten"
        ) from error
    except OSError as error:
        raise KeyFileRefused(
            f"cannot be written: {error.strerror}",
            where=str(path),
            next_step="check the directory and its owner",
        ) from error


def load_private_key(path: Path, unlock: Unlock | None = None) -> PrivateKey:
    """The 32-byte key in an SM2 PKCS#8 PEM file.

    Without ``unlock`` only an unencrypted file opens; with it, an unencrypted one only where ``unlock.plain`` says so.
    Raises KeyFileRefused: missing, readable by group or others, not such a key, not opened so; PassphraseRefused.
    """
    return load_key_info(path, unlock, read_private_key_info)


def load_key_info(path: Path, unlock: Unlock | None, read: Callable[[bytes, str], K]) -> K:
    """What ``read`` makes of the PrivateKeyInfo (DER, and where it stood) in a PKCS#8 PEM file of any algorithm.

    ``read`` raises KeyFileRefused for what is no such key; otherwise as ``load_private_key``.
    """
    where = str(path)
    label, der = read_pem(_read(path), where)
    if label != ENCRYPTED:
        if unlock is not None and not unlock.plain:
            step = f"dualchain key encrypt {where}, or set plaintext_keys = true in the configuration"
            raise KeyFileRefused("the key is not encrypted", where=where, next_step=step)
        return read(der, where)
    sealed = pbes2.parse(der, where)
    passphrase = unlock.passphrase() if unlock is not None else None
    if passphrase is None:
        what = "the key is encrypted, and no passphrase is at hand"
        raise KeyFileRefused(what, where=where, next_step=f"name its source with --passphrase-from: {SOURCES}")
    plain = pbes2.unseal(passphrase.key(sealed.salt, sealed.iterations), sealed)
    if plain is not None:
        try:
            return read(plain, where)
        except KeyFileRefused:
            pass  # one wrong passphrase in 256 leaves padding that looks right
    what = "the passphrase does not open it, or it is damaged"
    raise KeyFileRefused(what, where=where, next_step="try the passphrase again, or restore the file") from None


def inspect_key_file(path: Path) -> KeyFacts:
    """How a key file is encrypted. Raises KeyFileRefused."""
    label, der = read_pem(_read(path), str(path))
    if label != ENCRYPTED:
        return KeyFacts(0, 0)
    sealed = pbes2.parse(der, str(path))
    return KeyFacts(sealed.iterations, len(sealed.salt))


def _read(path: Path) -> bytes:
    where = str(path)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
            # The opened file's own mode: the name could be changed to point elsewhere in between.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileRefused(f"mode {mode:04o} lets others at it", where=where, next_step=f"chmod 600 {where}")
            text = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise KeyFileRefused(f"cannot be read: {error.strerror}", where=where, next_step=GENERATE) from error
    if len(text) > _LARGEST_FILE:
        raise KeyFileRefused(f"more than {_LARGEST_FILE} bytes", where=where, next_step=GENERATE)
    return text


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
