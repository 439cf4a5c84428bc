"""What signs: a key file now; a cryptographic device attaches here (GM/T 0018; docs/spec/keys.md §5)."""

from __future__ import annotations

from typing import Protocol

from chain_core.crypto.private_key import PrivateKey
from chain_core.crypto.providers import signing_provider


class SigningBackend(Protocol):
    """One key."""

    @property
    def public_key(self) -> bytes:
        """64 bytes x||y."""

    def sign(self, message: bytes) -> bytes:
        """SM2 over M with user id 1234567812345678; 64 bytes r||s. Raises SigningFailed."""


class FileKey:
    """A key that was read from a file."""

    __slots__ = ("_private", "public_key")

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.public_key = signing_provider().sm2_public_key(private)

    def sign(self, message: bytes) -> bytes:
        """By libcrypto, which draws and protects its own nonces."""
        return signing_provider().sm2_sign(self._private, message)
