"""PKCS#8 EncryptedPrivateKeyInfo: PBES2 with PBKDF2-HMAC-SHA256 and SM4-CBC (RFC 8018; docs/spec/keys.md §2).

What ``openssl pkcs8 -topk8 -v2 sm4-cbc`` of 3.0 writes and ``openssl pkey`` opens; its PBKDF2 knows no SM3.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from chain_core.crypto.errors import KeyFileRefused

ITERATIONS = 600_000
MIN_ITERATIONS, MAX_ITERATIONS = 1_000, 10_000_000
"""Of files that are read. openssl writes 2,048 unless it is told; the upper bound is some 2 seconds."""
SALT_SIZE = 16
MIN_SALT, MAX_SALT = 8, 64
KEY_SIZE = BLOCK_SIZE = 16
_MAX_CIPHERTEXT = 1_024

_SEQUENCE, _OCTETS, _INTEGER = 0x30, 0x04, 0x02
_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
# AlgorithmIdentifier { hmacWithSHA256, NULL } (RFC 8018 appendix B.1.2)
_HMAC_SHA256 = bytes.fromhex("300c06082a864886f70d02090500")
_SM4_CBC = bytes.fromhex("06082a811ccf55016802")
_CONVERT = (
    "convert it: openssl pkcs8 -topk8 -v2 sm4-cbc -v2prf hmacWithSHA256 -iter 600000 -in FILE -out NEW; chmod 600 NEW"
)


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A parsed EncryptedPrivateKeyInfo: how its key is derived, and what is sealed."""

    salt: bytes
    iterations: int
    iv: bytes
    ciphertext: bytes


def derive(passphrase: bytes, salt: bytes, iterations: int) -> bytes:
    """The 16-byte SM4 key: PBKDF2-HMAC-SHA256 (RFC 8018 §5.2)."""
    return PBKDF2HMAC(hashes.SHA256(), KEY_SIZE, salt, iterations).derive(passphrase)


def seal(key: bytes, salt: bytes, iterations: int, plain: bytes) -> bytes:
    """EncryptedPrivateKeyInfo (DER) of ``plain`` under a derived ``key``, with a fresh IV."""
    iv = secrets.token_bytes(BLOCK_SIZE)
    padder = padding.PKCS7(8 * BLOCK_SIZE).padder()
    sealer = Cipher(SM4(key), modes.CBC(iv)).encryptor()
    ciphertext = sealer.update(padder.update(plain) + padder.finalize()) + sealer.finalize()
    derivation = _tlv(_SEQUENCE, _tlv(_OCTETS, salt) + _integer(iterations) + _HMAC_SHA256)
    scheme = _tlv(_SEQUENCE, _PBKDF2 + derivation) + _tlv(_SEQUENCE, _SM4_CBC + _tlv(_OCTETS, iv))
    algorithm = _tlv(_SEQUENCE, _PBES2 + _tlv(_SEQUENCE, scheme))
    return _tlv(_SEQUENCE, algorithm + _tlv(_OCTETS, ciphertext))


def unseal(key: bytes, sealed: Encrypted) -> bytes | None:
    """What is inside; None when the padding shows that the key is another one or the file is damaged."""
    opener = Cipher(SM4(key), modes.CBC(sealed.iv)).decryptor()
    padded = opener.update(sealed.ciphertext) + opener.finalize()
    remover = padding.PKCS7(8 * BLOCK_SIZE).unpadder()
    try:
        return remover.update(padded) + remover.finalize()
    except ValueError:
        return None


def parse(der: bytes, where: str) -> Encrypted:
    """The parameters, each in its bounds. Raises KeyFileRefused; nothing is derived before all of it is checked."""
    whole = _Reader(der, where)
    info = _Reader(whole.value(_SEQUENCE), where)
    whole.end()
    algorithm, ciphertext = _Reader(info.value(_SEQUENCE), where), info.value(_OCTETS)
    info.end()
    algorithm.exactly(_PBES2, "its encryption scheme is not PBES2")
    scheme = _Reader(algorithm.value(_SEQUENCE), where)
    algorithm.end()
    derivation, cipher = _Reader(scheme.value(_SEQUENCE), where), _Reader(scheme.value(_SEQUENCE), where)
    scheme.end()
    derivation.exactly(_PBKDF2, "its key derivation is not PBKDF2")
    parameters = _Reader(derivation.value(_SEQUENCE), where)
    derivation.end()
    salt, iterations = parameters.value(_OCTETS), parameters.integer()
    if parameters.next_is(_INTEGER) and parameters.integer() != KEY_SIZE:
        raise _refused("its derived key has not 16 bytes", where)
    parameters.exactly(_HMAC_SHA256, "its PRF is not HMAC-SHA256")
    parameters.end()
    cipher.exactly(_SM4_CBC, "its cipher is not SM4-CBC")
    iv = cipher.value(_OCTETS)
    cipher.end()
    if not MIN_SALT <= len(salt) <= MAX_SALT:
        raise _refused(f"a salt of {len(salt)} bytes, not {MIN_SALT} to {MAX_SALT}", where)
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise _refused(f"{iterations} iterations, not {MIN_ITERATIONS} to {MAX_ITERATIONS}", where)
    if len(iv) != BLOCK_SIZE or not ciphertext or len(ciphertext) % BLOCK_SIZE or len(ciphertext) > _MAX_CIPHERTEXT:
        raise _refused("its IV or its content has no whole blocks", where)
    return Encrypted(salt, iterations, iv, ciphertext)


class _Reader:
    """Strict DER, as far as this one structure needs it: definite minimal lengths of at most two bytes."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data, self._at, self._where = data, 0, where

    def next_is(self, tag: int) -> bool:
        return self._data[self._at : self._at + 1] == bytes([tag])

    def value(self, tag: int) -> bytes:
        data, at = self._data, self._at
        if not self.next_is(tag) or at + 2 > len(data):
            raise _damaged(self._where)
        size, at = data[at + 1], at + 2
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
            # the shortest form only: one length byte from 128 on, two from 256 on
            if count not in (1, 2) or size < (0x80 if count == 1 else 0x100):
                raise _damaged(self._where)
        if at + size > len(data):
            raise _damaged(self._where)
        self._at = at + size
        return data[at : at + size]

    def integer(self) -> int:
        raw = self.value(_INTEGER)
        if not 1 <= len(raw) <= 4 or raw[0] & 0x80 or (len(raw) > 1 and raw[0] == 0 and not raw[1] & 0x80):
            raise _damaged(self._where)
        return int.from_bytes(raw, "big")

    def exactly(self, expected: bytes, otherwise: str) -> None:
        if self._data[self._at : self._at + len(expected)] != expected:
            raise _refused(otherwise, self._where)
        self._at += len(expected)

    def end(self) -> None:
        if self._at != len(self._data):
            raise _damaged(self._where)


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def _integer(value: int) -> bytes:
    return _tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _refused(what: str, where: str) -> KeyFileRefused:
    return KeyFileRefused(what, where=where, next_step=_CONVERT)


def _damaged(where: str) -> KeyFileRefused:
    return KeyFileRefused("no EncryptedPrivateKeyInfo in DER", where=where, next_step="restore it from backup")
