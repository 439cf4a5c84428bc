"""SM2 keys in files: PKCS#8 PEM as `openssl pkey` reads and writes it, readable by their owner only.

The files are not encrypted; the 0600 mode is what protects them, so a file with a wider mode is refused.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
import tempfile
from pathlib import Path

from chain_core.crypto.errors import InvalidKey, KeyFileRefused
from chain_core.crypto.provider import PRIVATE_KEY_SIZE, PUBLIC_KEY_SIZE
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import check_private_key, is_on_curve

# AlgorithmIdentifier { id-ecPublicKey, sm2p256v1 } (RFC 5480; GB/T 33560: 1.2.156.10197.1.301).
_ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
# PrivateKeyInfo { 0, algorithm, ECPrivateKey { 1, key, [1] public key } } (RFC 5958, RFC 5915).
_PKCS8_HEAD = bytes.fromhex("308187020100") + _ALGORITHM + bytes.fromhex("046d306b0201010420")
_PKCS8_MIDDLE = bytes.fromhex("a14403420004")
_SPKI_HEAD = bytes.fromhex("3059") + _ALGORITHM + bytes.fromhex("03420004")
_PKCS8_SIZE = len(_PKCS8_HEAD) + PRIVATE_KEY_SIZE + len(_PKCS8_MIDDLE) + PUBLIC_KEY_SIZE
_LARGEST_FILE = 4096
_GENERATE = "generate one with: openssl genpkey -algorithm SM2 -out FILE"


def private_key_pem(private_key: bytes) -> str:
    """PKCS#8 PEM of a 32-byte key, its public half included. Raises InvalidKey."""
    public_key = signing_provider().sm2_public_key(private_key)
    return _pem("PRIVATE KEY", _PKCS8_HEAD + private_key + _PKCS8_MIDDLE + public_key)


def public_key_pem(public_key: bytes) -> str:
    """SubjectPublicKeyInfo PEM of a 64-byte key. Raises InvalidKey when it is not a point of the curve."""
    if not is_on_curve(public_key):
        raise InvalidKey("not an SM2 public key: 64 bytes x||y of a point on the curve")
    return _pem("PUBLIC KEY", _SPKI_HEAD + public_key)


def write_private_key(path: Path, private_key: bytes) -> None:
    """Writes the key as PEM, mode 0600, atomically and synced; refuses to replace a file.

    Raises InvalidKey; KeyFileRefused when the file exists or its directory cannot be written.
    """
    pem = private_key_pem(private_key).encode()
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(pem)
                file.flush()
                os.fsync(file.fileno())
            # A link fails where a rename would silently take the place of an existing key.
            os.link(temporary, path)
        finally:
            os.unlink(temporary)  # noqa: PTH108 - beside os.link
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


def load_private_key(path: Path) -> bytes:
    """The 32-byte key in an unencrypted SM2 PKCS#8 PEM file.

    Raises KeyFileRefused: missing, readable by group or others, or not such a key.
    """
    where = str(path)
    try:
        descriptor = os.open(path, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            # The opened file's own mode: the name could be changed to point elsewhere in between.
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise KeyFileRefused(f"mode {mode:04o} lets others at it", where=where, next_step=f"chmod 600 {where}")
            text = file.read(_LARGEST_FILE)
    except OSError as error:
        raise KeyFileRefused(f"cannot be read: {error.strerror}", where=where, next_step=_GENERATE) from error
    return _parse(text, where)


def _parse(text: bytes, where: str) -> bytes:
    begin, _, rest = text.strip().partition(b"\n")
    body, _, end = rest.rpartition(b"\n")
    if begin.strip() == b"-----BEGIN ENCRYPTED PRIVATE KEY-----":
        raise KeyFileRefused(
            "the key is encrypted", where=where, next_step="decrypt it with: openssl pkey -in FILE -out PLAIN"
        )
    if begin.strip() != b"-----BEGIN PRIVATE KEY-----" or end.strip() != b"-----END PRIVATE KEY-----":
        raise KeyFileRefused("not one PKCS#8 PEM private key", where=where, next_step=_GENERATE)
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise KeyFileRefused("its base64 is damaged", where=where, next_step="restore it from backup") from error
    key = der[len(_PKCS8_HEAD) : len(_PKCS8_HEAD) + PRIVATE_KEY_SIZE]
    middle = len(_PKCS8_HEAD) + PRIVATE_KEY_SIZE
    framed = der.startswith(_PKCS8_HEAD) and der[middle : middle + len(_PKCS8_MIDDLE)] == _PKCS8_MIDDLE
    if len(der) != _PKCS8_SIZE or not framed:
        raise KeyFileRefused("not an SM2 key with its public half", where=where, next_step=_GENERATE)
    try:
        check_private_key(key)
    except InvalidKey as error:
        raise KeyFileRefused(error.what, where=where, next_step=_GENERATE) from error
    if signing_provider().sm2_public_key(key) != der[-PUBLIC_KEY_SIZE:]:
        raise KeyFileRefused("its private and public halves differ", where=where, next_step="restore it from backup")
    return key


def _pem(label: str, der: bytes) -> str:
    encoded = base64.b64encode(der).decode()
    lines = [encoded[i : i + 64] for i in range(0, len(encoded), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
