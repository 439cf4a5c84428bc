"""SM4-GCM (GB/T 32907 in the mode of NIST SP 800-38D, as RFC 8998 uses it), from `cryptography`.

All providers share it: the system's OpenSSL 3.0 has no SM4-GCM, gmssl has no GCM, and the multi-buffer
library's works on many streams at once, which no caller here has.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from chain_core.crypto.errors import CryptoUnavailable, DecryptionRefused, InvalidKey

KEY_SIZE, NONCE_SIZE, TAG_SIZE = 16, 12, 16


class Sm4GcmKey:
    """One key for many messages; it is prepared once."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        """Raises InvalidKey on a key of the wrong length."""
        if len(key) != KEY_SIZE:
            raise InvalidKey(f"SM4-GCM takes a {KEY_SIZE}-byte key, not {len(key)} bytes")
        self._algorithm = algorithms.SM4(key)

    def seal(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext || tag under a 12-byte nonce that is never used twice. Raises InvalidKey on another nonce."""
        encryptor = self._cipher(nonce, None).encryptor()
        encryptor.authenticate_additional_data(associated)
        return b"".join((encryptor.update(plaintext), encryptor.finalize(), encryptor.tag))

    def open(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises DecryptionRefused, and InvalidKey on a nonce of the wrong length."""
        if len(ciphertext) < TAG_SIZE:
            raise DecryptionRefused(f"an SM4-GCM ciphertext ends in a {TAG_SIZE}-byte tag")
        decryptor = self._cipher(nonce, ciphertext[-TAG_SIZE:]).decryptor()
        decryptor.authenticate_additional_data(associated)
        try:
            return decryptor.update(ciphertext[:-TAG_SIZE]) + decryptor.finalize()
        except InvalidTag as error:
            raise DecryptionRefused("the SM4-GCM tag does not match") from error

    def _cipher(self, nonce: bytes, tag: bytes | None) -> Cipher[modes.GCM]:
        if len(nonce) != NONCE_SIZE:
            raise InvalidKey(f"SM4-GCM takes a {NONCE_SIZE}-byte nonce, not {len(nonce)} bytes")
        try:
            return Cipher(self._algorithm, modes.GCM(nonce, tag))
        except UnsupportedAlgorithm as error:
            raise CryptoUnavailable(
                "`cryptography` was built without SM4-GCM",
                where="sm4-gcm",
                next_step="install the `cryptography` wheel from PyPI",
            ) from error


class Sm4GcmMixin:
    """The two SM4-GCM calls of a CryptoProvider."""

    def sm4_gcm_seal(self, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext || tag. Raises InvalidKey on a key or nonce of the wrong length."""
        return Sm4GcmKey(key).seal(nonce, plaintext, associated)

    def sm4_gcm_open(self, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises DecryptionRefused, and InvalidKey on a key or nonce of the wrong length."""
        return Sm4GcmKey(key).open(nonce, ciphertext, associated)
