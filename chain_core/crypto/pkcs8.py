"""SM2 keys as PKCS#8 and SubjectPublicKeyInfo PEM, byte for byte what ``openssl`` 3 writes."""

from __future__ import annotations

import base64
import binascii

from chain_core.crypto.errors import InvalidKey, KeyFileRefused
from chain_core.crypto.private_key import PrivateKey
from chain_core.crypto.provider import PRIVATE_KEY_SIZE, PUBLIC_KEY_SIZE
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import check_private_key, is_on_curve

PLAIN, ENCRYPTED, _PUBLIC = "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PUBLIC KEY"

# AlgorithmIdentifier { id-ecPublicKey, sm2p256v1 } (RFC 5480; GB/T 33560: 1.2.156.10197.1.301).
_ALGORITHM = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
# PrivateKeyInfo { 0, algorithm, ECPrivateKey { 1, key, [1] public key } } (RFC 5958, RFC 5915).
_HEAD = bytes.fromhex("308187020100") + _ALGORITHM + bytes.fromhex("046d306b0201010420")
_MIDDLE = bytes.fromhex("a14403420004")
_SPKI_HEAD = bytes.fromhex("3059") + _ALGORITHM + bytes.fromhex("03420004")
_KEY_END = len(_HEAD) + PRIVATE_KEY_SIZE
PRIVATE_KEY_INFO_SIZE = _KEY_END + len(_MIDDLE) + PUBLIC_KEY_SIZE
GENERATE = "make one with: dualchain key new FILE"


def private_key_info(private_key: bytes) -> bytes:
    """PrivateKeyInfo (DER) of a 32-byte key, its public half included. Raises InvalidKey."""
    return _HEAD + private_key + _MIDDLE + signing_provider().sm2_public_key(private_key)


def read_private_key_info(der: bytes, where: str) -> PrivateKey:
    """The key in a PrivateKeyInfo of exactly that form. Raises KeyFileRefused; no byte of ``der`` is in its text."""
    key = PrivateKey(der[len(_HEAD) : _KEY_END])
    framed = der.startswith(_HEAD) and der[_KEY_END : _KEY_END + len(_MIDDLE)] == _MIDDLE
    if len(der) != PRIVATE_KEY_INFO_SIZE or not framed:
        raise KeyFileRefused("not an SM2 key with its public half", where=where, next_step=GENERATE)
    try:
        check_private_key(key)
    except InvalidKey as error:
        raise KeyFileRefused(error.what, where=where, next_step=GENERATE) from None
    if signing_provider().sm2_public_key(key) != der[-PUBLIC_KEY_SIZE:]:
        raise KeyFileRefused("its private and public halves differ", where=where, next_step="restore it from backup")
    return key


def private_key_pem(private_key: bytes) -> str:
    """Unencrypted PKCS#8 PEM of a 32-byte key, its public half included. Raises InvalidKey."""
    return pem(PLAIN, private_key_info(private_key))


def public_key_pem(public_key: bytes) -> str:
    """SubjectPublicKeyInfo PEM of a 64-byte key. Raises InvalidKey when it is not a point of the curve."""
    if not is_on_curve(public_key):
        raise InvalidKey("not an SM2 public key: 64 bytes x||y of a point on the curve")
    return pem(_PUBLIC, _SPKI_HEAD + public_key)


def pem(label: str, der: bytes) -> str:
    """One PEM block (RFC 7468)."""
    encoded = base64.b64encode(der).decode()
    lines = [encoded[i : i + 64] for i in range(0, len(encoded), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def read_pem(text: bytes, where: str) -> tuple[str, bytes]:
    """(label, DER) of a file that holds one private key, encrypted or not. Raises KeyFileRefused."""
    begin, _, rest = text.strip().partition(b"\n")
    body, _, end = rest.rpartition(b"\n")
    for label in (PLAIN, ENCRYPTED):
        if (
            begin.strip() == b"-----BEGIN %b-----" % label.encode()
            and end.strip() == b"-----END %b-----" % label.encode()
        ):
            try:
                return label, base64.b64decode(b"".join(body.split()), validate=True)
            except binascii.Error:
                what = "its base64 is damaged"
                raise KeyFileRefused(what, where=where, next_step="restore it from backup") from None
    raise KeyFileRefused("not one PKCS#8 PEM private key", where=where, next_step=GENERATE)
