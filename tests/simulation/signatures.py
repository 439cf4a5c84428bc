"""Who signs and verifies in a simulated world: real SM2, or tags that cost a hundredth of it.

A tag is a keyed hash over a nonce and the message. It has what the protocol relies on: only the holder of the private
key makes it, it holds for one message and one key, anything else is refused, and one message has many valid ones.
Outside of tests it is worthless, since whoever verifies it knows the private key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

from chain_core.crypto.provider import VerifyItem
from chain_core.crypto.providers import provider, signing_provider

NONCE_SIZE = 32


class Signatures(Protocol):
    """A signature scheme with 32-byte private keys, 65-byte public keys, 64-byte signatures."""

    def sign(self, private_key: bytes, message: bytes) -> bytes:
        """A signature over ``message``."""
        ...

    def verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        """A verdict for each (public key, message, signature)."""
        ...


class RealSm2:
    """SM2 as nodes use it."""

    def sign(self, private_key: bytes, message: bytes) -> bytes:
        return signing_provider().sm2_sign(private_key, message)

    def verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        return provider().sm2_verify_many(items)


class Tags:
    """The fast scheme of one world; ``private_of`` finds the private key of a public one."""

    def __init__(self, private_of: Callable[[bytes], bytes | None]) -> None:
        self._private_of = private_of
        self._signed = 0

    def sign(self, private_key: bytes, message: bytes) -> bytes:
        self._signed += 1
        nonce = self._signed.to_bytes(NONCE_SIZE, "big")
        return nonce + _tag(private_key, nonce, message)

    def verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        return [self._holds(*item) for item in items]

    def _holds(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        private_key = self._private_of(public_key)
        nonce, tag = signature[:NONCE_SIZE], signature[NONCE_SIZE:]
        return private_key is not None and tag == _tag(private_key, nonce, message)


def _tag(private_key: bytes, nonce: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(nonce + message, key=private_key, digest_size=32).digest()
