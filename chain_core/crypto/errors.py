"""Typed refusals of the crypto package."""

from __future__ import annotations

from chain_core.types.errors import DualchainError


class CryptoError(DualchainError):
    """Root of everything this package raises on purpose."""

    code = "CRYPTO"


class CryptoUnavailable(CryptoError):
    """A provider cannot run here; ``where`` is its name, ``what`` says what is missing."""

    code = "CRYPTO_UNAVAILABLE"


class InvalidKey(CryptoError):
    """A private key outside [1, n-2], a public key off the curve, or a key of the wrong length."""

    code = "INVALID_KEY"


class SigningFailed(CryptoError):
    """The library refused to sign although the key is well-formed; no signature bytes were released."""

    code = "SIGNING_FAILED"


class DecryptionRefused(CryptoError):
    """Authenticated decryption failed: wrong key, nonce, associated data, or an altered ciphertext."""

    code = "DECRYPTION_REFUSED"


class MalformedCiphertext(CryptoError):
    """Bytes that are not one SM2 ciphertext in strict DER, or whose point is not on the curve."""

    code = "MALFORMED_CIPHERTEXT"


class MalformedSignature(CryptoError):
    """Bytes that are not one SM2 signature: not strict DER, not 64 raw bytes, or r, s outside [1, n-1]."""

    code = "MALFORMED_SIGNATURE"


class KeyFileRefused(CryptoError):
    """A key file that is missing, readable by others, or not an SM2 private key; ``where`` is its path."""

    code = "KEY_FILE_REFUSED"


class MalformedTree(CryptoError):
    """Merkle input that is no tree: partial hashes, an index past the end, a frontier that does not fit."""

    code = "MALFORMED_TREE"
