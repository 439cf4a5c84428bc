"""SM2 signatures under another signer's identifier than this project's (GB/T 32918.2 section 5.5), by libcrypto.

Protocols of others fix identifiers of their own: TLS 1.3 with SM2 signs as ``TLSv1.3+GM+Cipher+Suite`` (RFC 8998
section 3.2.1), so that such a signature can never stand for one over a transaction or a vote.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from chain_core.crypto.der import encode_in_range, signature_from_der
from chain_core.crypto.errors import InvalidKey, SigningFailed
from chain_core.crypto.libcrypto import libcrypto, sm2_private, sm2_public
from chain_core.crypto.provider import PUBLIC_KEY_SIZE
from chain_core.crypto.providers import signing_provider
from chain_core.crypto.sm2_domain import GX, GY, A, B, signature_in_range

_MAX_USER_ID = 8_191  # its length in bits stands in two bytes


@lru_cache(maxsize=16)
def _za_prefix(user_id: bytes) -> bytes:
    """ENTL || ID || a || b || xG || yG. ValueError for an identifier too long."""
    if len(user_id) > _MAX_USER_ID:
        raise ValueError(f"an identifier of {len(user_id)} bytes")
    return (8 * len(user_id)).to_bytes(2, "big") + user_id + b"".join(v.to_bytes(32, "big") for v in (A, B, GX, GY))


def signer_as(private_key: bytes, user_id: bytes) -> Callable[[bytes], bytes]:
    """What signs messages as ``user_id``: 64 bytes r || s each. The key is prepared once. Raises InvalidKey.

    The function raises SigningFailed.
    """
    provider = signing_provider()
    public_key = provider.sm2_public_key(private_key)
    key = sm2_private(libcrypto(), private_key, public_key)
    if key is None:
        raise InvalidKey("libcrypto refused the private key", where="openssl")
    za = provider.sm3(_za_prefix(user_id) + public_key)

    def sign(message: bytes) -> bytes:
        der = key.sign_digest(provider.sm3(za + message))
        if der is None:
            raise SigningFailed("libcrypto refused to sign", where="openssl", next_step="check the key file")
        return signature_from_der(der)

    return sign


def sign_as(private_key: bytes, message: bytes, user_id: bytes) -> bytes:
    """One signature of ``signer_as``. Raises InvalidKey, SigningFailed."""
    return signer_as(private_key, user_id)(message)


def verify_as(public_key: bytes, message: bytes, signature: bytes, user_id: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is ``user_id``'s over ``message``; anything malformed is False."""
    if len(public_key) != PUBLIC_KEY_SIZE or not signature_in_range(signature):
        return False
    key = sm2_public(libcrypto(), public_key)
    if key is None:
        return False
    sm3 = signing_provider().sm3
    za = sm3(_za_prefix(user_id) + public_key)
    return key.verify_digest(sm3(za + message), encode_in_range(signature))
