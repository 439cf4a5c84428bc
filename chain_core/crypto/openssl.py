"""Provider on the system's libcrypto >= 3: any CPU; it alone signs for validators."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence

from chain_core.crypto.cache import BoundedCache
from chain_core.crypto.der import encode_in_range, signature_from_der
from chain_core.crypto.errors import InvalidKey, SigningFailed
from chain_core.crypto.libcrypto import (
    LibCrypto,
    Sm2Key,
    libcrypto,
    multiply_generator,
    sm2_private,
    sm2_public,
)
from chain_core.crypto.provider import PUBLIC_KEY_SIZE, VerifyItem
from chain_core.crypto.sm2_domain import ZA_PREFIX, check_private_key, signature_in_range
from chain_core.crypto.sm4_gcm import Sm4GcmMixin

# A public key takes 50 microseconds to decode and 1.5 KiB to hold; a market's active accounts should fit.
KEY_CACHE_SIZE = 16_384


class OpenSslProvider(Sm4GcmMixin):
    """SM2 and SM3 of libcrypto; SM3 through hashlib where the interpreter's OpenSSL has it."""

    name = "openssl"

    def __init__(self, *, key_cache_size: int = KEY_CACHE_SIZE) -> None:
        """Raises CryptoUnavailable when the library is missing or too old."""
        self._library: LibCrypto = libcrypto()
        self.sm3: Callable[[bytes], bytes] = _hashlib_sm3() or _libcrypto_sm3(self._library)
        # public key -> (decoded key, Z_A); private key -> (decoded key, Z_A)
        self._public: BoundedCache[tuple[Sm2Key, bytes]] = BoundedCache(key_cache_size)
        self._private: BoundedCache[tuple[Sm2Key, bytes]] = BoundedCache(key_cache_size)

    def sm3_many(self, messages: Sequence[bytes]) -> list[bytes]:
        return list(map(self.sm3, messages))

    def sm3_records(self, data: bytes, record_size: int) -> bytes:
        if record_size <= 0 or len(data) % record_size:
            raise ValueError(f"{len(data)} bytes are not whole records of {record_size}")
        sm3 = self.sm3
        return b"".join([sm3(data[i : i + record_size]) for i in range(0, len(data), record_size)])

    def sm2_public_key(self, private_key: bytes) -> bytes:
        check_private_key(private_key)
        encoded = multiply_generator(self._library, private_key)
        if encoded is None:
            raise InvalidKey("libcrypto refused the private key", where="openssl")
        return encoded[1:]

    def sm2_sign(self, private_key: bytes, message: bytes) -> bytes:
        key, za = self._private_entry(private_key)
        der = key.sign_digest(self.sm3(za + message))
        if der is None:
            raise SigningFailed("libcrypto refused to sign", where="openssl", next_step="check the key file")
        return signature_from_der(der)

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        if not signature_in_range(signature):
            return False
        entry = self._public_entry(public_key)
        if entry is None:
            return False
        key, za = entry
        return key.verify_digest(self.sm3(za + message), encode_in_range(signature))

    def sm2_verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        verify = self.sm2_verify
        return [verify(public_key, message, signature) for public_key, message, signature in items]

    def _public_entry(self, public_key: bytes) -> tuple[Sm2Key, bytes] | None:
        entry = self._public.get(public_key)
        if entry is None:
            if len(public_key) != PUBLIC_KEY_SIZE:
                return None
            key = sm2_public(self._library, public_key)
            if key is None:
                return None
            entry = (key, self.sm3(ZA_PREFIX + public_key))
            self._public.put(bytes(public_key), entry)
        return entry

    def _private_entry(self, private_key: bytes) -> tuple[Sm2Key, bytes]:
        entry = self._private.get(private_key)
        if entry is None:
            public_key = self.sm2_public_key(private_key)
            key = sm2_private(self._library, private_key, public_key)
            if key is None:
                raise InvalidKey("libcrypto refused the private key", where="openssl")
            entry = (key, self.sm3(ZA_PREFIX + public_key))
            self._private.put(bytes(private_key), entry)
        return entry


def _hashlib_sm3() -> Callable[[bytes], bytes] | None:
    """SM3 by copying a prepared object, which is half as dear again as hashlib.new; None without SM3."""
    if "sm3" not in hashlib.algorithms_available:
        return None
    try:
        prepared = hashlib.new("sm3", usedforsecurity=True)
    except ValueError:
        return None
    copy = prepared.copy

    def sm3(data: bytes) -> bytes:
        state = copy()
        state.update(data)
        return state.digest()

    return sm3


def _libcrypto_sm3(library: LibCrypto) -> Callable[[bytes], bytes]:
    """SM3 through EVP_Digest, for an interpreter built against another library."""
    method = library.sm3_method()

    def sm3(data: bytes) -> bytes:
        output = ctypes.create_string_buffer(32)
        data = bytes(data)
        if library.digest(data, len(data), output, None, method, None) != 1:
            raise SigningFailed("libcrypto refused SM3", where="openssl")
        return output.raw

    return sm3
