"""Certificates and lists in files: read with a limit, written whole, synced, never over something that stands there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from chain_core.crypto.x509 import pem
from chain_core.crypto.x509.certificate import Certificate, parse_certificate
from chain_core.crypto.x509.crl import MAX_CRL_BYTES, Crl, parse_crl
from chain_core.crypto.x509.errors import CertificateRefused
from chain_core.types.errors import LocalFault

_MAX_FILE_BYTES = 2 * MAX_CRL_BYTES
_MODE = 0o644
T = TypeVar("T")


class CertificateFileRefused(LocalFault):
    """A file that is missing, too large, not what it should be, or stands in the way; ``where`` is its path."""

    code = "CERTIFICATE_FILE_REFUSED"


def read_pem(path: Path, label: str) -> list[bytes]:
    """DER of every block with this label; a file of one DER value is taken as well. Raises CertificateFileRefused."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateFileRefused(
            f"cannot be read: {error.strerror}", where=str(path), next_step=f"name a PEM file with {label}"
        ) from error
    if len(data) > _MAX_FILE_BYTES:
        raise CertificateFileRefused(
            f"more than {_MAX_FILE_BYTES} bytes", where=str(path), next_step=f"name a PEM file with {label}"
        )
    if data[:1] == b"\x30":
        return [data]
    try:
        return pem.from_pem(data.decode("ascii", "replace"), label)
    except CertificateRefused as refusal:
        raise CertificateFileRefused(refusal.what, where=str(path), next_step=refusal.next_step) from refusal


def load_certificates(path: Path) -> list[Certificate]:
    """Every certificate of a PEM bundle, in order. Raises CertificateFileRefused."""
    return [_parsed(parse_certificate, der, path) for der in read_pem(path, pem.CERTIFICATE)]


def load_crls(path: Path) -> list[Crl]:
    """Every revocation list of a PEM bundle. Raises CertificateFileRefused."""
    return [_parsed(parse_crl, der, path) for der in read_pem(path, pem.REVOCATION_LIST)]


def write_new(path: Path, text: str, mode: int = _MODE) -> None:
    """Write a file that is not there yet, synced. Raises CertificateFileRefused."""
    try:
        with _synced_beside(path, text.encode(), mode) as temporary:
            # A link fails where a rename would silently take the place of an existing file.
            os.link(temporary, path)
    except FileExistsError as error:
        raise CertificateFileRefused(
            "the file exists already", where=str(path), next_step="name another, or move it away; nothing was changed"
        ) from error
    except OSError as error:
        raise _unwritable(path, error) from error


def replace(path: Path, text: str, mode: int = _MODE) -> None:
    """Write a file that others read meanwhile: they see the old one or the new one. Raises CertificateFileRefused."""
    try:
        with _synced_beside(path, text.encode(), mode) as temporary:
            os.replace(temporary, path)  # noqa: PTH105 - beside os.link
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def _synced_beside(path: Path, data: bytes, mode: int) -> Iterator[str]:
    """A synced temporary file in the same directory; afterwards it is gone and the directory synced."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parsed(parse: Callable[[bytes], T], der: bytes, path: Path) -> T:
    try:
        return parse(der)
    except CertificateRefused as refusal:
        raise CertificateFileRefused(refusal.what, where=str(path), next_step=refusal.next_step) from refusal


def _unwritable(path: Path, error: OSError) -> CertificateFileRefused:
    return CertificateFileRefused(
        f"cannot be written: {error.strerror}", where=str(path), next_step="check the directory and its owner"
    )
