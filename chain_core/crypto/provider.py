"""The port every SM library is driven through.

Shapes: private key 32 bytes big-endian in [1, n-2]; public key 64 bytes x||y big-endian; signature 64 bytes
r||s big-endian, r and s in [1, n-1]; the signer's distinguishing identifier is always ``SM2_USER_ID``
(GB/T 32918.2 section 5.5). Implementations are thread-safe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

SM2_USER_ID = b"1234567812345678"
SM3_SIZE = 32
PRIVATE_KEY_SIZE = 32
PUBLIC_KEY_SIZE = 64
SIGNATURE_SIZE = 64

# (public key, message, signature): what one lane of a batch verification takes.
VerifyItem = tuple[bytes, bytes, bytes]


class CryptoProvider(Protocol):
    """SM2/SM3/SM4 of one library (GB/T 32918, 32905, 32907)."""

    name: str  # "multibuffer" | "ippcp" | "openssl" | "gmssl"

    def sm3(self, data: bytes) -> bytes:
        """SM3 of ``data``: 32 bytes."""
        ...

    def sm3_many(self, messages: Sequence[bytes]) -> list[bytes]:
        """SM3 of each message, in order."""
        ...

    def sm3_records(self, data: bytes, record_size: int) -> bytes:
        """SM3 of each of the k equal records in ``data``: k * 32 bytes, concatenated.

        Raises ValueError when ``record_size`` is not positive or does not divide the length of ``data``.
        """
        ...

    def sm2_public_key(self, private_key: bytes) -> bytes:
        """The 64-byte public key. Raises InvalidKey."""
        ...

    def sm2_sign(self, private_key: bytes, message: bytes) -> bytes:
        """A fresh 64-byte signature over ``message``. Raises InvalidKey, SigningFailed."""
        ...

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature holds. Anything malformed is False; never raises on content."""
        ...

    def sm2_verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        """``sm2_verify`` of each item, in order."""
        ...

    def sm4_gcm_seal(self, key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        """Ciphertext || 16-byte tag under a 16-byte key and a 12-byte nonce that is never used twice."""
        ...

    def sm4_gcm_open(self, key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises DecryptionRefused."""
        ...


@runtime_checkable
class ManySigner(Protocol):
    """What a provider that signs in lanes offers besides; for clients, never for validators."""

    def sm2_sign_many_for_clients(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """64-byte signatures over (private key, message) pairs, in order. Raises InvalidKey."""
        ...


@runtime_checkable
class RawVerifier(Protocol):
    """What a provider offers that can say what its library does without it; for measurements."""

    def raw_verification(self, items: Sequence[VerifyItem]) -> Callable[[], bool]:
        """The library's verification of ``items``, all laid out for it beforehand; whether it accepts them all.

        ``items``: right signatures, messages of one size. None of the provider's checks are in it, so its
        answer decides nothing. For the thread that made it.
        """
        ...
